"""What is deflated is read by zlib, is the same however the input comes, and is hardly larger than zlib's own."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.deflate import AHEAD, BLOCK, MOST_LARGER, THREADS, deflate
from lambda_fn.core.gzip import Run
from tests.archives import noise
from tests.core.contents import CONTENTS, content

SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7]


def deflated(data: bytes, piece: int = 1 << 20, before: bytes = b"", last: bool = True) -> tuple[bytes, Run]:
    run = Run(0)
    pieces = (data[at : at + piece] for at in range(0, len(data), piece))
    return b"".join(deflate(pieces, run, before, last)), run


@pytest.mark.parametrize("size", SIZES)
def test_zlib_reads_it_and_the_figures_are_those_of_its_input(size: int) -> None:
    data = noise(size, 1)
    packed, run = deflated(data)
    assert zlib.decompress(packed, -15) == data
    assert (run.stop, run.crc, run.size) == (len(packed), zlib.crc32(data), size)


@pytest.fixture(scope="module")
def at_once() -> bytes:
    return deflated(content("skewed", 2 * BLOCK + 99, 1))[0]


@given(st.integers(1, 2 * BLOCK))
def test_it_is_the_same_however_the_input_comes(at_once: bytes, piece: int) -> None:
    assert deflated(content("skewed", 2 * BLOCK + 99, 1), piece)[0] == at_once


def test_what_is_not_the_last_ends_on_a_byte_and_can_be_gone_on_with() -> None:
    first, second = noise(50_000, 1), noise(50_000, 1)[-20_000:] + noise(10, 2)
    begun, _ = deflated(first, last=False)
    ended, _ = deflated(second, before=first[-(32 << 10) :])
    assert zlib.decompress(begun + ended, -15) == first + second
    assert len(ended) < len(second), "it refers to what came before"


@pytest.mark.parametrize("kind", sorted(CONTENTS))
def test_it_is_hardly_larger_than_what_zlib_makes(kind: str) -> None:
    data = content(kind, 4 * BLOCK, 1)
    packed, _ = deflated(data)
    assert len(packed) <= MOST_LARGER * len(zlib.compress(data, 6)) + 100


@pytest.mark.parametrize("kind", sorted(CONTENTS))
def test_it_is_hardly_larger_than_the_source_where_that_was_packed_worse(kind: str) -> None:
    data = content(kind, 4 * BLOCK, 1)
    share = 1.3 * len(zlib.compress(data, 6)) / len(data)
    packed = b"".join(deflate([data], Run(0), share=share))
    assert zlib.decompress(packed, -15) == data
    assert len(packed) <= MOST_LARGER * share * len(data) + 100


def test_no_more_is_read_than_is_being_deflated() -> None:
    taken = 0

    def pieces() -> list[bytes]:
        nonlocal taken
        taken += 1
        return [bytes(BLOCK)]

    output = deflate((piece for _ in range(50) for piece in pieces()), Run(0))
    next(output)
    assert taken <= AHEAD + THREADS + 1
    output.close()  # type: ignore[attr-defined]
