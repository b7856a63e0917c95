"""SHA-256: Python's own for what is small, OpenSSL's, six times as fast, for the rest.

`hashlib` loads all of OpenSSL, which takes as long as digesting half a MiB without it; little of what is put in is as
large, and small models are many. The standard library's `random` has its SHA-512 from the same place.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

SMALL = 512 << 10
"""Bytes that are digested, all in all, sooner than OpenSSL is loaded."""
OWN = ("_sha2", "_sha256")
"""Where Python has its own: from 3.12 on, and before. A build may leave it out."""

_left = SMALL


def sha256(size: int) -> Any:
    """A new digest, of `hashlib`'s interface, for so many bytes."""
    global _left  # noqa: PLW0603 (what counts is what the process digests)
    _left -= size
    for module in OWN if _left >= 0 else ():
        with suppress(ImportError):
            return import_module(module).sha256()
    import hashlib  # there is much to digest, or nothing else to do it

    return hashlib.sha256()


def hexadecimal(data: bytes) -> str:
    """The digest of these bytes, as hexadecimal digits."""
    digest = sha256(len(data))
    digest.update(data)
    return str(digest.hexdigest())
