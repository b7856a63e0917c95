"""Archives made to be read in two ways: each is refused, or every reader sees in the output what we say is in it."""

from __future__ import annotations

import os
import random
import tracemalloc
import zlib
from pathlib import Path

import pytest
from isal import isal_zlib

from lambda_fn import repack
from lambda_fn.core.crc import combine_crc32
from lambda_fn.core.errors import EntryConflict, InvalidArchive, InvalidRequest, RepackError
from lambda_fn.core.history import Verify
from tests import archives, readers
from tests.archives import WANTED, Tar, checksummed, entry, header, member, pax, record
from tests.core import forgeries
from tests.core.contents import words
from tests.core.memory import repacked
from tests.hunt import streams
from tests.programs import at_hand

NEW = b'{"new": 1}'
OLD = entry(WANTED, b'{"old": 1}').blocks
FILE = entry("weights", b"w" * 600).blocks
END = bytes(1024)


def link(name: str, target: str, kind: bytes = b"2") -> bytes:
    return entry(name, kind=kind, link=target).blocks


def sent(data: bytes, folder: Path, names: tuple[str, ...] = (WANTED,)) -> Path:
    """The output of a repack that puts in these names."""
    (folder / "in.tar.gz").write_bytes(data)
    output = folder / "out.tar.gz"
    repack(str(folder / "in.tar.gz"), str(output), dict.fromkeys(names, NEW))
    return output


def assert_all_agree(output: Path) -> None:
    """Every reader at hand finds what was put in, once, and nothing else under that name anywhere."""
    for tool in at_hand(readers.EXTRACTORS):
        into = output.with_name(tool)
        readers.extract(tool, output, into)
        assert (into / WANTED).read_bytes() == NEW, tool
        assert list(into.rglob(WANTED)) == [into / WANTED], tool
    assert [name for name in readers.names(archives.gunzip(output.read_bytes())) if name.endswith(WANTED)] == [WANTED]


HIDDEN = {
    "behind one zero block": bytes(512) + OLD,
    "behind the size of a link": link("l", "x")[:124]
    + b"00000002000\0"
    + link("l", "x")[136:]
    + FILE[:512]
    + OLD
    + END,
    "in a directory that has a size": header("d", 1024, b"5") + header("x", 2048) + bytes(512) + OLD + bytes(512),
    "behind a size for all": archives.shared({"size": "2048"}).blocks + header("x", 2048) + bytes(1024) + OLD,
    "in what a pax size covers": pax(record("size", "1024")) + header("x") + OLD,
    "under a name in two pax headers": pax(record("path", "x")) + pax(record("path", WANTED)) + FILE,
    "under a name of two records": pax(record("path", "x") + record("path", WANTED)) + FILE,
    "under a key that ends in a NUL": pax(record("path\0", WANTED)) + FILE,
    "in the value of another record": pax(record("comment", f"x\n29 path={WANTED}\n")) + FILE,
}


@pytest.mark.parametrize("case", HIDDEN)
def test_an_entry_that_only_some_readers_see_is_refused(case: str, tmp_path: Path) -> None:
    data = HIDDEN[case]
    if case == "behind the size of a link":
        data = checksummed(data[:512]) + data[512:]
    with pytest.raises(InvalidArchive, match=r"at its byte \d+"):
        sent(member(FILE + data + END), tmp_path)
    assert os.listdir(tmp_path) == ["in.tar.gz"]


DISPUTED = {
    "in a header beside another path": pax(record("path", "x")) + header(WANTED),
    "above the archive": header(f"../{WANTED}"),
    "above the root": header(f"/../{WANTED}"),
    "behind dots that GNU tar cuts off": header(f"a/b/../{WANTED}"),
    "behind a drive": header(f"C:{WANTED}"),
    "behind a backslash": header(f".\\{WANTED}"),
    "below a link to here": link("current", ".") + header(f"current/{WANTED}"),
    "below two links": link("a", "b") + link("b", "./.") + header(f"a/{WANTED}"),
    "through a link to it": link("latest", WANTED) + entry("latest", b"x").blocks,
    "by a hard link through a link": link("current", ".") + link("alias", f"current/{WANTED}", b"1"),
    "below a link out of the archive": link("model", "/opt/ml/model") + header(f"model/{WANTED}"),
}


@pytest.mark.parametrize("case", DISPUTED)
def test_a_name_that_only_some_readers_take_for_the_wanted_one_is_refused(case: str, tmp_path: Path) -> None:
    with pytest.raises(EntryConflict, match=WANTED):
        sent(member(FILE + DISPUTED[case] + END), tmp_path)
    assert os.listdir(tmp_path) == ["in.tar.gz"]


