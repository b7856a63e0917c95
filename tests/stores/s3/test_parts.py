"""The planner keeps S3's rules for any recipe and any size; sizes alone, no bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core import recipe as recipes
from lambda_fn.core.errors import StoreFull
from lambda_fn.core.recipe import Copy, Literal, Recipe
from lambda_fn.stores.s3.parts import (
    MAX_PART,
    MAX_PARTS,
    MEMORY,
    MIN_PART,
    MOST_UPLOADED,
    UPLOAD_PART,
    Part,
    Upload,
    at_once,
    plan,
    upload_part,
)

MiB, GiB, TiB = 1 << 20, 1 << 30, 1 << 40


def graft(size: int) -> Recipe:
    return [Literal(b"h" * 700), Copy(10, size - 8), Literal(b"trailers")]


def bytes_of(pieces: Recipe) -> list[object]:
    """The output as ranges and bytes, adjacent ones joined: equal for equal outputs."""
    output: list[object] = []
    for piece in pieces:
        last = output[-1] if output else None
        if isinstance(piece, Copy) and isinstance(last, Copy) and last.stop == piece.start:
            output[-1] = Copy(last.start, piece.stop)
        elif isinstance(piece, Literal) and isinstance(last, bytes):
            output[-1] = last + piece.data
        elif piece.size:
            output.append(piece if isinstance(piece, Copy) else piece.data)
    return output


def check(parts: list[Part], recipe: Recipe, source_size: int) -> None:
    assert 1 <= len(parts) <= MAX_PARTS
    assert all(MIN_PART <= part.size <= MAX_PART for part in parts[:-1])
    assert parts[-1].size <= MAX_PART
    for part in parts:
        if isinstance(part, Upload):
            assert part.size * at_once(max(part.size, 1)) <= MEMORY
    flat = [piece for part in parts for piece in (part.pieces if isinstance(part, Upload) else (part,))]
    assert bytes_of(flat) == bytes_of(recipe)
    assert all(0 <= piece.start < piece.stop <= source_size for piece in flat if isinstance(piece, Copy))


def uploaded(parts: list[Part]) -> int:
    return sum(part.size for part in parts if isinstance(part, Upload))


@pytest.mark.parametrize("size", [6 * MiB, 11 * MiB, 64 * MiB, GiB, 5 * GiB, 10 * GiB + 1, 5 * TiB, 48 * TiB])
def test_a_graft_uploads_the_first_part_and_the_last_bytes(size: int) -> None:
    parts = plan(graft(size), size, copies=True)
    check(parts, graft(size), size)
    assert uploaded(parts) <= MIN_PART + 700 + 8 + MIN_PART * (size < 12 * MiB)
    assert len(parts) <= 8 + -(-size // MAX_PART)


def test_a_splice_uploads_only_around_the_joint() -> None:
    size = 10 * GiB
    recipe: Recipe = [Copy(0, 3 * GiB), Literal(b"new" * 9000), Copy(3 * GiB + 100_000, size - 8), Literal(b"trailers")]
    parts = plan(recipe, size, copies=True)
    check(parts, recipe, size)
    assert uploaded(parts) == MIN_PART + 8


@pytest.mark.parametrize("size", [0, 20, 700, 4 * MiB, MIN_PART])
def test_a_small_output_is_one_upload(size: int) -> None:
    recipe: Recipe = [Literal(b"x" * 20), Copy(0, size)]
    parts = plan(recipe, size, copies=True)
    assert [type(part) for part in parts] == [Upload]
    check(parts, recipe, size)


def test_nothing_is_one_empty_upload() -> None:
    assert plan([], 0, copies=True) == [Upload(())]


def test_ranges_of_a_small_source_are_never_copied() -> None:
    recipe: Recipe = [Literal(b"x" * (7 * MiB)), Copy(0, MIN_PART)]
    assert all(isinstance(part, Upload) for part in plan(recipe, MIN_PART, copies=True))


def test_a_splice_of_a_huge_archive_uploads_no_larger_parts() -> None:
    size = 40 * TiB
    recipe: Recipe = [Copy(0, 3 * GiB), Literal(b"x" * (16 * MiB)), Copy(3 * GiB, size - 8), Literal(b"trailers")]
    parts = plan(recipe, size, copies=True)
    check(parts, recipe, size)
    assert max(part.size for part in parts if isinstance(part, Upload)) <= UPLOAD_PART


@pytest.mark.parametrize("size", [GiB, 90 * GiB, 300 * GiB, MOST_UPLOADED - 708])
def test_a_source_outside_is_uploaded_whole(size: int) -> None:
    parts = plan(graft(size), size, copies=False)
    check(parts, graft(size), size)
    assert uploaded(parts) == recipes.size(graft(size))


def test_more_than_s3_takes_is_refused() -> None:
    size = MAX_PARTS * MAX_PART
    with pytest.raises(StoreFull, match="10000 parts"):
        plan(graft(size), size, copies=True)


def test_more_than_memory_can_hold_in_parts_is_refused() -> None:
    with pytest.raises(StoreFull, match=str(MOST_UPLOADED)):
        plan(graft(MOST_UPLOADED), MOST_UPLOADED, copies=False)


@given(st.integers(0, MOST_UPLOADED))
def test_what_is_uploaded_fits_into_memory_and_into_the_parts(size: int) -> None:
    part = upload_part(size)
    assert MIN_PART <= part <= part * at_once(part) <= MEMORY
    assert part * MAX_PARTS >= size


@st.composite
def a_recipe(draw: st.DrawFn) -> tuple[Recipe, int]:
    size = draw(st.integers(MIN_PART + 1, 50 * GiB) | st.integers(MIN_PART + 1, 40 * MiB))
    near = st.integers(0, size) | st.integers(0, 6 * MiB).map(lambda at: size - min(at, size))
    copies = st.tuples(near, near).map(lambda ends: Copy(min(ends), max(ends)))
    short = st.integers(0, 12 * MiB).map(lambda at: Copy(size - min(at, size), size))
    literals = st.integers(0, 2000).map(lambda n: Literal(b"%d" % n * n)) | st.just(Literal(b"L" * (6 * MiB)))
    return draw(st.lists(copies | short | literals, min_size=1, max_size=8)), size


@pytest.mark.slow
@given(a_recipe(), st.booleans())
def test_any_recipe_is_planned_within_the_rules(case: tuple[Recipe, int], copies: bool) -> None:
    recipe, size = case
    check(plan(recipe, size, copies), recipe, size)
