"""CRCs of wholes follow from those of their parts, as zlib and AWS's own library count them."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from awscrt.checksums import crc64nvme
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.crc import combine_crc32, combiner

CRCS: dict[str, tuple[int, int, Callable[[bytes], int]]] = {
    "CRC-32": (32, 0xEDB88320, zlib.crc32),
    "CRC-64/NVME": (64, 0x9A6C9329AC4BC9B5, crc64nvme),
}


@pytest.mark.parametrize("name", CRCS)
@given(first=st.binary(max_size=300), second=st.binary(max_size=300))
def test_the_crc_of_a_whole_follows_from_those_of_its_parts(name: str, first: bytes, second: bytes) -> None:
    width, polynomial, crc = CRCS[name]
    combine = combiner(width, polynomial)
    assert combine(crc(first), crc(second), len(second)) == crc(first + second)
    assert combine(crc(second), crc(first), len(first)) == crc(second + first), "asked a second time"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 65_537, 3_000_000])
def test_parts_may_be_of_any_length(size: int) -> None:
    first, second = b"first", bytes(size)
    assert combine_crc32(zlib.crc32(first), zlib.crc32(second), size) == zlib.crc32(first + second)
    assert combiner(32, 0xEDB88320)(zlib.crc32(first), zlib.crc32(second), size) == zlib.crc32(first + second)


crcs = st.integers(0, 2**32 - 1)
lengths = st.integers(0, 1 << 40)


@given(crcs, crcs, crcs, lengths, lengths)
def test_it_is_all_one_which_parts_are_joined_first(a: int, b: int, c: int, of_b: int, of_c: int) -> None:
    """For lengths, too, that no test can have the bytes of."""
    combine = combiner(32, 0xEDB88320)
    assert combine(combine(a, b, of_b), c, of_c) == combine(a, combine(b, c, of_c), of_b + of_c)
