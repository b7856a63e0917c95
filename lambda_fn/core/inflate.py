"""The inflater at hand: isal's where it is installed, else zlib-ng's, else the standard library's.

All three have the interface of the standard library's `LZMADecompressor` (`needs_input` says that all input is used up)
and give the same bytes; isal is up to twice as fast. Their errors differ in class and text only, so `DeflateError`
names them all.
"""

from __future__ import annotations

import os
import zlib
from typing import Any

RAW = -15
"""wbits of a bare deflate stream with its full 32 KiB window: gzip's own header and trailer are ours to check."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""What this process may run on."""


class _Inflater:
    """zlib's decompressor behind that interface."""

    def __init__(self, zdict: bytes = b"") -> None:
        self._zlib = engine.decompressobj(wbits=RAW, zdict=zdict) if zdict else engine.decompressobj(wbits=RAW)
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
_new: Any = _Inflater
try:
    from isal import isal_zlib as engine
    from isal.igzip_lib import IgzipDecompressor

    _new = IgzipDecompressor  # it spares the copies that `unconsumed_tail` costs
except ImportError:
    try:
        from zlib_ng import zlib_ng as engine
    except ImportError:
        engine = zlib

DeflateError: tuple[type[Exception], ...] = (zlib.error, engine.error)
crc32 = engine.crc32


def inflater(window: bytes = b"") -> Any:
    """A new decompressor of a bare deflate stream (RFC 1951) whose last 32 KiB of output were `window`."""
    return _new(zdict=window) if window else _new()
