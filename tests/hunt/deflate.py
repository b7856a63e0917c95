"""gzip and deflate: what we take is what zlib takes, to the byte, with any codes and any damage."""

from __future__ import annotations

import random
import zlib

from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.gzip import Reader
from tests.hunt.streams import member, stream


def check(seed: int) -> str | None:
    """What is wrong with our reading of the seed's archive, None if nothing is."""
    rng = random.Random(seed)
    data = archive(rng)
    theirs = by_zlib(data)
    chunk = rng.choice([1, 7, 100, 64 << 10])
    for strict in (False, True):
        for helpers in (0, 1, 3):
            ours = by_us(data, chunk, strict, helpers)
            if ours != theirs:
                return f"zlib makes {size(theirs)} of it, and we {size(ours)} ({strict=}, {helpers=})"
    return None


def archive(rng: random.Random) -> bytes:
    """A gzip file, sound, of incomplete codes, or damaged."""
    how = rng.choice(["sound", "incomplete", "damaged"])
    deflated = stream(rng, 0.5 if how == "incomplete" else 0.0)
    data = zlib.decompressobj(-15)
    try:
        made = member(deflated, data.decompress(deflated))
    except zlib.error:  # so that only the codes are wrong
        made = member(deflated, by_isal(deflated))
    if how == "damaged":
        spoiled = bytearray(made)
        for _ in range(rng.randint(1, 3)):
            bit = rng.randrange(8 * len(spoiled))
            spoiled[bit >> 3] ^= 1 << (bit & 7)
        made = bytes(spoiled)
    return made * rng.choice([1, 1, 2])


def by_isal(deflated: bytes) -> bytes:
    from isal.isal_zlib import decompressobj

    return bytes(decompressobj(wbits=-15).decompress(deflated))


def by_zlib(data: bytes) -> bytes | None:
    """All members, None if zlib refuses one."""
    made = b""
    while data:
        decode = zlib.decompressobj(31)
        try:
            made += decode.decompress(data)
        except zlib.error:
            return None
        if not decode.eof:
            return None
        data = decode.unused_data
        if not data.strip(b"\0"):
            break
    return made


def by_us(data: bytes, chunk: int, strict: bool, helpers: int) -> bytes | None:
    pieces = (data[at : at + chunk] for at in range(0, len(data), chunk))
    try:
        return b"".join(Reader(pieces, helpers=helpers, strict=strict).chunks())
    except InvalidArchive:
        return None


def size(made: bytes | None) -> str:
    return "nothing" if made is None else f"{len(made)} bytes"
