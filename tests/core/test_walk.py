"""Walks find block boundaries exactly, and the same ones wherever they began."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest

from lambda_fn.core import walk as walking
from lambda_fn.core.blocks import WINDOW
from lambda_fn.core.gzip import Place, Reader, Run
from lambda_fn.core.walk import (
    HEADER_READ,
    KEPT_OUT,
    READ,
    READ_KEPT,
    SEARCH_LIMIT,
    SOON_OUT,
    STEP_OUT,
    Effort,
    Nearby,
    NoWayIn,
    Walk,
)
from tests.archives import SINGLE, member, noise
from tests.core.contents import FIXED_CODES, HEADERS, LEVELS_BETWEEN, skewed, words
from tests.core.memory import MemorySource

PLAIN = b"".join(words(300_000, seed) + skewed(100_000, seed) for seed in range(4))
OFFSETS = (500_000, 777_777, 1_200_000)


@cache
def plain_by(encoder: str) -> bytes:
    return SINGLE[encoder](PLAIN)


def walk(packed: bytes, place: Place | None = None) -> Walk:
    reader = Reader([packed])
    for _ in reader.chunks():
        pass
    run = reader.runs[0]
    return Walk(Nearby(MemorySource(packed)), place or Place.at_start(run), {run.start: run}, Effort(1 << 30))


def is_boundary(packed: bytes, start: int, place: Place) -> bool:
    """Whether a block ends there, by zlib: the stream up to it, with an empty last block behind, is a whole one."""
    at, phase = divmod(place.bit, 8)
    last = int.from_bytes(packed[at : at + 1], "little") & (1 << phase) - 1 | 0b011 << phase  # fixed codes, the last
    decode = zlib.decompressobj(-15)
    out = decode.decompress(packed[start:at] + last.to_bytes(2, "little") + b"\0")
    return decode.eof and out == PLAIN[: place.offset]


@pytest.mark.parametrize(
    "encoder", sorted(SINGLE.keys() - FIXED_CODES - HEADERS - LEVELS_BETWEEN | {"all header fields"})
)
def test_blocks_end_where_a_walk_says(encoder: str) -> None:
    packed = plain_by(encoder)
    there = walk(packed)
    for offset in OFFSETS:
        before, after = there.last_before(offset), there.first_after(offset)
        assert before.offset <= offset < after.offset - (1 << 15) or after.offset == len(PLAIN)
        for place in (before, after):
            assert is_boundary(packed, there.run.start, place) or place.offset == len(PLAIN)
            assert place.crc == zlib.crc32(PLAIN[: place.offset])


@pytest.mark.parametrize("encoder", ["zlib 1", "zlib 6", "zlib 9", "Huffman only", "isal 1"])
def test_it_does_not_matter_where_a_walk_began(encoder: str) -> None:
    packed = plain_by(encoder)
    first = walk(packed)
    begins = [first.last_before(offset) for offset in (100_000, 300_000, 450_000)]
    for offset in OFFSETS:
        found = {
            (there.last_before(offset).bit, there.first_after(offset).bit)
            for there in (walk(packed, place) for place in [None, *begins])
        }
        assert len(found) == 1


def test_what_is_near_an_end_of_the_run_is_encoded_up_to_that_end() -> None:
    """Wherever the walk began: to encode a little more is less work than to find a boundary."""
    packed = plain_by("zlib 6")
    begin = walk(packed).last_before(len(PLAIN) - 200_000)
    for there in (walk(packed), walk(packed, begin)):
        assert there.last_before(20_000) == Place.at_start(there.run)
        assert there.first_after(len(PLAIN) - 20_000) == Place.at_end(there.run)


def test_a_window_holds_what_came_before() -> None:
    there = walk(plain_by("zlib 6"))
    place = there.last_before(900_000)
    assert place.window == PLAIN[place.offset - (1 << 15) : place.offset]


BLOCK = 20_000


@pytest.fixture(scope="module")
def blocks() -> bytes:
    """PLAIN in blocks of so many bytes, which end at any bit."""
    compressor = zlib.compressobj(6, wbits=31)
    pieces = [PLAIN[at : at + BLOCK] for at in range(0, len(PLAIN), BLOCK)]
    return (
        b"".join(compressor.compress(piece) + compressor.flush(zlib.Z_BLOCK) for piece in pieces) + compressor.flush()
    )


def test_a_window_holds_what_came_before_though_most_of_it_is_forgotten(
    blocks: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "KEPT_OUT", 50_000)
    begin = walk(blocks).last_before(400_000)
    for offset in range(500_000, 1_200_000, BLOCK):
        place = walk(blocks, begin).last_before(offset)
        assert place.window == PLAIN[place.offset - WINDOW : place.offset]


def test_no_boundary_is_passed_over(blocks: bytes) -> None:
    there = walk(blocks)
    far = -(-SOON_OUT // BLOCK + 1) * BLOCK  # from the ends, near which there is no search
    for boundary in range(far, len(PLAIN) - far, 3 * BLOCK):
        for offset in (boundary - 1, boundary, boundary + 1):
            before, after = there.last_before(offset), there.first_after(offset - WINDOW)
            assert before.offset == offset // BLOCK * BLOCK
            assert after.offset == -(-offset // BLOCK) * BLOCK
            for place in (before, after):
                assert place.window == PLAIN[max(0, place.offset - WINDOW) : place.offset]
                assert place.crc == zlib.crc32(PLAIN[: place.offset])


def test_a_walk_goes_no_further_than_it_must(blocks: bytes) -> None:
    there = walk(blocks)
    there.last_before(500_000)
    assert there.offset < 500_000 + 2 * STEP_OUT


def test_a_walk_keeps_little_of_what_it_decodes() -> None:
    compressor = zlib.compressobj(wbits=31)
    there = walk(compressor.compress(bytes(40 << 20)) + compressor.flush())
    tracemalloc.start()
    try:
        assert there.last_before(39 << 20).offset <= 39 << 20
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * KEPT_OUT


def test_a_source_is_asked_once_for_what_lies_near() -> None:
    source = MemorySource(bytes(range(251)) * 20_000)
    near = Nearby(source)
    for start in range(0, source.size - 5000, 4000):
        assert near.read(start, start + 5000) == source.data[start : start + 5000]
    assert source.bytes_read <= source.size
    kept = source.size // READ * READ - (READ_KEPT - 1) * READ
    assert near.read(kept, source.size - 1) == source.data[kept:-1]
    assert source.bytes_read <= source.size
    near.read(0, 1)
    assert source.bytes_read > source.size


def refused(there: Walk, find: Callable[[int], object]) -> str:
    with pytest.raises(NoWayIn) as reason:
        find(len(PLAIN) - 1)
    return str(reason.value)


def test_a_walk_from_where_no_block_begins_is_given_up(blocks: bytes) -> None:
    there = walk(blocks)
    there = walk(blocks, there.last_before(100_000)._replace(bit=8 * (there.run.start + 999)))
    assert refused(there, there.last_before) == "its deflate data cannot be decoded from where it was entered"


def test_a_walk_beyond_the_end_of_the_source_is_given_up(blocks: bytes) -> None:
    run = walk(blocks).run
    there = Walk(Nearby(MemorySource(blocks[:50_000])), Place.at_start(run), {}, Effort(1 << 30))
    assert refused(there, there.last_before) == "its deflate data ends where it should not"


def test_a_walk_into_a_member_with_an_endless_header_is_given_up() -> None:
    data = member(PLAIN[:50_000]) + member(PLAIN[50_000:], name=b"n" * HEADER_READ)
    there = Walk(Nearby(MemorySource(data)), Place.at_start(Run(10)), {}, Effort(1 << 30))
    assert refused(there, there.first_after) == "a gzip header is too long"


def test_a_walk_goes_on_in_the_next_member() -> None:
    data = member(PLAIN[:50_000]) + member(PLAIN[50_000:], name=b"n" * 1000)
    place = Walk(Nearby(MemorySource(data)), Place.at_start(Run(10)), {}, Effort(1 << 30)).first_after(60_000)
    assert place.run.offset == 50_000
    assert place.run.member == len(member(PLAIN[:50_000]))
    assert place.run.start == place.run.member + 10 + 1001
    assert place.window == PLAIN[place.offset - WINDOW : place.offset]
    runs = {place.run.start: place.run}
    again = Walk(Nearby(MemorySource(data)), Place.at_start(Run(10)), runs, Effort(1 << 30)).first_after(60_000)
    assert again.run is place.run, "a run that is known is taken as it is"


def test_where_an_encoder_leaves_no_boundaries_the_walk_is_given_up() -> None:
    data = noise(SEARCH_LIMIT + 200_000).translate(bytes(range(64)) * 4)
    there = walk(member(data, strategy=zlib.Z_FIXED))
    reason = refused(there, lambda _: there.first_after(0))
    assert reason == "its encoder leaves no block boundaries that can be found"


def test_what_costs_too_much_to_find_is_given_up() -> None:
    packed = plain_by("zlib 6")
    run = Run(10, len(packed) - 8, zlib.crc32(PLAIN), len(PLAIN))
    there = Walk(Nearby(MemorySource(packed)), Place.at_start(run), {run.start: run}, Effort(100_000))
    with pytest.raises(NoWayIn, match="cost too much"):
        there.last_before(900_000)


def test_where_blocks_are_large_a_walk_does_not_decode_all_of_it_for_each_patch() -> None:
    compressor, size = zlib.compressobj(wbits=31), 96 << 20
    packed = compressor.compress(bytes(size)) + compressor.flush()
    run = Run(10, len(packed) - 8, zlib.crc32(bytes(size)), size)
    there = Walk(Nearby(MemorySource(packed)), Place.at_start(run), {}, Effort(4 * size))
    for offset in range(10 << 20, size, 10 << 20):
        there.first_after(there.last_before(offset).offset)


@pytest.mark.parametrize("zeros", range(750_000, 1_000_000, 50_000))
def test_what_zlib_cannot_read_behind_the_last_step_is_no_error(zeros: int) -> None:
    """It was not refused: isal reads what zlib does not."""
    compressor = zlib.compressobj(wbits=-15)
    front = compressor.compress(words(900_000, 1) + bytes(zeros)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    packed = bytes(10) + front + b"\xff" * 2000
    run = Run(10, len(packed) - 8, 0, 10_000_000)
    for offset in range(900_000, 600_000 + zeros, 100_000):
        there = Walk(Nearby(MemorySource(packed)), Place.at_start(run), {}, Effort(1 << 30))
        with suppress(NoWayIn):
            assert there.last_before(offset).offset <= offset
