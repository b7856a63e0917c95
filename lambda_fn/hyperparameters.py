"""Hyperparameters: a JSON object, checked before an archive is touched and kept to the byte where nothing is merged."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, Mapping

from .core.errors import InvalidHyperparameters

ENTRY = "hyperparameters.json"


def parse(data: bytes) -> dict[str, Any]:
    """The object in `data`. Raises InvalidHyperparameters unless it is JSON (RFC 8259) that all readers agree on."""
    try:
        document = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise InvalidHyperparameters(f"the hyperparameters are not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidHyperparameters("the hyperparameters are nested too deeply") from None
    except ValueError as error:
        raise InvalidHyperparameters(f"the hyperparameters are not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidHyperparameters(f"the hyperparameters must be a JSON object, not {_kind(document)}")
    return document


def serialize(values: Mapping[str, Any]) -> bytes:
    """The object as JSON that people can read. Raises InvalidHyperparameters for what JSON cannot hold."""
    try:
        data = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidHyperparameters(f"the hyperparameters cannot be written as JSON: {error}") from None
    parse(data)
    return data


def merge(given: bytes, values: Mapping[str, Any]) -> bytes:
    """The given object with the values over it, key by key; the given bytes themselves if there are none."""
    parsed = parse(given)
    return serialize({**parsed, **values}) if values else given


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counted = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counted.items() if count > 1)
        raise InvalidHyperparameters(f"the hyperparameters hold the key {twice!r} twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise InvalidHyperparameters(f"the hyperparameters hold {name}, which is not JSON; numbers must be finite")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidHyperparameters(f"the hyperparameters hold {digits}, which no double can; numbers must be finite")
    return number


def _kind(document: Any) -> str:
    kinds = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return kinds.get(type(document), "null")
