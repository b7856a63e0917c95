"""Parts keep S3's rules for any recipe and any size."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.errors import StoreFull
from lambda_fn.core.recipe import Copy, Late, Literal, Made, Recipe
from lambda_fn.stores.s3 import parts
from lambda_fn.stores.s3.parts import (
    MAX_PART,
    MAX_PARTS,
    MEMORY,
    MIN_PART,
    MOST_UPLOADED,
    UPLOAD_PART,
    Part,
    Upload,
    cut,
    shape,
    split,
    upload_part,
)

MiB, GiB, TiB = 1 << 20, 1 << 30, 1 << 40


def graft(size: int) -> Recipe:
    return [Literal(b"h" * 700), Copy(10, size - 8), Literal(b"trailers")]


def zeros(start: int, stop: int) -> Iterator[bytes]:
    yield bytes(stop - start)


def plan(recipe: Recipe, source_size: int, read: Callable[[int, int], Any] = zeros, copies: bool = True) -> list[Part]:
    """The parts as they are sent, checked by S3's rules."""
    sizes = shape(recipe, source_size, copies)
    found = [
        piece
        for part in cut(recipe, sizes, read)
        for piece in ((part,) if isinstance(part, Upload) else split(part, sizes.copy))
    ]
    assert 1 <= len(found) <= parts.MAX_PARTS
    assert all(parts.MIN_PART <= part.size <= parts.MAX_PART for part in found[:-1])
    assert found[-1].size <= parts.MAX_PART
    assert all(part.size <= parts.MEMORY for part in found if isinstance(part, Upload))
    assert all(0 <= part.start < part.stop <= source_size for part in found if isinstance(part, Copy))
    return found


def uploaded(found: list[Part]) -> int:
    return sum(part.size for part in found if isinstance(part, Upload))


