"""Deflate streams of random codes: complete ones, and such as only a careless decoder takes."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

from isal import isal_zlib

from lambda_fn.core.blocks import _CODE_LENGTH_ORDER, Bits

LENGTHS = 257
"""The first symbol that stands for a length: 3 bytes, no extra bits."""


def stream(rng: random.Random, incomplete: float = 0.0, blocks: int = 4, begins: list[int] | None = None) -> bytes:
    """A complete stream whose blocks have codes that nobody else would choose; some of them incomplete.

    The bits at which its blocks begin are added to `begins`.
    """
    bits, written = Bits(), 0
    count = rng.randint(1, blocks)
    for at in range(count):
        if begins is not None:
            begins.append(bits.count)
        kind = rng.choice(["dynamic", "dynamic", "dynamic", "fixed", "stored"])
        bits.put(int(at == count - 1), 1)
        if kind == "dynamic":
            written += put_dynamic(bits, rng, rng.random() < incomplete, written)
        elif kind == "fixed":
            bits.put(1, 2)
            bits.put(0, 7)
        else:
            bits.put(0, 2)
            bits.put(0, -bits.count % 8)
            data = rng.randbytes(rng.randint(0, 300))
            bits.put(len(data) | (len(data) ^ 0xFFFF) << 16, 32)
            bits.put(int.from_bytes(data, "little"), 8 * len(data))
            written += len(data)
    return bits.value.to_bytes(-(-bits.count // 8), "little")


def spoiled(seed: int) -> tuple[bytes, bytes]:
    """A stream that zlib refuses for its codes alone, and what isal makes of it."""
    while True:
        deflated, seed = stream(random.Random(seed), incomplete=1), seed + 1000
        try:
            zlib.decompressobj(-15).decompress(deflated)
        except zlib.error:
            return deflated, isal_zlib.decompressobj(wbits=-15).decompress(deflated)


def put_dynamic(bits: Bits, rng: random.Random, incomplete: bool, before: int) -> int:
    """A dynamic block without its first bit, after `before` bytes of output; returns the bytes that it stands for."""
    spoiled = rng.choice(["literals", "distances", "lengths"]) if incomplete else ""
    literals = [*sorted(rng.sample(range(256), rng.choice([0, 1, 3, 20, 200]))), 256]
    if distances := (rng.sample(range(4), rng.choice([0, 1, 2, 4])) if before >= 4 else []):
        literals.append(LENGTHS)
    literal_lengths = lengths(rng, literals, 258, 15, spoiled == "literals")
    distance_lengths = lengths(rng, distances or [0], 4, 15, spoiled == "distances")
    if not distances and not spoiled:
        distance_lengths = rng.choice([[0], [1], [1, 1], [0, 0, 1]])
    both = literal_lengths + distance_lengths
    used = sorted(set(both))
    code_lengths = lengths(rng, used, 19, 7, spoiled == "lengths")
    while len(used) == 1 and code_lengths.count(0) == 18 and not spoiled:  # zlib wants two words at least
        code_lengths = lengths(rng, [*used, (used[0] + 1) % 16], 19, 7, False)
    sent = max(4, *(at for at, symbol in enumerate(_CODE_LENGTH_ORDER, 1) if code_lengths[symbol]))
    bits.put(2, 2)
    bits.put(len(literal_lengths) - 257, 5)
    bits.put(len(distance_lengths) - 1, 5)
    bits.put(sent - 4, 4)
    for symbol in _CODE_LENGTH_ORDER[:sent]:
        bits.put(code_lengths[symbol], 3)
    words = codes(code_lengths)
    for length in both:
        bits.put(*words[length])
    words, away, made = codes(literal_lengths), codes(distance_lengths), 0
    for _ in range(rng.randint(0, 200)):
        symbol = rng.choice(literals)
        if symbol == 256:
            continue
        bits.put(*words[symbol])
        made += 3 if symbol == LENGTHS else 1
        if symbol == LENGTHS:
            bits.put(*away[rng.choice(distances)])
    bits.put(*words[256])
    return made


def lengths(rng: random.Random, symbols: Sequence[int], count: int, most: int, incomplete: bool) -> list[int]:
    """Lengths of a random code's words for the symbols, by number, without zeros at the end; incomplete if it can be.

    zlib calls a code complete that has a single word of one bit, too.
    """
    leaves = [0]
    while len(leaves) < len(symbols) + incomplete or leaves == [0]:
        at = rng.choice([at for at, depth in enumerate(leaves) if depth < most])
        leaves[at : at + 1] = [leaves[at] + 1] * 2
    leaves = leaves[: len(symbols) + incomplete] if len(symbols) > 1 else leaves
    rng.shuffle(leaves)
    if len(symbols) == 1:
        leaves = [rng.randint(2, most) if incomplete else 1]
    found = [0] * count
    for symbol, length in zip(symbols, leaves, strict=False):  # an incomplete code has a word more than symbols
        found[symbol] = length
    last = max(symbols) + 1
    return found[: max(last, 257 if count == 258 else 1)] if count != 19 else found


def codes(code_lengths: Sequence[int]) -> dict[int, tuple[int, int]]:
    """The words of the code (RFC 1951, 3.2.2) by symbol, each as a number with its first bit lowest, and its length."""
    code, found = 0, {}
    for length in range(1, 16):
        for symbol, one in enumerate(code_lengths):
            if one == length:
                found[symbol] = int(f"{code:0{length}b}"[::-1], 2), length
                code += 1
        code <<= 1
    return found


def member(deflated: bytes, data: bytes) -> bytes:
    """A gzip file of it."""
    return (
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
        + deflated
        + zlib.crc32(data).to_bytes(4, "little")
        + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    )
