"""The page for Python users, from the docstrings of what `lambda_fn` offers: `make docs`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from griffe import Class, Function, GriffeLoader, Object, Parameter, ParameterKind, Parameters
from griffe2md import ConfigDict, default_config, render_object_docs

import lambda_fn
from docs.errors import raised
from lambda_fn.core.value import Value

ROOT = Path(__file__).parent.parent

CODE = re.compile(r"```python\n(.+)\n```")
LOOKS: dict[str, Any] = {
    **default_config,
    "show_root_full_path": False,
    "show_root_members_full_path": False,
    "show_object_full_path": False,
    "show_signature_annotations": True,
    "show_if_no_docstring": False,
    "show_bases": False,
    "members_order": "source",
    "summary": False,
}

PAGE = """\
# From Python

All of it comes from `lambda_fn` itself; what is not here may change any day. `pip install '.[s3]'` brings what s3://
URIs need.

```python
from lambda_fn import repack

result = repack("model.tar.gz", "out/model.tar.gz", {{"hyperparameters.json": b'{{"depth": 6}}'}})
```

Where it cannot be done, an error is raised that says why: [all of them](errors.md).

{sections}Made of the docstrings by `make docs`.
"""


def page() -> str:
    """Everything that the package exports, but for the errors, which have a page of their own."""
    package = GriffeLoader(search_paths=[str(ROOT)]).load("lambda_fn")
    errors = {base.__name__ for error in raised() for base in error.mro()}
    items = [package[name].final_target for name in lambda_fn.__all__ if name not in errors]
    functions_first = sorted(items, key=lambda item: item.is_class)
    return PAGE.format(sections="".join(map(_section, functions_first)))


def _section(item: Object) -> str:
    made = getattr(lambda_fn, item.name)
    if isinstance(item, Class) and issubclass(made, Value):
        item.set_member("__init__", Function("__init__", parameters=_fields(item, made)))
    return CODE.sub(_wrapped, render_object_docs(item, ConfigDict(**LOOKS)).strip()) + "\n\n"


def _fields(item: Class, made: type[Value]) -> Parameters:
    """What a Value is made of: no source says it in one place."""
    fields = ((name, item.all_members[name]) for name in made._fields)
    kind = ParameterKind.positional_or_keyword
    return Parameters(
        *(Parameter(name, annotation=of.annotation, default=of.value, kind=kind) for name, of in fields)  # type: ignore[union-attr]
    )


def _wrapped(code: re.Match[str]) -> str:
    """A signature on as many lines as it needs."""
    form = [str(Path(sys.executable).with_name("ruff")), "format", "--line-length", "100", "-"]
    done = subprocess.run(form, input=f"def {code[1]}: ...", capture_output=True, text=True, check=False)
    text = done.stdout.removeprefix("def ").rstrip().removesuffix(": ...") if done.returncode == 0 else code[1]
    return f"```python\n{text}\n```"
