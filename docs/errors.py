"""The page of all errors, from the classes themselves: `make docs`.

A class's docstring says in its first paragraph what happened and in its second what to do.
"""

from __future__ import annotations

import inspect

from lambda_fn.core import errors

ORDER = {
    errors.CALLER: "Trying again changes nothing. The state machine does not.",
    errors.PASSING: "Trying again may do. The state machine does so by itself, with pauses that grow.",
    errors.TOO_BIG: "The same request succeeds where there is more time. The state machine hands it to Fargate.",
}

PAGE = """\
# Errors

Every way in which a repack can end without an output. The names are public: the command line writes
`error: NAME: sentence` and ends with 1, Python raises the class (all of them are a `RepackError`), Step Functions and
pipelines match on the name, and the event `Model Repack Failed` has it as `error`. Whatever happens, the output is as
it was before.
{sections}
Made of [`errors.py`](../lambda_fn/core/errors.py) by `make docs`.
"""


def page() -> str:
    """All errors, by category."""
    return PAGE.format(sections="".join(_section(category, remark) for category, remark in ORDER.items()))


def _section(category: str, remark: str) -> str:
    rows = [_row(error) for error in raised() if error.category == category]
    lines = [
        "",
        f"## {category[0].upper()}{category[1:]}",
        "",
        remark,
        "",
        "| name | it means | do |",
        "|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def raised() -> list[type[errors.RepackError]]:
    """Every error but the root, in the order of their definition."""
    found = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, errors.RepackError)]
    return [error for error in found if error is not errors.RepackError]


def _row(error: type[errors.RepackError]) -> str:
    meaning, _, cure = inspect.cleandoc(error.__doc__ or "").partition("\n\n")
    cells = (f"`{error.__name__}`", *(" ".join(text.split()) for text in (meaning, cure)))
    return "| " + " | ".join(cells) + " |"
