"""The places where archives lie, each with a Source and a Target as `core.store` asks for them.

A URI tells which: `s3://bucket/key` is an object, everything else a path on the local disk. What S3 needs is
imported when the first S3 URI comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ..core.errors import InvalidRequest
from ..core.store import Source, Target
from .local import LocalSource, LocalTarget

if TYPE_CHECKING:
    from .s3 import S3Access


def open_source(uri: str, s3: Optional[S3Access] = None) -> Source:
    """The archive at `uri`, pinned to what it is now. Raises SourceNotFound, AccessDenied, StoreUnavailable."""
    if not uri.startswith("s3://"):
        return LocalSource(uri)
    from .s3 import S3Access, S3Source

    return S3Source(uri, s3 or S3Access.default())


def open_target(uri: str, s3: Optional[S3Access] = None) -> Target:
    """The place of an output. Raises AccessDenied, StoreUnavailable, InvalidRequest."""
    if not uri.startswith("s3://"):
        return LocalTarget(uri)
    from .s3 import S3Access, S3Target

    return S3Target(uri, s3 or S3Access.default())


def read_whole(uri: str, limit: int, s3: Optional[S3Access] = None) -> bytes:
    """A small file's bytes. Raises InvalidRequest if it has more than `limit`, and what `open_source` raises."""
    source = open_source(uri, s3)
    try:
        if source.size > limit:
            raise InvalidRequest(f"{uri} has {source.size} bytes; at most {limit} can be put in")
        return source.read(0, source.size) if source.size else b""
    finally:
        source.close()
