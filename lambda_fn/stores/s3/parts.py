"""A recipe as the parts of a multipart upload: arithmetic alone, no bytes move.

S3 takes parts of 5 MiB to 5 GiB, only the last may be shorter, and at most 10,000 of them; it copies ranges only
out of objects above 5 MiB. A literal shorter than a part is therefore filled up with bytes from the copy after it,
and a copy too short to be a part is uploaded; everything else is copied inside S3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Union

from ...core import recipe as recipes
from ...core.errors import StoreFull
from ...core.recipe import Copy, Literal, Recipe

MIN_PART = 5 << 20
MAX_PART = 5 << 30
MAX_PARTS = 10_000

UPLOAD_PART = 2 * MIN_PART
"""What is uploaded is cut into equal parts of at most this, which keeps them above the minimum."""
COPY_PART = 64 << 20
"""Copies above this are cut so that S3 works on several parts at once,"""
COPY_PARTS = 6
"""up to so many: the whole stays within twenty requests."""


@dataclass(frozen=True)
class Upload:
    """A part whose bytes come from here: literals, and ranges of the source read for it."""

    pieces: tuple[Union[Literal, Copy], ...]

    @property
    def size(self) -> int:
        return recipes.size(self.pieces)


Part = Union[Upload, Copy]
"""A part that is uploaded, or a range that S3 copies."""


def plan(recipe: Recipe, source_size: int, copies: bool) -> list[Part]:
    """The parts that make the recipe's output, in order; without `copies`, all of them uploads.

    Raises StoreFull for an output beyond what 10,000 parts hold.
    """
    pieces = tuple(piece for piece in recipe if piece.size)
    runs = _runs(pieces) if copies and source_size > MIN_PART else [Upload(pieces)]
    total = recipes.size(pieces)
    parts = [part for run in runs for part in _cut(run, total)]
    if len(parts) > MAX_PARTS or any(part.size > MAX_PART for part in parts):
        raise StoreFull(f"an output of {total} bytes needs more than the {MAX_PARTS} parts of 5 GiB that S3 takes")
    return parts


def upload_part(total: int) -> int:
    """The size of an uploaded part, by the whole output's: 10 MiB up to 90 GiB, then in proportion."""
    return max(UPLOAD_PART, -(-total // (MAX_PARTS - 1000)))


def _runs(pieces: tuple[Union[Literal, Copy], ...]) -> list[Part]:
    """What is uploaded and what is copied, by turns; each but the last at least of a part's size."""
    runs: list[Part] = []
    pending: list[Union[Literal, Copy]] = []
    for piece in pieces:
        if isinstance(piece, Literal):
            pending.append(piece)
            continue
        missing = max(MIN_PART - recipes.size(pending), 0) if pending else 0
        rest = Copy(piece.start + missing, piece.stop)
        if rest.size >= MIN_PART or (rest.size > 0 and piece is pieces[-1]):
            if missing:
                pending.append(Copy(piece.start, rest.start))
            if pending:
                runs.append(Upload(tuple(pending)))
                pending = []
            runs.append(rest)
        else:
            pending.append(piece)
    if pending or not runs:
        runs.append(Upload(tuple(pending)))
    return runs


def _cut(run: Part, total: int) -> Iterator[Part]:
    """The run in equal parts."""
    if isinstance(run, Copy):
        count = max(-(-run.size // MAX_PART), min(COPY_PARTS, run.size // COPY_PART), 1)
    else:
        count = max(-(-run.size // upload_part(total)), 1)
    bounds = [run.size * index // count for index in range(count + 1)]
    for start, stop in zip(bounds, bounds[1:]):
        if isinstance(run, Copy):
            yield Copy(run.start + start, run.start + stop)
        else:
            yield Upload(tuple(_between(run.pieces, start, stop)))


def _between(pieces: tuple[Union[Literal, Copy], ...], start: int, stop: int) -> Iterator[Union[Literal, Copy]]:
    """The pieces' bytes from `start` to `stop` of their whole."""
    position = 0
    for piece in pieces:
        low, high = max(start - position, 0), min(stop - position, piece.size)
        if low < high:
            if isinstance(piece, Copy):
                yield Copy(piece.start + low, piece.start + high)
            else:
                yield Literal(piece.data[low:high])
        position += piece.size
