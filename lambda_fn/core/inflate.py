"""The inflater at hand: isal's where it is installed, else zlib-ng's, else the standard library's.

All three have the interface of `zlib.decompressobj` and give the same bytes; isal is up to twice as fast. Their
errors differ in class and text only, so `DeflateError` names them all.
"""

from __future__ import annotations

import zlib
from typing import Any

RAW = -15
"""wbits of a bare deflate stream with its full 32 KiB window: gzip's own header and trailer are ours to check."""

engine: Any
try:
    from isal import isal_zlib as engine
except ImportError:
    try:
        from zlib_ng import zlib_ng as engine
    except ImportError:
        engine = zlib

DeflateError: tuple[type[Exception], ...] = (zlib.error, engine.error)
crc32 = engine.crc32


def inflater() -> Any:
    """A new decompressor of a bare deflate stream (RFC 1951)."""
    return engine.decompressobj(wbits=RAW)
