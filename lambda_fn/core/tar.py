"""tar (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU, v7): a stream of 512-byte blocks read as entries, and one written.

Only what a repack needs is understood: where an entry begins and ends, how it is spelled, what it is. Everything
else passes through as the bytes it is, which is why nothing is lost.
"""

from __future__ import annotations

import math
import posixpath
from dataclasses import dataclass, field
from typing import Iterable, Iterator, Mapping, Optional

from .errors import InvalidArchive

BLOCK = 512
HEADER_LIMIT = 1 << 20
"""Bytes of extended headers that one entry may have; real ones have a few KiB."""

REGULAR = (b"0", b"\0", b"7", b"S")
HARD_LINK, DIRECTORY, SHARED_RECORDS = b"1", b"5", b"g"
UNDERSTOOD = frozenset(
    (
        *("path", "linkpath", "size", "mtime", "uid", "gid", "uname", "gname"),
        *("GNU.sparse.name", "GNU.sparse.size", "GNU.sparse.realsize"),
    )
)
"""Keys of pax records that are looked at; the others are not kept, since shared ones could pile up."""

WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")
"""Links, devices, directories: GNU tar and Python read no data after them, whatever the size field says."""


class Stream:
    """Chunks of bytes, read by number."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = memoryview(b"")
        self.position = 0

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes as they come; fewer only at the end."""
        while size:
            if not self._chunk:
                self._chunk = memoryview(next(self._chunks, b""))
                if not self._chunk:
                    return
            piece = self._chunk[:size]
            self._chunk = self._chunk[len(piece) :]
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        return b"".join(self.pieces(size))

    def rest(self) -> Iterator[memoryview]:
        """All that is left."""
        yield from self.pieces(len(self._chunk))
        for chunk in self._chunks:
            self.position += len(chunk)
            yield memoryview(chunk)


@dataclass(frozen=True)
class Entry:
    """An entry: what comes before its data, and what that says."""

    start: int
    """Offset of its first block in the tar, extended headers included."""
    blocks: bytes
    """All of its header blocks, extended headers and their data included."""
    name: str
    """As spelled. Undecodable bytes are surrogate-escaped."""
    type: bytes
    mode: int
    mtime: float
    data_size: int
    """Bytes of data in the archive, without padding."""
    size: int
    """Bytes of the file it stands for: more than `data_size` for a sparse one."""
    link: str
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""

    @property
    def padded_size(self) -> int:
        """Bytes of data and padding."""
        return padded(self.data_size)

    @property
    def stop(self) -> int:
        """Offset of the first block after it."""
        return self.start + len(self.blocks) + self.padded_size

    @property
    def sparse(self) -> bool:
        """Whether its data is not its content."""
        return self.type == b"S" or self.size != self.data_size

    @property
    def path(self) -> str:
        """The name without the spellings that mean nothing: `./a//b/` is `a/b`. The root is empty."""
        return normal(self.name)

    @property
    def is_directory(self) -> bool:
        """v7 has no type for directories: there a name says it."""
        return self.type == DIRECTORY or (self.type in REGULAR and self.name.endswith("/"))


def normal(name: str) -> str:
    """The path that extracting an entry of this name writes to, relative to the root."""
    path = posixpath.normpath(name.lstrip("/"))
    return "" if path == "." else path


