"""Pointers: small objects of ours, each of which names one output by all that tells its bytes.

They lie under the prefix of `S3Access.known_sources`, where only this program may write. What stands there was proved
when it was written, which nobody who may merely write a source could have said.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Mapping, Optional

from ...core.errors import RepackError
from . import checksum, metadata
from .access import S3Access
from .failures import named_errors
from .place import Place

LIMIT = 16 << 10
"""Bytes of a pointer at most."""


@dataclass(frozen=True)
class Output:
    """One version of an output, as S3 describes it, and its note."""

    uri: str
    etag: str
    version_id: Optional[str]
    size: int
    checksum: Optional[str]
    """Of the full object, with its name in front: CRC64NVME:AAAAAAAAAAA=."""
    note: Mapping[str, str]

    @classmethod
    def of(cls, place: Place, head: Mapping[str, Any], note: Mapping[str, str]) -> Output:
        """From what S3 says of it."""
        version = head.get("VersionId")
        told = checksum.told(head)
        return cls(str(place), head["ETag"], None if version == "null" else version, head["ContentLength"], told, note)

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells it from all others, and its bytes from all others."""
        return self.uri, self.etag, self.version_id, self.size, self.checksum


def note_of(place: Place, head: Mapping[str, Any], access: S3Access) -> Optional[Mapping[str, str]]:
    """The note of an object whose HEAD is given; None if it is not known to be an output of ours.

    Known sources, where there are any, are the only word for that. Elsewhere it is the object's own metadata, which
    whoever wrote it could have made up.
    """
    if access.known_sources is None:
        return metadata.note_of(head)
    asked = Output.of(place, head, {}).identity
    found = follow(lies(access.known_sources, *asked), access)
    return found.note if found and found.identity == asked else None


def lies(prefix: str, *of: object) -> Place:
    """Where the pointer lies that is found by these values. Raises InvalidRequest for a prefix that is none."""
    return Place.parse(prefix + hashlib.sha256(json.dumps(of).encode()).hexdigest())


def follow(pointer: Place, access: S3Access) -> Optional[Output]:
    """The output that a pointer names; None if there is no such pointer, or none that we wrote."""
    try:
        with (
            named_errors(pointer),
            closing(access.client.get_object(**access.on(pointer), Range=f"bytes=0-{LIMIT - 1}")["Body"]) as body,
        ):
            output = Output(**json.loads(body.read()))
    except (RepackError, ValueError, TypeError, RecursionError):
        return None
    texts = output.note.values() if isinstance(output.note, dict) else (None,)
    return output if all(isinstance(text, str) for text in (output.uri, *texts)) else None


def point(pointer: Place, access: S3Access, output: Output) -> tuple[str, ...]:
    """Make the pointer name this output; if it cannot be made to, a sentence that says so."""
    try:
        with named_errors(pointer):
            put(pointer, access, asdict(output))
    except RepackError as error:
        return (f"{output.uri} is not remembered and will be scanned again: {error}",)
    return ()


def put(place: Place, access: S3Access, document: Any, **condition: str) -> None:
    """Write a small object of ours. It brings its checksum, without which a locked bucket takes none."""
    data = json.dumps(document).encode()
    crc = checksum.CRC32
    access.client.put_object(
        **access.on(place),
        **access.ownership,
        **condition,
        **{crc.field: crc.encode(crc.of(data, 0))},
        ContentType="application/json",
        Body=data,
    )
