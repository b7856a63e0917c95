"""The page of all errors, from the classes themselves: `make docs`.

A class's docstring says in its first paragraph what happened and in its second what to do.
"""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from lambda_fn.core import errors

ORDER = {
    errors.CALLER: "Trying again changes nothing. The state machine does not.",
    errors.PASSING: "Trying again may do. The state machine does so by itself, with pauses that grow.",
    errors.TOO_BIG: "The same request succeeds where there is more time. The state machine hands it to Fargate.",
}

PAGE = """\
# Errors

Every way in which a repack can end without an output. The names are public: the command line writes
`error: NAME: sentence` and ends with 1, Python raises the class, Step Functions and pipelines match on the name, and
the event `Model Repack Failed` has it as `error`. All are a `RepackError`, and each category is a class to catch:
`CallersMistake`, `PassingFailure`, `TooBigForHere`. Whatever happens, the output is as it was before.
{sections}
## All sentences

What an error says, with … for what is named in it; a few are put together of parts, which stand here by themselves.

{sentences}

Made of [`errors.py`](../lambda_fn/core/errors.py), and of all that raises, by `make docs`.
"""
PACKAGE = Path(errors.__file__).parents[1]


def page() -> str:
    """All errors, by category."""
    sections = "".join(_section(category, remark) for category, remark in ORDER.items())
    return PAGE.format(sections=sections, sentences="\n".join(_sentences()))


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
    """Every error that can be raised, in the order of their definition: those that others are not kinds of."""
    found = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, errors.RepackError)]
    return [error for error in found if not error.__subclasses__()]


def _row(error: type[errors.RepackError]) -> str:
    meaning, _, cure = inspect.cleandoc(error.__doc__ or "").partition("\n\n")
    cells = (f"`{error.__name__}`", *(" ".join(text.split()) for text in (meaning, cure)))
    return "| " + " | ".join(cells) + " |"


def _sentences() -> Iterator[str]:
    """Of every error, what it says wherever it is made."""
    names = [error.__name__ for error in raised()]
    said: defaultdict[str, set[str]] = defaultdict(set)
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and node.args:
                said[node.func.id].add(_told(node.args[0]))
    for name in names:
        yield from [f"- `{name}`: {sentence}" for sentence in sorted(said[name] - {"…"})]


def _told(node: ast.expr) -> str:
    """A sentence of the code, each value in it replaced by …"""
    if isinstance(node, ast.JoinedStr):
        return "".join(_told(part) for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "…"