def padded(size: int) -> int:
    """`size` rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


@dataclass
class Extension:
    """What the extended headers before an entry say of it."""

    records: dict[str, str] = field(default_factory=dict)
    name: Optional[str] = None
    link: Optional[str] = None


def entries(stream: Stream) -> Iterator[Entry]:
    """The entries up to the end of the tar: two zero blocks, or the end of the stream.

    Between two of them the caller may read the data of the first from the stream, or leave it. A record shared by all
    that follow (pax `g`) comes as an entry of that type. Raises InvalidArchive.
    """
    shared: dict[str, str] = {}
    while True:
        start, blocks, extension = stream.position, b"", Extension()
        while True:
            block = stream.read(BLOCK)
            if not block.strip(b"\0") and len(block) in (0, BLOCK) and not blocks:
                return
            check(block, stream.position - len(block))
            blocks += block
            kind = block[156:157]
            if kind not in b"xXgLK":
                break
            data = read_extension(stream, block, len(blocks))
            if kind == SHARED_RECORDS and len(blocks) > BLOCK:
                raise InvalidArchive("the tar is damaged: a shared header inside an entry's own; pack the model again")
            blocks += data
            if kind == SHARED_RECORDS:
                break
            extend(extension, kind, data[: number(block[124:136])])
        if kind == SHARED_RECORDS:
            shared.update(records(data[: number(block[124:136])]))
            yield Entry(start, blocks, "", kind, 0, 0, 0, 0, "")
            continue
        if kind == b"S":
            blocks += read_sparse_map(stream, block)
        entry = interpret(start, blocks, block, extension, {**shared, **extension.records})
        yield entry
        unread = entry.stop - stream.position
        if sum(map(len, stream.pieces(unread))) < unread:
            raise InvalidArchive(f"the tar is cut off inside {entry.name!r}; pack the model again")


def check(block: bytes, offset: int) -> None:
    """Raises InvalidArchive unless `block` is a whole header block with the right checksum (old tars sum signed)."""
    if len(block) == BLOCK:
        plain = sum(block) - sum(block[148:156]) + 8 * ord(" ")
        try:
            found = number(block[148:156])
            if found == plain or found == plain - 256 * sum(byte > 127 for byte in block[:148] + block[156:]):
                return
        except InvalidArchive:
            pass
    if offset == 0:
        raise InvalidArchive("there is no tar inside the gzip; pack the model with tar -czf")
    raise InvalidArchive(f"the tar is damaged: no header where one belongs, at its byte {offset}; pack the model again")


def read_extension(stream: Stream, block: bytes, before: int) -> bytes:
    """The data, with padding, of an extended header."""
    exact = number(block[124:136])
    size = padded(exact)
    if exact < 0 or before + size > HEADER_LIMIT:
        raise InvalidArchive(f"the tar is damaged: an extended header of {size} bytes; pack the model again")
    data = stream.read(size)
    if len(data) < size:
        raise InvalidArchive("the tar is cut off inside an extended header; pack the model again")
    return data


def read_sparse_map(stream: Stream, block: bytes) -> bytes:
    """The blocks that continue an old GNU sparse header."""
    blocks, more = b"", block[482]
    while more:
        block = stream.read(BLOCK)
        blocks += block
        if len(block) < BLOCK or len(blocks) > HEADER_LIMIT:
            raise InvalidArchive("the tar is damaged: a sparse map that does not end; pack the model again")
        more = block[504]
    return blocks


def extend(extension: Extension, kind: bytes, data: bytes) -> None:
    """Note what one extended header says."""
    if kind == b"L":
        extension.name = text(data)
    elif kind == b"K":
        extension.link = text(data)
    else:
        extension.records.update(records(data))


def records(data: bytes) -> dict[str, str]:
    """The UNDERSTOOD ones of pax records: "length key=value\\n" each, the length in decimal and counting itself."""
    found, at, end = {}, 0, len(data.rstrip(b"\0"))
    while at < end:
        try:
            space = data.index(b" ", at, at + 20)
            size = int(data[at:space])
            record = data[space + 1 : at + size]
            key, value = record[:-1].split(b"=", 1)
            if size <= 0 or at + size > len(data) or not record.endswith(b"\n"):
                raise ValueError
        except ValueError:
            raise InvalidArchive("the tar is damaged: a broken pax record; pack the model again") from None
        if (name := text(key)) in UNDERSTOOD:
            found[name] = value.decode("utf-8", "surrogateescape")
        at += size
    return found


def interpret(start: int, blocks: bytes, block: bytes, extension: Extension, records: Mapping[str, str]) -> Entry:
    """The entry of a header block and its extended headers."""
    kind = block[156:157]
    name = text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = f"{text(block[345:500])}/{name}"
    name = records.get("GNU.sparse.name") or records.get("path") or extension.name or name
    try:
        size = int(records["size"]) if records.get("size") else number(block[124:136])
        mtime = float(records["mtime"]) if records.get("mtime") else number(block[136:148])
        if not math.isfinite(mtime):
            raise ValueError
        real_size = int(records.get("GNU.sparse.realsize") or records.get("GNU.sparse.size") or size)
    except ValueError:
        raise InvalidArchive(
            f"the tar is damaged: a size or time of {name!r} is no number; pack the model again"
        ) from None
    if kind == b"S":
        real_size = number(block[483:495])
    if size < 0:
        raise InvalidArchive(f"the tar is damaged: {name!r} has a negative size; pack the model again")
    if kind in WITHOUT_DATA or (kind in REGULAR and name.endswith("/")):
        size = real_size = 0
    link = records.get("linkpath") or extension.link or text(block[157:257])
    mode, uid, gid = (number(block[at : at + 8]) for at in (100, 108, 116))
    try:
        uid, gid = int(records.get("uid") or uid), int(records.get("gid") or gid)
    except ValueError:
        raise InvalidArchive(f"the tar is damaged: an owner of {name!r} is no number; pack the model again") from None
    posix = block[257:262] == b"ustar"
    uname = records.get("uname") or (text(block[265:297]) if posix else "")
    gname = records.get("gname") or (text(block[297:329]) if posix else "")
    return Entry(start, blocks, name, kind, mode, mtime, size, real_size, link, uid, gid, uname, gname)


def text(field: bytes) -> str:
    """A string that ends at the first NUL or with its field."""
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def number(field: bytes) -> int:
    """A number in octal, or as GNU tar has large ones: in base 256, after 0x80 (positive) or 0xFF (negative)."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    digits = field.split(b"\0", 1)[0].strip() or field.strip(b" \0")
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise InvalidArchive("the tar is damaged: a header field is no number; pack the model again") from None
