"""One pass finds all damage, and tells what there is."""

from __future__ import annotations

from functools import cache

import pytest

from lambda_fn.core.edit import Edit
from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.gzip import Limits
from lambda_fn.core.prefix import read_head
from lambda_fn.core.survey import survey
from tests import archives
from tests.archives import ENCODERS, WANTED, Tar, entry, gunzip, member, members, noise, padded
from tests.core.forgeries import FORGERIES, LARGE
from tests.core.memory import MemorySource, repacked

FIRST = b'{"depth": 6}\n'


def outcome_of(damaged: bytes) -> bytes | None:
    """What the output holds, None if the archive was refused."""
    try:
        return gunzip(repacked(damaged, {WANTED: FIRST})[0])
    except InvalidArchive:
        return None


def damageable() -> list[bytes]:
    plain = archives.small().data
    ours, _ = repacked(member(plain), {WANTED: b"{}"})
    old = Tar([*archives.small().parts, entry(f"./{WANTED}", b"old", mtime=1)]).data
    return [
        member(plain, name=b"n", comment=b"c", extra=b"ab", checked=True),
        ENCODERS["halves"](plain),
        member(old),
        ours,
    ]


@pytest.mark.parametrize("which", range(4))
def test_an_archive_cut_off_anywhere_is_refused(which: int) -> None:
    whole = damageable()[which]
    boundary = len(member(archives.small().data[: -(-len(archives.small().data) // 2)]))
    for damaged in archives.truncations(whole):
        if which != 1 or len(damaged) != boundary:
            assert outcome_of(damaged) is None, len(damaged)


@pytest.mark.slow
@pytest.mark.parametrize("which", range(4))
def test_any_flipped_bit_is_noticed_or_means_nothing(which: int) -> None:
    whole = damageable()[which]
    content = outcome_of(whole)
    for bit, damaged in archives.flips(whole):
        assert outcome_of(damaged) in (None, content), bit


@pytest.mark.slow
def test_every_flipped_bit_is_noticed_where_data_is_stored() -> None:
    whole = member(Tar([entry("w", b"x", mtime=1)], end=b"").data, 0)
    assert outcome_of(whole) is not None
    padding = range(8 * 10 + 3, 8 * 11)  # between the block's type and its length
    unnoticed = {bit for bit, damaged in archives.flips(whole) if bit >= 80 and outcome_of(damaged) is not None}
    assert unnoticed <= set(padding)


@pytest.mark.parametrize("garbage", [b"x", b"\0x", bytes(600) + b"x", b"\x1f\x8b", b"\x1f", bytes(70_000) + b"x"])
@pytest.mark.parametrize("chunk", [1, 7, 64 << 10])
def test_trailing_garbage_is_refused(garbage: bytes, chunk: int) -> None:
    with pytest.raises(InvalidArchive):
        repacked(member(archives.small().data) + garbage, {WANTED: FIRST}, chunk)


def test_zeros_between_members_are_refused_since_readers_stop_there() -> None:
    half = member(archives.small().data)
    with pytest.raises(InvalidArchive):
        repacked(half + bytes(10) + half, {WANTED: FIRST})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f",
        b"\x1f\x8b",
        b"PK\x03\x04 a zip",
        b"{}",
        bytes(1024),
        member(b""),
        member(b"not a tar"),
        member(b"x" * 600),
        member(bytes(100)),
        member(member(archives.small().data)),
        archives.small().data,
    ],
)
def test_what_is_no_tar_gz_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArchive):
        repacked(data, {WANTED: FIRST})


def test_a_header_that_does_not_end_is_refused() -> None:
    for data in (
        b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (100 << 10),
        member(b"") + b"\x1f\x8b\x08\x08" + b"n" * (3 << 20),
    ):
        with pytest.raises(InvalidArchive):
            repacked(data, {WANTED: FIRST})


@pytest.mark.parametrize("helpers", [0, 2])
def test_entries_are_told_of_once_though_damage_is_looked_at_again(helpers: int) -> None:
    source, told = MemorySource(noises()[:-20]), list[str]()
    with pytest.raises(InvalidArchive):
        survey(
            source,
            read_head(source),
            Edit(),
            Limits(),
            lambda done, total: None,
            visit=lambda one: told.append(one.name),
            helpers=helpers,
        )
    assert told == [f"w{at}" for at in range(8)]


@cache
def noises() -> bytes:
    """An archive of 24 MiB."""
    return member(Tar([entry(f"w{at}", archives.noise(3 << 20, at)) for at in range(8)]).data, 1)


def test_entries_are_told_of_once_though_a_mark_lied() -> None:
    source, told = MemorySource(FORGERIES["a length beyond the truth"]), list[str]()
    head = read_head(source)
    assert head.rest
    survey(source, head, Edit(), Limits(), lambda done, total: None, visit=lambda one: told.append(one.name))
    assert told == [WANTED, *(part.name for part in LARGE.parts)]


@pytest.mark.parametrize("left", [512, 512 + 100, 512 + 5000])
def test_a_tar_cut_off_inside_what_goes_is_refused_as_inside_what_stays(left: int) -> None:
    packed = member(entry("weights", noise(3000)).blocks + entry("log", noise(5000)).blocks[:left])
    for edit in (Edit({}, drop=("log",)), Edit({}, drop=("weights",))):
        with pytest.raises(InvalidArchive, match="the tar is cut off inside 'log'"):
            repacked(packed, edit)


def test_an_entry_with_the_largest_headers_is_found_though_members_are_small() -> None:
    """They are read to their end before it is known that the entry is touched."""
    pieces = 79_000
    data = padded(b"".join([b"%d\n" % pieces, *(b"%d\n512\n" % (1024 * at) for at in range(pieces))]))
    records = {"major": "1", "minor": "0", "name": "log", "realsize": str(1024 * pieces - 512)}
    records = {f"GNU.sparse.{key}": value for key, value in records.items()} | {"comment": "x" * ((1 << 20) - 200)}
    log = entry("GNUSparseFile.0/log", data + bytes(512 * pieces), records=records).blocks
    weights, read = entry("weights", noise(3000)).blocks, 3 << 20
    packed = members(weights + log[:read], 300) + member(log[read:] + bytes(1024))
    output, _ = repacked(packed, Edit({}, drop=("log",)))
    assert gunzip(output) == weights + bytes(1024)