@pytest.mark.parametrize("size", [6 * MiB, 11 * MiB, 64 * MiB, GiB, 5 * GiB, 10 * GiB + 1, 5 * TiB, 48 * TiB])
def test_a_graft_uploads_the_first_part_and_the_last_bytes(size: int) -> None:
    found = plan(graft(size), size)
    assert sum(part.size for part in found) == 700 + size - 18 + 8
    assert uploaded(found) <= MIN_PART + 700 + 8 + MIN_PART * (size < 12 * MiB)
    assert len(found) <= 8 + -(-size // MAX_PART)


def test_a_splice_uploads_only_around_the_joint() -> None:
    size = 10 * GiB
    recipe: Recipe = [Copy(0, 3 * GiB), Literal(b"new" * 9000), Copy(3 * GiB + 100_000, size - 8), Literal(b"trailers")]
    assert uploaded(plan(recipe, size)) == MIN_PART + 8


@pytest.mark.parametrize("apart", [MIN_PART - 1, 2 * MIN_PART])
def test_neighbourhoods_nearer_than_a_part_are_one_upload(apart: int) -> None:
    size = 40 * MiB
    starts = range(8 * MiB, 8 * MiB + 3 * apart, apart)
    recipe: list[Any] = [Copy(0, 8 * MiB)]
    for start in starts:
        recipe += [Literal(b"new"), Copy(start, start + apart)]
    found = plan([*recipe, Copy(starts.stop, size)], size)
    assert sum(isinstance(part, Upload) for part in found) == (2 if apart < MIN_PART else 3)


@pytest.mark.parametrize("size", [0, 20, 700, 4 * MiB, MIN_PART])
def test_a_small_output_is_one_upload(size: int) -> None:
    [part] = plan([Literal(b"x" * 20), Copy(0, size)], size)
    assert isinstance(part, Upload)
    assert part.size == 20 + size


def test_nothing_is_one_empty_upload() -> None:
    [part] = plan([], 0)
    assert isinstance(part, Upload)
    assert part.size == 0


def test_ranges_of_a_small_source_are_never_copied() -> None:
    recipe: Recipe = [Literal(b"x" * (7 * MiB)), Copy(0, MIN_PART)]
    assert all(isinstance(part, Upload) for part in plan(recipe, MIN_PART))


def test_a_splice_of_a_huge_archive_uploads_no_larger_parts() -> None:
    size = 40 * TiB
    recipe: Recipe = [Copy(0, 3 * GiB), Literal(b"x" * (16 * MiB)), Copy(3 * GiB, size - 8), Literal(b"trailers")]
    assert max(part.size for part in plan(recipe, size) if isinstance(part, Upload)) <= UPLOAD_PART


def test_more_neighbourhoods_than_parts_are_joined() -> None:
    size = 40 * GiB
    recipe = [
        piece for start in range(0, size, 6 * MiB) for piece in (Literal(b"x"), Copy(start, min(start + 6 * MiB, size)))
    ]
    sizes = shape(recipe, size, copies=True)
    assert sizes.upload * MAX_PARTS >= size  # none is worth copying


@pytest.mark.parametrize("size", [GiB, 90 * GiB, 300 * GiB, MOST_UPLOADED - 708])
def test_a_source_outside_is_uploaded_whole(size: int) -> None:
    sizes = shape(graft(size), size, copies=False)
    assert sizes.least_copy is None
    assert sizes.upload * MAX_PARTS >= size


def test_more_than_s3_takes_is_refused() -> None:
    size = MAX_PARTS * MAX_PART
    with pytest.raises(StoreFull, match="10000 parts"):
        shape([Literal(b"x"), Copy(0, size)], size, copies=True)


@pytest.mark.parametrize("recipe", [graft(MOST_UPLOADED + 20), [Late(10, bytes), Made(lambda: iter(()))]])
def test_more_than_memory_can_hold_in_parts_is_refused(recipe: Recipe) -> None:
    with pytest.raises(StoreFull, match=str(MOST_UPLOADED)):
        shape(recipe, MOST_UPLOADED + 20, copies=False)


def test_a_file_put_into_a_huge_archive_is_not_taken_for_as_huge() -> None:
    recipe: Recipe = [Late(10, bytes), Made(lambda: iter(())), Copy(10, 40 * TiB)]
    assert shape(recipe, 40 * TiB, copies=True).upload <= MEMORY
    assert shape([*recipe[:2], Copy(10, 300 * GiB)], 300 * GiB, copies=False).upload <= MEMORY


@given(st.integers(0, MOST_UPLOADED))
def test_what_is_uploaded_fits_into_memory_and_into_the_parts(size: int) -> None:
    part = upload_part(size)
    assert MIN_PART <= part <= MEMORY
    assert part * MAX_PARTS >= size


SMALL: dict[str, Any] = {
    "MIN_PART": 5,
    "MAX_PART": 5000,
    "MAX_PARTS": 60,
    "UPLOAD_PART": 10,
    "MEMORY": 40,
    "MOST_UPLOADED": 2400,
    "COPY_PART": 64,
}
"""S3's rules with a byte for a MiB, so that recipes can be carried out by the thousand."""


class Carried:
    """A recipe of random pieces, the bytes it makes, and who asked for what when."""

    def __init__(self, seed: int, kinds: list[str], size: int) -> None:
        self.random = random.Random(seed)
        self.source = self.random.randbytes(size)
        self.recipe: list[Any] = []
        self.wanted = b""
        self.asked: list[str] = []
        for number, kind in enumerate(kinds):
            getattr(self, kind)(number)

    def copy(self, number: int) -> None:
        start, stop = sorted(self.random.choices(range(len(self.source) + 1), k=2))
        self.add(Copy(start, stop), self.source[start:stop])

    def short(self, number: int) -> None:
        start = self.random.randrange(len(self.source))
        self.add(Copy(start, start + 1), self.source[start : start + 1])

    def literal(self, number: int) -> None:
        data = self.random.randbytes(self.random.randrange(30))
        self.add(Literal(data), data)

    def made(self, number: int) -> None:
        data = self.random.randbytes(self.random.randrange(40))
        size = self.random.choice([None, len(data)])

        def chunks() -> Iterator[bytes]:
            self.asked.append(f"made {number}")
            for start in range(0, len(data), 7):
                yield data[start : start + 7]
            self.asked.append(f"made {number} ends")

        self.add(Made(chunks, size), data)

    def late(self, number: int) -> None:
        data = self.random.randbytes(self.random.randrange(1, 16))

        def ask() -> bytes:
            self.asked.append("late")
            return data

        self.add(Late(len(data), ask), data)

    def add(self, piece: Any, data: bytes) -> None:
        self.recipe.append(piece)
        self.wanted += data


kinds = st.lists(st.sampled_from(["copy", "short", "literal", "made", "late"]), max_size=12)


@given(st.integers(), kinds, st.integers(1, 1500), st.booleans())
def test_any_recipe_is_carried_out_within_the_rules(seed: int, kinds: list[str], size: int, copies: bool) -> None:
    case = Carried(seed, kinds, size)
    with patch.multiple(parts, **SMALL):
        found = plan(case.recipe, size, lambda start, stop: [case.source[start:stop]], copies)
    output = b""
    for part in found:
        if isinstance(part, Upload):
            part.fill_in()
            output += part.data.getvalue()
        else:
            assert copies
            output += case.source[part.start : part.stop]
    assert output == case.wanted
    made = [word for word in case.asked if word != "late"]
    skipped = {index for index, piece in enumerate(case.recipe) if piece.size == 0}
    indices = [index for index, kind in enumerate(kinds) if kind == "made" and index not in skipped]
    assert made == [word for index in indices for word in (f"made {index}", f"made {index} ends")]
    if made:
        last = case.asked.index(made[-1])
        assert "late" not in case.asked[:last]
