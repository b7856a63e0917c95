"""gzip is read in one pass and checked in full: headers of every kind, members, trailers, padding, limits."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core import inflate, legs, relay
from lambda_fn.core.errors import ArchiveTooLarge, InvalidArchive
from lambda_fn.core.gzip import (
    HEADER_LIMIT,
    LEAST_IN_MEMBERS,
    RECENT,
    Header,
    Limits,
    Place,
    Reader,
    Run,
    joined_runs,
    parse_header,
    trailer,
)
from lambda_fn.core.inflate import PROVED, PROVED_AT_ONCE
from tests.archives import SINGLE, member, noise
from tests.core.contents import FIXED_CODES, HEADERS, LEVELS_BETWEEN, skewed, words

TEXT = b"some text, some more text, and some more " * 50


def cut(data: bytes, chunk: int) -> Iterable[bytes]:
    return (data[at : at + chunk] for at in range(0, len(data), chunk))


def read(data: bytes, chunk: int = 7, **how: int) -> bytes:
    return b"".join(Reader(cut(data, chunk), **how).chunks())  # type: ignore[arg-type]


_texts = st.none() | st.binary(max_size=20).map(lambda text: text.replace(b"\0", b"_"))


@given(_texts, _texts, st.none() | st.binary(max_size=20), st.booleans())
def test_headers_are_read_as_they_were_written(
    name: bytes | None, comment: bytes | None, extra: bytes | None, checked: bool
) -> None:
    data = member(b"x", name=name, comment=comment, extra=extra, checked=checked)
    header = parse_header(data)
    assert header is not None
    assert (header.name, header.comment, header.extra) == (name, comment, extra)
    assert zlib.decompressobj(-15).decompress(data[header.size :]) == b"x"
    for size in range(header.size):
        assert parse_header(data[:size]) is None
    again = parse_header(header.to_bytes())
    assert again == Header(len(header.to_bytes()), header.mtime, header.extra_flags, header.system, None, name, comment)


def test_the_fixed_fields_of_a_header_are_kept() -> None:
    header = parse_header(struct.pack("<2sBBIBB", b"\x1f\x8b", 8, 0, 1_700_000_000, 2, 3))
    assert header == Header(10, 1_700_000_000, 2, 3)
    assert header.to_bytes() == struct.pack("<2sBBIBB", b"\x1f\x8b", 8, 0, 1_700_000_000, 2, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04", "this is not gzip; give a .tar.gz"),
        (b"\x1f\x9d" + bytes(10), "this is not gzip"),
        (b"\x1f\x8b\x09" + bytes(9), "unknown compression method or flags"),
        (b"\x1f\x8b\x08\x20" + bytes(9), "unknown compression method or flags"),
        (b"\x1f\x8b\x08\x80" + bytes(9), "unknown compression method or flags"),
        (b"\x1f\x8b\x08\x02" + bytes(9), "its checksum is wrong"),
    ],
)
def test_what_is_no_header_is_named(data: bytes, message: str) -> None:
    with pytest.raises(InvalidArchive, match=message):
        parse_header(data)
    with pytest.raises(InvalidArchive, match=message):
        read(data)


def test_a_header_without_end_is_not_kept_for_ever() -> None:
    taken = 0

    def chunks() -> Iterable[bytes]:
        nonlocal taken
        yield b"\x1f\x8b\x08\x08" + bytes(6)
        while True:
            taken += 1 << 16
            yield b"n" * (1 << 16)

    with pytest.raises(InvalidArchive, match="it does not end"):
        list(Reader(chunks()).chunks())
    assert HEADER_LIMIT < taken < 2 * HEADER_LIMIT


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("padding", [0, 1, 700])
def test_all_members_are_read(chunk: int, count: int, padding: int) -> None:
    reader = Reader(cut(member(TEXT) * count + bytes(padding), chunk))
    assert b"".join(reader.chunks()) == TEXT * count
    assert reader.members == count
    assert reader.uncompressed == len(TEXT) * count
    size = len(member(TEXT))
    (run,) = reader.runs
    assert run.is_like(Run(10, size - 8, zlib.crc32(TEXT), len(TEXT)))


@pytest.mark.parametrize(
    "after", [b"x", b"\n", b"\x1f", b"\x1f\x8b", bytes(9) + member(b"x"), member(b"x")[:-1], bytes(5) + b"x"]
)
def test_what_follows_is_a_member_or_zeros_to_the_end(after: bytes) -> None:
    for chunk in (1, 3, 1000):
        with pytest.raises(InvalidArchive, match=r"garbage follows|cut off after byte"):
            read(member(TEXT) + after, chunk)


def test_garbage_is_told_by_its_place() -> None:
    data = member(TEXT)
    with pytest.raises(
        InvalidArchive, match=rf"^garbage follows the gzip data at byte {len(data)}; cut it off or pack"
    ):
        read(data + b"x")
    with pytest.raises(
        InvalidArchive, match=rf"^garbage follows the gzip data at byte {len(data)}; cut it off or pack"
    ):
        read(data + bytes(20) + b"x")


def test_every_cut_is_found() -> None:
    data = member(TEXT)
    for size in range(len(data)):
        with pytest.raises(InvalidArchive) as caught:
            read(data[:size], 1000)
        if size > 1:
            assert str(caught.value) == f"the archive is cut off after byte {size}; upload or pack it again"


def test_every_wrong_trailer_is_found() -> None:
    data = member(TEXT)
    for bit in range(64):
        damaged = bytearray(data)
        damaged[-8 + bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidArchive, match=rf"CRC-32 or length before byte {len(data)} is wrong"):
            read(bytes(damaged))


def test_a_trailer_has_the_length_modulo_4_gib() -> None:
    assert trailer(0x01020304, (1 << 32) + 5) == bytes([4, 3, 2, 1, 5, 0, 0, 0])


def two_runs(first: bytes, second: bytes, flush: int = zlib.Z_FULL_FLUSH) -> tuple[bytes, int]:
    packer = zlib.compressobj(wbits=-15)
    head = packer.compress(first) + packer.flush(flush)
    whole = gzip.compress(b"", mtime=0)[:10] + head + packer.compress(second) + packer.flush()
    return whole + trailer(zlib.crc32(first + second), len(first + second)), 10 + len(head)


@pytest.mark.parametrize("chunk", [1, 10, 10_000])
def test_runs_are_inflated_each_on_its_own(chunk: int) -> None:
    data, at = two_runs(TEXT, TEXT)
    reader = Reader(cut(data, chunk), cut=at)
    assert b"".join(reader.chunks()) == TEXT + TEXT
    first, second = reader.runs
    assert (first.member, second.member) == (0, 0)
    assert first.is_like(Run(10, at, zlib.crc32(TEXT), len(TEXT)))
    assert second.is_like(Run(at, len(data) - 8, zlib.crc32(TEXT), len(TEXT)))


def test_a_run_that_refers_to_the_one_before_is_found_out() -> None:
    data, at = two_runs(TEXT, TEXT, zlib.Z_SYNC_FLUSH)
    with pytest.raises(InvalidArchive):
        read(data, cut=at)


@pytest.mark.parametrize("at", [len(member(TEXT)) - 8, 5000, 1_000_000])
def test_a_cut_behind_the_first_member_is_found_out(at: int) -> None:
    with pytest.raises(InvalidArchive, match="first gzip member ends too early"):
        read(member(TEXT), 100, cut=at)


def test_limits_say_which_they_are() -> None:
    limits = Limits(uncompressed=3 << 30, ratio=10)
    limits.check(1, 1 << 30)
    limits.check(1 << 28, 10 << 28)
    limits.check(1 << 30, 3 << 30)
    with pytest.raises(ArchiveTooLarge, match="more than 10 times its size; raise the limit"):
        limits.check(1 << 20, (1 << 30) + 1)
    with pytest.raises(ArchiveTooLarge, match="more than 3221225472 bytes; raise the limit"):
        limits.check(1 << 30, (3 << 30) + 1)


def test_limits_are_watched_while_reading() -> None:
    with pytest.raises(ArchiveTooLarge, match="more than 1000 bytes"):
        read(member(TEXT), limits=Limits(uncompressed=1000))  # type: ignore[arg-type]
    assert read(member(TEXT), limits=Limits(uncompressed=len(TEXT))) == TEXT  # type: ignore[arg-type]


def test_a_bomb_is_told_by_its_ratio_while_it_is_read() -> None:
    zeros = member(bytes(32 << 20))
    parts, taken = iter([zeros] * 40), 0

    def chunks() -> Iterable[bytes]:
        nonlocal taken
        for part in parts:
            taken += len(part)
            yield part

    with pytest.raises(ArchiveTooLarge, match="more than 200 times its size"):
        for _ in Reader(chunks()).chunks():
            pass
    assert taken == 33 * len(zeros), "a GiB, in which honest zeros may lie, is read first"


@pytest.mark.parametrize("helpers", [0, 2])
def test_helpers_are_called_where_there_is_enough_to_do_for_them(helpers: int) -> None:
    for data, enough in ((TEXT, False), (noise(2 << 20), True)):
        reader = Reader(cut(member(data), 10_000), helpers=helpers)
        assert b"".join(reader.chunks()) == data
        assert reader.helped == (enough and helpers > 0)
    reader = Reader(cut(member(noise(2 << 20)), 10_000))
    assert len(list(reader.chunks())) > 1 and not reader.helped, "nobody asked for them"


def test_zlib_reads_no_more_than_the_front_of_an_archive_unless_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of however many members; it would take a third longer."""
    strictly = 0

    class Counted(inflate._Inflater):
        def decompress(self, data: bytes, max_length: int) -> bytes:
            nonlocal strictly
            out = super().decompress(data, max_length)
            strictly += len(out)
            return out

    for module in (inflate, relay):
        monkeypatch.setattr(module, "strict_inflater", lambda: Counted(like=zlib))
    data = member(noise(3 << 20)) * 3
    assert len(read(data, 10_000)) == 9 << 20
    assert PROVED - PROVED_AT_ONCE <= strictly <= PROVED + PROVED_AT_ONCE
    strictly = 0
    assert len(read(data, 10_000, strict=True)) == strictly


