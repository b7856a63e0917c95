"""The places where archives lie, each with a Source and a Target as `core.store` asks for them.

A URI tells which: `s3://bucket/key` is an object; a word with `:/` after it, or an ARN, is neither that nor meant as a
path; everything else is a path on the local disk. What S3 needs is imported when the first S3 URI comes.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Iterable, Optional

from ..core.errors import InvalidRequest
from ..core.store import Source, Target
from .local import LocalSource, LocalTarget

if TYPE_CHECKING:
    from .s3 import S3Access


# Of one letter it is a drive of Windows.
NO_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|arn:")


def access_for(uris: Iterable[str], s3: Optional[S3Access] = None) -> Optional[S3Access]:
    """One way to S3 for all of `uris`, since a client takes long to make: the given one, or if need be a new one."""
    return s3_access() if s3 is None and any(uri.startswith("s3://") for uri in uris) else s3


def s3_access(**options: Any) -> S3Access:
    """A way to S3 with these options. Raises InvalidRequest, also where nothing is installed for it; AccessDenied."""
    try:
        from .s3 import S3Access
    except ModuleNotFoundError as missing:
        need = f"S3 cannot be reached without {missing.name}, which is not installed"
        raise InvalidRequest(f"{need}; pip install boto3 brings it") from None
    return S3Access.default(**options)


def open_source(uri: str, s3: Optional[S3Access] = None, only_read: bool = False) -> Source:
    """The archive at `uri`, pinned to what it is now; `only_read` if no store will be asked to copy from it.

    Raises SourceNotFound, AccessDenied, StoreUnavailable.
    """
    access = access_for([uri], s3)
    if access is None or not uri.startswith("s3://"):
        return LocalSource(local_path(uri))
    from .s3 import S3Source

    return S3Source(uri, access, only_read=only_read)


def open_target(uri: str, s3: Optional[S3Access] = None) -> Target:
    """The place of an output. Raises AccessDenied, StoreUnavailable, InvalidRequest."""
    access = access_for([uri], s3)
    if access is None or not uri.startswith("s3://"):
        return LocalTarget(local_path(uri))
    from .s3 import S3Target

    return S3Target(uri, access)


def local_path(uri: str) -> str:
    """What is no S3 URI, as a path. Raises InvalidRequest for what was meant as the address of something else."""
    if NO_PATH.match(uri):
        raise InvalidRequest(f"{uri} is neither a path nor s3://bucket/key, which are all that can be read and written")
    if uri.startswith("~/"):  # as a folder's name it would be made, and one day be removed by `rm -r ~`
        raise InvalidRequest(f"{uri} begins with ~, and no shell has put the home folder there; write it out")
    try:
        if b"\0" not in os.fsencode(uri):
            return uri
    except UnicodeEncodeError:
        pass
    raise InvalidRequest(f"{uri!r} is no path")
