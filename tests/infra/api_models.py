"""Values held against an AWS API's own model, as botocore has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any


def wrong(value: Any, of: Any, path: str = "") -> Iterator[str]:
    """What an API's model objects to: unknown and missing fields, types, lengths, patterns, ranges, choices."""
    if of.type_name == "structure":
        yield from wrong_fields(value, of, path)
        return
    limits = of.metadata
    size = value if isinstance(value, (int, float)) else len(value)
    if not limits.get("min", size) <= size <= limits.get("max", size):
        yield f"{path} is {size}, not within {limits.get('min')} and {limits.get('max')}"
    if of.type_name == "list":
        for number, item in enumerate(value):
            yield from wrong(item, of.member, f"{path}/{number}")
    elif of.type_name == "map":
        for name, item in value.items():
            yield from wrong(name, of.key, f"{path}/{name}")
            yield from wrong(item, of.value, f"{path}/{name}")
    elif of.type_name == "string" and isinstance(value, str):
        yield from wrong_text(value, of, path)


def wrong_fields(value: Any, of: Any, path: str) -> Iterator[str]:
    """Of an object. A field that ends in .$ is filled in when the state runs."""
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    members = {pascal(name): member for name, member in of.members.items()}
    given = {name.removesuffix(".$"): name for name in value}
    for name in given.keys() - members.keys():
        yield f"{path}/{name} is no parameter"
    for name in {pascal(name) for name in of.required_members} - given.keys():
        yield f"{path}/{name} is missing"
    for name in given.keys() & members.keys():
        if not given[name].endswith(".$"):
            yield from wrong(value[given[name]], members[name], f"{path}/{name}")


def wrong_text(value: str, of: Any, path: str) -> Iterator[str]:
    """Of a text."""
    pattern = of.metadata.get("pattern")
    if pattern and not re.fullmatch(python_pattern(pattern), value):
        yield f"{path}: {value!r} does not match {pattern}"
    if of.enum and value not in of.enum:
        yield f"{path}: {value!r} is none of {of.enum}"


def pascal(name: str) -> str:
    """As CloudFormation and Step Functions spell an API's field."""
    return name[:1].upper() + name[1:]


def python_pattern(pattern: str) -> str:
    """Of the models, which are written for Java."""
    return re.sub(r"\\p\{[^}]*\}", r"\\w", pattern).replace("(?s)", "") if "\\p" in pattern else pattern
