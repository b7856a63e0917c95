"""Where one object lies, as its URI says it.

    s3://bucket/key                                                     the newest version
    s3://bucket/key?versionId=ID                                        a version, of a source
    s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/name/key         by an access point; or accesspoint:name/key
    s3://name-abc123-s3alias/key                                        the same, by its alias

A key is taken as it stands: S3 URIs are not percent-encoded. Only a key that ends like a version is read as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from ...core.errors import InvalidRequest

KEY_BYTES = 1024
ACCESS_POINT = re.compile(r"(arn:[^/]+:accesspoint[/:][A-Za-z0-9.-]+)/(?:object/)?(.+)", re.DOTALL)
VERSION = re.compile(r"(.+)\?versionId=([^?&#/]+)", re.DOTALL)
UNSPEAKABLE = re.compile("[\0-\b\v\f\x0e-\x1f\ufffe\uffff]")
"""What the XML of S3's answers cannot hold."""


@dataclass(frozen=True)
class Place:
    """A bucket, or an access point in its stead, and a key."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Place:
        """From `s3://bucket/key`. Raises InvalidRequest."""
        scheme, _, path = uri.partition("://")
        bucket, _, key = path.partition("/")
        if by := ACCESS_POINT.fullmatch(path):
            bucket, key = by.groups()
        if scheme != "s3" or not bucket or not key:
            raise InvalidRequest(f"{uri!r} is not the URI of an object: s3://bucket/key")
        if bucket.startswith("arn:") and (not by or ".mrap" in bucket):
            raise InvalidRequest(f"{uri!r} is no access point of one bucket; S3 copies from and to such alone")
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            raise InvalidRequest(f"the key of {uri!r} is not UTF-8, as S3's keys are") from None
        if size > KEY_BYTES:
            raise InvalidRequest(f"the key of {uri!r} is longer than the {KEY_BYTES} bytes S3 allows")
        return cls(bucket, key)

    @classmethod
    def of_source(cls, uri: str) -> tuple[Place, Optional[str]]:
        """The place, and the version if one is asked for. Raises InvalidRequest."""
        versioned = VERSION.fullmatch(uri)
        return (cls.parse(versioned[1]), versioned[2]) if versioned else (cls.parse(uri), None)

    @classmethod
    def of_output(cls, uri: str) -> Place:
        """Where an object can be written. Raises InvalidRequest."""
        place, version = cls.of_source(uri)
        if version:
            raise InvalidRequest(f"{uri!r} names a version; what is written becomes a new one, which S3 names")
        if place.key.endswith("/"):
            raise InvalidRequest(f"{uri} is a folder; name the new archive")
        if UNSPEAKABLE.search(place.key):
            raise InvalidRequest(f"{uri!r} has control characters in its key, of which S3 cannot tell in its answers")
        return place

    @classmethod
    def of_folder(cls, uri: str) -> Place:
        """Where objects lie whose keys begin with a prefix, which may be empty. Raises InvalidRequest."""
        try:
            below = cls.parse(f"{uri}*")
        except InvalidRequest:
            raise InvalidRequest(f"{uri!r} is not the URI of a folder: s3://bucket/prefix/") from None
        return cls(below.bucket, below.key[:-1])

    @property
    def express(self) -> bool:
        """Whether it lies in a directory bucket of S3 Express, which has neither tags nor storage classes."""
        return self.bucket.endswith("--x-s3")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"
