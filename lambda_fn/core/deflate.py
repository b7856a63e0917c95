"""The compressor at hand: isal's with threads where it is installed, else the standard library's.

Used only where bytes cannot be kept. Level 1 of isal compresses weights as far as gzip's level 6 does, faster than
one core inflates them.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from typing import Iterable, Iterator, Union

from .gzip import TRAILER_SIZE, Run
from .inflate import RAW, crc32

BLOCK = 1 << 20
"""Bytes compressed at a time, so that the output does not depend on how the input comes."""

Pieces = Iterable[Union[bytes, memoryview]]


def deflate(pieces: Pieces, run: Run) -> Iterator[bytes]:
    """The pieces as one complete deflate stream; `run` gets their CRC-32 and size, and its length from 0."""
    try:
        import isal.igzip_threaded  # noqa: F401 (here, since a graft should not pay for it)

        compress = _threaded
    except ImportError:
        compress = _single
    for data in compress(_measured(pieces, run)):
        run.stop += len(data)
        yield data


def _measured(pieces: Pieces, run: Run) -> Iterator[Union[bytes, memoryview]]:
    for piece in pieces:
        run.crc = crc32(piece, run.crc)
        run.size += len(piece)
        yield piece


def _single(pieces: Pieces) -> Iterator[bytes]:
    compressor = zlib.compressobj(level=1, wbits=RAW)
    for piece in pieces:
        if data := compressor.compress(piece):
            yield data
    yield compressor.flush()


def _threaded(pieces: Pieces) -> Iterator[bytes]:
    """What isal writes as a gzip member, without the member's header and trailer."""
    from isal import igzip_threaded

    sink, threads = _Sink(), min(2, os.cpu_count() or 1)
    with igzip_threaded.open(  # type: ignore[no-untyped-call]
        sink, "wb", compresslevel=1, threads=threads, block_size=BLOCK
    ) as member:
        for piece in pieces:
            member.write(piece)
            while len(sink.parts) > 1:
                yield sink.parts.popleft()
    yield b"".join(sink.parts)[:-TRAILER_SIZE]


class _Sink:
    """A file for the compressor's threads to write to; what they wrote waits in `parts`."""

    def __init__(self) -> None:
        self.parts: deque[bytes] = deque()
        self._header_left = 10

    def write(self, data: bytes) -> int:
        part = data[self._header_left :]
        self._header_left -= len(data) - len(part)
        if part:
            self.parts.append(part)
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""
