"""Hyperparameters: a JSON object, checked before an archive is touched and kept to the byte where nothing is merged.

Whoever wrote them with an editor or at a command line is told what to write instead; nothing is guessed.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from functools import partial
from typing import Any, Callable, Mapping, Optional

from .core.errors import InvalidHyperparameters
from .core.value import Value

ENTRY = "hyperparameters.json"
SAVE_AS_UTF_8 = "save the file as UTF-8 without a byte order mark"
ADVICE = {
    "Invalid control character": "write a line's end in a text as \\n and a tab as \\t",
    "Invalid \\": "write a backslash in a text twice",
    "Unterminated string": "end the text {} with a double quote",
    "Expecting property name": "put the key {} into double quotes",
    "Expecting ',' delimiter": "a comma is missing before {}",
    "Expecting ':' delimiter": "a colon is missing before {}",
    "Expecting value": "a value is missing, or is not JSON, at {}",
    "Extra data": "nothing may follow, but {} does",
}
"""What to do, by how the messages of Python's `json` begin."""


class Merged(Value):
    """An object with values over it."""

    data: bytes
    """As it goes into the archive: the given bytes where no value changes anything."""
    changed: tuple[str, ...]
    """Keys that are new or have another value."""
    kept: tuple[str, ...]
    """Keys that are as they were."""


def parse(data: bytes, named: str = "the hyperparameters") -> dict[str, Any]:
    """The object in `data`. Raises InvalidHyperparameters unless it is JSON (RFC 8259) that all readers agree on.

    `named` is what the errors call it, such as the name of its file.
    """
    document = _loads(_text(data, named), named)
    if not isinstance(document, dict):
        raise InvalidHyperparameters(f"{named} must be a JSON object, not {_kind(document)}")
    return document


def serialize(values: Mapping[str, Any]) -> bytes:
    """The object as JSON that people can read. Raises InvalidHyperparameters for what JSON cannot hold."""
    try:
        _check_keys(values)
        data = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidHyperparameters(f"the hyperparameters cannot be written as JSON: {error}") from None
    parse(data)
    return data


def merged(old: bytes, values: Mapping[str, Any], named: str = "the hyperparameters") -> Merged:
    """The object in `old` with the values over it, key by key. Raises InvalidHyperparameters."""
    before = parse(old, named)
    serialize(values)
    changed = tuple(key for key in values if key not in before or not _same(values[key], before[key]))
    kept = tuple(key for key in before if key not in changed)
    return Merged(_laid_over(old, {key: values[key] for key in changed}) if changed else old, changed, kept)


