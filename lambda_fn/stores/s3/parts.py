"""A recipe as the parts of a multipart upload.

S3 takes parts of 5 MiB to 5 GiB, only the last may be shorter, and at most 10,000 of them, which makes 48.8 TiB (S3
User Guide, "Amazon S3 multipart upload limits"); it copies ranges only out of objects above 5 MiB. New bytes too few
for a part are therefore filled up with bytes from the copy after them, and a copy too short to be a part is uploaded:
two neighbourhoods nearer to each other than that become one upload. Everything else is copied inside S3.

A part that is uploaded stays in memory until S3 has it: its checksum goes ahead of it, and a broken connection asks
for it again. So larger parts are fewer at once, and there is an end to what can be uploaded, though not to what can
be copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Callable, Generator, Iterable, Iterator, Optional, Union

from ...core import recipe as recipes
from ...core.errors import StoreFull
from ...core.recipe import Copy, Late, Literal, Made, Piece, Recipe

MIN_PART = 5 << 20
MAX_PART = 5 << 30
LARGE_COPY = 512 << 20
"""S3 answers a copy when it is done: larger ones are left to archives that need them."""
MAX_PARTS = 10_000

UPLOAD_PART = 2 * MIN_PART
"""What is uploaded is cut into parts of this size; very much, into larger ones."""
MEMORY = 40 << 20
"""Bytes of parts that may be in memory at once."""
MOST_UPLOADED = MAX_PARTS * MEMORY
COPY_PART = 64 << 20
"""Copies above this are cut so that S3 works on several parts at once,"""
COPY_PARTS = 6
"""up to so many of all copies together: a graft stays within twenty requests."""
DIVISIONS = (1, 4, 16)
"""By how much smaller copies are, each time that S3 took too long over one. Their numbers must follow each other where
checksums are asked for, so none can be divided that has its own: all begins anew."""


class Upload:
    """A part whose bytes come from here. It grows until it is full; what is late in it is filled in at the end."""

    def __init__(self) -> None:
        self.data = BytesIO()
        self.size = 0
        self._late: list[tuple[int, Late, slice]] = []

    @property
    def waits(self) -> bool:
        """Whether bytes of it are not known yet."""
        return bool(self._late)

    def add(self, data: memoryview, late: Optional[Late], offset: int) -> None:
        """More bytes; those of a late piece, from an offset in it, hold its place."""
        if late and data:
            self._late.append((self.size, late, slice(offset, offset + len(data))))
        self.size += self.data.write(data)

    def fill_in(self) -> None:
        """Ask for what was late."""
        for at, late, wanted in self._late:
            self.data.seek(at)
            self.data.write(late.data()[wanted])
        self._late.clear()


Part = Union[Upload, Copy]
"""A part that is uploaded, or a range that S3 copies."""


@dataclass(frozen=True)
class Shape:
    """How large the parts of one upload are, in bytes."""

    upload: int
    """Of an uploaded part."""
    copy: int
    """Of a copied part, at most."""
    least_copy: Optional[int]
    """A shorter copy is uploaded; None: all are."""
    equal: bool = False
    """Whether all parts but the last have the size of `upload`."""

    def divide(self, copy: Copy, pending: int, last: bool) -> tuple[Copy, Copy, Copy]:
        """What of a copy is uploaded before, copied, and uploaded after, where so many bytes wait for their part."""
        filled = self.upload if self.equal else MIN_PART
        start = copy.start + (max(filled - pending, 0) if pending else 0)
        stop = copy.stop
        if self.equal and stop > start:
            stop -= (stop - start) % self.upload
        if self.least_copy is None or stop - start < (1 if last else self.least_copy):
            start = stop = copy.stop
        return Copy(copy.start, start), Copy(start, stop), Copy(stop, copy.stop)


def shape(recipe: Recipe, source_size: int, copies: bool, equal: bool = False, division: int = 1) -> Shape:
    """How large parts must be for a recipe; without `copies`, all of it is uploaded; all `equal` where a store asks.

    A `division` makes copies smaller, as far as the number of parts allows.

    Raises StoreFull for what 10,000 parts cannot hold, as far as that is known before the recipe's bytes are made.
    """
    total = sum(piece.size or 0 for piece in recipe)
    if total > MAX_PARTS * MAX_PART:
        raise StoreFull(f"an output of {total} bytes needs more than the {MAX_PARTS} parts of 5 GiB that S3 takes")
    copies = copies and source_size > MIN_PART
    able = [piece.size for piece in recipe if isinstance(piece, Copy)] if copies else []
    if equal:
        size = upload_part(total + _most_made(recipe, source_size, MOST_UPLOADED - total))
        return Shape(size, size, size if copies else None, equal)
    least = MIN_PART
    while True:
        copied = [size for size in able if size >= least]
        uploaded = total - sum(copied) + MIN_PART * len(copied)
        upload = upload_part(uploaded + _most_made(recipe, source_size, MOST_UPLOADED - uploaded))
        copy = min(max(COPY_PART, -(-sum(copied) // COPY_PARTS)), LARGE_COPY) // division
        copy = max(copy, 2 * MIN_PART)  # what is cut in halves is two parts
        copy = min(max(copy, -(-sum(copied) // (MAX_PARTS * 9 // 10))), MAX_PART)
        count = uploaded // upload + len(copied) + 1 + sum(-(-size // copy) for size in copied)
        if count <= MAX_PARTS or not copied:
            return Shape(upload, copy, least if copies else None)
        least *= 2


def _most_made(recipe: Recipe, source_size: int, room: int) -> int:
    """How many bytes the pieces of unknown size may have: no sane encoder doubles an archive.

    Where all is new, as many as the source has must find room; what is put beside copies is likely to be far less.
    """
    if recipes.size(recipe) is not None:
        return 0
    likely = max(min(2 * source_size, room), 0)
    return likely if any(isinstance(piece, Copy) for piece in recipe) else max(source_size, likely)


def upload_part(total: int) -> int:
    """The size of a part where so many bytes are uploaded: 10 MiB up to 90 GiB, then in proportion.

    Raises StoreFull if that does not fit into memory.
    """
    if total > MOST_UPLOADED:
        raise StoreFull(
            f"{total} bytes are more than the {MOST_UPLOADED} that can be uploaded; pack the model without the old "
            "entries and repack it inside S3"
        )
    return min(max(UPLOAD_PART, -(-total // (MAX_PARTS * 9 // 10))), MEMORY)


def cut(recipe: Recipe, sizes: Shape, read: Callable[[int, int], Iterable[bytes]]) -> Generator[Part, None, None]:
    """The recipe's parts in order, at least one. An uploaded one is made when it is asked for; a copied range may
    have to be `split`.

    `read` gives the source's bytes, for what is uploaded of it.
    """
    pieces = [piece for piece in recipe if piece.size != 0]
    last_made = max((index for index, piece in enumerate(pieces) if isinstance(piece, Made)), default=-1)
    part = Upload()
    made_any = False
    for index, piece in enumerate(pieces):
        new, copied, after = piece, Copy(0, 0), Copy(0, 0)
        if isinstance(piece, Copy):
            new, copied, after = sizes.divide(piece, part.size, last=index == len(pieces) - 1)
        late = piece if isinstance(piece, Late) and index < last_made else None
        offset = 0
        for chunk in _chunks(new, read, late):
            view = memoryview(chunk)
            while view:
                # A part that waits for its late bytes stays in memory, so it is none of the largest.
                wanted = min(sizes.upload, UPLOAD_PART) if (late or part.waits) and not sizes.equal else sizes.upload
                taken = view[: max(wanted - part.size, 0)]
                part.add(taken, late, offset)
                view, offset = view[len(taken) :], offset + len(taken)
                if part.size >= wanted:
                    made_any = True
                    yield part
                    part = Upload()
        if copied.size:
            if part.size:
                yield part
                part = Upload()
            made_any = True
            yield copied
        for chunk in _chunks(after, read, None):  # less than a part
            part.add(memoryview(chunk), None, 0)
    if part.size or not made_any:
        yield part


def _chunks(piece: Piece, read: Callable[[int, int], Iterable[bytes]], late: Optional[Late]) -> Iterable[bytes]:
    """The bytes of a piece; zeros for one that is late."""
    if isinstance(piece, Literal):
        return (piece.data,)
    if isinstance(piece, Copy):
        return read(piece.start, piece.stop) if piece.size else ()
    if isinstance(piece, Made):
        return piece.chunks()
    return (bytes(late.size),) if late else (piece.data(),)


def split(run: Copy, most: int) -> Iterator[Copy]:
    """A range in equal ones of at most `most` bytes, none of them too short for a part."""
    count = -(-run.size // most)
    bounds = [run.start + run.size * index // count for index in range(count + 1)]
    for start, stop in zip(bounds, bounds[1:]):
        yield Copy(start, stop)
