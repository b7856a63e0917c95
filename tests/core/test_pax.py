"""pax records are taken where all readers take them alike, and refused where one of them would not."""

from __future__ import annotations

import pytest

from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.pax import VALUE_LIMIT, read_records, sparse_size, time
from tests.archives import record


def read(*records: bytes, shared: bool = False) -> dict[str, str]:
    return read_records(b"".join(records), 1024, shared)


def test_records_that_matter_are_read() -> None:
    assert read(record("path", "a=b/ü"), record("comment", "x"), record("mtime", "1.5"), record("uid", "")) == {
        "path": "a=b/ü",
        "mtime": "1.5",
        "uid": "",
    }


def test_bytes_that_are_no_text_are_kept() -> None:
    assert read(record("path", b"\xff")) == {"path": "\udcff"}


def test_attributes_may_hold_anything() -> None:
    assert read(record("SCHILY.xattr.user.x", b"\0\n\xff= 12 \n"), record("path", "a")) == {"path": "a"}


S = "GNU.sparse."
ODD = {
    "a length with a sign": b"+10 path=a\n",
    "a length with an underscore": b"1_0 path=a\n",
    "a length with a leading zero": b"011 path=a\n",
    "a length in other digits": "١١ path=a\n".encode(),
    "a length after a space": b" 10 path=a\n",
    "a length after a line break": b"\n10 path=a\n",
    "two spaces after a length": b"11  path=a\n",
    "a line break in a key": b"14 a\n9 path=b\n",
    "no key": b"5 =a\n",
    "a NUL in a key": record("path\0x", "a"),
    "a NUL in a value": record("path", "a\0b"),
    "a NUL at the end of a value": record("path", "a\0"),
    "no line break at the end": b"9 path=ab",
    "an end beyond the end": b"12 path=a\n",
    "an end before the value": b"3 path=a\n",
    "a key twice": record("path", "a") + record("path", "b"),
    "a time twice": record("mtime", "1") + record("mtime", "2"),
    "an empty path": record("path", ""),
    "an empty link": record("linkpath", ""),
    "an empty map": record("GNU.sparse.map", ""),
    "a map that is none": record("GNU.sparse.map", "0,1.5"),
    "a map of one number": record("GNU.sparse.map", "0"),
    "a map of three numbers": record("GNU.sparse.map", "0,1,2"),
    "two offsets of a sparse file in a row": record("GNU.sparse.offset", "0") * 2,
    "a length of a sparse file without an offset": record("GNU.sparse.numbytes", "0"),
    "a map of a number without end": record("GNU.sparse.map", "0," + "9" * 100_000),
    "an empty size": record("size", ""),
    "a record within a value": record("comment", "x\n16 path=wanted!\n"),
    "a record within a value, behind a tab": record("comment", "x\n16\tpath=wanted!\n"),
    "a record within a value, behind a wide character": record("comment", "x\n18\N{GLOWING STAR}path=wanted\n"),
    "a record within a value, behind a blank alone": record("comment", "x\n 16path=wanted!"),
    "a record within a value, behind a sign alone": record("comment", "x\n+16path=wanted!"),
    "a record within a value, behind a zero": record("comment", "x\n016path=wanted!"),
    "a record within an attribute": record("SCHILY.xattr.user.x", "x\n8 size=1"),
    "a path without end": record("path", "x" * (VALUE_LIMIT + 1)),
    "NULs behind the records": record("path", "a") + b"\0\0",
}


@pytest.mark.parametrize("case", ODD)
def test_what_readers_take_in_two_ways_is_refused(case: str) -> None:
    with pytest.raises(InvalidArchive, match=r"^the tar is .*at its byte 1024.*pack the model again$"):
        read(ODD[case])


def test_the_bytes_that_a_sparse_map_tells_of_are_added_up() -> None:
    assert read(record(f"{S}map", "0,5,10,7,19,0")) == {f"{S}map": "12 19"}
    found = read(*[record(f"{S}{key}", str(size)) for size in range(5) for key in ("offset", "numbytes")])
    assert found == {f"{S}numbytes": "10 8"}


@pytest.mark.parametrize("key", ["path", "linkpath", "size", "GNU.sparse.name", "GNU.sparse.map"])
def test_what_one_entry_is_cannot_be_said_of_all(key: str) -> None:
    with pytest.raises(InvalidArchive, match="for all entries that follow"):
        read(record(key, "1,1"), shared=True)
    assert read(record(key, "1,1"))


def test_owners_and_times_can_be_said_of_all() -> None:
    assert read(record("uid", "1"), record("mtime", "2"), shared=True) == {"uid": "1", "mtime": "2"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1700000000", 1700000000.0),
        ("-1.5", -1.5),
        ("1700000000.", 1700000000.0),
        ("1700000000,5", 1700000000.0),
        ("1700000000.467a", 1700000000.467),
    ],
)
def test_times_are_taken_up_to_what_is_none(value: str, seconds: float) -> None:
    assert time(value, 0) == seconds


