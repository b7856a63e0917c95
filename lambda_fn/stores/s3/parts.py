"""A recipe as the parts of a multipart upload: arithmetic alone, no bytes move.

S3 takes parts of 5 MiB to 5 GiB, only the last may be shorter, and at most 10,000 of them, which makes 48.8 TiB (S3
User Guide, "Amazon S3 multipart upload limits"); it copies ranges only out of objects above 5 MiB. A literal shorter
than a part is therefore filled up with bytes from the copy after it, and a copy too short to be a part is uploaded;
everything else is copied inside S3.

A part that is uploaded stays in memory until S3 has it: its checksum goes ahead of it, and a broken connection asks
for it again. So larger parts are fewer at once, and there is an end to what can be uploaded, though not to what can
be copied.
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
"""What is uploaded is cut into equal parts of at most this, which keeps them above the minimum; very much, of more."""
MEMORY = 40 << 20
"""Bytes of parts that may be in memory at once."""
MOST_UPLOADED = MAX_PARTS * MEMORY
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

    Raises StoreFull for what 10,000 parts cannot hold.
    """
    pieces = tuple(piece for piece in recipe if piece.size)
    runs = _runs(pieces) if copies and source_size > MIN_PART else [Upload(pieces)]
    most = upload_part(sum(run.size for run in runs if isinstance(run, Upload)))
    parts = [part for run in runs for part in _cut(run, most)]
    if len(parts) > MAX_PARTS:
        total = recipes.size(pieces)
        raise StoreFull(f"an output of {total} bytes needs more than the {MAX_PARTS} parts of 5 GiB that S3 takes")
    return parts


def upload_part(total: int) -> int:
    """The size of a part where so many bytes are uploaded: 10 MiB up to 90 GiB, then in proportion.

    Raises StoreFull if that does not fit into memory.
    """
    if total > MOST_UPLOADED:
        raise StoreFull(
            f"{total} bytes are more than the {MOST_UPLOADED} that can be uploaded; pack the model without the old "
            "entries and repack it inside S3"
        )
    return min(max(UPLOAD_PART, -(-total // (MAX_PARTS - 1000))), MEMORY)


def at_once(size: int) -> int:
    """How many parts of this size may be in memory at once."""
    return max(MEMORY // size, 1)


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


def _cut(run: Part, most: int) -> Iterator[Part]:
    """The run in equal parts; of an upload, none has more than `most` bytes."""
    if isinstance(run, Copy):
        count = max(-(-run.size // MAX_PART), min(COPY_PARTS, run.size // COPY_PART), 1)
    else:
        count = max(-(-run.size // most), 1)
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
