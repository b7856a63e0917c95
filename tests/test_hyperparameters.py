"""Hyperparameters are JSON that every reader understands alike, or refused before an archive is touched."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.errors import InvalidHyperparameters
from lambda_fn.hyperparameters import Merged, _unique, merged, parse, serialize, value

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
    assert merged(data, {}) == Merged(data, (), tuple(document))
    assert merged(data, document).data == data
    done = merged(data, over)
    new = parse(done.data)
    assert new == {**document, **over}
    assert {*done.changed, *done.kept} == {*document, *over}
    assert all(repr(document[key]) == repr(new[key]) for key in done.kept)


def test_a_number_is_not_a_boolean_and_a_key_is_text() -> None:
    assert merged(b'{"a": 1, "b": 1.0, "c": 2}', {"a": True, "b": 1, "c": 2}).changed == ("a", "b")
    for keys in ({1: "x"}, {None: "x"}, {True: "x"}):
        with pytest.raises(InvalidHyperparameters, match="is no text"):
            serialize({"a": [keys]})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "line 1: it is empty"),
        (b"{", "line 1: it ends too early"),
        (b"{}\nx", "line 2: nothing may follow"),
        (b'{"a":\n 01}', "line 2: a comma is missing"),
        (b'{"a": "x\ny"}', r"line 1: write a line's end in a text as \\n"),
        (b'{"a": "C:\\x"}', "line 1: write a backslash in a text twice"),
        (b'{"a": "x}', "line 1: end the text '\"x}' with a double quote"),
        (b"{a: 1}", "line 1: put the key 'a:' into double quotes"),
        (b'{"a" 1}', "line 1: a colon is missing"),
        (b"depth=6", "line 1: a value is missing, or is not JSON, at 'depth=6'"),
        (b"{'a\n': 1}", "line 1: put texts into double quotes"),
        (b'{\n"a": True}', "line 2: write true, false and null"),
        (b'{\n// depth\n"a": 1}', "line 2: remove the comment"),
        (b'{"a": 1, # depth\n"b": 1}', "line 1: remove the comment"),
        (b'{"a": 1 /* depth */}', "line 1: remove the comment"),
        (b'{"a": 1,\n"b": 2,\n\n}', "line 2: remove the comma"),
        (b'{"a": [1,]}', "line 1: remove the comma"),
        (b"[]", "an array"),
        (b"null", "null"),
        (b"1.5", "a number"),
        (b"true", "a boolean"),
        (b'"a"', "a text"),
        (b"\xef\xbb\xbf{}", "because of a byte order mark; save the file as UTF-8 without"),
        (b'{"a":\n "\xff"}', "in line 2: no UTF-8; save the file as UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "because of UTF-16; save the file as UTF-8"),
        ('{"a": 1}'.encode("utf-16-be"), "because of UTF-16"),
        ('{"a": 1}'.encode("utf-16-le"), "because of UTF-16"),
        ('{"a": 1}'.encode("utf-32"), "because of UTF-"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": [-Infinity]}', "-Infinity"),
        (b'{"a": 1e999}', "1e999"),
        (b'{"a": 1, "a": 1}', "'a' twice"),
        (b'{"x": {"a": 1, "b": 2, "a": 3}}', "'a' twice"),
        (b'{"a":' * 100_000, "nested so deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "thousands of digits"),
    ],
)
def test_what_is_no_object_of_finite_numbers_and_unique_keys_is_named(data: bytes, says: str) -> None:
    with pytest.raises(InvalidHyperparameters, match=says) as caught:
        parse(data, "hp.json")
    assert str(caught.value).startswith("hp.json ")
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
        _unique("they", [(key, 1) for key in [*keys, Key("last"), Key("last")]])
    assert compared < 500


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1", 1),
        ("[1, {}]", [1, {}]),
        ("true", True),
        ("null", None),
        ("1e-3", 0.001),
        ('"1"', "1"),
        ('"False"', "False"),
        (" 1 ", 1),
        ("", ""),
        ("yes", "yes"),
        ("none", "none"),
        ("b=c", "b=c"),
        ("1.2.3", "1.2.3"),
        ("64,32", "64,32"),
        ('1, "b": 2', '1, "b": 2'),
        ("1}", "1}"),
        ("reg:squarederror", "reg:squarederror"),
    ],
)
def test_a_value_is_json_or_else_the_text_itself(text: str, meant: Any) -> None:
    assert value(text) == meant
    assert type(value(text)) is type(meant)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("False", "write false, or '\"False\"' for the text"),
        ("TRUE", "write true, or"),
        ("None", "write null, or"),
        ("NaN", "write '\"NaN\"' for the text"),
        ("-Infinity", "write '\"-Infinity\"' for the text"),
        ("inf", "for the text"),
        ("1e999", "for the text"),
        (".5", "write 0.5, or"),
        ("5.", "write 5.0, or"),
        ("+1", "write 1, or"),
        ("01", "write 1, or '\"01\"' for the text"),
        ("1_000", "write 1000, or"),
        ("0x10", "write 16, or"),
        ("{'k': 1}", "write '{\"k\": 1}', or"),
        ("(1, 0)", "write '[1, 0]', or"),
        ("'abc'", "write '\"abc\"', or"),
        ('"abc', "for the text"),
        ("[1, 2", "write '\"[1, 2\"' for the text"),
        ("{'k': nan}", "for the text"),
    ],
)
def test_what_only_looks_like_json_is_refused_with_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(InvalidHyperparameters) as caught:
        value(text)
    assert f"{text} is not JSON; " in str(caught.value)
    assert advice in str(caught.value)


def test_what_is_kept_is_kept_to_the_digit() -> None:
    old = b'{"\\ud800": 0, "a": 1.10, "b": 12345678901234567890.5 ,\n "c": [1.0e2, {"d": "}"}], "e":2}'
    done = merged(old, {"e": 3, "f": {"g": 1}})
    assert done.kept == ("\ud800", "a", "b", "c")
    for text in (b'"a": 1.10', b'"b": 12345678901234567890.5', b'"c": [1.0e2, {"d": "}"}]', b'"e": 3'):
        assert text in done.data
    assert parse(done.data) == {**parse(old), "e": 3, "f": {"g": 1}}


@given(old=st.dictionaries(_text, _values, max_size=5), new=st.dictionaries(_text, _values, max_size=3))
def test_merging_is_laying_over(old: dict[str, Any], new: dict[str, Any]) -> None:
    for indent in (None, 2):
        assert parse(merged(json.dumps(old, indent=indent).encode(), new).data) == {**old, **new}
