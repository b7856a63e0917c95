"""Hyperparameters are JSON that every reader understands alike, or refused before an archive is touched."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.errors import InvalidHyperparameters
from lambda_fn.hyperparameters import _unique, merge, parse, serialize

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_text, inner, max_size=3)),
    max_leaves=8,
)
objects = st.dictionaries(_text, _values, max_size=4)


@given(objects)
def test_what_is_written_is_read(document: dict[str, Any]) -> None:
    assert parse(serialize(document)) == document == json.loads(serialize(document))


@given(objects, objects, st.sampled_from([None, 1, "\t"]))
def test_values_are_merged_key_by_key_and_given_bytes_kept(
    document: dict[str, Any], over: dict[str, Any], indent: Any
) -> None:
    data = json.dumps(document, indent=indent).encode()
    assert merge(data, {}) == data
    assert parse(merge(data, over)) == {**document, **over}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{} x", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a": 01}', "not JSON"),
        (b"[]", "an array"),
        (b"null", "null"),
        (b"1.5", "a number"),
        (b"true", "a boolean"),
        (b'"a"', "a string"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": [-Infinity]}', "-Infinity"),
        (b'{"a": 1e999}', "1e999"),
        (b'{"a": 1, "a": 1}', "'a' twice"),
        (b'{"x": {"a": 1, "b": 2, "a": 3}}', "'a' twice"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_what_is_no_object_of_finite_numbers_and_unique_keys_is_named(data: bytes, says: str) -> None:
    with pytest.raises(InvalidHyperparameters, match=says) as caught:
        parse(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), b"bytes", "\ud800", {1: 1, "1": 2}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidHyperparameters):
        serialize({"a": value})


def test_a_late_duplicate_among_many_keys_is_found_without_comparing_all_with_all() -> None:
    compared = 0

    class Key(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    keys = [Key(f"k{at}") for at in range(50_000)]
    with pytest.raises(InvalidHyperparameters, match="'last' twice"):
        _unique([(key, 1) for key in [*keys, Key("last"), Key("last")]])
    assert compared < 500
