"""What there is in S3: the objects whose keys begin with a prefix, as in a folder, and whether there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping

from ...core.errors import SourceNotFound
from .access import S3Access
from .failures import named_errors
from .place import Place
from .source import S3Source


@dataclass(frozen=True)
class Listed:
    """An object as a listing tells of it."""

    uri: str
    size: int
    etag: str


def exists(uri: str, access: S3Access) -> bool:
    """Whether there is such an object. Raises AccessDenied, InvalidRequest, StoreUnavailable."""
    try:
        S3Source(uri, access).close()
    except SourceNotFound:
        return False
    return True


def objects_below(uri: str, access: S3Access, deep: bool = True) -> Iterator[Listed]:
    """The objects below `s3://bucket/prefix/`, in the order of their keys, a thousand with each request.

    Those of its folders are among them if `deep`. Raises SourceNotFound if there is no such bucket, AccessDenied,
    InvalidRequest, StoreUnavailable.
    """
    place = Place.of_folder(uri)
    arguments = access.on(place)
    arguments["Prefix"] = arguments.pop("Key")
    if not deep:
        arguments["Delimiter"] = "/"
    while True:
        with named_errors(uri, missing=SourceNotFound):
            page: Mapping[str, Any] = access.client.list_objects_v2(**arguments)
        for found in page.get("Contents", ()):
            yield Listed(uri + found["Key"][len(place.key) :], found["Size"], found["ETag"])
        if not page.get("IsTruncated"):
            return
        arguments["ContinuationToken"] = page["NextContinuationToken"]
