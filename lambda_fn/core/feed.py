"""What an inflater is fed: compressed chunks in order, of which some can be put back, and some read ahead."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Generator, Iterable, Optional

from .threads import Threads

AHEAD = 4
"""Chunks read at a time: each time the threads wake each other."""


PORTION = 64 << 10


class Feed:
    """Chunks as they come, and the position in the source behind those taken."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._beside: Optional[Generator[bytes, None, None]] = None
        self._returned: deque[bytes] = deque()
        self.position = 0
        self.portion = PORTION
        """Bytes taken at a time at most."""

    def take(self, most: Optional[int] = None) -> bytes:
        """The next bytes, at most `most` and no more than a portion; empty at the end."""
        data = self._returned.popleft() if self._returned else next(self._chunks, b"")
        self.position += len(data)
        most = self.portion if most is None else min(most, self.portion)
        if len(data) > most:
            self.put_back(data[most:])
            data = data[:most]
        return data

    def put_back(self, data: bytes) -> None:
        """Make `data`, the last bytes taken, the next ones again."""
        if data:
            self._returned.appendleft(data)
            self.position -= len(data)

    def read_ahead(self) -> None:
        """Read them from now on in a thread of its own."""
        if self._beside is None:
            self._chunks = self._beside = read_ahead(self._chunks)

    def close(self) -> None:
        """End that thread."""
        if self._beside:
            self._beside.close()


def read_ahead(chunks: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The same chunks, read in a thread of their own while those before them are used."""
    coming = iter(chunks)

    def few() -> list[bytes]:
        return list(islice(coming, AHEAD))

    with Threads(1, "read") as beside:
        reading = beside.do(few)
        while read := reading.result():
            reading = beside.do(few)
            yield from read
