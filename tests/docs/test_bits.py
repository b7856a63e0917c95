"""The bits that the pictures show are a deflate stream."""

from __future__ import annotations

import random
import zlib

from docs import bits


def test_blocks_encoded_by_hand_and_empty_ones_between_them_are_read_by_zlib() -> None:
    stream = bits.aligned(bits.block(b"one ") + 3 * bits.EMPTY) + bits.EMPTY + bits.block(b"three", final=True)
    assert zlib.decompress(bits.packed(stream), bits.RAW) == b"one three"


def test_bits_and_bytes_are_each_others_inverse() -> None:
    data = random.Random(1).randbytes(100)
    assert bits.packed(bits.bits(data)) == data
