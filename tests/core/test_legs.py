"""Who began in the middle counts only from where it is right, whatever the stream and wherever the leg begins."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from lambda_fn.core.blocks import _CODE_LENGTH_ORDER, Bits
from lambda_fn.core.inflate import inflater, strict_inflater
from lambda_fn.core.legs import FINE_IN, Joint, Leg, Lookout, Made, Runner, _boundary, join
from tests.archives import noise
from tests.core.contents import CONTENTS, content, skewed, words
from tests.hunt import streams

MIXED = b"".join(words(60_000, seed) + noise(30_000, seed) + skewed(60_000, seed) for seed in range(4))
WHOLE = 64 << 20


def deflated(data: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    return packer.compress(data) + packer.flush()


def bytes_of(made: list[Made]) -> bytes:
    return b"".join(piece.data for one in made for piece in one.pieces)


def met(stream: bytes, begin: int, chunk: int = FINE_IN) -> tuple[Runner, Leg, bytes]:
    """One who has come to the byte where a leg begins, the leg, which was run through, and the output before it."""
    runner = Runner(inflater())
    before = bytes_of([runner.make(stream[:begin], begin, WHOLE)])
    leg = Leg(begin, [stream[at : at + chunk] for at in range(begin, len(stream), chunk)], inflater)
    leg.run(set())
    return runner, leg, before


contents = st.builds(content, st.sampled_from(sorted(CONTENTS)), st.sampled_from([9_000, 200_000]), st.integers(0, 9))


@given(
    st.lists(contents, min_size=1, max_size=5).map(b"".join),
    st.integers(0, 9),
    st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]),
    st.integers(1, 9),
    st.integers(300, 70_000),
)
def test_from_where_two_agree_both_are_right(data: bytes, level: int, strategy: int, tenth: int, chunk: int) -> None:
    stream = deflated(data, level, strategy)
    runner, leg, before = met(stream, len(stream) * tenth // 10, chunk)
    joint = join(runner, leg)
    event("agreed" if joint.agreed else "not")
    out = before + bytes_of(joint.made)
    assert data.startswith(out)
    if joint.agreed:
        assert leg.ahead
        assert data.startswith(out + bytes_of([*leg.ahead.behind(len(joint.made)).made]))


@pytest.mark.parametrize("tenth", range(1, 7))
def test_on_data_as_models_hold_it_they_agree_within_a_few_chunks(tenth: int) -> None:
    stream = deflated(MIXED)
    runner, leg, _ = met(stream, len(stream) * tenth // 10, 16_000)
    joint = join(runner, leg)
    assert joint.agreed
    assert len(joint.made) < len(leg.chunks)


def test_who_meets_a_leg_that_nobody_ran_through_goes_on_alone() -> None:
    stream = deflated(MIXED)
    runner, leg, _ = met(stream, 50_000)
    leg.ahead = None
    assert join(runner, leg) == Joint(runner, [])


def test_a_meeting_knows_only_whom_it_has_seen() -> None:
    stream = deflated(MIXED)
    runner, first, _ = met(stream[:100_000], 40_000)
    second = Leg(100_000, [stream[100_000:]], inflater, first.end)
    second.run(set())
    assert first.ahead
    joint = first.end.joint(first.ahead)
    assert joint
    assert joint.runner is first.ahead
    assert first.end.joint(runner) is None


def test_what_is_no_deflate_data_is_told_where_it_is_met() -> None:
    """Not where it is found: the one who finds it may have been wrong all along."""
    stream = deflated(MIXED)
    begin = 50_000
    runner, leg, _ = met(stream, begin)
    leg.chunks[0] = b"\xff" * len(leg.chunks[0])
    assert join(runner, leg).error is not None


def test_who_is_not_wanted_any_more_does_not_run() -> None:
    leg = Leg(0, [deflated(MIXED)], strict_inflater)
    leg.wanted = False
    leg.run(set())
    assert leg.ahead is None


def header(lengths: dict[int, int]) -> bytes:
    """A dynamic block's header of whole bytes: literal codes of these lengths, two distances of one bit."""
    widths, bits, count = [4 if symbol < 13 else 5 for symbol in range(19)], Bits(), max(lengths) + 1
    words = streams.codes(widths)
    for value, width in ((0b100, 3), (count - 257, 5), (1, 5), (15, 4)):
        bits.put(value, width)
    for symbol in _CODE_LENGTH_ORDER:
        bits.put(widths[symbol], 3)
    told, at = [lengths.get(symbol, 0) for symbol in range(count)] + [1, 1], 0
    while at < len(told):
        zeros = min(138, len(told[at:]) - len(bytes(told[at:]).lstrip(b"\0")))
        if zeros >= 11:
            bits.put(*words[18])
            bits.put(zeros - 11, 7)
            at += zeros
        else:
            bits.put(*words[told[at]])
            at += 1
    return bits.value.to_bytes(-(-bits.count // 8), "little")


def test_headers_hidden_among_symbols_mislead_nobody() -> None:
    """All bits of the one block stand for zeros, and so they do in the blocks that seem to begin in it."""
    true = {0: 1, 285: 2, 256: 15, 269: 15, **{257 + at: 3 + at for at in range(12)}}
    hidden = {0: 1, 257: 2, 256: 15, 270: 15, **{258 + at: 3 + at for at in range(12)}}
    packer = zlib.compressobj(6, wbits=-15)
    front = packer.compress(words(100_000, 1)) + packer.flush(zlib.Z_FULL_FLUSH)
    stream = front + header(true) + (header(hidden) + (b"\1" + bytes(63)) * 500) * 20
    for begin in range(len(front) + 100_000, len(stream) - 300_000, 50_000):
        runner, leg, _ = met(stream, begin)
        assert leg.ahead, "a header is found"
        assert not join(runner, leg).agreed


@pytest.mark.parametrize("begin", [98_500, 100_000, 103_500])
def test_a_boundary_is_told_only_where_all_that_comes_of_the_chunk_is_seen(begin: int) -> None:
    """Of weights that are all alike more comes than is made at a time, and it resembles itself wherever it is cut."""
    data = noise(100_000) + b"abcdefgh" * 2_000_000
    stream = deflated(data)
    runner = Runner(inflater(), lookout=Lookout(inflater, set(), 1))
    for at, stop in ((0, begin), (begin, begin + 12_000)):
        for _ in runner.run(stream[at:stop], stop):
            pass
    for boundary in runner.boundaries:
        at, phase = divmod(boundary.bit, 8)
        decode = zlib.decompressobj(-15)
        before = decode.decompress(stream[:at] + bytes([stream[at] & (1 << phase) - 1]))
        assert boundary.offset == len(before)


@pytest.mark.parametrize("unit", [b"\0", b"ab"])
def test_where_what_repeats_began_cannot_be_told_to_the_byte(unit: bytes) -> None:
    """Whether isal held back more or less the second time."""
    leg = Leg(0, [], inflater)
    leg.ahead = Runner(inflater())
    for begin in range(40_000, 40_000 + 2 * len(unit) + 1):
        assert _boundary(leg, noise(40_000) + unit * 1000, begin, 0) is None
