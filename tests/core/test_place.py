"""Places: what is entered decodes to what the survey saw, and what has passed is read once."""

from __future__ import annotations

import zlib
from functools import cache

import pytest

from lambda_fn.core.blocks import STORED_LIMIT
from lambda_fn.core.gzip import Place, Reader, Recent, Run
from lambda_fn.core.legs import Piece
from lambda_fn.core.place import Effort, NoWayIn, Passed, enter
from lambda_fn.core.relay import MOST_IN
from lambda_fn.core.walk import Nearby, reached
from tests.archives import SINGLE, noise
from tests.core.contents import FIXED_CODES, HEADERS, LEVELS_BETWEEN, skewed, words
from tests.core.memory import MemorySource

PLAIN = b"".join(words(400_000, seed) + skewed(200_000, seed) for seed in range(4))


@cache
def plain_by(encoder: str) -> bytes:
    return SINGLE[encoder](PLAIN)


def entered(packed: bytes, at: int, alike: set[int] | None = None) -> tuple[Place | None, int]:
    """The place before an offset that has just passed, when it was reached; how much was read to find it."""
    source = MemorySource(packed)
    passed = Passed(source, source.stream())
    reader = Reader(passed, passed=lambda position: passed.forget(reader.recent[0]))
    chunks = reader.chunks()
    while reader.uncompressed < at + 1024:
        next(chunks)
    before = source.bytes_read
    place = enter(passed, reader.recent, at, Effort(1 << 30), alike, reader.places)
    read = source.bytes_read - before
    if place is None:
        return None, read
    there = reached(Nearby(source), place, None)
    assert there.bit == place.bit, "decoding leads there"
    return there, read


def follows(packed: bytes, place: Place) -> bytes:
    """What zlib decodes from a place on that lies on a byte boundary, or after shifting all bits behind it."""
    at, phase = divmod(place.bit, 8)
    shifted = (int.from_bytes(packed[at:], "little") >> phase).to_bytes(len(packed) - at, "little")
    return zlib.decompressobj(-15, zdict=place.window).decompress(shifted)


@pytest.mark.parametrize(
    "encoder", sorted(SINGLE.keys() - FIXED_CODES - HEADERS - LEVELS_BETWEEN - {"zlib 0"} | {"all header fields"})
)
def test_what_is_entered_decodes_to_what_was_seen(encoder: str) -> None:
    """By zlib, of data shifted to a byte boundary: no block in it is a stored one, which that would spoil."""
    packed = plain_by(encoder)
    place, _ = entered(packed, 2_000_000)
    assert place
    assert place.offset <= 2_000_000
    assert place.crc == zlib.crc32(PLAIN[: place.offset])
    assert place.window == PLAIN[max(0, place.offset - (1 << 15)) : place.offset]
    assert follows(packed, place) == PLAIN[place.offset :]


def test_what_has_just_passed_is_not_asked_for_again() -> None:
    place, read = entered(plain_by("zlib 6"), 2_000_000)
    assert place
    assert place.bit > 0
    assert read == 0


def test_headers_like_those_found_before_lead_to_the_same_data() -> None:
    alike: set[int] = set()
    packed = plain_by("zlib 6")
    for at in range(1_000_000, 2_300_000, 100_000):
        place, _ = entered(packed, at, alike)
        assert place
        assert follows(packed, place) == PLAIN[place.offset :]
    assert alike


def test_blocks_of_few_codes_can_be_entered_too() -> None:
    """Their headers are too short to be told by what comes out of them."""
    data = noise(5_000_000, 1).translate(bytes([0, 255]) * 128)
    packed = SINGLE["Huffman only"](data)
    place, _ = entered(packed, 4_500_000)
    assert place
    assert 3_000_000 < place.offset <= 4_500_000
    assert place.crc == zlib.crc32(data[: place.offset])


def test_what_no_longer_is_recent_is_asked_for() -> None:
    source = MemorySource(bytes(range(256)) * 40_000, chunk=1 << 16)
    passed = Passed(source, source.stream())
    assert b"".join(passed) == source.data
    for end in range(1 << 16, source.size, 1 << 20):
        passed.forget(Recent(Run(0), 0, 0, Piece(b"", end, True, 0)))
    assert passed.read(100, 300_000) == source.data[100:300_000]
    assert source.bytes_read == source.size + 300_000 - 100


BLOCK = 20_000


def test_no_block_is_passed_over() -> None:
    """The last one that begins at an offset or before it is entered; blocks end at any bit."""
    compressor = zlib.compressobj(6, wbits=31)
    pieces = [PLAIN[at : at + BLOCK] for at in range(0, len(PLAIN), BLOCK)]
    packed = b"".join(compressor.compress(piece) + compressor.flush(zlib.Z_BLOCK) for piece in pieces)
    packed += compressor.flush()
    for boundary in (1_500_000, 1_900_000, 2_300_000):
        for at in (boundary - 1, boundary, boundary + 1):
            place, _ = entered(packed, at)
            assert place
            assert place.offset == at // BLOCK * BLOCK
            assert place.size == place.offset
            assert place.crc == zlib.crc32(PLAIN[: place.offset])
            assert place.window == PLAIN[place.offset - (1 << 15) : place.offset]
            assert follows(packed, place) == PLAIN[place.offset :]


def test_a_stored_block_is_entered_where_it_begins() -> None:
    packed = SINGLE["zlib 0"](PLAIN)
    blocks, at, offset = {}, 10, 0
    while at < len(packed) - 8:
        blocks[8 * at] = offset
        size = int.from_bytes(packed[at + 1 : at + 3], "little")
        at, offset = at + 5 + size, offset + size
    for at in (1_234_567, 2_000_000):
        place, _ = entered(packed, at)
        assert place
        assert blocks[place.bit] == place.offset
        assert at - 3 * 65_536 < place.offset <= at
        assert place.window == PLAIN[place.offset - (1 << 15) : place.offset]
        assert place.crc == zlib.crc32(PLAIN[: place.offset])


def test_what_has_passed_is_kept_as_far_back_as_a_block_may_reach() -> None:
    source = MemorySource(bytes(range(251)) * 8000, chunk=1 << 10)
    passed = Passed(source, source.stream())
    assert b"".join(passed) == source.data
    passed.forget(Recent(Run(0), 0, 0, Piece(b"", MOST_IN + STORED_LIMIT + (500 << 10), True, 0)))
    assert passed.read(500 << 10, source.size) == source.data[500 << 10 :]
    assert passed.read(777_777, 800_000) == source.data[777_777:800_000]
    assert source.bytes_read == source.size
    assert passed.read((500 << 10) - 1, 600_000) == source.data[(500 << 10) - 1 : 600_000]
    assert source.bytes_read > source.size


def test_an_effort_may_be_used_up_and_no_more() -> None:
    effort = Effort(10)
    effort.spend(4)
    effort.spend(6)
    with pytest.raises(NoWayIn) as reason:
        effort.spend(1)
    assert str(reason.value) == "block boundaries cost too much to find"
