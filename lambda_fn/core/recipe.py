"""A repack is a recipe: the output as a sequence of literals (new bytes) and copies (ranges of the source).

The core writes recipes and knows nothing of where bytes lie; a store carries them out and knows nothing of
gzip and tar. That is all the two have in common.

Most recipes are a few literals and copies. Two further pieces let one `publish` do for all of them: `Made` is for new
bytes too many to be held in memory, which are made while they are written, and `Late` for the few bytes that can only
be known when these have been: a gzip header whose mark tells of the data behind it, a trailer with its CRC.
"""

from __future__ import annotations

from typing import Callable, Iterator, Optional, Sequence, Union

from .value import Value


class Literal(Value):
    """New bytes."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


class Copy(Value):
    """The source's bytes from offset `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


class Made(Value):
    """New bytes that are made when a store asks for them, in chunks.

    A store asks for all `Made` pieces of a recipe in their order, each once, unless `size` is known: these may be asked
    for again, and give the same bytes.
    """

    chunks: Callable[[], Iterator[bytes]]
    size: Optional[int] = None
    """None: it is known when they have been made."""


class Late(Value):
    """New bytes of a known number, which can be asked for when all `Made` pieces have come to their end."""

    size: int
    data: Callable[[], bytes]


Piece = Union[Literal, Copy, Made, Late]
Recipe = Sequence[Piece]
"""The output's bytes in order; `[Copy(0, source.size)]` is the source itself."""


def size(recipe: Recipe) -> Optional[int]:
    """The output's length in bytes; None while a piece's is not known."""
    total = 0
    for piece in recipe:
        if piece.size is None:
            return None
        total += piece.size
    return total
