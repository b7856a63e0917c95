"""The CRC of a whole follows from those of its parts, as whoever sees all bytes computes it."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.crc import combine_crc32, combiner


@given(st.binary(), st.binary())
def test_two_parts_make_the_crc_of_the_whole(a: bytes, b: bytes) -> None:
    assert combine_crc32(zlib.crc32(a), zlib.crc32(b), len(b)) == zlib.crc32(a + b)


@given(st.binary(), st.binary())
def test_a_part_can_be_taken_away_again_since_to_join_is_to_add(a: bytes, b: bytes) -> None:
    assert combine_crc32(zlib.crc32(a), zlib.crc32(a + b), len(b)) == zlib.crc32(b)


def test_parts_may_be_of_any_size() -> None:
    """Zeros of 6 GiB, put together from ever larger parts."""
    size, crc = 1 << 20, zlib.crc32(bytes(1 << 20))
    for _ in range(12):
        size, crc = 2 * size, combine_crc32(crc, crc, size)
    half = combine_crc32(crc, combine_crc32(0, 0, 0), 0)
    assert half == crc
    assert combine_crc32(crc, crc, size) == combine_crc32(combine_crc32(0, crc, size), crc, size)


def test_a_polynomial_of_another_width_will_do() -> None:
    """The check value of CRC-64/NVME, of "123456789", from two halves computed bit by bit."""
    polynomial, ones = 0x9A6C9329AC4BC9B5, (1 << 64) - 1

    def crc(data: bytes) -> int:
        value = ones
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = (value >> 1) ^ (polynomial if value & 1 else 0)
        return value ^ ones

    assert crc(b"123456789") == 0xAE8B14860A799888
    assert combiner(64, polynomial)(crc(b"1234"), crc(b"56789"), 5) == 0xAE8B14860A799888
