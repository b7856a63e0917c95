"""Walks find block boundaries exactly, and the same ones wherever they began."""

from __future__ import annotations

import zlib

import pytest

from lambda_fn.core.gzip import Reader, Run
from lambda_fn.core.place import Effort, NoWayIn, Place
from lambda_fn.core.walk import Nearby, Walk
from tests.archives import SINGLE
from tests.core.contents import FIXED_CODES, skewed, words
from tests.core.memory import MemorySource

PLAIN = b"".join(words(300_000, seed) + skewed(100_000, seed) for seed in range(4))
OFFSETS = (500_000, 777_777, 1_200_000)


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


@pytest.mark.parametrize("encoder", sorted(SINGLE.keys() - FIXED_CODES))
def test_blocks_end_where_a_walk_says(encoder: str) -> None:
    packed = SINGLE[encoder](PLAIN)
    there = walk(packed)
    for offset in OFFSETS:
        before, after = there.last_before(offset), there.first_after(offset)
        assert before.offset <= offset < after.offset - (1 << 15) or after.offset == len(PLAIN)
        for place in (before, after):
            assert is_boundary(packed, there.run.start, place) or place.offset == len(PLAIN)
            assert place.crc == zlib.crc32(PLAIN[: place.offset])


@pytest.mark.parametrize("encoder", ["zlib 1", "zlib 6", "zlib 9", "Huffman only", "isal 1"])
def test_it_does_not_matter_where_a_walk_began(encoder: str) -> None:
    packed = SINGLE[encoder](PLAIN)
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
    packed = SINGLE["zlib 6"](PLAIN)
    begin = walk(packed).last_before(len(PLAIN) - 200_000)
    for there in (walk(packed), walk(packed, begin)):
        assert there.last_before(20_000) == Place.at_start(there.run)
        assert there.first_after(len(PLAIN) - 20_000) == Place.at_end(there.run)


def test_a_window_holds_what_came_before() -> None:
    there = walk(SINGLE["zlib 6"](PLAIN))
    place = there.last_before(900_000)
    assert place.window == PLAIN[place.offset - (1 << 15) : place.offset]


def test_what_costs_too_much_to_find_is_given_up() -> None:
    packed = SINGLE["zlib 6"](PLAIN)
    run = Run(10, len(packed) - 8, zlib.crc32(PLAIN), len(PLAIN))
    there = Walk(Nearby(MemorySource(packed)), Place.at_start(run), {run.start: run}, Effort(100_000))
    with pytest.raises(NoWayIn, match="cost too much"):
        there.last_before(900_000)
