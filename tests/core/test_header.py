"""Headers as we write them are what Python's tarfile writes; those of others are spelled anew and else left alone."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.header import Attributes, entry, header, respelled
from lambda_fn.core.tar import Stream, entries
from tests import archives

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=150)
owners = st.text("aü", max_size=40)
attributes = st.builds(
    Attributes,
    mode=st.integers(0, 0o7777),
    mtime=st.integers(0, 8**11 - 1),
    uid=st.integers(0, 1 << 40),
    gid=st.integers(0, 1 << 40),
    uname=owners,
    gname=owners,
)


@given(name=names, size=st.integers(0, 1 << 40), of=attributes, directory=st.booleans())
def test_a_header_is_the_one_that_python_writes(name: str, size: int, of: Attributes, directory: bool) -> None:
    name = name.strip("/") or "x"
    info = tarfile.TarInfo(name)
    info.type, info.size = (tarfile.DIRTYPE, 0) if directory else (tarfile.REGTYPE, size)
    info.mode, info.mtime, info.uid, info.gid, info.uname, info.gname = (
        of.mode,
        of.mtime,
        of.uid,
        of.gid,
        of.uname,
        of.gname,
    )
    expected = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    assert header(name, info.size, of, directory) == expected


def test_an_entry_is_padded_to_whole_blocks() -> None:
    for size in (0, 1, 511, 512, 513):
        assert len(entry("a", b"x" * size, Attributes())) == 512 + -(-size // 512) * 512


LONG = "model/" + "d/" * 60 + "file"


@pytest.mark.parametrize("dialect", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, "v7"])
@pytest.mark.parametrize("name", ["model/a", "./model/a", "model/" + "n" * 90, LONG, "model/ü"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_a_name_is_spelled_anew_and_all_else_stays(dialect: int | str, name: str, kind: bytes) -> None:
    link = "model/target" if kind != tarfile.REGTYPE else ""
    try:
        part = archives.entry(name, kind=kind, dialect=dialect, link=link, mode=0o750)
    except ValueError:
        pytest.skip("this format cannot hold that name")
    (old,) = entries(Stream([part.blocks]))

    def spell(text: str) -> str:
        return text.removeprefix("./").removeprefix("model/")

    blocks = respelled(old, spell)
    with tarfile.open(fileobj=io.BytesIO(blocks)) as tar:
        (info,) = tar
    assert info.name == spell(name)
    assert info.linkname == (spell(link) if kind == tarfile.LNKTYPE else link)
    assert (info.mode, info.mtime, info.type) == (0o750, 1_700_000_000, old.type)
    (new,) = entries(Stream([blocks]))
    assert {path.partition("/")[0] for path in new.readings} != {"model"}


def test_other_records_of_a_pax_header_stay() -> None:
    records = {"SCHILY.xattr.user.a": "b\nc", "comment": "model/a"}
    part = archives.entry(LONG, records=records)
    (old,) = entries(Stream([part.blocks]))
    with tarfile.open(fileobj=io.BytesIO(respelled(old, lambda name: name.removeprefix("model/")))) as tar:
        (info,) = tar
    assert info.pax_headers == {**records, "path": LONG.removeprefix("model/")}
