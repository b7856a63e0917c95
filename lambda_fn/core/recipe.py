"""A repack is a recipe: the output as a sequence of literals (new bytes) and copies (ranges of the source).

The core writes recipes and knows nothing of where bytes lie; a store carries them out and knows nothing of
gzip and tar. That is all the two have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Union


@dataclass(frozen=True)
class Literal:
    """New bytes."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Copy:
    """The source's bytes from offset `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


Recipe = Sequence[Union[Literal, Copy]]
"""The output's bytes in order; `[Copy(0, source.size)]` is the source itself."""


def size(recipe: Recipe) -> int:
    """The output's length in bytes."""
    return sum(piece.size for piece in recipe)
