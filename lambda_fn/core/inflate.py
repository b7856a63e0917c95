"""The inflater at hand: isal's where it is installed, else zlib-ng's, else the standard library's.

All three have the interface of the standard library's `LZMADecompressor` (`needs_input` says that all input is used up)
and give the same bytes; isal is up to twice as fast. Their errors differ in class and text, so `DeflateError` names
them all.

They differ in one more thing. A Huffman code with words that stand for nothing (an incomplete one) is refused by zlib,
and so by gzip, Python, node and Java; isal takes it. No encoder writes such a code, and isal's interface does not show
the codes that it reads, so the only proof is to inflate with zlib, too, or with zlib-ng, which is as strict. That costs
nothing where bytes come slower than zlib-ng inflates, as from S3; elsewhere it costs half as much again, and the front
of an archive is proved alone (see `Proof`).
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from typing import Any, Callable, Iterable

from . import crc

RAW = -15
"""wbits of a bare deflate stream with its full 32 KiB window: gzip's own header and trailer are ours to check."""

PROVED = 4 << 20
"""Bytes at the front of an archive that zlib reads, too, where it is the slower one."""
PROVED_AT_ONCE = 256 << 10
MOST_INFLATED = 16
"""Bytes that one of these is counted for at most: a bomb would otherwise be inflated twice."""


def _cores() -> int:
    said = os.environ.get("REPACK_CORES", "")
    if said.isascii() and said.isdigit() and int(said):
        return int(said)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError), open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
        quota, period = map(int, file.read().split())  # "max" in the place of a quota is none
        cores = min(cores, max(1, round(quota / period)))
    return cores


CORES = _cores()
"""What this process may keep busy: the environment's REPACK_CORES, or as many as the system and the container grant."""


class _Inflater:
    """zlib's decompressor, or one like it, behind that interface."""

    def __init__(self, zdict: bytes = b"", like: Any = None) -> None:
        like = like or engine
        self._zlib = like.decompressobj(wbits=RAW, zdict=zdict) if zdict else like.decompressobj(wbits=RAW)
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out: bytes = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = len(out) < max_length
        return out

    @property
    def eof(self) -> bool:
        return bool(self._zlib.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._zlib.unused_data)


engine: Any
strict_engine: Any
try:
    from zlib_ng import zlib_ng as strict_engine
except ImportError:
    strict_engine = zlib
_new: Any = _Inflater
try:
    from isal import isal_zlib as engine
    from isal.igzip_lib import IgzipDecompressor

    _new = IgzipDecompressor  # it spares the copies that `unconsumed_tail` costs
except ImportError:
    engine = strict_engine

DeflateError: tuple[type[Exception], ...] = (zlib.error, engine.error, strict_engine.error)
crc32 = engine.crc32
combine_crc32: Callable[[int, int, int], int] = getattr(engine, "crc32_combine", crc.combine_crc32)


Inflater = Callable[[bytes], Any]
"""Makes a decompressor of a bare deflate stream (RFC 1951) whose last 32 KiB of output were these."""


def inflater(window: bytes = b"") -> Any:
    """A new one of the fastest kind."""
    return _new(zdict=window) if window else _new()


def strict_inflater(window: bytes = b"") -> Any:
    """A new one that refuses what zlib refuses."""
    return _Inflater(window, strict_engine)


class Proof:
    """That the beginning of a stream is as zlib wants it; what it inflates to is dropped."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._inflater = strict_inflater()

    def take(self, chunks: Iterable[bytes]) -> None:
        """Look at the next chunks, as long as there is something left to look at. Raises DeflateError."""
        for chunk in chunks:
            given = chunk[: max(0, self._left)]
            while given or not self._inflater.needs_input:
                if self.over or self._inflater.eof:
                    return
                made = self._inflater.decompress(given, PROVED_AT_ONCE)
                self._left -= max(len(given), len(made) // MOST_INFLATED)
                given = b""

    @property
    def over(self) -> bool:
        """Whether there is nothing left to look at."""
        return self._left <= 0
