"""Known sources: the way from a source that was scanned once to an output made of it.

What a scan finds stands in the output, in its mark and its note. The next output of the same source, whatever its key,
needs no second scan if that one is found: a pointer leads there, a small object named by a digest of the source's
version and of the names put in, which holds the output's URI. It is a hint and no more: only the output's own note is
believed. A pointer that cannot be read or written, or leads nowhere, costs a scan and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import closing
from typing import Mapping, Optional

from ...core.errors import RepackError
from .access import KEY_BYTES, Place, S3Access, named_errors
from .source import S3Source

log = logging.getLogger(__name__)


def pointer_to(prefix: str, source: S3Source, made_of: Mapping[str, str], bucket: str) -> Place:
    """Where the pointer to an output in this bucket lies. Buckets share none: their regions and rights may differ."""
    known = json.dumps([source.place.bucket, source.place.key, sorted(made_of.items()), bucket])
    return Place.parse(prefix + hashlib.sha256(known.encode()).hexdigest())


def follow(pointer: Place, access: S3Access) -> Optional[Place]:
    """Where the pointer leads to; None if there is none."""
    try:
        with (
            named_errors(pointer),
            closing(access.client.get_object(**access.on(pointer), Range=f"bytes=0-{2 * KEY_BYTES}")["Body"]) as body,
        ):
            return Place.parse(body.read().decode())
    except (RepackError, UnicodeDecodeError):
        return None


def point(pointer: Place, access: S3Access, output: Place) -> None:
    """Make the pointer lead to this output."""
    try:
        with named_errors(pointer):
            access.client.put_object(
                **access.on(pointer), **access.encryption, ContentType="text/plain", Body=str(output).encode()
            )
    except RepackError as error:
        log.warning("%s is not remembered, so that its model will be scanned again: %s", output, error)
