"""What stands beside an output: everything its source said of itself, and our note.

The note is user metadata under a name of ours. S3 allows 2 KB of user metadata in all; what the source brought
comes first, and a note that finds no room is left out, which costs the next run a scan and this one a warning.
"""

from __future__ import annotations

from email.header import Header
from typing import Any, Mapping
from urllib.parse import parse_qsl, quote, urlencode

PREFIX = "repack-"
NOTE = "repack-note"
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
READABLE_CLASSES = ("STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY")
"""Storage classes an output takes over; the others cannot be asked for, or not be read at once."""


def note_of(head: Mapping[str, Any]) -> dict[str, str]:
    """The note in what HEAD says of an object; empty if this program did not make it."""
    return dict(parse_qsl(head.get("Metadata", {}).get(NOTE, ""), keep_blank_values=True))


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
    if tags:
        arguments["Tagging"] = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in tags.items())
    return arguments


def user_metadata(head: Mapping[str, Any], note: Mapping[str, str], publication: str) -> dict[str, str]:
    """The source's own user metadata, less an older note, with the new note and the publication's name."""
    own = {name: _ascii(value) for name, value in head.get("Metadata", {}).items() if not name.startswith(PREFIX)}
    identity = {PUBLICATION: publication}
    for metadata in ({**own, **identity, NOTE: urlencode(note)}, {**own, **identity}):
        if sum(len(name) + len(value) for name, value in metadata.items()) <= LIMIT:
            return metadata
    return own


def _ascii(value: str) -> str:
    """S3 takes text beyond ASCII in the encoding of RFC 2047, and gives it back so."""
    return value if value.isascii() else Header(value, "utf-8", maxlinelen=LIMIT).encode()