@pytest.mark.parametrize("value", ["nan", "inf", "-", "yesterday", " 1", "1e999", "9" * 400])
def test_what_begins_like_no_time_is_none(value: str) -> None:
    with pytest.raises(InvalidArchive, match="'mtime' is no number"):
        time(value, 0)


@pytest.mark.parametrize(
    "records",
    [
        {f"{S}size": "9", f"{S}numblocks": "1", f"{S}numbytes": "5 9"},
        {f"{S}size": "9", f"{S}numblocks": "1", f"{S}map": "5 9", f"{S}name": "a"},
        {f"{S}major": "1", f"{S}minor": "0", f"{S}realsize": "9", f"{S}name": "a"},
    ],
)
def test_sparse_files_are_as_large_as_with_their_holes(records: dict[str, str]) -> None:
    assert sparse_size(records, 5, 0) == 9
    assert sparse_size({"path": "a"}, 5, 0) is None


@pytest.mark.parametrize(
    "records",
    [
        {f"{S}name": "a"},
        {f"{S}name": "a", f"{S}size": "9"},
        {f"{S}map": "5 9"},
        {f"{S}map": "4 9", f"{S}size": "9"},
        {f"{S}map": "5 8", f"{S}size": "9"},
        {f"{S}map": "5 9", f"{S}numbytes": "5 9", f"{S}size": "9"},
        {f"{S}map": "5 9", f"{S}offset": "9", f"{S}size": "9"},
        {f"{S}map": "5 9", f"{S}major": "1", f"{S}minor": "0", f"{S}size": "9"},
        {f"{S}offset": "9", f"{S}major": "1", f"{S}minor": "0", f"{S}size": "9"},
        {f"{S}major": "1", f"{S}minor": "0"},
        {f"{S}major": "1", f"{S}realsize": "9"},
        {f"{S}major": "2", f"{S}minor": "0", f"{S}realsize": "9"},
        {f"{S}major": "1", f"{S}minor": "0", f"{S}realsize": "-9"},
        {f"{S}major": "1", f"{S}minor": "0", f"{S}realsize": "٩"},
    ],
)
def test_a_sparse_file_without_its_map_is_none(records: dict[str, str]) -> None:
    with pytest.raises(InvalidArchive, match="sparse"):
        sparse_size(records, 5, 0)


def test_a_sparse_file_may_be_all_hole_or_empty() -> None:
    assert sparse_size({f"{S}size": "0", f"{S}map": "0 0"}, 0, 0) == 0
    assert sparse_size({f"{S}size": "9", f"{S}map": "0 9"}, 0, 0) == 9


def test_a_value_may_be_as_long_as_the_limit() -> None:
    longest = "x" * VALUE_LIMIT
    assert read(record("path", longest)) == {"path": longest}
    assert read(record("x" * (VALUE_LIMIT - 100), "y" * 100_000)) == {}


END = "; readers disagree about it, so pack the model again"


@pytest.mark.parametrize(
    ("records", "shared", "message"),
    [
        (b"x", False, "the tar is damaged: a broken pax record at its byte 7; pack the model again"),
        (record("path", "a") * 2, False, f"the tar is ambiguous at its byte 7: 'path' twice in one pax header{END}"),
        (record("path", ""), False, f"the tar is ambiguous at its byte 7: an empty 'path'{END}"),
        (record("uname", "a\0"), False, f"the tar is ambiguous at its byte 7: a NUL in the value of 'uname'{END}"),
        (record(f"{S}map", "x"), False, f"the tar is ambiguous at its byte 7: a sparse map that is none{END}"),
        (
            record("size", "1"),
            True,
            f"the tar is ambiguous at its byte 7: 'size' in a pax header for all entries that follow{END}",
        ),
        (
            record("comment", "x\n9 path=x"),
            False,
            "the tar is ambiguous at its byte 7: the value of 'comment' holds what some readers take for another record"
            + END,
        ),
        (
            record("uname", "x" * 70_000),
            False,
            "the tar is damaged: 'uname' has 70000 bytes at its byte 7; pack the model again",
        ),
    ],
)
def test_what_is_wrong_is_said(records: bytes, shared: bool, message: str) -> None:
    with pytest.raises(InvalidArchive) as caught:
        read_records(records, 7, shared)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (
            {f"{S}size": "9"},
            "the tar is ambiguous at its byte 7: records of a sparse file without its size, or whose map does not fit"
            " it" + END,
        ),
        ({f"{S}size": "x"}, "the tar is damaged: 'GNU.sparse.size' is no number at its byte 7; pack the model again"),
        (
            {f"{S}realsize": "x"},
            "the tar is damaged: 'GNU.sparse.realsize' is no number at its byte 7; pack the model again",
        ),
    ],
)
def test_what_is_wrong_with_a_sparse_file_is_said(records: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArchive) as caught:
        sparse_size(records, 5, 7)
    assert str(caught.value) == message
