"""Reading tar: what other tools write is understood, what is damaged is named, and memory has an end."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.header import Attributes
from lambda_fn.core.header import entry as written
from lambda_fn.core.pax import VALUE_LIMIT
from lambda_fn.core.tar import HEADER_LIMIT, Entry, Stream, entries, entries_and_records, number
from tests import archives
from tests.archives import entry, header, long_name, pax, raw_header, record, shared, sparse, with_signed_sum
from tests.programs import asking

ROOT = Path(__file__).parents[2]


def read(data: bytes, chunk: int = 1000) -> list[Entry]:
    return list(entries(Stream(data[at : at + chunk] for at in range(0, len(data), chunk))))


@given(archives.tars(st.integers(0, 2)), st.integers(1, 2000))
def test_entries_are_where_their_writer_put_them(tar: archives.Tar, chunk: int) -> None:
    found = list(entries_and_records(Stream(tar.data[at : at + chunk] for at in range(0, len(tar.data), chunk))))
    assert [(one.start, one.stop) for one in found] == [
        (start, start + len(part.blocks)) for start, part in zip(starts(tar), tar.parts, strict=True)
    ]
    assert [one.name.strip("/") for one in found] == [part.name.strip("/") for part in tar.parts]


def starts(tar: archives.Tar) -> Iterator[int]:
    at = 0
    for part in tar.parts:
        yield at
        at += len(part.blocks)


@pytest.mark.parametrize("tool", asking(archives.TREE_TARS))
def test_every_tools_entries_are_seen_as_python_sees_them(tool: str, tmp_path: Path) -> None:
    data = archives.pack_tree(tool, tmp_path / "tree")
    file = tmp_path / "data.tar"
    file.write_bytes(data)
    with tarfile.open(file) as tar:
        expected = [(i.name, i.size, i.mode & 0o7777, i.mtime, i.linkname, i.isdir()) for i in tar]
    seen = read(data)
    assert [
        (one.name.rstrip("/"), one.size, one.mode & 0o7777, one.mtime, one.link.rstrip("/"), one.is_directory)
        for one in seen
    ] == expected


@pytest.mark.parametrize("size", [(8 << 30) - 1, 8 << 30, 1 << 40, (1 << 63) + 5])
@pytest.mark.parametrize("dialect", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_sizes_beyond_8_gib_are_understood(size: int, dialect: int) -> None:
    info = tarfile.TarInfo("big")
    info.size = size
    first = next(entries(Stream([info.tobuf(dialect)])))  # type: ignore[arg-type]
    assert (first.size, first.data_size) == (size, size)


def test_an_entry_beyond_8_gib_passes_through_in_constant_memory() -> None:
    info = tarfile.TarInfo("big")
    info.size = (8 << 30) + 5
    zeros, left = bytes(16 << 20), -(-info.size // 512) * 512

    def chunks() -> Iterator[bytes]:
        nonlocal left
        yield info.tobuf(tarfile.GNU_FORMAT)
        while left:
            yield zeros[:left]
            left -= min(left, len(zeros))
        yield entry("after").blocks

    assert [(one.name, one.size) for one in entries(Stream(chunks()))] == [("big", info.size), ("after", 0)]


def test_checksums_may_be_sums_of_signed_bytes() -> None:
    block = raw_header("naïve".encode("latin-1"), b"00000000000")
    total = sum(block) - sum(block[148:156]) + 8 * 32
    signed = total - 256 * sum(byte > 127 for byte in block)
    assert len(read(block[:148] + b"%06o\0 " % signed + block[156:])) == 1
    with pytest.raises(InvalidArchive):
        read(block[:148] + b"%06o\0 " % (total + 1) + block[156:])


@pytest.mark.parametrize(
    ("name", "kind"), [("\x7f", b"0"), ("\udc80", b"0"), ("\x7f\udc80\udcff", b"\xff"), ("a", b"\x80")]
)
def test_bytes_from_0x80_on_are_negative_in_signed_checksums(name: str, kind: bytes) -> None:
    block = header(name, kind=kind)
    signed = sum(byte if byte < 128 else byte - 256 for byte in block[:148] + b" " * 8 + block[156:])
    (found,) = read(block[:148] + b"%06o\0 " % signed + block[156:])
    assert (found.name, found.type) == (name, kind)


def test_records_for_all_that_follow_are_used_and_overruled() -> None:
    tar = shared({"uid": "7", "mtime": "5.5"}).blocks + entry("a").blocks
    tar += entry("b", records={"uid": "8"}).blocks
    found = read(tar)
    assert [(one.name, one.uid, one.mtime) for one in found] == [("a", 7, 5.5), ("b", 8, 5.5)]
    assert [one.type for one in entries_and_records(Stream([tar]))] == [b"g", b"0", b"0"]


def test_records_for_all_are_an_entry_of_their_own_without_name_and_data() -> None:
    before = shared({"comment": "x" * 600}).blocks
    found, _ = entries_and_records(Stream([before + entry("a").blocks]))
    assert found == Entry(0, before, "", b"g", 0, 0, 0, 0, "")


def test_a_stream_is_read_by_number_and_then_to_its_end() -> None:
    stream = Stream([b"abc", b"defg", b"never"])
    assert (stream.read(2), stream.position) == (b"ab", 2)
    assert (stream.skip(2), stream.position) == (True, 4)
    assert (b"".join(stream.rest()), stream.position) == (b"efg" + b"never", 12)
    assert (stream.read(1), stream.skip(1), stream.position) == (b"", False, 12)


FILE = entry("file").blocks
DAMAGED = {
    "a wrong checksum": raw_header(b"x", b"00000000000")[:-1] + b"x",
    "a block that is none": b"X" * 512,
    "half a header": FILE[:100],
    "half a zero block": FILE + bytes(100),
    "data cut off": entry("a", b"x" * 600).blocks[:-513],
    "padding cut off": entry("a", b"x" * 600).blocks[:-1],
    "an extended header cut off": pax(record("path", "x" * 600))[:-600],
    "an extended header of nothing": pax(record("path", "x")),
    "an extended header before the end": pax(record("path", "x")) + bytes(1024),
    "a size that is no number": raw_header(b"x", b"garbage"),
    "a mode that is no number": raw_header(b"x", b"00000000000", mode=b"rw-r--r"),
    "a time that is no number": raw_header(b"x", b"00000000000", mtime=b"yesterday"),
    "a negative size": raw_header(b"x", b"-0000000001"),
    "a negative size in base 256": raw_header(b"x", b"\xff" * 12),
    "a pax size that is no number": pax(record("size", "many")) + FILE,
    "a negative pax size": pax(record("size", "-512")) + FILE,
    "a pax time that is no number": pax(record("mtime", "nan")) + FILE,
    "a pax time without end": pax(record("mtime", "1e999")) + FILE,
    "a pax record that is too long": pax(b"99 path=x\n") + FILE,
    "a pax record that is too short": pax(b"5 path=x\n") + FILE,
    "a pax record of length 0": pax(b"0 path=x\n") + FILE,
    "a pax record of negative length": pax(b"-9 path=x\n") + FILE,
    "a pax record without =": pax(b"8 path\n\n") + FILE,
    "a pax record without a length": pax(b"path=x\n") + FILE,
    "an extended header of negative size": raw_header(b"x", b"-0000001000", b"x") + FILE,
    "a long name of negative size in base 256": raw_header(b"x", b"\xff" * 11 + b"\0", b"L") + FILE,
    "a huge extended header": raw_header(b"x", b"\x80" + bytes(6) + b"\xff" * 5, b"x") + FILE,
    "a shared header within an entry's own": pax(record("path", "a")) + pax(record("path", "b"), kind=b"g") + FILE,
    "a sparse map that is no number": raw_header(b"x", b"0", b"S", prefix=bytes(53) + b"x"),
    "a sparse map that does not end": raw_header(b"x", b"00000000000", b"S", prefix=b"\xff" * 155)[:482] + b"\1" * 30,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(case: str) -> None:
    with pytest.raises(InvalidArchive, match=r"^the tar is .*|^there is no tar .*") as caught:
        read(FILE + DAMAGED[case])
    assert "\n" not in str(caught.value)


def test_what_is_damaged_from_the_start_is_no_tar() -> None:
    with pytest.raises(InvalidArchive) as caught:
        read(b"#!/bin/sh\n" * 100)
    assert str(caught.value) == "there is no tar inside the gzip; pack the model with tar -czf"


def test_an_endless_negative_header_is_refused_before_it_is_read() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield raw_header(b"x", b"-0000001000", b"x")
        for _ in range(100):
            taken += 1
            yield bytes(512)

    with pytest.raises(InvalidArchive):
        list(entries(Stream(chunks())))
    assert taken == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is asked of Linux")
def test_shared_records_do_not_pile_up() -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from lambda_fn.core.tar import Stream, entries_and_records
from tests.archives import pax, record
def chunks():
    for at in range(200):
        yield pax(record(f"key{at}", "x" * 1_000_000), kind=b"g")
assert len(list(entry.start for entry in entries_and_records(Stream(chunks())))) == 200
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    run = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True)
    assert int(run.stdout) < 150 << 10, run.stderr


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b" 644 \0\0\0", 0o644),
        (b"644 \0 01", 0o644),
        (b"\0\0\0\0\0\0\0\0", 0),
        (b"        ", 0),
        (b"\x80\0\0\0\0\0\1\0", 256),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", -1),
        (b"\xff\0\0\0\0\0\0\0", -(1 << 56)),
        (b"\x80\xff\0\0\0\0\0\0", 0xFF << 48),
    ],
)
def test_numbers_are_octal_or_base_256(field: bytes, value: int) -> None:
    assert number(field) == value


@pytest.mark.parametrize(
    "field",
    [
        *(
            b"0o17\0\0\0\0",
            b"1_0\0\0\0\0\0",
            b"+0000017",
            b"-0000017",
            b"\t0000017",
            b"\n0000017",
            b"000017\t\0",
            b"0x17\0\0\0\0",
        ),
        *(
            b"\x000000017",
            b"\0\0\0\x00017",
            b"17\0x\0\0\0\0",
            b"17\0-\0\0\0\0",
            b"1 7\0\0\0\0\0",
            b"0000018\0",
            "١٧".encode() + b"\0\0\0\0",
        ),
        *(b"\x81\0\0\0\0\0\0\1", b"\xc0\0\0\0\0\0\0\1", b"\xfe\xff\xff\xff\xff\xff\xff\xff"),
    ],
)
def test_what_some_readers_take_for_a_number_is_none(field: bytes) -> None:
    with pytest.raises(InvalidArchive, match="a header field is no number"):
        number(field)


@pytest.mark.parametrize("field", ["mode", "uid", "gid", "mtime"])
def test_where_no_boundary_hangs_on_it_nuls_stand_for_zeros(field: str) -> None:
    (found,) = read(raw_header(b"a", b"0", **{field: b"\0\x00644 "}))
    assert getattr(found, field) == 0o644
    (nulls,) = read(raw_header(b"a", b"0", **{field: bytes(8)}))
    assert getattr(nulls, field) == 0
    with pytest.raises(InvalidArchive, match="no number"):
        read(FILE + raw_header(b"a", b"\0\x000000644"))


texts = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=300)


@given(texts.filter(lambda name: name.strip("/") != ""), st.binary(max_size=2000))
def test_what_is_written_is_read_by_python(name: str, data: bytes) -> None:
    name = name.encode("utf-8", "ignore").decode().rstrip("/") or "x"
    blocks = written(name, data, Attributes(mtime=1_700_000_000))
    with tarfile.open(fileobj=io.BytesIO(blocks)) as tar:
        (info,) = tar
        assert (info.name, info.mode, info.mtime, info.type) == (name, 0o644, 1_700_000_000, tarfile.REGTYPE)
        assert tar.extractfile(info).read() == data  # type: ignore[union-attr]


# What readers take in two ways

WANTED = entry(archives.WANTED, b"{}").blocks
"""An entry that must not be there for some readers only."""


INSIDE = header("x", 2048) + bytes(512) + WANTED + bytes(512)
"""A file that is an entry to whoever goes on 1,024 bytes after its beginning."""
AMBIGUOUS = {
    "one zero block, then an entry": bytes(512) + WANTED,
    "one zero block, then something": bytes(512) + b"X" * 512,
    "one zero block, then a piece of something": bytes(512) + b"x",
    "two pax headers": pax(record("path", "a")) * 2 + FILE,
    "pax headers of two kinds": pax(record("path", "a")) + pax(record("path", "b"), kind=b"X") + FILE,
    "two long names": long_name(b"a\0") * 2 + FILE,
    "two long links": long_name(b"a\0", b"K") * 2 + FILE,
    "a pax path and a long name": pax(record("path", "a")) + long_name(b"b\0") + FILE,
    "a long name and a pax path": long_name(b"b\0") + pax(record("path", "a")) + FILE,
    "a pax link and a long link": pax(record("linkpath", "a")) + long_name(b"b\0", b"K") + FILE,
    "a pax size before a long name": pax(record("size", "0")) + long_name(b"b\0") + FILE,
    "a long name called like a directory": raw_header(b"d/", b"2", b"L") + archives.padded(b"a\0") + FILE,
    "a long link called like a directory": raw_header(b"d/", b"2", b"K") + archives.padded(b"a\0") + FILE,
    "a long name called like a directory by all of 100 bytes": raw_header(b"d" * 99 + b"/", b"2", b"L")
    + archives.padded(b"a\0")
    + FILE,
    "a long link called like a directory by its prefix alone": header("", 2, b"K", prefix=b"dir")
    + archives.padded(b"a\0")
    + FILE,
    "a long name of a volume label": long_name(b"a\0") + header("label", kind=b"V") + FILE,
    "a long link of a volume label": long_name(b"a\0", b"K") + header("label", kind=b"V") + FILE,
    "a pax header of a volume label": pax(record("path", "a")) + header("label", kind=b"V") + FILE,
    "a pax header of Solaris's ACL": pax(record("size", "0")) + header("acl", kind=b"A") + WANTED,
    "an empty long name": long_name(b"\0") + FILE,
    "a long name that goes on behind a NUL": long_name(b"a\0b") + FILE,
    "a pax header that goes on in its padding": pax(record("path", "a"))[:600] + b"9 path=b\n".ljust(424, b"\0") + FILE,
    "a long name that goes on in its padding": long_name(b"a\0")[:600] + b"b".ljust(424, b"\0") + FILE,
    "a path for all entries": pax(record("path", "a"), kind=b"g") + FILE,
    "a size for all entries": pax(record("size", "0"), kind=b"g") + FILE,
    "a pax size that hides an entry": pax(record("size", str(len(WANTED)))) + header() + WANTED,
    "a pax size that shows an entry": pax(record("size", "0")) + header(size=len(WANTED)) + WANTED,
    "a pax size that hides an entry in 8 GiB": pax(record("size", str(8 << 30))) + header() + WANTED,
    "a size on a directory": header("d", 1024, b"5") + INSIDE,
    "a size on a directory of v7": header("d/", 1024, b"\0", b"") + INSIDE,
    "a size on a file called like a directory": header("d/", 1024) + INSIDE,
    "a size on a link": header("l", 1024, b"2", link=b"x") + INSIDE,
    "a size on a hard link": header("l", 1023, b"1", link=b"file") + INSIDE,
    "a size on a device": header("l", 1000, b"3") + INSIDE,
    "a size that leads behind the end": header("d", 1024, b"5") + bytes(1024) + WANTED,
    "something behind the end where some go on": header("d", 1024, b"5") + bytes(1024) + b"X" * 512,
    "more sizes than can be watched": b"".join(header("d", (1 << 30) + 512 * at, b"5") for at in range(0, 3000, 2)),
    "a name like a directory's beside the file's": pax(record("path", "a")) + header("a/", len(WANTED)) + WANTED,
    "a signed checksum before an entry": with_signed_sum(header("na\udcffve", len(WANTED))) + WANTED,
    "a sparse map that others take for data": sparse([], WANTED[:512], bytes(12) + b"%011o\0" % 512 + bytes(488))
    + FILE,
    "records of a sparse file without a map": pax(record("GNU.sparse.name", "a")) + FILE,
    "records of a sparse file at a directory": pax(record("GNU.sparse.size", "9"), record("GNU.sparse.map", "9,0"))
    + header("d", kind=b"5"),
    "records of a sparse file that has a map": pax(record("GNU.sparse.realsize", "1024")) + sparse([], b"") + INSIDE,
    "a sparse file's name in records, and a map": pax(record("GNU.sparse.name", "a")) + sparse([], b"") + FILE,
    **{
        f"records of a sparse file in {kind}'s format": pax(
            record("GNU.sparse.size", "512"), record("GNU.sparse.numblocks", "1"), record("GNU.sparse.map", "512,0")
        )
        + header(magic=magic, prefix=prefix)
        + FILE
        for kind, magic, prefix in (
            ("v7", b"", b""),
            ("GNU tar", b"ustar  ", b""),
            ("star", b"ustar\x0000", bytes(131) + b"11213575217 " * 2),
        )
    },
    "a line break behind the NUL of a name": header("a\0\nb"),
    "nothing but a line break behind the NUL of a name": header("a\0\n"),
    "a line break between X's behind the NUL of a name": header("a\0X\nX"),
    "a line break in the name of Solaris's header": header("a\0\nb", kind=b"X") + FILE,
    "a line break behind the NUL of a link": header("a", kind=b"2", link=b"b\0\nc"),
    "a line break behind the NUL of a prefix": header("a", prefix=b"b\0\nc"),
    "a zero block where some go on, and an entry behind it": header("d", 512, b"5")
    + header("x", 1536)
    + bytes(512)
    + INSIDE,
    "a zero block where some go on, and a file with data behind it": header("d", 512, b"5")
    + header("x", 1536)
    + bytes(512)
    + WANTED,
    "a zero block at the end where some go on": header("d/", 1, b"\0") + bytes(1024) + WANTED,
    "a label with data": header("label", 1024, b"V") + WANTED,
    "a size on a link that leads to a label's data": header("a", 512, b"1")
    + header("label", 97, b"V")
    + archives.padded(b"x" * 97)
    + FILE,
    "a size on a link that leads to a directory's list of names": header("a", 512, b"1")
    + header("d/", 6, b"D", b"ustar  ")
    + archives.padded(b"Yfoo\0\0")
    + FILE,
    "no name before an entry": header("", 1024) + WANTED,
    "an extended header without a name": raw_header(b"", b"%011o" % len(WANTED), b"L") + WANTED + FILE,
    "a sparse map of more than its data": sparse([(0, 1024)], bytes(512)) + FILE,
    "a sparse map of less than its data": sparse([(0, 512)], WANTED) + FILE,
    "a sparse map at what is no sparse file": header("s", 512, magic=b"ustar  ", prefix=b"p" * 140) + bytes(512) + FILE,
    "a header with a wrong sum where some go on": header("l", 512, b"1", link=b"x")
    + header("x", 512)
    + WANTED[:148]
    + b"0000000\0"
    + WANTED[156:512],
    "a list of names that is a header but for the sum": header("d/", 512, b"D", b"ustar  ")
    + WANTED[:148]
    + bytes(8)
    + WANTED[156:512],
    "a list of names, then an entry in what is still the list": header("d/", 512 + len(WANTED), b"D", b"ustar  ")
    + archives.padded(b"Yfoo\0\0")
    + WANTED,
    "a list of names with a size where a header has one": header("d/", 512, b"D", b"ustar  ")
    + b"Yfoo".ljust(124, b"\0")
    + b"00000001000\0".ljust(388, b"\0")
    + FILE,
    "a list of names that is a path": header("d/", 512, b"D", b"ustar  ") + archives.padded(b"Y/../file\0\0") + FILE,
    "a list of names that is a path of Windows": header("d/", 9, b"D", b"ustar  ")
    + archives.padded(b"Y\\..\\file")
    + FILE,
    "data behind a name like a directory's": header("d/", 600, b"Z") + archives.padded(b"x" * 600) + FILE,
    "data behind a pax path like a directory's": pax(record("path", "d/"))
    + header("d", 600, b"Z")
    + archives.padded(b"x" * 600)
    + FILE,
    "data behind a label like a directory's": header("d/", 600, b"V") + archives.padded(b"x" * 600) + FILE,
    "a prefix without a name in v7": header("", 9, magic=b"", prefix=b"p") + archives.padded(b"x" * 9) + FILE,
    "a prefix without a name in GNU tar's format": header("", kind=b"5", magic=b"ustar  ", prefix=b"p") + FILE,
    "a sparse file without GNU tar's magic": header("s", kind=b"S"),
    "a part of several volumes": header(kind=b"M"),
    "a list of names": header(kind=b"N"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
@pytest.mark.parametrize("chunk", [100, 512, 5000])
def test_what_readers_take_in_two_ways_is_refused(case: str, chunk: int) -> None:
    with pytest.raises(
        InvalidArchive, match=r"^the tar (is ambiguous|is damaged|holds) .*pack the model again$"
    ) as caught:
        read(FILE + AMBIGUOUS[case], chunk)
    assert re.search(r"at its byte \d+", str(caught.value))


TIMES = b"13640052170\0" * 2
"""Of access and of change, where GNU tar has them."""
HONEST = {
    "a zero block at the end": (FILE + bytes(512), ["file"]),
    "one zero block and zeros": (FILE + bytes(512) + bytes(3000), ["file"]),
    "no end": (FILE, ["file"]),
    "another tar after the end": (FILE + bytes(1024) + WANTED, ["file"]),
    "another tar after an end where some go on": (header("d", 1024, b"5") + bytes(2048) + WANTED, ["d"]),
    "another tar after an end that all see": (
        header("d/", 1, b"\0", b"") + FILE + bytes(1024) + WANTED,
        ["d/", "file"],
    ),
    "a checksum of six digits": (header("\udcff" * 100, kind=b"2", link=b"\xff" * 100), ["\udcff" * 100]),
    "a directory that other tars give a size": (header("d", 255, b"5") + FILE, ["d", "file"]),
    "a sparse file": (sparse([(0, 512), (4096, 512)], bytes(1024)) + FILE, ["s", "file"]),
    "no name": (header("") + FILE, ["", "file"]),
    "a label": (header("label", 512, b"V") + bytes(512) + FILE, ["label", "file"]),
    "many directories with sizes": (header("d", 4096, b"5") * 3000, ["d"] * 3000),
    "a hard link with its file's size": (FILE + header("l", 5 << 30, b"1", link=b"file") + FILE, ["file", "l", "file"]),
    "a directory of v7 with a size": (header("d/", 1, b"\0", b"") + FILE, ["d/", "file"]),
    "a long name that is cut at a slash": (
        long_name(b"d/a\0") + header("d/", 9) + archives.padded(b"x" * 9) + FILE,
        ["d/a", "file"],
    ),
    "a directory of GNU tar's incremental dumps": (
        header("d/", 9, b"D", b"ustar  ") + bytes(512) + FILE,
        ["d/", "file"],
    ),
    "a list of names in an incremental dump": (
        header("d/", 14, b"D", b"ustar  ") + archives.padded(b"Yfoo\0Ysparse\0\0") + FILE,
        ["d/", "file"],
    ),
    "an empty pax header": (pax() + FILE, ["file"]),
    "an attribute before a long name": (pax(record("SCHILY.xattr.user.a", "b")) + long_name(b"a\0") + FILE, ["a"]),
    "a long name without a NUL": (long_name(b"a") + FILE, ["a"]),
    "a long name with several": (long_name(b"a\0\0\0") + FILE, ["a"]),
    "a long link and a long name": (long_name(b"b\0", b"K") + long_name(b"a\0") + FILE, ["a"]),
    "Solaris's pax header": (pax(record("path", "a"), kind=b"X") + FILE, ["a"]),
    "a size in both headers": (pax(record("size", "2")) + header(size=2) + bytes(512) + FILE, ["file", "file"]),
    "a signed checksum": (with_signed_sum(header("na\udcffve", 9)) + bytes(512) + FILE, ["na\udcffve", "file"]),
    "an unknown type": (header("a", 9, b"Z") + bytes(512) + FILE, ["a", "file"]),
    "an unknown type called like a directory": (header("d/", 0, b"Z") + FILE, ["d/", "file"]),
    "a directory all of whose name is a prefix": (header("", kind=b"5", prefix=b"p/q") + FILE, ["p/q/", "file"]),
    "one of Plexus": (header("", kind=b"5", magic=b"ustar\0\0\0", prefix=b"p/q") + FILE, ["p/q/", "file"]),
    "no name beside times": (header("", magic=b"ustar  ", prefix=TIMES) + FILE, ["", "file"]),
    "a list of names that ends where a header has a mode": (
        header("d/", 103, b"D", b"ustar  ") + archives.padded(b"Y" + b"7" * 99 + b"56\0\0") + FILE,
        ["d/", "file"],
    ),
    "a longer list of names in an incremental dump": (
        header("d/", 600, b"D", b"ustar  ") + archives.padded(b"Y123\0" * 120) + FILE,
        ["d/", "file"],
    ),
    "a sparse file in a long folder": (
        pax(record("GNU.sparse.size", "512"), record("GNU.sparse.numblocks", "1"), record("GNU.sparse.map", "512,0"))
        + header(prefix=b"p" * 155)
        + FILE,
        ["p" * 155 + "/file", "file"],
    ),
    "no magic": (header("a", magic=b"") + FILE, ["a", "file"]),
    "Plexus's magic": (header("a", magic=b"ustar\0\0\0") + FILE, ["a", "file"]),
    "Dart's magic": (header("a", magic=b"ustar  \x30") + FILE, ["a", "file"]),
    "bytes behind the NUL of a name": (header("a\0bc") + FILE, ["a", "file"]),
    "a time of AIX": (header("a", mtime=b"\x001722000726 ") + FILE, ["a", "file"]),
}


@pytest.mark.parametrize("case", HONEST)
def test_what_honest_tools_write_is_read(case: str) -> None:
    tar, names = HONEST[case]
    assert [one.name for one in read(tar)] == names
    assert [one.name for one in read(tar, 100)] == names


def test_a_directory_of_an_incremental_dump_is_a_directory() -> None:
    (found,) = read(header("d/", 9, b"D", b"ustar  ") + bytes(512))
    assert found.is_directory and found.data_size == 9


PREFIXES: dict[str, tuple[bytes, bytes, list[str]]] = {
    "ustar": (b"ustar\x0000", b"p", ["p/file"]),
    "ustar, longer than star's": (b"ustar\x0000", b"p" * 140, ["p" * 140 + "/file"]),
    "ustar, as long as can be": (b"ustar\x0000", b"p" * 155 + b"x", ["p" * 155 + "/file"]),
    "Plexus": (b"ustar\0\0\0", b"p", ["p/file", "file"]),
    "v7": (b"", b"p", ["file", "p/file"]),
    "GNU": (b"ustar  ", b"p", ["file", "p/file"]),
    "GNU with times": (b"ustar  ", TIMES, ["file"]),
    "GNU with large times": (b"ustar  ", (b"\x80" + bytes(11)) * 2, ["file"]),
    "GNU with one time": (b"ustar  ", bytes(12) + TIMES[:12], ["file"]),
    "other, with times": (b"ustar\0\0\0", TIMES, [f"{TIMES[:11].decode()}/file", "file"]),
}
"""The path that counts comes first."""


@pytest.mark.parametrize("case", PREFIXES)
def test_the_prefix_is_read_as_readers_do_by_the_magic(case: str) -> None:
    magic, prefix, readings = PREFIXES[case]
    block = header(magic=magic, prefix=prefix[:155], end=prefix[155:])
    (found,) = read(block)
    assert found.readings == {*readings}
    assert found.path == readings[0]


def test_what_stands_behind_the_sizes_of_a_sparse_file_is_not_theirs() -> None:
    size = b"\x80" + (9 << 30).to_bytes(11, "big")
    prefix = bytes(41) + size.ljust(97, b"\0") + size
    (found,) = read(header("s", kind=b"S", magic=b"ustar  ", prefix=prefix, end=b"7"))
    assert found.size == 9 << 30
    (found,) = read(header("s", magic=b"ustar  ", prefix=bytes(41) + b"\0" + b"7" * 95 + b"\1" + b"7" * 12))
    assert (found.name, found.sparse) == ("s", False)
    (found,) = read(header("s", magic=b"ustar  ", prefix=bytes(41) + b"7" * 96 + b"\0" + b"7" * 12))
    assert (found.name, found.sparse) == ("s", False)


def test_a_sparse_file_of_gnu_tar_has_times_where_go_looks_for_a_prefix() -> None:
    (found,) = read(header("s", kind=b"S", magic=b"ustar  ", prefix=TIMES))
    assert found.readings == {"s"}
    (found,) = read(header("s", kind=b"S", magic=b"ustar  ", prefix=b"p"))
    assert found.path == "s"
    assert found.readings == {"s", "p/s"}


def test_a_mode_that_is_missing_is_none_and_one_that_is_no_number_is_damage() -> None:
    (found,) = read(header(mode=bytes(8)))
    assert found.mode == 0
    with pytest.raises(InvalidArchive, match="a header field is no number"):
        read(FILE + header(mode=b"X644"))


def test_fields_may_be_filled_to_their_last_byte() -> None:
    (found,) = read(header("n" * 100, kind=b"2", link=b"l" * 100, mode=b"00100664", uid=b"0001750"))
    assert (found.name, found.link, found.mode) == ("n" * 100, "l" * 100, 0o100664)
    (found,) = read(header(mode=b"100664 "))
    assert found.mode == 0o100664


def test_a_long_name_has_an_end() -> None:
    for name in (b"x" * VALUE_LIMIT, b"X"):
        (found,) = read(long_name(name + b"\0") + FILE)
        assert found.name == name.decode()
    with pytest.raises(InvalidArchive) as caught:
        read(long_name(b"x" * (VALUE_LIMIT + 1) + b"\0") + FILE)
    assert str(caught.value) == f"the tar is damaged: a long name of {VALUE_LIMIT + 1} bytes; pack the model again"


def test_a_hundred_places_are_watched_at_a_time() -> None:
    far = [header("d", (1 << 30) + 1024 * at, b"5") for at in range(101)]
    assert len(read(b"".join(far[:100]))) == 100
    with pytest.raises(InvalidArchive, match="too many sizes"):
        read(b"".join(far))


@pytest.mark.parametrize("length", [b"50000000000\0", b"\x80" + (9 << 30).to_bytes(11, "big")])
def test_pieces_of_a_sparse_file_may_be_of_any_size(length: bytes) -> None:
    size = number(length)
    prefix = bytes(41) + (b"00000000000\0" + length * 2).ljust(97, b"\0") + length
    block = header("s", 0, b"S", b"ustar  ", prefix=prefix)
    first = next(entries(Stream([archives.checksummed(block[:124] + length + block[136:])])))
    assert (first.data_size, first.size) == (size, size)


def test_stars_prefix_is_shorter() -> None:
    block = header(prefix=b"p" * 131 + b"13640052170 ")
    (found,) = read(archives.checksummed(block[:508] + b"tar\0"))
    assert found.path == "p" * 131 + "/file"
    assert found.readings == {found.path, "p" * 131 + "13640052170 /file"}


@pytest.mark.parametrize(
    ("tar", "readings"),
    [
        (pax(record("path", "a")) + FILE, {"a", "file"}),
        (long_name(b"a\0") + FILE, {"a", "file"}),
        (
            pax(
                record("GNU.sparse.major", "1"),
                record("GNU.sparse.minor", "0"),
                record("GNU.sparse.name", "a"),
                record("GNU.sparse.realsize", "9"),
                record("path", "b"),
            )
            + header("file", 512)
            + archives.padded(b"1\n9\n0\n"),
            {"a", "b", "file"},
        ),
        (header("../a/../file"), {"../file", "file", "a/file"}),
    ],
)
def test_all_readings_of_a_name_are_known(tar: bytes, readings: set[str]) -> None:
    (found,) = read(tar)
    assert found.readings == readings
    assert found.path in readings


def test_who_takes_solaris_headers_for_entries_is_thought_of() -> None:
    (found,) = read(header("x", 9, b"X") + archives.padded(record("path", "a")) + FILE)
    assert found.readings == {"a", "file", "x"}


def test_all_readings_of_a_link_are_known() -> None:
    (found,) = read(long_name(b"a\0", b"K") + header("l", kind=b"1", link=b"b"))
    assert found.targets == {"a", "b"}


def test_owners_are_read_from_both_headers() -> None:
    info = tarfile.TarInfo("a")
    info.uid, info.gid, info.uname, info.gname = 1, 1 << 40, "ü" * 40, "staff"
    (found,) = read(info.tobuf(tarfile.PAX_FORMAT))
    assert (found.uid, found.gid, found.uname, found.gname) == (1, 1 << 40, "ü" * 40, "staff")


def test_owners_that_are_no_numbers_are_taken_from_the_header() -> None:
    (found,) = read(pax(record("uid", "me"), record("gid", "")) + entry("a").blocks)
    assert (found.uid, found.gid) == (0, 0)


def work(tar: bytes) -> int:
    """Lines of code that reading a tar takes: what a clock would say, without one."""
    lines = 0

    def count(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    sys.settrace(count)
    try:
        read(tar, 64 << 10)
    finally:
        sys.settrace(None)
    return lines


COSTLY: dict[str, Callable[[int], bytes]] = {
    "smallest records": lambda size: pax(record("a", "") * (size // 5)) + FILE,
    "long names": lambda size: long_name(b"x" * (size // 8) + b"\0") + FILE,
    "a sparse map": lambda size: (
        header("s", 0, b"S", b"ustar  ", prefix=bytes(137) + b"\1")
        + (bytes(504) + b"\1" + bytes(7)) * (size // 512)
        + bytes(512)
    ),
    "places that are watched for ever": lambda size: header("d", 1 << 32, b"5") * 99 + FILE * (size // 2048),
    "shared records": lambda size: pax(record("uid", "1"), kind=b"g") * (size // 1024),
    "directories with sizes": lambda size: header("d", 8 << 9, b"5") * (size // 512),
    "sparse files": lambda size: in_data(b"1\n9\n0\n", b"", 9) * (size // 2048),
    "slashes": lambda size: pax(record("path", "/" * (size // 10) + "a")) + FILE,
    "a value full of line breaks": lambda size: pax(record("a", "\n1 " * (size // 3))) + FILE,
}


@pytest.mark.parametrize("case", COSTLY)
def test_work_and_memory_are_linear(case: str) -> None:
    small, large = (COSTLY[case](size) for size in (50_000, 400_000))
    assert work(large) < 9 * work(small) + 1000
    tracemalloc.start()
    read(large, 64 << 10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * len(large)


def test_an_extended_header_has_an_end() -> None:
    value = "x" * (HEADER_LIMIT - len(record("a", "x" * HEADER_LIMIT)) + HEADER_LIMIT)
    longest = record("a", value)
    assert len(longest) == HEADER_LIMIT
    assert [one.name for one in read(pax(longest) + FILE)] == ["file"]
    with pytest.raises(InvalidArchive, match=f"extended headers of {HEADER_LIMIT + 1} bytes"):
        read(pax(record("a", value + "x")) + FILE)


def test_all_extended_headers_of_an_entry_together_have_an_end() -> None:
    comment = pax(record("comment", "c" * (HEADER_LIMIT // 2)))
    with pytest.raises(InvalidArchive, match="extended headers of"):
        read(comment + long_name(b"l".ljust(HEADER_LIMIT // 2, b"\0"), b"K") + FILE)


@pytest.mark.parametrize("padding", [b"x", b"X", b"\1"])
def test_padding_is_nothing_but_zeros(padding: bytes) -> None:
    whole = pax(record("a", "b"))
    with pytest.raises(InvalidArchive, match="goes on in its padding"):
        read(whole[:-1] + padding + FILE)


FIELDS = [(100, 108), (108, 116), (116, 124), (124, 136), (136, 148)]


def with_field(at: int, value: bytes) -> bytes:
    """A link whose size leads some readers to a block with these bytes in it, and whose checksum is wrong."""
    landed = WANTED[:148] + bytes(8) + WANTED[156:512]
    return header("l", 512, b"1", link=b"x") + header("x", 512) + landed[:at] + value + landed[at + len(value) :]


@pytest.mark.parametrize(("start", "stop"), FIELDS)
def test_what_is_no_header_even_without_its_sum_is_data(start: int, stop: int) -> None:
    for at in (start, stop - 1):
        assert len(read(with_field(at, b"x"))) == 2
    for value in (b"7", b"\0x", b" ", b"\x80" + bytes(stop - start - 1)):
        with pytest.raises(InvalidArchive, match="a header that some readers take for an entry's"):
            read(with_field(start, value))


@pytest.mark.parametrize("at", [99, 148, 156])
def test_other_fields_than_numbers_do_not_tell_data_from_headers(at: int) -> None:
    with pytest.raises(InvalidArchive, match="a header that some readers take for an entry's"):
        read(with_field(at, b"x"))


def test_all_pieces_of_a_sparse_map_count() -> None:
    sizes = [512, 1024, 1536, 512]
    more = b"".join(b"%011o\0%011o\0" % (0, size) for size in range(512, 22 * 512, 512)).ljust(504, b"\0") + bytes(8)
    pieces = [(at << 20, size) for at, size in enumerate(sizes)]
    data = bytes(sum(sizes) + sum(range(512, 22 * 512, 512)))
    (found, after) = read(sparse(pieces, data, more, size=21 * 512) + FILE)
    assert (found.data_size, found.size, found.sparse, after.name) == (len(data), 21 * 512, True, "file")
    assert found.stop == after.start
    for wrong, size in ((data[:-512], 21 * 512), (data + bytes(512), 21 * 512), (data, 20 * 512), (data, 22 * 512)):
        with pytest.raises(InvalidArchive, match="a sparse file whose map does not fit it"):
            read(sparse(pieces, wrong, more, size) + FILE)


def in_data(mapped: bytes, data: bytes, size: int, stated: int = 0) -> bytes:
    """A sparse file of GNU tar's format 1.0: its map lies in front of its data."""
    about = {"major": "1", "minor": "0", "name": "s", "realsize": str(size)}
    records = pax(*(record(f"GNU.sparse.{key}", value) for key, value in about.items()))
    content = archives.padded(mapped) + data
    return records + header("GNUSparseFile.0/s", stated or len(content)) + archives.padded(content)


