"""Reading tar: what other tools write is understood, what is damaged is named, and memory has an end."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.tar import Entry, Stream, entries, normal, number, records, write_entry
from tests import archives
from tests.archives import entry, raw_header, shared
from tests.programs import asking

ROOT = Path(__file__).parents[2]


def read(data: bytes, chunk: int = 1000) -> list[Entry]:
    return list(entries(Stream(data[at : at + chunk] for at in range(0, len(data), chunk))))


@given(archives.tars(st.integers(0, 2)), st.integers(1, 2000))
def test_entries_are_where_their_writer_put_them(tar: archives.Tar, chunk: int) -> None:
    found = read(tar.data, chunk)
    assert [(one.start, one.stop) for one in found] == [
        (start, start + len(part.blocks)) for start, part in zip(starts(tar), tar.parts, strict=True)
    ]
    assert [one.name.rstrip("/") for one in found] == [part.name.rstrip("/") for part in tar.parts]


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
    seen = [one for one in read(data) if one.type != b"g"]
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


def test_records_for_all_that_follow_are_used_and_overruled() -> None:
    tar = shared({"path": "shared", "mtime": "5.5"}).blocks + entry("a").blocks
    tar += entry("b", records={"path": "own"}).blocks
    found = read(tar)
    assert [(one.name, one.mtime) for one in found[1:]] == [("shared", 5.5), ("own", 5.5)]


def record(key: str, value: str) -> bytes:
    text = f" {key}={value}\n".encode()
    size = len(text) + len(str(len(text) + len(str(len(text)))))
    return b"%d" % size + text


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    data = b"".join(records)
    return raw_header(b"pax", b"%011o" % len(data), kind) + archives.padded(data)


FILE = entry("file").blocks
DAMAGED = {
    "a wrong checksum": raw_header(b"x", b"00000000000")[:-1] + b"x",
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
    "a sparse map that does not end": raw_header(b"x", b"00000000000", b"S", prefix=b"\xff" * 155)[:482] + b"\1" * 30,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(case: str) -> None:
    with pytest.raises(InvalidArchive, match=r"^the tar is .*|^there is no tar .*") as caught:
        read(FILE + DAMAGED[case])
    assert "\n" not in str(caught.value)


def test_what_is_damaged_from_the_start_is_no_tar() -> None:
    with pytest.raises(InvalidArchive, match="there is no tar"):
        read(b"#!/bin/sh\n" * 100)


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
from lambda_fn.core.tar import Stream, entries
from tests.core.test_tar import pax, record
def chunks():
    for at in range(200):
        yield pax(record(f"key{at}", "x" * 1_000_000), kind=b"g")
assert len(list(entry.start for entry in entries(Stream(chunks())))) == 200
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    run = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True)
    assert int(run.stdout) < 150 << 10, run.stderr


def test_many_small_records_are_each_looked_at_once() -> None:
    looked_at = 0

    class Looked(bytes):
        def index(self, wanted: Any, start: Any = 0, stop: Any = None) -> int:
            nonlocal looked_at
            found = super().index(wanted, start, stop)
            looked_at += found - start
            return found

        def __getitem__(self, key: Any) -> Any:
            nonlocal looked_at
            part = super().__getitem__(key)
            looked_at += len(part)
            return part

    many = Looked(record("path", "b") * 40_000)
    assert records(many) == {"path": "b"}
    assert looked_at < 3 * len(many)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b" 644 \0\0\0", 0o644),
        (b"644 \0xyz", 0o644),
        (b"\0\0\0\0\0\0\0\0", 0),
        (b"        ", 0),
        (b"\x80\0\0\0\0\0\1\0", 256),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", -1),
    ],
)
def test_numbers_are_octal_or_base_256(field: bytes, value: int) -> None:
    assert number(field) == value


@given(st.text("/.ab"))
def test_normal_is_where_extracting_writes(name: str) -> None:
    path = normal(name)
    assert not path.startswith("/")
    assert not path.endswith("/")
    assert path == normal(f"./{path}") == normal(f"//{path}/")
    assert not {"", "."} & set(path.split("/")[1:])


@given(st.text(min_size=1, max_size=300).filter(lambda name: "\0" not in name), st.binary(max_size=2000))
def test_what_is_written_is_read_by_python(name: str, data: bytes) -> None:
    name = name.encode("utf-8", "ignore").decode().rstrip("/") or "x"
    blocks = write_entry(name, data, 1_700_000_000)
    with tarfile.open(fileobj=io.BytesIO(blocks)) as tar:
        (info,) = tar
        assert (info.name, info.mode, info.mtime, info.type) == (name, 0o644, 1_700_000_000, tarfile.REGTYPE)
        assert tar.extractfile(info).read() == data  # type: ignore[union-attr]


def test_an_entry_costs_the_same_among_few_and_among_many() -> None:
    few = b"".join(entry(f"f{at}", b"x", dialect=tarfile.USTAR_FORMAT).blocks for at in range(100))
    assert calls_of_reading(few * 20) <= 20 * calls_of_reading(few)


def calls_of_reading(tar: bytes) -> int:
    """How many functions are called on the way."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event.endswith("call")

    sys.setprofile(count)
    try:
        for _ in entries(Stream(tar[at : at + 4096] for at in range(0, len(tar), 4096))):
            pass
    finally:
        sys.setprofile(None)
    return calls