HARMLESS = {
    "the wanted path beside another name": pax(record("path", WANTED)) + header("x"),
    "the wanted name behind a prefix of no format": header(WANTED, magic=b"", prefix=b"p"),
    "a link to here": link("current", "."),
    "a link to the old one's name": link("latest", WANTED),
    "a path for a long name": pax(record("path", "d/" + "n" * 200)) + header("d/" + "n" * 98),
    "another one behind dots": header("a/../b"),
    "a size on a directory": header("d", 100, b"5"),
    "two zero blocks": b"",
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_honest_is_repacked(case: str, tmp_path: Path) -> None:
    assert_all_agree(sent(member(OLD + HARMLESS[case] + FILE + END), tmp_path))


@pytest.mark.parametrize("names", [("code", "code/x.py"), ("code/x.py", "code")])
def test_what_an_earlier_repack_put_in_stands_in_the_way_like_anything_else(
    names: tuple[str, str], tmp_path: Path
) -> None:
    first = sent(member(FILE + END), tmp_path, names[:1])
    with pytest.raises(EntryConflict, match="code"):
        sent(first.read_bytes(), tmp_path, names[1:])


def test_an_archive_that_zlib_refuses_is_not_published(tmp_path: Path) -> None:
    tar = FILE + END
    packer = zlib.compressobj(wbits=-15)
    sound = packer.compress(tar) + packer.flush(zlib.Z_FULL_FLUSH)
    for seed in range(40):
        behind = streams.stream(random.Random(seed), incomplete=1)
        data = member_of(sound + behind, tar + isal_zlib.decompressobj(wbits=-15).decompress(behind))
        try:
            archives.gunzip(data)
        except zlib.error:
            with pytest.raises(InvalidArchive, match="no deflate data"):
                sent(data, tmp_path)


def member_of(deflated: bytes, data: bytes) -> bytes:
    return streams.member(deflated, data)


def marked(prefix: bytes, rest: bytes, ours: bytes, theirs: bytes) -> bytes:
    """An archive whose mark says that the first so many bytes are an earlier repack's."""
    mark = b"model-repacker 1 prefix=%08x rest=%016x crc=%08x length=%016x"
    comment = mark % (len(prefix), len(rest), zlib.crc32(theirs), len(theirs))
    crc = combine_crc32(zlib.crc32(ours), zlib.crc32(theirs), len(theirs))
    start = b"\x1f\x8b\x08\x10\0\0\0\0\0\xff" + comment + b"\0"
    return start + prefix + rest + crc.to_bytes(4, "little") + (len(ours) + len(theirs)).to_bytes(4, "little")


def deflated(data: bytes, flush: int) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush(flush)


@pytest.mark.parametrize("verify", ["once", "always", "never"])
def test_a_mark_whose_prefix_ends_within_a_block_is_none(verify: Verify, tmp_path: Path) -> None:
    ours, theirs = OLD + entry("y", b"\0\0\xff\xff" * 128).blocks, FILE + END
    size = len(ours) + 400  # the block goes on behind the prefix
    prefix = b"\0" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + ours
    source, output = tmp_path / "in.tar.gz", tmp_path / "out.tar.gz"
    source.write_bytes(marked(prefix, deflated(theirs, zlib.Z_FINISH), ours, theirs))
    with pytest.raises(RepackError):
        repack(str(source), str(output), {WANTED: NEW}, verify=verify)
    assert not output.exists()


@pytest.mark.parametrize("helpers", [0, 2])
def test_where_blocks_only_seem_to_begin_nothing_is_cut(
    helpers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers hidden in a block, behind which all decodes as it does in truth: what follows proves nothing."""
    monkeypatch.setattr("lambda_fn.core.survey.HELPERS", helpers)
    monkeypatch.setattr("lambda_fn.core.relay.EVERY", 100_000)
    layers = [entry(f"layer{at}", (words(4_000, at) + forgeries.HIDDEN) * 300) for at in range(4)]
    tar = Tar([*layers[:3], entry(WANTED, b"old", old=True), layers[3]])
    deflated = forgeries.one_block(tar.data)
    output = sent(member_of(deflated, tar.data), tmp_path)
    assert archives.gunzip(output.read_bytes()).endswith(tar.without_old)
    assert_all_agree(output)


@pytest.mark.parametrize("verify", ["once", "always", "never"])
def test_entries_of_others_are_not_made_ours_by_a_mark(verify: Verify, tmp_path: Path) -> None:
    theirs = entry("run.sh", b"#!/bin/sh\n", mode=0o755, mtime=1_600_000_000).blocks
    first = marked(deflated(theirs, zlib.Z_FULL_FLUSH), deflated(FILE + END, zlib.Z_FINISH), theirs, FILE + END)
    source, output = tmp_path / "in.tar.gz", tmp_path / "out.tar.gz"
    source.write_bytes(first)
    repack(str(source), str(output), {WANTED: NEW}, verify=verify)
    kept = archives.gunzip(output.read_bytes())
    assert theirs in kept


@pytest.mark.parametrize("name", ["/" * 40_000 + "a", "a" + "/" * 40_000 + "b", "a/" * 20_000 + "b"])
def test_a_name_without_end_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        sent(member(FILE + END), tmp_path, (name,))


def test_a_mark_does_not_make_two_entries_of_one_name_pass_for_one(tmp_path: Path) -> None:
    ours = entry(WANTED, b'{"evil": 1}').blocks + entry(WANTED, NEW).blocks
    source, output = tmp_path / "in.tar.gz", tmp_path / "out.tar.gz"
    source.write_bytes(marked(deflated(ours, zlib.Z_FULL_FLUSH), deflated(FILE + END, zlib.Z_FINISH), ours, FILE + END))
    repack(str(source), str(output), {WANTED: NEW}, verify="always")
    assert_all_agree(output)


def test_old_entries_are_remembered_without_their_names_and_headers() -> None:
    spelling = "./" * 30_000 + WANTED
    parts = [entry(spelling, b"%d" % number, old=True) for number in range(400)]
    tar = archives.Tar([entry("a", archives.noise(100_000)), *parts, entry("b", archives.noise(100_000, 1))])
    data = member(tar.data)
    tracemalloc.start()
    output, _ = repacked(data, {WANTED: NEW})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert archives.gunzip(output).endswith(tar.without_old)
    assert peak < 16 << 20 < len(tar.data)