@pytest.mark.parametrize("chunk", [100, 512, 100_000])
@pytest.mark.parametrize(
    ("mapped", "data", "size"),
    [
        (b"1\n9\n0\n", b"", 9),
        (b"1\n0\n600\n", b"x" * 600, 600),
        (b"2\n0\n600\n9000\n0\n", b"1\n" * 300, 9000),
        (b"127\n" + b"0\n0\n" * 126 + b"7\n5\n", b"1\n3\n5", 12),
    ],
)
def test_a_sparse_map_in_front_of_the_data_is_read(mapped: bytes, data: bytes, size: int, chunk: int) -> None:
    found, after = read(in_data(mapped, data, size) + FILE, chunk)
    assert (found.name, found.size, found.sparse, after.name) == ("s", size, True, "file")


def test_a_sparse_map_in_front_of_the_data_is_still_to_be_read() -> None:
    stream = Stream([in_data(b"1\n0\n600\n", b"x" * 600, 600) + FILE])
    found = next(entries(stream))
    assert stream.position == found.start + len(found.blocks)
    assert stream.read(found.data_size) == archives.padded(b"1\n0\n600\n") + b"x" * 600


@pytest.mark.parametrize(
    "entry",
    [
        in_data(b"1\n0\n0\n", WANTED, 0),
        in_data(b"1\n512\n0\n", WANTED, 512),
        in_data(b"1\n0\n512\n", b"x" * 512, 2048),
        in_data(b"1\n0\n1024\n", b"x" * 512, 1024),
        in_data(b"0\n", b"", 512),
        in_data(b"2\n0\n512\n", b"x" * 512, 512),
        in_data(b"1\n0\n512", b"x" * 512, 512),
        in_data(b"1\n0\n+512\n", b"x" * 512, 512),
        in_data(b"# a comment\n1\n0\n512\n", b"x" * 512, 512),
        in_data(b"9" * 30 + b"\n", b"", 512),
        pax(*(record(f"GNU.sparse.{key}", "1" if key == "major" else "0") for key in ("major", "minor", "realsize")))
        + FILE,
    ],
)
def test_a_sparse_map_that_does_not_fit_what_is_behind_it_is_refused(entry: bytes) -> None:
    with pytest.raises(InvalidArchive, match="the tar is ambiguous at its byte 1024: a sparse "):
        read(FILE * 2 + entry + FILE)


