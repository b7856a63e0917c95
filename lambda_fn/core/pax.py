"""The records of pax extended headers (POSIX.1-2001): `length key=value\\n`, the length in decimal and counting itself.

Readers agree on them only where they are written as POSIX has it. Some take a sign, underscores or zeros before the
length, some cut a key or a value at a NUL, node-tar reads line by line, and of two records with one key some take the
first. What one of them would read otherwise than we do is refused, if it says where an entry ends or what it is called.
"""

from __future__ import annotations

import math
import re
from typing import Mapping, Optional

from .errors import InvalidArchive

UNDERSTOOD = frozenset(("path", "linkpath", "size", "mtime", "uid", "gid", "uname", "gname"))
SPARSE = "GNU.sparse."
"""What the keys of GNU tar's sparse files begin with."""
MAP, OFFSET, LENGTH = "GNU.sparse.map", "GNU.sparse.offset", "GNU.sparse.numbytes"
"""What GNU tar's sparse format 0.1 has for all stretches of data, and 0.0 by turns for each."""
MAPS = frozenset((MAP, OFFSET, LENGTH))
"""Keys whose values grow with a file."""
UNSHARED = ("path", "linkpath", "size", SPARSE)
"""What the keys begin with that say what one entry is: nonsense in a header for all that follow."""
VALUE_LIMIT = 64 << 10
"""Bytes of a value that is looked at; the longest path that Linux opens has 4,095."""

_RECORD = re.compile(rb"([1-9][0-9]{0,9}) ([^ \t=\0\n][^=\0\n]*)=")
_TIME = r"-?[0-9]+(?:\.[0-9]*)?"
_MAP = rb"[0-9]{1,19},[0-9]{1,19}(?:,[0-9]{1,19},[0-9]{1,19})*"
_LINE = rb"\n[^\n=]{0,4}[0-9]{1,10}[^\n=]{0,4}(?:path|linkpath|size|GNU\.sparse\.[a-z]+)="
"""What node-tar takes for a record within a value: it has one character besides the digits before its key."""


def read_records(data: bytes, offset: int, shared: bool) -> dict[str, str]:
    """Those records that are looked at; of a sparse map only what it adds up to. Raises InvalidArchive.

    `offset` is where in the tar the header begins, and `shared` whether it is for all entries that follow.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        begun = _RECORD.match(data, at, at + VALUE_LIMIT)
        stop = at + int(begun[1]) if begun else 0
        if begun is None or not begun.end() < stop <= len(data) or data[stop - 1] != ord("\n"):
            raise InvalidArchive(f"the tar is damaged: a broken pax record at its byte {offset}; pack the model again")
        key, value = begun[2].decode("utf-8", "surrogateescape"), data[begun.end() : stop - 1]
        at = stop
        if b"\n" in value and re.search(_LINE, value):
            raise ambiguous(f"the value of {key!r} holds what some readers take for another record", offset)
        if key in UNDERSTOOD or key.startswith(SPARSE):
            check(key, value, offset, shared)
            if key in found and key != LENGTH:
                raise ambiguous(f"{key!r} twice in one pax header", offset)
            if key == LENGTH:
                value = found.pop(OFFSET, "").encode("utf-8", "surrogateescape") + b"," + value
            told = value.decode("utf-8", "surrogateescape")
            found[key] = mapped(value, offset, found.get(key, "0")) if key in (MAP, LENGTH) else told
    return found


def check(key: str, value: bytes, offset: int, shared: bool) -> None:
    """Raises InvalidArchive unless every reader takes the record as it is."""
    if key.startswith(UNSHARED):
        if shared:
            raise ambiguous(f"{key!r} in a pax header for all entries that follow", offset)
        if not value and key not in MAPS:
            raise ambiguous(f"an empty {key!r}", offset)
    if b"\0" in value:
        raise ambiguous(f"a NUL in the value of {key!r}", offset)
    if len(value) > VALUE_LIMIT and key not in MAPS:
        raise InvalidArchive(
            f"the tar is damaged: {key!r} has {len(value)} bytes at its byte {offset}; pack the model again"
        )


def mapped(value: bytes, offset: int, before: str = "0") -> str:
    """What a sparse map, offsets and lengths by turns, adds up to: bytes of data, and where the last of them end."""
    if not re.fullmatch(_MAP, value):
        raise ambiguous("a sparse map that is none", offset)
    numbers = list(map(int, value.split(b",")))
    return f"{int(before.split()[0]) + sum(numbers[1::2])} {sum(numbers[-2:])}"


def natural(key: str, records: Mapping[str, str], offset: int, default: int) -> int:
    """The record's number, in nothing but digits."""
    value = records.get(key)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise InvalidArchive(f"the tar is damaged: {key!r} is no number at its byte {offset}; pack the model again")
    return int(value)


def time(value: str, offset: int) -> float:
    """A time in seconds. Almost every reader ignores what follows the digits, and a few writers leave something."""
    found = re.match(_TIME, value)
    try:
        finite = math.isfinite(float(value))
    except ValueError:
        finite = True
    if found is None or not finite:
        raise InvalidArchive(f"the tar is damaged: 'mtime' is no number at its byte {offset}; pack the model again")
    return float(found[0])


def sparse_size(records: Mapping[str, str], data_size: int, offset: int) -> Optional[int]:
    """The size of a sparse file with its holes, in any of GNU tar's three formats; None if it is none."""
    keys = {key for key in records if key.startswith(SPARSE)}
    if not keys:
        return None
    version = records.get("GNU.sparse.major"), records.get("GNU.sparse.minor")
    size = natural("GNU.sparse.realsize", records, offset, natural("GNU.sparse.size", records, offset, -1))
    told = [records[key] for key in keys & MAPS]
    in_headers = version == (None, None) and told == [f"{data_size} {size}"]
    in_data = version == ("1", "0") and not told
    if size < 0 or not (in_headers or in_data):
        raise ambiguous("records of a sparse file without its size, or whose map does not fit it", offset)
    return size


def ambiguous(what: str, offset: int) -> InvalidArchive:
    """The error of a tar that readers do not take alike."""
    return InvalidArchive(
        f"the tar is ambiguous at its byte {offset}: {what}; readers disagree about it, so pack the model again"
    )
