"""Blocks are found wherever an encoder began one, and empty ones lead to any bit."""

from __future__ import annotations

import random
import zlib

import pytest

from lambda_fn.core.blocks import (
    EMPTY_DYNAMIC,
    HEADER,
    UNKNOWN,
    decode_from,
    decode_up_to,
    decoder,
    dynamic_blocks,
    filler,
    numbers,
    stored_ends,
)
from tests.archives import noise
from tests.hunt import streams

TEXT = b" ".join(b"%d" % (n * n) for n in range(60_000))


@pytest.mark.parametrize("phase", range(8))
def test_filler_ends_at_the_phase_and_decodes_to_nothing(phase: int) -> None:
    whole, bits = filler(phase)
    final = bytes([bits | 0b011 << phase & 0xFF, 0b011 >> 8 - phase, 0]) if phase else bytes([0b011, 0])
    decode = zlib.decompressobj(-15)
    assert decode.decompress(whole + final) == b""
    assert decode.eof


def test_the_empty_dynamic_block_has_an_odd_number_of_bits() -> None:
    assert EMPTY_DYNAMIC[1] % 2 == 1


@pytest.mark.parametrize("level", [1, 6, 9])
def test_nearly_every_candidate_in_a_dynamic_stream_is_a_block(level: int) -> None:
    compressor = zlib.compressobj(level, wbits=-15)
    data = compressor.compress(TEXT) + compressor.flush()
    found = list(dynamic_blocks(data, 0, len(data)))
    proved = []
    for bit in found:
        blind = decode_from(data, bit, bytes(1 << 15))
        start = len(TEXT) - len(blind or TEXT)
        if decode_from(data, bit, TEXT[max(0, start - (1 << 15)) : start]) == TEXT[start:]:
            proved.append(bit)
    assert len(proved) > 3
    assert len(found) <= len(proved) + 10


@pytest.mark.parametrize("data", [zlib.compress(TEXT)[2:40_000], noise(40_000), bytes(9_000), noise(9_000) + TEXT[:99]])
def test_just_the_headers_that_zlib_accepts_are_found(data: bytes) -> None:
    accepted = []
    for bit in range(8 * (len(data) - HEADER)):
        at, phase = divmod(bit, 8)
        header = data[at : at + HEADER]
        if (
            int.from_bytes(header[:2], "little") >> phase & 7 == 0b100
            and decode_from(header, phase, UNKNOWN) is not None
        ):
            accepted.append(bit)
    assert list(dynamic_blocks(data, 0, len(data) - HEADER)) == accepted


def test_a_block_begins_just_where_the_seal_is_taken_for_one() -> None:
    """Of streams of any codes, some of which would take an empty last block for the symbols that end a block."""
    for seed in range(150):
        begins: list[int] = []
        data = streams.stream(random.Random(seed), begins=begins)
        outputs = {bit: decode_up_to(decoder(b""), data, bit) for bit in range(8 * len(data))}
        assert [bit for bit, out in outputs.items() if out is not None] == begins
        whole = zlib.decompressobj(-15).decompress(data)
        assert all(whole.startswith(outputs[bit] or b"") for bit in begins)


def test_headers_that_begin_alike_are_found_and_no_others() -> None:
    compressor = zlib.compressobj(wbits=-15)
    data = b"".join(compressor.compress(part) for part in (TEXT, noise(300_000).translate(bytes(range(64)) * 4)))
    found = list(dynamic_blocks(data, 0, len(data)))
    alike = {numbers(data, bit) for bit in found[::3]}
    assert 1 < len(alike) < len({numbers(data, bit) for bit in found})
    assert list(dynamic_blocks(data, 0, len(data), alike)) == [bit for bit in found if numbers(data, bit) in alike]
    assert not list(dynamic_blocks(data, 0, len(data), set()))


def test_the_end_of_every_stored_block_is_a_candidate() -> None:
    data = zlib.compress(noise(200_000), 0)[2:-4]
    ends, at = [], 0
    while (at := at + 5 + int.from_bytes(data[at + 1 : at + 3], "little")) < len(data):
        ends.append(8 * at)
    assert len(ends) > 2
    assert set(ends) <= set(stored_ends(data, 0, len(data)))


def test_chance_seldom_looks_like_a_block() -> None:
    data = noise(1 << 18)
    dynamic = [bit for bit in dynamic_blocks(data, 0, len(data)) if decode_from(data, bit, bytes(1 << 15)) is not None]
    assert len(dynamic) < 10


def test_a_decoder_knows_the_window_it_is_given() -> None:
    window = noise(1 << 15)
    compressor = zlib.compressobj(wbits=-15, zdict=window)
    data = compressor.compress(window[-5000:]) + compressor.flush()
    assert len(data) < 200
    assert decoder(window).decompress(data) == window[-5000:]
