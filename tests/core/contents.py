"""Contents that deflate packs in ways of their own."""

from __future__ import annotations

from tests.archives import noise


def words(size: int, seed: int) -> bytes:
    """Text of a small vocabulary, which deflate makes a fifth of."""
    vocabulary = [noise(2 + n % 7, n) for n in range(64)]
    return b"".join(vocabulary[letter & 63] for letter in noise(size // 5, seed))[:size]


def skewed(size: int, seed: int) -> bytes:
    """Bytes of which some are frequent but nothing repeats, like the exponents of weights."""
    return bytes(byte & byte >> 3 for byte in noise(size, seed))
