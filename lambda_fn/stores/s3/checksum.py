"""CRCs of joined and cut ranges, without their bytes: how an object in S3 is proved byte for byte unread.

`core.crc` joins two CRCs. It also cuts: to undo the join of n bytes at the end is to divide by x^(8n), and to divide
by x is to multiply by it in the mirror, with the bits of the CRC and of the polynomial reversed. So the CRCs at a few
positions of an object, and a few bytes read, give the CRC of any of its ranges.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Callable, Iterable, Mapping, Optional

from ...core.crc import combiner
from ...core.inflate import crc32

FULL_OBJECT = "FULL_OBJECT"
NAMES = ("CRC64NVME", "CRC32", "CRC32C", "SHA256", "SHA1")
"""Of the checksums that S3 may tell of an object."""
GAP = 8 << 20
"""Bytes read at once where the CRC at a position is not known."""


@dataclass(frozen=True)
class Crc:
    """One of the CRCs that S3 computes over a full object."""

    name: str
    width: int
    polynomial: int
    """Reflected, without the leading term."""
    of: Callable[[bytes, int], int]
    """(data, CRC of what came before) → CRC of both."""

    @property
    def field(self) -> str:
        """Its name in S3's requests and answers."""
        return f"Checksum{self.name}"

    def encode(self, value: int) -> str:
        return b64encode(value.to_bytes(self.width // 8, "big")).decode()

    def decode(self, text: str) -> int:
        return int.from_bytes(b64decode(text), "big")

    @cached_property
    def join(self) -> Callable[[int, int, int], int]:
        """(crc(A), crc(B), |B|) → crc(AB); as xor is its own inverse, (crc(A), crc(AB), |B|) → crc(B)."""
        return combiner(self.width, self.polynomial)

    def joined(self, ranges: Iterable[tuple[int, int]]) -> int:
        """The CRC of consecutive ranges, each given as its CRC and its size."""
        whole = 0
        for value, size in ranges:
            whole = self.join(whole, value, size)
        return whole

    def cut(self, whole: int, end: int, end_size: int) -> int:
        """(crc(AB), crc(B), |B|) → crc(A)."""
        return self._mirrored(self._join_in_mirror(self._mirrored(whole ^ end), 0, end_size))

    @cached_property
    def _join_in_mirror(self) -> Callable[[int, int, int], int]:
        return combiner(self.width, self._mirrored(self.polynomial) >> 1 | 1 << self.width - 1)

    def _mirrored(self, value: int) -> int:
        return int(f"{value:0{self.width}b}"[::-1], 2)


CRC32 = Crc("CRC32", 32, 0xEDB88320, crc32)


@lru_cache(maxsize=1)
def known() -> tuple[Crc, ...]:
    """The CRCs that can be computed here, the best first. CRC64NVME needs the package awscrt."""
    try:
        from awscrt.checksums import crc64nvme
    except ImportError:
        return (CRC32,)
    return (Crc("CRC64NVME", 64, 0x9A6C9329AC4BC9B5, crc64nvme), CRC32)


def told(head: Mapping[str, Any]) -> Optional[str]:
    """What S3 says of a full object's checksum, with its name in front; None if it says nothing of the full object."""
    if head.get("ChecksumType", FULL_OBJECT) != FULL_OBJECT:
        return None
    for name in NAMES:
        value = head.get(f"Checksum{name}")
        if value and "-" not in value:
            return f"{name}:{value}"
    return None


class RunningCrcs:
    """The CRCs of an object's first n bytes, for some positions n: enough for the CRC of any of its ranges."""

    def __init__(self, crc: Crc) -> None:
        self.crc = crc
        self._positions = [0]
        self._values = [0]

    @classmethod
    def of_object(cls, head: Mapping[str, Any]) -> Optional[RunningCrcs]:
        """From what S3 itself says of the whole object; None if it says nothing that is of use here."""
        name, _, value = (told(head) or "").partition(":")
        for crc in known():
            if crc.name == name:
                running = cls(crc)
                running.append(head["ContentLength"], crc.decode(value))
                return running
        return None

    def append(self, position: int, value: int) -> None:
        """The CRC of the first `position` bytes; positions ascend."""
        if position > self._positions[-1]:
            self._positions.append(position)
            self._values.append(value)

    def between(self, start: int, stop: int, read: Callable[[int, int], bytes]) -> int:
        """The CRC of a range; reads what lies between its ends and the nearest known positions."""
        return self.crc.join(self._up_to(start, read), self._up_to(stop, read), stop - start)

    def _up_to(self, position: int, read: Callable[[int, int], bytes]) -> int:
        index = bisect_right(self._positions, position) - 1
        before = self._positions[index]
        after = self._positions[min(index + 1, len(self._positions) - 1)]
        if position - before <= after - position or after <= position:
            gap = self._of_gap(before, position, read)
            return self.crc.join(self._values[index], gap, position - before)
        gap = self._of_gap(position, after, read)
        return self.crc.cut(self._values[index + 1], gap, after - position)

    def _of_gap(self, start: int, stop: int, read: Callable[[int, int], bytes]) -> int:
        value = 0
        for position in range(start, stop, GAP):
            value = self.crc.of(read(position, min(position + GAP, stop)), value)
        return value
