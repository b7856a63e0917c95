"""CRCs of ranges by arithmetic are those of their bytes."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.stores.s3 import checksum
from lambda_fn.stores.s3.checksum import CRC32, Crc, RunningCrcs

BYTES = random.Random(1).randbytes(50_000)
CRCS = checksum.known()
every_crc = pytest.mark.parametrize("crc", CRCS, ids=lambda crc: crc.name)


def test_crc64nvme_comes_first_where_it_can_be_computed() -> None:
    assert [crc.name for crc in CRCS] == ["CRC64NVME", "CRC32"]
    assert f"{CRCS[0].of(b'123456789', 0):016x}" == "ae8b14860a799888"  # the check value of its catalogue


@every_crc
@given(first=st.binary(max_size=300), second=st.binary(max_size=300))
def test_crcs_are_joined_and_cut_without_the_bytes(crc: Crc, first: bytes, second: bytes) -> None:
    one, two, both = crc.of(first, 0), crc.of(second, 0), crc.of(first + second, 0)
    assert crc.join(one, two, len(second)) == both
    assert crc.join(one, both, len(second)) == two
    assert crc.cut(both, two, len(second)) == one
    assert crc.joined([(one, len(first)), (two, len(second))]) == both
    assert crc.decode(crc.encode(both)) == both


@every_crc
@given(data=st.data())
def test_a_range_is_known_from_the_positions_around_it(crc: Crc, data: Any) -> None:
    running = RunningCrcs(crc)
    for position in (*sorted(data.draw(st.sets(st.integers(1, len(BYTES) - 1), max_size=5))), len(BYTES)):
        running.append(position, crc.of(BYTES[:position], 0))
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(BYTES))] * 2)))
    assert running.between(start, stop, lambda low, high: BYTES[low:high]) == crc.of(BYTES[start:stop], 0)


@every_crc
def test_only_the_ends_are_read_when_the_whole_is_known(crc: Crc) -> None:
    read = []

    def reading(start: int, stop: int) -> bytes:
        read.append((start, stop))
        return BYTES[start:stop]

    whole = {"ContentLength": len(BYTES), crc.field: crc.encode(crc.of(BYTES, 0)), "ChecksumType": "FULL_OBJECT"}
    running = RunningCrcs.of_object(whole)
    assert running is not None
    assert running.between(10, len(BYTES) - 8, reading) == crc.of(BYTES[10:-8], 0)
    assert read == [(0, 10), (len(BYTES) - 8, len(BYTES))]


@pytest.mark.parametrize(
    "head",
    [
        {"ContentLength": 9},
        {"ContentLength": 9, "ChecksumCRC32": "AAAAAA==-2", "ChecksumType": "COMPOSITE"},
        {"ContentLength": 9, "ChecksumSHA256": "x", "ChecksumType": "FULL_OBJECT"},
    ],
)
def test_no_checksum_of_the_whole_is_no_knowledge(head: dict[str, Any]) -> None:
    assert RunningCrcs.of_object(head) is None


def test_without_awscrt_there_is_still_crc32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "awscrt.checksums", None)
    checksum.known.cache_clear()
    try:
        assert checksum.known() == (CRC32,)
    finally:
        checksum.known.cache_clear()
