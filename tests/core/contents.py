"""Contents that deflate packs in ways of their own."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache

from tests.archives import noise

FIXED_CODES = {"isal 0", "zlib-ng 1", "fixed Huffman"}
"""Encoders whose blocks say nothing that could be told from chance: their archives are rewritten."""
HEADERS = {"FNAME", "FCOMMENT", "FHCRC", "FEXTRA", "all header fields", "zero padding"}
"""Of these only the gzip around the deflate data differs, which is that of zlib 6."""

LEVELS_BETWEEN = {f"zlib {level}" for level in (2, 3, 5, 7, 8)}
"""These look longer or less long for what repeats than the levels 1, 4, 6 and 9, and begin blocks as they do."""


VOCABULARY = [noise(2 + n % 7, n) for n in range(64)] * 4
SKEWED = bytes(byte & byte >> 3 for byte in range(256))


def words(size: int, seed: int) -> bytes:
    """Text of a small vocabulary, which deflate makes a fifth of."""
    return b"".join(map(VOCABULARY.__getitem__, noise(size // 5, seed)))[:size]


def skewed(size: int, seed: int) -> bytes:
    """Bytes of which some are frequent but nothing repeats, like the exponents of weights."""
    return noise(size, seed).translate(SKEWED)


def mocking(size: int, seed: int) -> bytes:
    """Bytes that look like a dynamic block every few hundred bytes."""
    compressor = zlib.compressobj(9, wbits=-15)
    block = compressor.compress(words(600, 3)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return (block * (size // len(block) + 1))[:size]


def stored(data: bytes, size: int) -> bytes:
    """A stored block of `size` bytes that begins with `data`."""
    return b"\0" + size.to_bytes(2, "little") + (0xFFFF - size).to_bytes(2, "little") + data


CONTENTS: dict[str, Callable[[int, int], bytes]] = {
    "noise": noise,
    "zeros": lambda size, seed: bytes(size),
    "words": words,
    "skewed": skewed,
    "mocking": mocking,
}


@cache
def content(kind: str, size: int, seed: int) -> bytes:
    """Made once: the hunt asks for the same some thousand times."""
    return CONTENTS[kind](size, seed)
