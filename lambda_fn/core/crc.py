"""Arithmetic on CRCs: the CRC of a whole from the CRCs of its parts, without the bytes.

A CRC is the remainder of the message, read as a polynomial over GF(2), modulo the CRC's own polynomial. To append
n bytes is to multiply by x^(8n) and to add (xor) the appended part's remainder; so the CRC of A+B follows from
CRC(A), CRC(B) and the length of B alone. The power x^(8n) mod P takes some 40 squarings for any n. The initial and
final inversion that CRC-32 and CRC-64/NVME share cancel out in the sum.

Polynomials are kept bit-reversed (the highest coefficient in bit 0), as both CRCs are defined: the constant 1 is
the top bit.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Callable


def combiner(width: int, polynomial: int) -> Callable[[int, int, int], int]:
    """A function combine(crc_a, crc_b, length_b) for the bit-reversed `polynomial` of `width` bits."""
    one = 1 << (width - 1)

    def times(a: int, b: int) -> int:
        product, bit = 0, one
        while bit:
            if a & bit:
                product ^= b
            b = (b >> 1) ^ polynomial if b & 1 else b >> 1
            bit >>= 1
        return product

    squares = [one >> 8]  # x^(8 * 2^k)

    @lru_cache(maxsize=64)  # most pieces are of the same few lengths
    def power(length: int) -> int:
        """x^(8 * length)."""
        product = one
        for k in range(length.bit_length()):
            if k == len(squares):
                squares.append(times(squares[-1], squares[-1]))
            if length >> k & 1:
                product = times(squares[k], product)
        return product

    def combine(crc_a: int, crc_b: int, length_b: int) -> int:
        """The CRC of A+B from CRC(A), CRC(B) and B's length in bytes."""
        return times(power(length_b), crc_a) ^ crc_b

    return combine


combine_crc32 = combiner(32, 0xEDB88320)
"""RFC 1952, section 8."""
