"""What stands beside an output: everything its source said of itself, and our note.

The note is user metadata under a name of ours. S3 allows 2 KB of user metadata in all; what the source brought
comes first, and a note that finds no room is left out, which costs the next run a scan and this one a warning.
"""

from __future__ import annotations

from contextlib import suppress
from email.header import Header
from typing import Any, Mapping, Optional
from urllib.parse import parse_qsl, quote, urlencode

from . import checksum

NOTE = "repack-note"
SIZE = "output-size"
CHECKSUM = "output-checksum"
"""In a note: what it says of the bytes it was written for."""
PUBLICATION = "repack-publication"
"""Names one attempt to publish, so that it knows its own output after an answer was lost."""
LIMIT = 2048
NO_ROOM = (
    f"the user metadata of the source leaves our note no room in the {LIMIT} bytes that S3 allows, "
    "so that the output will be scanned again"
)

HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "WebsiteRedirectLocation",
)
ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")
VERDICTS = ("GuardDutyMalwareScan", "av-", "fss-scan", "scan-result", "scan-status", "date-scanned")
"""How tags begin that a virus scanner gives to an object: they tell of its bytes, and the output has others."""
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
READABLE_CLASSES = ("STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY")
"""Storage classes an output takes over; the others cannot be asked for, or not be read at once."""


def note_of(head: Mapping[str, Any]) -> Optional[dict[str, str]]:
    """The note in what HEAD says of an object; None if this program did not make these very bytes.

    Metadata is carried along to other bytes (by an edit in place, a copy that recompresses), so a note tells of the
    bytes it was written for: by their size, and by their checksum unless the store gives none. One that does not, as
    older ones, or those of outputs that were still unknown when their upload began, is not believed.
    """
    note = dict(parse_qsl(head.get("Metadata", {}).get(NOTE, ""), keep_blank_values=True))
    size, proved = note.pop(SIZE, None), note.pop(CHECKSUM, None)
    gives_none = not any(name.startswith("Checksum") for name in head)
    believed = size == str(head.get("ContentLength")) and (gives_none or proved == checksum.told(head))
    return note if believed and proved else None


def of_bytes(note: Mapping[str, str], size: int, crc: checksum.Crc, value: int) -> dict[str, str]:
    """The note for an output of this size and CRC, and for no other."""
    return {**note, SIZE: str(size), CHECKSUM: f"{crc.name}:{crc.encode(value)}"}


def publication_of(head: Mapping[str, Any]) -> str:
    """Which attempt to publish made the object; empty if none of this program's."""
    return str(head.get("Metadata", {}).get(PUBLICATION, ""))


def kept(head: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """The arguments that give an output what its source has; `head` may be empty, for a source outside of S3."""
    arguments = {name: head[name] for name in HEADERS if head.get(name)}
    if not head:
        arguments["ContentType"] = "application/gzip"
    if head.get("StorageClass") in READABLE_CLASSES:
        arguments["StorageClass"] = head["StorageClass"]
    if str(head.get("ServerSideEncryption")).startswith("aws:kms"):
        arguments.update({name: head[name] for name in ENCRYPTION if head.get(name)})
    tags = {key: value for key, value in tags.items() if not key.startswith((*VERDICTS, "aws:"))}
    if tags:
        arguments["Tagging"] = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in tags.items())
    return arguments


def lost(head: Mapping[str, Any], storage_class: Optional[str] = None) -> tuple[str, ...]:
    """What a source says of itself that cannot be said again, a sentence each; its `storage_class` if none is given."""
    sentences = []
    if head.get("StorageClass") in ARCHIVES and not storage_class:
        sentences.append(f"the storage class {head['StorageClass']} is not carried over: an output can be read at once")
    mode, until = head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate")
    locks = [f"{mode} until {until}"] if mode else []
    locks += ["a legal hold"] if head.get("ObjectLockLegalHoldStatus") == "ON" else []
    if locks:
        told = " and ".join(locks)
        sentences.append(f"the source's object lock ({told}) is not carried over: the output's is as its bucket says")
    expires = head.get("ExpiresString")
    if expires and not head.get("Expires"):
        sentences.append(f"Expires is not carried over: {expires!r} is no date")
    if without := ", ".join(sorted(head.get("Metadata", {}).keys() - _own(head).keys() - {NOTE, PUBLICATION})):
        sentences.append(f"user metadata is not carried over: {without} in ASCII is more than {LIMIT} bytes")
    return tuple(sentences)


def user_metadata(head: Mapping[str, Any], note: Mapping[str, str], publication: str) -> dict[str, str]:
    """The source's own user metadata, less an older note, with the new note and the publication's name."""
    own = _own(head)
    identity = {PUBLICATION: publication}
    for metadata in ({**own, **identity, NOTE: urlencode(note)}, {**own, **identity}):
        if _fits(metadata):
            return metadata
    return own


def _own(head: Mapping[str, Any]) -> dict[str, str]:
    """What the source itself brought, as S3 takes it; without what is not ASCII, if that makes it too much."""
    given = {name: value for name, value in head.get("Metadata", {}).items() if name not in (NOTE, PUBLICATION)}
    own = {name: _ascii(value) for name, value in given.items()}
    return own if _fits(own) else {name: value for name, value in given.items() if value.isascii()}


def _fits(metadata: Mapping[str, str]) -> bool:
    return sum(len(name) + len(value) for name, value in metadata.items()) <= LIMIT


def _ascii(value: str) -> str:
    """S3 takes text beyond ASCII in the encoding of RFC 2047, and gives it back so; other stores give it raw."""
    if value.isascii():
        return value
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8")  # which is how the bytes of a header are read
    return Header(value, "utf-8", maxlinelen=LIMIT).encode()