def test_a_sparse_map_has_an_end() -> None:
    block = bytes(504) + b"\1" + bytes(7)
    read(sparse([], b"", block * (HEADER_LIMIT // 512 - 1) + bytes(512)))
    with pytest.raises(InvalidArchive) as caught:
        read(sparse([], b"", block * (HEADER_LIMIT // 512) + bytes(512)))
    assert str(caught.value) == "the tar is damaged: a sparse map that does not end; pack the model again"


def test_undecodable_names_are_written_as_they_are() -> None:
    for name in ("\udcff", "ü\udcfe", "\udcff" * 120):
        (found,) = read(written(name, b"x", Attributes(mtime=7)))
        assert (found.name, found.mtime, found.mode, found.type) == (name, 7, 0o644, b"0")


END = "; readers disagree about it, so pack the model again"
SAID = {
    "one zero block, then something": "one zero block alone, where some readers stop and some go on",
    "two pax headers": "a second pax header of one entry",
    "two long names": "a second long name of one entry",
    "two long links": "a second long link of one entry",
    "a pax path and a long name": "a pax path and a long name of one entry",
    "a pax link and a long link": "a pax linkpath and a long link of one entry",
    "a pax size before a long name": "a pax size before a GNU long name",
    "a long name of a volume label": "an extended header of what is no entry to some",
    "an empty long name": "a long name that is empty or goes on behind a NUL",
    "a long name called like a directory": "a long name that is called like a directory",
    "a long name that goes on in its padding": "an extended header that goes on in its padding",
    "a pax size that hides an entry": "the size 0 in a header that has room for the 1024 of its pax header",
    "a pax size that shows an entry": "the size 1024 in a header that has room for the 0 of its pax header",
    "more sizes than can be watched": "too many sizes that not all readers believe",
    "a size that leads behind the end": "what follows the end is where some readers go on",
    "a size on a link": "a header that some readers take for an entry's, and others for data",
    "records of a sparse file at a directory": "records of a sparse file at what is no file",
    "records of a sparse file in v7's format": "records of a sparse file in a header of another format than ustar",
    "records of a sparse file that has a map": "a sparse map and records of a sparse file",
    "a sparse map at what is no sparse file": "a sparse map that goes on, at what is no sparse file",
    "a sparse map of more than its data": "a sparse file whose map does not fit it",
    "data behind a name like a directory's": "data behind a name like a directory's",
    "a prefix without a name in v7": "a prefix without a name, in another format than ustar",
    "a line break behind the NUL of a name": "a line break behind the NUL that ends a name",
    "a line break in the name of Solaris's header": "a line break behind the NUL that ends a name",
    "a line break behind the NUL of a link": "a line break behind the NUL that ends a name",
    "a line break behind the NUL of a prefix": "a line break behind the NUL that ends a name",
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_ambiguous_is_said(case: str) -> None:
    with pytest.raises(InvalidArchive) as caught:
        read(FILE + AMBIGUOUS[case])
    assert re.sub(r"byte \d+", "byte N", str(caught.value)) == f"the tar is ambiguous at its byte N: {SAID[case]}{END}"


MESSAGES = {
    "a wrong checksum": "the tar is damaged: no header where one belongs, at its byte 512; pack the model again",
    "data cut off": "the tar is cut off inside 'a'; pack the model again",
    "an extended header cut off": "the tar is cut off inside an extended header; pack the model again",
    "a mode that is no number": "the tar is damaged: a header field is no number; pack the model again",
    "a huge extended header": f"the tar is damaged: extended headers of {0xFFFFFFFFFF} bytes; pack the model again",
    "a negative size in base 256": "the tar is damaged: a negative size at its byte 512; pack the model again",
    "a pax size that is no number": "the tar is damaged: 'size' is no number at its byte 512; pack the model again",
    "a pax time that is no number": "the tar is damaged: 'mtime' is no number at its byte 512; pack the model again",
    "a pax record that is too long": "the tar is damaged: a broken pax record at its byte 512; pack the model again",
    "a shared header within an entry's own": (
        f"the tar is ambiguous at its byte 512: a shared header inside an entry's own{END}"
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_what_is_damaged_is_said(case: str) -> None:
    with pytest.raises(InvalidArchive) as caught:
        read(FILE + DAMAGED[case])
    assert str(caught.value) == MESSAGES[case]


def test_a_part_of_several_volumes_is_said_to_be_one() -> None:
    with pytest.raises(InvalidArchive) as caught:
        read(FILE + AMBIGUOUS["a part of several volumes"])
    assert (
        str(caught.value) == "the tar holds a file that began in another volume, at its byte 512; pack the model again"
    )
