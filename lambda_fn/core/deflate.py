"""The compressor: blocks of the input deflated beside each other, each with the 32 KiB before it as its dictionary.

Used only where bytes cannot be kept. Which engine packs a block is decided by a sample of it: the fastest one whose
result is at most a twentieth larger than the source was, as far as that is known, or than that of zlib's level 6, which
is how models are packed. On weights isal's level 1 is as good (up to 4 % larger) and twenty times as fast; text it
would leave a fifth to a half larger.
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import Any, Iterable, Iterator, Union

from .blocks import WINDOW
from .gzip import Run
from .inflate import CORES, RAW, combine_crc32, crc32, engine, strict_engine
from .threads import Task, Threads

BLOCK = 1 << 20
"""Bytes compressed at a time, so that the output does not depend on how the input comes."""
THREADS = max(1, min(2, CORES - 1))
"""One core inflates."""
AHEAD = 2
"""Blocks that wait or are being deflated, so that neither side stands still while the other catches up."""
PACKERS: tuple[tuple[Any, int], ...] = (
    *([(engine, 1)] if engine is not strict_engine else []),
    *([(strict_engine, 4), (strict_engine, 6)] if strict_engine is not zlib else []),
    (zlib, 6),
)
"""What is at hand, the fastest first."""
SAMPLE, MOST_LARGER = 64 << 10, 1.05
LAST = b"\x03\0"
"""An empty block of fixed codes that is the last one."""

Pieces = Iterable[Union[bytes, memoryview]]


def deflate(pieces: Pieces, run: Run, before: bytes = b"", last: bool = True, share: float = 0.0) -> Iterator[bytes]:
    """The pieces as deflate data that goes on after `before`; `run` gets their CRC-32 and size, and its length from 0.

    It ends the stream if it is the `last`, else on a byte boundary. What they were packed to before is the `share`.
    """
    under_way: deque[Task[tuple[bytes, int, int]]] = deque()
    with Threads(THREADS, "deflate") as beside:
        for block in _blocks(pieces):
            under_way.append(beside.do(_deflated, block, before, share))
            before = block[-WINDOW:]
            if len(under_way) > AHEAD:
                yield _measured(*under_way.popleft().result(), run)
        while under_way:
            yield _measured(*under_way.popleft().result(), run)
    if last:
        run.stop += len(LAST)
        yield LAST


def _blocks(pieces: Pieces) -> Iterator[bytes]:
    """The pieces' bytes again, BLOCK at a time."""
    waiting: list[Union[bytes, memoryview]] = []
    room = BLOCK
    for piece in pieces:
        rest = piece
        while len(rest) >= room:
            yield b"".join([*waiting, rest[:room]])
            rest, waiting, room = rest[room:], [], BLOCK
        waiting.append(rest)
        room -= len(rest)
    if room < BLOCK:
        yield b"".join(waiting)


def _deflated(block: bytes, before: bytes, share: float) -> tuple[bytes, int, int]:
    """The block's deflate data, which ends on a byte boundary, its CRC-32 and size."""
    packer, level = _packer(block, share)
    compressor = packer.compressobj(level=level, wbits=RAW, zdict=before)
    return compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH), crc32(block), len(block)


def _packer(block: bytes, share: float) -> tuple[Any, int]:
    """The engine, and its level, for a block."""
    sample = block[len(block) // 2 :][:SAMPLE]
    most, asked = MOST_LARGER * share * len(sample), False
    for of in PACKERS[:-1]:
        packed = len(of[0].compress(sample, of[1]))
        if packed > most and not asked:  # the source says nothing for it, but zlib may
            most, asked = max(most, MOST_LARGER * len(zlib.compress(sample, 6))), True
        if packed <= most:
            return of
    return PACKERS[-1]


def _measured(data: bytes, crc: int, size: int, run: Run) -> bytes:
    run.crc = combine_crc32(run.crc, crc, size)
    run.size += size
    run.stop += len(data)
    return data