def test_how_much_was_read_is_told() -> None:
    data, told = member(noise(300_000)) + member(TEXT), list[int]()
    for piece in Reader(cut(data, 10_000), passed=told.append).chunks():
        assert piece and told[-1] <= len(data)
    assert told == sorted(told)
    assert told[-1] == len(data)


@cache
def plain() -> bytes:
    return b"".join(words(400_000, seed) + skewed(200_000, seed) for seed in range(4))


@pytest.mark.parametrize("helpers", [0, 2])
@pytest.mark.parametrize("encoder", sorted(SINGLE.keys() - FIXED_CODES - HEADERS - LEVELS_BETWEEN - {"zlib 0"}))
def test_where_the_tar_can_be_entered_is_known_all_along(
    encoder: str, helpers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By zlib, of data shifted to a byte boundary: no block in it is a stored one, which that would spoil."""
    monkeypatch.setattr(relay, "EVERY", 50_000)
    monkeypatch.setattr(legs, "LOOK_AGAIN", 1)
    packed = SINGLE[encoder](plain())
    reader, at, places = Reader(cut(packed, 20_000), helpers=helpers), 0, set[Place]()
    for piece in reader.chunks():
        at += len(piece)
        place = reader.place_before(at - 1)
        if place:
            assert place.offset < at
            assert reader.place_before(place.offset) is place
            places.add(place)
    assert places
    for place in sorted(places, key=lambda place: place.offset)[::4]:
        assert place.crc == zlib.crc32(plain()[: place.offset])
        assert place.window == plain()[place.offset - (1 << 15) : place.offset]
        start, phase = divmod(place.bit, 8)
        shifted = (int.from_bytes(packed[start:], "little") >> phase).to_bytes(len(packed) - start, "little")
        assert zlib.decompressobj(-15, zdict=place.window).decompress(shifted) == plain()[place.offset :]


@pytest.mark.parametrize("asked", [False, True])
def test_more_places_are_known_of_all_that_follows_where_that_is_asked_for(
    asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "OFTEN", 50_000)
    monkeypatch.setattr(legs, "LOOK_AGAIN", 1)
    packed = member(plain())
    reader, at, places = Reader(cut(packed + packed, 20_000)), 0, list[Place]()
    for piece in reader.chunks():
        if asked and at == 0:
            reader.look_often()
        at += len(piece)
        places += [place for place in [reader.place_before(at - 1)] if place]
    assert {place.run.member for place in places} == ({0, len(packed)} if asked else set())
    assert not asked or reader.place_before(places[0].offset) is None, "each holds 32 KiB, so few are held at a time"


def test_a_run_begins_and_ends_at_places() -> None:
    run = Run(10, 30, crc=7, size=100, offset=1000)
    first, last = Place.at_start(run), Place.at_end(run)
    assert (first, first.size) == (Place(80, 1000, run), 0)
    assert (last, last.size) == (Place(240, 1100, run, crc=7), 100)


def test_the_run_that_ended_last_is_known_yet() -> None:
    large = noise(RECENT + 1000)
    reader = Reader(cut(member(large) + member(TEXT), 10_000))
    list(reader.chunks())
    assert reader.run_at(len(large) - 1).member == 0
    assert reader.run_at(len(large)).member == len(member(large))


def said(data: bytes, **how: int) -> str:
    with pytest.raises((InvalidArchive, ArchiveTooLarge)) as caught:
        read(data, 10_000, **how)
    return str(caught.value)


def test_what_is_wrong_is_said() -> None:
    whole, sound = member(TEXT), len(member(TEXT))
    assert said(b"PK\x03\x04") == "this is not gzip; give a .tar.gz"
    unknown = "the gzip header is damaged: unknown compression method or flags; pack the model again"
    assert said(b"\x1f\x8b\x07" + bytes(9)) == unknown
    assert said(b"\x1f\x8b\x08\x40" + bytes(9)) == unknown
    assert said(b"\x1f\x8b\x08\x02" + bytes(9)) == (
        "the gzip header is damaged: its checksum is wrong; pack the model again"
    )
    assert said(b"\x1f\x8b\x08\x08" + b"n" * (2 << 20)) == (
        "the gzip header is damaged: it does not end; pack the model again"
    )
    assert said(whole + b"X" * 20) == (
        f"garbage follows the gzip data at byte {sound}; cut it off or pack the model again"
    )
    assert said(whole[:-1] + b"\1") == (
        f"the archive is damaged: CRC-32 or length before byte {sound} is wrong; pack the model again"
    )
    assert said(whole, cut=1_000_000) == (
        "the archive is damaged: its first gzip member ends too early; pack the model again"
    )
    assert said(whole, limits=Limits(uncompressed=1000)) == (  # type: ignore[arg-type]
        "the archive unpacks to more than 1000 bytes; raise the limit (--max-uncompressed) if it may"
    )


def test_a_ratio_is_said_with_its_option() -> None:
    with pytest.raises(ArchiveTooLarge) as caught:
        Limits(ratio=12.5).check(1 << 20, 2 << 30)
    assert str(caught.value) == (
        "the archive unpacks to more than 12.5 times its size; raise the limit (--max-ratio, ratio_limit) if it may"
    )


def test_every_field_of_a_header_may_be_as_large_as_it_is() -> None:
    data = b"\x1f\x8b\x08\x01\xff\xff\xff\xff\xff\xfe"  # it says that it is text, which is nobody's business
    assert parse_header(data + b"rest") == Header(10, 0xFFFFFFFF, 255, 254)
    extra = bytes(range(256)) * 255
    found = parse_header(member(b"x", name=b"n", comment=b"c\xff", extra=extra))
    assert found is not None
    assert (found.extra, found.name, found.comment) == (extra, b"n", b"c\xff")
    assert Header(0, 0xFFFFFFFF, 255, 254).to_bytes() == data[:3] + b"\0" + data[4:]
    assert trailer(0xFFFFFFFE, 0xFFFFFFFF) == b"\xfe\xff\xff\xff\xff\xff\xff\xff"


def test_a_header_may_have_a_mebibyte() -> None:
    data = member(TEXT, name=b"n" * (HEADER_LIMIT - 11))
    assert read(data, 1 << 16) == TEXT


def test_it_is_known_in_which_member_each_piece_lies() -> None:
    data = member(TEXT) + member(b"second") + member(b"third")
    reader = Reader(cut(data, 10))
    assert b"".join(reader.chunks()) == TEXT + b"second" + b"third"
    runs = [reader.run_at(offset) for offset in (len(TEXT) - 1, len(TEXT) + 5, len(TEXT) + 6)]
    starts = [0, len(member(TEXT)), len(member(TEXT) + member(b"second"))]
    assert [(run.member, run.start, run.offset, run.size) for run in runs] == [
        (starts[0], starts[0] + 10, 0, len(TEXT)),
        (starts[1], starts[1] + 10, len(TEXT), 6),
        (starts[2], starts[2] + 10, len(TEXT) + 6, 5),
    ]
    assert [run.stop for run in runs] == [starts[1] - 8, starts[2] - 8, len(data) - 8]
    assert reader.runs == runs[:1]
    assert (reader.members, reader.uncompressed) == (3, len(TEXT) + 11)


def test_runs_one_after_the_other_are_one() -> None:
    runs = [Run(10, 20, zlib.crc32(b"a"), 1), Run(33, 40, zlib.crc32(b"bc"), 2), Run(40, 40, 0, 0)]
    assert vars(joined_runs(runs)) == vars(Run(0, 17, zlib.crc32(b"abc"), 3))
    assert vars(joined_runs([])) == vars(Run(0))
    assert set(vars(joined_runs([])).values()) == {0}


def test_members_without_end_that_hold_nothing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work that they make is bounded by what comes out, though each takes but 20 bytes."""
    monkeypatch.setattr("lambda_fn.core.gzip.MEMBERS", 10_000)
    taken, empty = 0, member(b"") * 1000

    def chunks() -> Iterable[bytes]:
        nonlocal taken
        yield member(TEXT)
        for _ in range(1000):
            taken += 1000
            yield empty

    with pytest.raises(InvalidArchive, match="next to nothing"):
        list(Reader(chunks()).chunks())
    assert 10_000 <= taken <= 10_000 + len(TEXT) // LEAST_IN_MEMBERS + 2000


def test_members_that_hold_something_may_be_as_many_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambda_fn.core.gzip.MEMBERS", 10)
    assert read(member(b"") * 10) == b"", "and so may be a few that hold nothing"
    enough = bytes(LEAST_IN_MEMBERS)
    assert read(member(enough) * 11) == enough * 11
    with pytest.raises(InvalidArchive, match="next to nothing"):
        read(member(enough) * 10 + member(enough[1:]))
