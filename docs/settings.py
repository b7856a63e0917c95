"""The table of settings in deploy.md, from `infra/settings.py` itself."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path
from textwrap import dedent

from infra.settings import PROFILES, Settings, StackSettings

PAGE = Path(__file__).parent / "deploy.md"
BETWEEN = re.compile(r"(?<=<!-- settings: made by `make docs` -->\n).*?(?=<!-- end of settings -->)", re.DOTALL)


def page(text: str) -> str:
    """The page with the table as it is now."""
    return BETWEEN.sub(lambda found: table(), text)


def table() -> str:
    """Markdown: each setting with its default and its meaning."""
    meanings = {**texts(Settings), **texts(StackSettings)}
    profiles = ", ".join(
        f"`{name}` ({', '.join(f'{key} {value}' for key, value in given.items()) or 'as this table says'})"
        for name, given in PROFILES.items()
    )
    rows = [("profile", "thrifty", f"Defaults for a purpose: {profiles}. What is given besides counts first.")]
    for field in fields(StackSettings):
        assert field.default is not MISSING
        rows.append((field.name, shown(field.default), meanings[field.name]))
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows)]) + "\n"


def shown(default: object) -> str:
    """A default as it is written on the command line."""
    return str(default).lower() if isinstance(default, bool) else "" if default in ("", ()) else f"{default}"


def texts(settings: type) -> dict[str, str]:
    """What stands below each field of a class."""
    (definition,) = ast.parse(dedent(inspect.getsource(settings))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                found[name] = " ".join(meaning.split())
    return found
