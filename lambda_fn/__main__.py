"""`python -m lambda_fn`: the command line."""

import gc

gc.disable()  # nothing that imports make is garbage, and to look for it takes a tenth of the start

from .cli import main  # noqa: E402

gc.enable()
try:
    raise SystemExit(main())
finally:
    gc.freeze()  # nor is there a need to look for cycles at the end
