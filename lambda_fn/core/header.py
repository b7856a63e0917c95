"""tar headers as we write them, and those of others spelled anew.

A header is one block of fields at fixed places (POSIX.1-1988, "ustar"). What does not fit stands in an extended header
before it: records `length key=value\\n` in a block of type x (POSIX.1-2001, "pax"), or a long name in one of type L, a
long link in one of type K (GNU).
"""

from __future__ import annotations

from typing import Callable, Iterator, Mapping, NamedTuple

from .tar import BLOCK, DIRECTORY, HARD_LINK, Entry, number, padded, text
from .value import Value


class Field(NamedTuple):
    """Where a field stands in a header block."""

    start: int
    stop: int

    @property
    def room(self) -> int:
        return self.stop - self.start

    def of(self, block: bytes) -> bytes:
        return block[self.start : self.stop]


NAME, MODE, UID, GID = Field(0, 100), Field(100, 108), Field(108, 116), Field(116, 124)
SIZE, MTIME, CHECKSUM, TYPE = Field(124, 136), Field(136, 148), Field(148, 156), Field(156, 157)
LINK, MAGIC, UNAME, GNAME, PREFIX = Field(157, 257), Field(257, 265), Field(265, 297), Field(297, 329), Field(345, 500)
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
    fields = {NAME: name, UNAME: attributes.uname, GNAME: attributes.gname}
    keys = {NAME: b"path", UNAME: b"uname", GNAME: b"gname"}
    records = b""
    for place, value in fields.items():
        if len(value) > place.room or not value.isascii():
            records += record(keys[place], _encoded(value))
    for key, place, figure in ((b"uid", UID, attributes.uid), (b"gid", GID, attributes.gid), (b"size", SIZE, size)):
        if figure >= 8 ** (place.room - 1):
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
        kind, size = TYPE.of(block), number(SIZE.of(block))
        if kind not in (b"x", b"X", b"L", b"K"):
            break
        data = old.blocks[at + BLOCK : at + BLOCK + size]
        at += BLOCK + padded(size)
        if kind in b"xX":
            data = b"".join(_spelled_records(data, spell, old.type == HARD_LINK))
        elif kind == b"L" or old.type == HARD_LINK:
            data = _encoded(spell(text(data))) + b"\0"
        blocks += _with(block, {SIZE: _octal(len(data), SIZE)}) + data + _padding(len(data))
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
    new = {NAME: _encoded(spell(text(NAME.of(block))))}
    if MAGIC.of(block).startswith(b"ustar\0") and PREFIX.of(block)[:1] != b"\0":
        name, prefix = text(NAME.of(block)), text(PREFIX.of(block))
        left = spell(f"{prefix}/{name}")
        cut = len(left) - len(name)
        new = {NAME: _encoded(name if cut > 0 else left), PREFIX: _encoded(left[: max(0, cut - 1)])}
    if hard_link:
        new[LINK] = _encoded(spell(text(LINK.of(block))))
    return _with(block, new)


def _block(name: str, size: int, kind: bytes, attributes: Attributes) -> bytes:
    return _with(
        bytes(BLOCK),
        {
            NAME: name.encode("ascii", "replace"),
            MODE: _octal(attributes.mode & 0o7777, MODE),
            UID: _octal(attributes.uid, UID),
            GID: _octal(attributes.gid, GID),
            SIZE: _octal(size, SIZE),
            MTIME: _octal(attributes.mtime, MTIME),
            TYPE: kind,
            MAGIC: USTAR,
            UNAME: attributes.uname.encode("ascii", "replace"),
            GNAME: attributes.gname.encode("ascii", "replace"),
        },
    )


def _with(block: bytes, fields: Mapping[Field, bytes]) -> bytes:
    """The block with other fields, and the checksum that follows from them."""
    new = bytearray(block)
    for place, value in fields.items():
        new[place.start : place.stop] = value[: place.room].ljust(place.room, b"\0")
    new[CHECKSUM.start : CHECKSUM.stop] = b" " * CHECKSUM.room
    new[CHECKSUM.start : CHECKSUM.stop] = b"%06o\0 " % sum(new)
    return bytes(new)


def _octal(value: int, place: Field) -> bytes:
    """Digits and a NUL; 0 where the number has too many digits, since an extended header has it then."""
    digits = place.room - 1
    return b"%0*o\0" % (digits, value if 0 <= value < 8**digits else 0)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(padded(size) - size)
