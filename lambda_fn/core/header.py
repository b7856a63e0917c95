"""tar headers as we write them, and those of others spelled anew.

A header is one block of fields at fixed places (POSIX.1-1988, "ustar"). What does not fit stands in an extended header
before it: records `length key=value\\n` in a block of type x (POSIX.1-2001, "pax"), or a long name in one of type L, a
long link in one of type K (GNU).
"""

from __future__ import annotations

from typing import Callable, Iterator

from .tar import DIRECTORY, HARD_LINK, Entry, number, padded, text
from .ustar import (
    BLOCK,
    CHECKSUM,
    GID,
    GNAME,
    LINK,
    MAGIC,
    MODE,
    MTIME,
    NAME,
    PREFIX,
    SIZE,
    TYPE,
    UID,
    UNAME,
    room,
)
from .value import Value

USTAR = b"ustar\0" + b"00"
RESPELLED = (b"path", b"linkpath", b"GNU.sparse.name")
"""Keys of pax records that hold a path of the archive."""


class Attributes(Value):
    """What stands beside an entry's name and data."""

    mode: int = 0o644
    mtime: int = 0
    """In seconds, from 0 to 8^11 - 1."""
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""


def header(name: str, size: int, attributes: Attributes, directory: bool = False) -> bytes:
    """The header blocks of a file or a directory: the same bytes as CPython's tarfile writes in its pax format."""
    name = name + "/" if directory else name
    records = b""
    for key, field, value in (
        (b"path", NAME, name),
        (b"uname", UNAME, attributes.uname),
        (b"gname", GNAME, attributes.gname),
    ):
        if len(value) > room(field) or not value.isascii():
            records += record(key, _encoded(value))
    for key, field, figure in ((b"uid", UID, attributes.uid), (b"gid", GID, attributes.gid), (b"size", SIZE, size)):
        if figure >= 8 ** (room(field) - 1):
            records += record(key, b"%d" % figure)
    extended = b""
    if records:
        extended = _block("././@PaxHeader", len(records), b"x", Attributes(mode=0)) + records + _padding(len(records))
    return extended + _block(name, size, DIRECTORY if directory else b"0", attributes)


def entry(name: str, data: bytes, attributes: Attributes, directory: bool = False) -> bytes:
    """A whole entry, padding included."""
    return header(name, len(data), attributes, directory) + data + _padding(len(data))


def record(key: bytes, value: bytes) -> bytes:
    """A pax record; its length counts its own digits, too."""
    size = len(key) + len(value) + 3
    length = size + len(str(size))
    length = size + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def respelled(old: Entry, spell: Callable[[str], str]) -> bytes:
    """The header blocks of an entry whose name, and target if it is a hard link, are spelled anew; all else stays."""
    blocks, at = b"", 0
    while True:
        block = old.blocks[at : at + BLOCK]
        kind, size = block[TYPE], number(block[SIZE])
        if kind not in (b"x", b"X", b"L", b"K"):
            break
        data = old.blocks[at + BLOCK : at + BLOCK + size]
        at += BLOCK + padded(size)
        if kind in b"xX":
            data = b"".join(_spelled_records(data, spell, old.type == HARD_LINK))
        elif kind == b"L" or old.type == HARD_LINK:
            data = _encoded(spell(text(data))) + b"\0"
        blocks += _with(block, (SIZE, _octal(len(data), SIZE))) + data + _padding(len(data))
    return blocks + _spelled_block(block, spell, old.type == HARD_LINK) + old.blocks[at + BLOCK :]


def _spelled_records(data: bytes, spell: Callable[[str], str], hard_link: bool) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        space = data.index(b" ", at)
        stop = at + int(data[at:space])
        key, value = data[space + 1 : stop - 1].split(b"=", 1)
        if key in RESPELLED and (key != b"linkpath" or hard_link):
            value = _encoded(spell(value.decode("utf-8", "surrogateescape")))
        yield record(key, value)
        at = stop


def _spelled_block(block: bytes, spell: Callable[[str], str], hard_link: bool) -> bytes:
    name = text(block[NAME])
    new = [(NAME, _encoded(spell(name)))]
    if block[MAGIC].startswith(b"ustar\0") and block[PREFIX.start]:
        prefix = text(block[PREFIX])
        left = spell(f"{prefix}/{name}")
        cut = len(left) - len(name)
        new = [(NAME, _encoded(name if cut > 0 else left)), (PREFIX, _encoded(left[: max(0, cut - 1)]))]
    if hard_link:
        new.append((LINK, _encoded(spell(text(block[LINK])))))
    return _with(block, *new)


def _block(name: str, size: int, kind: bytes, attributes: Attributes) -> bytes:
    return _with(
        bytes(BLOCK),
        (NAME, name.encode("ascii", "replace")),
        (MODE, _octal(attributes.mode & 0o7777, MODE)),
        (UID, _octal(attributes.uid, UID)),
        (GID, _octal(attributes.gid, GID)),
        (SIZE, _octal(size, SIZE)),
        (MTIME, _octal(attributes.mtime, MTIME)),
        (TYPE, kind),
        (MAGIC, USTAR),
        (UNAME, attributes.uname.encode("ascii", "replace")),
        (GNAME, attributes.gname.encode("ascii", "replace")),
    )


def _with(block: bytes, *fields: tuple[slice, bytes]) -> bytes:
    """The block with other fields, and the checksum that follows from them."""
    new = bytearray(block)
    for field, value in fields:
        new[field] = value[: room(field)].ljust(room(field), b"\0")
    new[CHECKSUM] = b" " * room(CHECKSUM)
    new[CHECKSUM] = b"%06o\0 " % sum(new)
    return bytes(new)


def _octal(value: int, field: slice) -> bytes:
    """Digits and a NUL; 0 where the number has too many digits, since an extended header has it then."""
    digits = room(field) - 1
    return b"%0*o\0" % (digits, value if 0 <= value < 8**digits else 0)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(padded(size) - size)
