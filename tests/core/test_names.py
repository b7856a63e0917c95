"""What a name means, to us and to others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.names import disputed, normal, readings

WANTED = "code/inference.py"


@given(st.text("/.ab"))
def test_normal_is_where_extracting_writes(name: str) -> None:
    path = normal(name)
    assert not path.startswith("/")
    assert not path.endswith("/")
    assert path == normal(f"./{path}") == normal(f"//{path}/")
    assert not {"", "."} & set(path.split("/")[1:])


@pytest.mark.parametrize("name", ["a/b", "./a//b/", "/a/b", ".hidden/..x", "a..b", "1:2", "ab:c", ""])
def test_plain_names_mean_one_path(name: str) -> None:
    assert set(readings(name)) == {normal(name)}


@pytest.mark.parametrize(
    "name",
    [
        "../code/inference.py",
        "/../code/inference.py",
        "a/../code/inference.py",
        "a/b/../../code/inference.py",
        "a/b/../code/inference.py",  # GNU tar cuts off all up to the last ..
        "code/../inference.py",  # so would one who drops the .. alone
        "code\\inference.py",
        "code\\inference.py\\",
        ".\\code/inference.py",
        "x\\..\\code\\inference.py",
        "C:code/inference.py",
        "c:/code/inference.py",
        "/c:/code/inference.py",
        "C:\\code\\inference.py",
        "//?/C:/code/inference.py",
        "\\\\?\\C:\\code\\inference.py",
        "//./code/inference.py",
        "c:../code/inference.py",
    ],
)
def test_some_reader_writes_there(name: str) -> None:
    assert WANTED in readings(name)


@given(st.text("/.\\:ab?", max_size=30))
def test_our_reading_comes_first_and_all_are_normal(name: str) -> None:
    found = list(readings(name))
    assert found[0] == normal(name)
    assert all(path == normal(path) for path in found)


def is_wanted(path: str) -> bool:
    return path == WANTED


@pytest.mark.parametrize(
    ("path", "others", "dispute"),
    [
        (WANTED, {WANTED}, None),
        ("weights", {"weights", "other"}, None),
        ("weights", {"weights", WANTED}, WANTED),
        (WANTED, {WANTED, "weights"}, WANTED),
    ],
)
def test_a_wanted_path_is_disputed_if_not_all_write_there(path: str, others: set[str], dispute: str | None) -> None:
    assert disputed(path, others, is_wanted) == dispute


@pytest.mark.parametrize("path", ["code/" + "x" * 100, "code/ünïcode.py"])
def test_a_path_that_a_header_cannot_hold_is_not_disputed(path: str) -> None:
    assert disputed(path, {path, path[:100], "code/?n?code.py"}, lambda one: one == path) is None


def test_a_header_has_room_for_a_hundred_bytes() -> None:
    assert disputed("x" * 100, {"x" * 100, "y"}, lambda one: one == "x" * 100) == "x" * 100
    assert disputed("x" * 101, {"x" * 101, "y"}, lambda one: one == "x" * 101) is None


def test_forty_thousand_slashes_are_linear_work() -> None:
    assert set(readings("/" * 40_000 + "a" + "/b" * 40_000 + "/..")) >= {"a" + "/b" * 39_999}
