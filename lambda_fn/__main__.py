"""`python -m lambda_fn`: the command line."""

from .cli import main

raise SystemExit(main())