def _laid_over(old: bytes, values: Mapping[str, Any]) -> bytes:
    """The object with these values, the others written as they were: a number keeps its digits."""
    new = {key: json.dumps(value, indent=2, ensure_ascii=False) for key, value in values.items()}
    written = {**_as_written(old.decode()), **{key: text.replace("\n", "\n  ") for key, text in new.items()}}
    lines = (f"  {json.dumps(key, ensure_ascii=_is_half(key))}: {text}" for key, text in written.items())
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _is_half(text: str) -> bool:
    """Whether half a surrogate pair is in it, which only an escape can write."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def _as_written(text: str) -> dict[str, str]:
    """Keys and the JSON text of their values, of an object that was parsed before."""
    found: dict[str, str] = {}
    space, colon = re.compile(r"[ \t\n\r]*"), re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
    decoder, at = json.JSONDecoder(), text.index("{") + 1
    while (at := space.match(text, at).end()) < len(text) and text[at] != "}":  # type: ignore[union-attr]
        if text[at] == ",":
            at += 1
            continue
        key, at = decoder.raw_decode(text, at)
        begin = colon.match(text, at).end()  # type: ignore[union-attr]
        at = decoder.raw_decode(text, begin)[1]
        found[key] = text[begin:at]
    return found


def value(text: str) -> Any:
    """What is meant by `text` as a value at a command line: JSON, or else the text itself.

    Raises InvalidHyperparameters, saying what to write, for what only looks like a number, an object or a value of
    Python: as a text it would not be what was meant (the text "False" is true).
    """
    try:
        return _loads(text, text)
    except InvalidHyperparameters:
        if meant := _meant(text.strip()):
            raise InvalidHyperparameters(f"{text} is not JSON; write {meant}") from None
        return text


def _text(data: bytes, named: str) -> str:
    for mark, encoding in ((b"\xef\xbb\xbf", "a byte order mark"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if data.startswith(mark):
            raise InvalidHyperparameters(f"{named} cannot be read because of {encoding}; {SAVE_AS_UTF_8}")
    if b"\0" in data[:4]:  # no JSON text begins with NUL, and only ASCII begins one (RFC 4627)
        raise InvalidHyperparameters(f"{named} cannot be read because of UTF-16; {SAVE_AS_UTF_8}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidHyperparameters(f"{named} cannot be read in line {line}: no UTF-8; {SAVE_AS_UTF_8}") from None


def _loads(text: str, named: str) -> Any:
    def refuse_constant(name: str) -> Any:
        raise InvalidHyperparameters(f"{named} cannot hold {name}, which is not JSON; numbers must be finite")

    def finite(digits: str) -> float:
        number = float(digits)
        if not math.isfinite(number):
            raise InvalidHyperparameters(f"{named} cannot hold {digits}, which no double can; numbers must be finite")
        return number

    try:
        return json.loads(
            text, object_pairs_hook=partial(_unique, named), parse_constant=refuse_constant, parse_float=finite
        )
    except RecursionError:
        raise InvalidHyperparameters(f"{named} cannot be nested so deeply") from None
    except json.JSONDecodeError as error:
        raise InvalidHyperparameters(f"{named} cannot be read as JSON {_complaint(error)}") from None
    except ValueError:  # Python's limit on the digits of integers
        raise InvalidHyperparameters(f"{named} cannot hold a number of thousands of digits") from None


def _unique(named: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counted = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counted.items() if count > 1)
        raise InvalidHyperparameters(f"{named} cannot hold the key {twice!r} twice; remove one")
    return found


def _complaint(error: json.JSONDecodeError) -> str:
    """Where the JSON ends, and what to do about it."""
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    line = before.count("\n") + 1 if before.endswith(",") and after[:1] in ("}", "]") else error.lineno
    return f"in line {line}: {_advice(error.msg, before, after)}"


def _advice(message: str, before: str, after: str) -> str:
    if not after:
        return "it ends too early" if before else "it is empty"
    if after.startswith(("//", "/*", "#")):
        return "remove the comment"
    if (before[-1:] + after[0]) in (",}", ",]") or (after[0] == "," and after[1:].lstrip()[:1] in ("}", "]")):
        return "remove the comma behind the last value"
    if after[0] == "'":
        return "put texts into double quotes"
    if after.startswith(("True", "False", "None")):
        return "write true, false and null"
    for beginning, advice in ADVICE.items():
        if message.startswith(beginning):
            return advice.format(repr(after.split(None, 1)[0][:20]))
    return message


def _meant(text: str) -> Optional[str]:
    """The JSON to write for what looks like something else than a text, None for all others."""
    import ast
    import shlex

    as_text = f"{shlex.quote(json.dumps(text, ensure_ascii=False))} for the text"
    if text == "None" or text.lower() in ("true", "false", "null"):
        return f"{'null' if text == 'None' else text.lower()}, or {as_text}"
    looks_so = text.startswith(("{", "[", "(", '"', "'", "0x", "0o", "0b"))
    readers: list[Callable[[str], Any]] = [int, float, *([ast.literal_eval] if looks_so else [])]
    for read in readers:
        try:
            found = read(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        looks_so = True
        try:
            return f"{shlex.quote(json.dumps(found, allow_nan=False))}, or {as_text}"
        except (ValueError, TypeError):  # NaN, a set
            break
    return as_text if looks_so else None


def _check_keys(document: Any) -> None:
    """Raises TypeError for keys that JSON would turn into texts."""
    if isinstance(document, Mapping):
        for key, of in document.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is no text")
            _check_keys(of)
    elif isinstance(document, (list, tuple)):
        for item in document:
            _check_keys(item)


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _kind(document: Any) -> str:
    kinds = {list: "an array", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return kinds.get(type(document), "null")
