"""What an output's checksum must be: told by the recipe alone, whatever parts it is cut into.

New bytes are seen as they are made; ranges of the source are known by what S3 or the scan said of it. S3 computes
the same over what it holds: where the two agree, every byte is in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, Optional

from ...core import recipe as recipes
from ...core.recipe import Copy, Late, Literal, Made, Piece, Recipe
from ...core.store import Source
from .checksum import Crc, RunningCrcs
from .source import S3Source

MADE_TWICE = 64 << 20
"""Bytes that are made once more, to know the checksum before the upload begins."""


@dataclass(frozen=True)
class Sum:
    """A range of the output, as far as its checksum tells."""

    crc: int
    size: int


class Witness:
    """Looks on while a recipe is carried out."""

    def __init__(self, recipe: Recipe, crc: Crc, source: Source) -> None:
        self._asked = recipe
        self._crc = crc
        self._source = source
        self._inside = isinstance(source, S3Source)
        self._running: Optional[RunningCrcs] = source.checksums if isinstance(source, S3Source) else None
        self._sums: dict[int, Sum] = {}
        self.recipe: Recipe = [self._watched(index, piece) for index, piece in enumerate(recipe)]
        """The same recipe, but that its bytes are seen when they are asked for."""

    def foreseen(self) -> Optional[Sum]:
        """The output's size and checksum, where they are known before any of it is made."""
        made = recipes.size([piece for piece in self._asked if isinstance(piece, (Made, Late))])
        if made is None or made > MADE_TWICE or (self._copies and self._running is None):
            return None
        for piece in sorted(self.recipe, key=lambda piece: isinstance(piece, Late)):
            if isinstance(piece, Made):
                for _ in piece.chunks():
                    pass
            elif isinstance(piece, Late):
                piece.data()
        return self.seen()

    def seen(self) -> Optional[Sum]:
        """The size and checksum of what was carried out; None if too little is known of the source."""
        if self._copies and self._inside and self._running is None:
            return None
        sums = [self._sum(index, piece) for index, piece in enumerate(self._asked)]
        return Sum(self._crc.joined((part.crc, part.size) for part in sums), sum(part.size for part in sums))

    @property
    def _copies(self) -> bool:
        return any(isinstance(piece, Copy) for piece in self._asked)

    def _sum(self, index: int, piece: Piece) -> Sum:
        if isinstance(piece, Copy) and self._running:
            return Sum(self._running.between(piece.start, piece.stop, self._source.read), piece.size)
        return self._sums[index]

    def _watched(self, index: int, piece: Piece) -> Piece:
        if isinstance(piece, Literal):
            self._sums[index] = Sum(self._crc.of(piece.data, 0), piece.size)
            return piece
        if isinstance(piece, Made):
            return Made(lambda: self._watching(index, piece.chunks), piece.size)
        if isinstance(piece, Late):
            return Late(piece.size, lambda: self._late(index, piece))
        if self._inside:
            return piece
        return Made(lambda: self._watching(index, lambda: self._source.stream(piece.start, piece.stop)), piece.size)

    def _watching(self, index: int, chunks: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        value = size = 0
        for chunk in chunks():
            value, size = self._crc.of(chunk, value), size + len(chunk)
            yield chunk
        self._sums[index] = Sum(value, size)

    def _late(self, index: int, piece: Late) -> bytes:
        data = piece.data()
        self._sums[index] = Sum(self._crc.of(data, 0), len(data))
        return data
