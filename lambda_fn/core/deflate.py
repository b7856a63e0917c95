"""The compressor: blocks of the input deflated beside each other, each with the 32 KiB before it as its dictionary.

Used only where bytes cannot be kept. Level 1 of isal compresses weights as far as gzip's level 6 does, faster than
one core inflates them; the standard library's does the same, slowly, where isal is not installed.
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING, Iterable, Iterator, Union

from .blocks import WINDOW
from .crc import combine_crc32
from .gzip import Run
from .inflate import CORES, RAW, crc32, engine

if TYPE_CHECKING:
    from concurrent.futures import Future

BLOCK = 1 << 20
"""Bytes compressed at a time, so that the output does not depend on how the input comes."""
THREADS = max(1, min(2, CORES - 1))
"""One core inflates."""
AHEAD = 2
"""Blocks that wait or are being deflated, so that neither side stands still while the other catches up."""
LAST = b"\x03\0"
"""An empty block of fixed codes that is the last one."""

Pieces = Iterable[Union[bytes, memoryview]]


def deflate(pieces: Pieces, run: Run, before: bytes = b"", last: bool = True) -> Iterator[bytes]:
    """The pieces as deflate data that goes on after `before`; `run` gets their CRC-32 and size, and its length from 0.

    It ends the stream if it is the `last`, else on a byte boundary.
    """
    from concurrent.futures import ThreadPoolExecutor  # few repacks need it, and it is slow to import

    under_way: deque[Future[tuple[bytes, int, int]]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="deflate") as beside:
        for block in _blocks(pieces):
            under_way.append(beside.submit(_deflated, block, before))
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


def _deflated(block: bytes, before: bytes) -> tuple[bytes, int, int]:
    """The block's deflate data, which ends on a byte boundary, its CRC-32 and size."""
    compressor = engine.compressobj(level=1, wbits=RAW, zdict=before)
    return compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH), crc32(block), len(block)


def _measured(data: bytes, crc: int, size: int, run: Run) -> bytes:
    run.crc = combine_crc32(run.crc, crc, size)
    run.size += size
    run.stop += len(data)
    return data
