"""tar (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU, v7): a stream of 512-byte blocks read as entries, and one written.

Only what a repack needs is understood: where an entry begins and ends, how it is spelled, what it is. Everything
else passes through as the bytes it is, which is why nothing is lost.

The formats grew for forty years, and readers differ where a writer strays from them. Who could hide an entry from us
that others see could have two files of one name in an archive, so what is not written as honest tools write it is
refused; and where honest archives themselves are read in two ways, the place where another reader would go on is
watched: a header that lies there, and that we do not take for one, is somebody else's entry.
"""

from __future__ import annotations

import re
from typing import Iterable, Iterator, Literal, Mapping, Optional

from .errors import InvalidArchive
from .names import disputed, normal, readings
from .pax import SPARSE, VALUE_LIMIT, ambiguous, mapped, natural, read_records, sparse_size, time
from .ustar import (
    BLOCK,
    CHECKSUM,
    FURTHER_MAP,
    FURTHER_MORE,
    GID,
    GNAME,
    LINK,
    MAGIC,
    MODE,
    MTIME,
    NAME,
    NUMBERS,
    PREFIX,
    SIZE,
    SPARSE_MAP,
    SPARSE_MORE,
    SPARSE_SIZE,
    STAR_END,
    STAR_PREFIX,
    TYPE,
    UID,
    UNAME,
)
from .value import Value

__all__ = ["BLOCK", "Entry", "Stream", "disputed", "entries", "normal", "number"]

HEADER_LIMIT = 1 << 20
"""Bytes of an entry's extended headers and its sparse map; Go, libarchive and node-tar take no more of any of them."""
WATCHED_LIMIT = 100
"""Places that are watched at a time: all of them are looked at for each entry."""

REGULAR = (b"0", b"\0", b"7", b"S")
HARD_LINK, SYMBOLIC_LINK, DIRECTORY, DUMPED_DIRECTORY = b"1", b"2", b"5", b"D"
SPARSE_FILE, LABEL, SHARED_RECORDS, SOLARIS_RECORDS, SOLARIS_ACL = b"S", b"V", b"g", b"X", b"A"
WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")
"""Links, devices, directories: GNU tar and Python read no data after them, whatever the size field says."""
EXTENDED = {b"x": "pax header", b"X": "pax header", b"g": "shared pax header", b"L": "long name", b"K": "long link"}
ONE_OF_SEVERAL = {b"M": "a file that began in another volume", b"N": "a list of names of GNU tar before 1.11"}
"""Types that nobody reads who sees one archive alone."""

Checksum = Literal["unsigned", "signed"]
USTAR_MAGIC, GNU_MAGIC, STAR = b"ustar\x0000", b"ustar  \0", b"tar\0"

_NUMBER = re.compile(rb" *([0-7]+) *(?:\0[0-7 \0]*)?|[ \0]*")
"""Digits, and what an earlier number may have left behind the NUL that ends them."""
_TIMES = rb"(?s)(?:[0-7]{11}[ \0]|[\x80\xff].{11}|\0{12}){2}"
"""What GNU tar has in the prefix's place: times of access and of change."""
_LISTED = rb"[YNDRTX][^/\\]{123}\0{388}"
"""A list of names, each behind a letter, that ends before a header's size: GNU tar's incremental dumps have such."""
_LINE_BREAK = rb"[\n\r]|\xe2\x80[\xa8\xa9]"


class Place:
    """Where only some readers look for a header."""

    def __init__(self, summed: bool = True, listed: bool = False) -> None:
        self.summed = summed
        """Whether they look at its checksum: commons-compress does not."""
        self.listed = listed
        """Whether a list of names belongs there, and no more than one block of it."""
        self.blocks = b""
        """As much of the two blocks there as has passed."""

    def holds_header(self) -> Optional[bool]:
        """Whether they find one, if need be behind a zero block; None if that is not known yet."""
        first, second = self.blocks[:BLOCK], self.blocks[BLOCK:]
        block = second if first == bytes(BLOCK) else first
        if len(block) < BLOCK:
            return None
        if checksum(block) is not None:
            return True
        data = self.summed or block == bytes(BLOCK) or (self.listed and re.match(_LISTED, block))
        return not data and has_numbers(block)


class Stream:
    """Chunks of bytes, read by number."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = memoryview(b"")
        self.position = 0
        self.watched: dict[int, Place] = {}
        """By position."""

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes as they come; fewer only at the end."""
        while size:
            if not self._chunk:
                self._chunk = memoryview(next(self._chunks, b""))
                if not self._chunk:
                    return
            piece = self._chunk[:size]
            self._chunk = self._chunk[len(piece) :]
            if self.watched:
                self._watch(piece)
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        return b"".join(self.pieces(size))

    def peek(self, size: int) -> bytes:
        """The same, which are still to be read."""
        if len(self._chunk) < size:
            position, found = self.position, self.read(size)
            self._chunk, self.position = memoryview(found + self._chunk), position
        return bytes(self._chunk[:size])

    def skip(self, size: int) -> bool:
        """Pass over the next `size` bytes; whether there were as many."""
        return sum(map(len, self.pieces(size))) == size

    def rest(self) -> Iterator[memoryview]:
        """All that is left."""
        yield from self.pieces(len(self._chunk))
        for chunk in self._chunks:
            self.position += len(chunk)
            yield memoryview(chunk)

    def watch(self, position: int, place: Place) -> None:
        """Watch where some look for a header; where others do for another reason, the most credulous count."""
        both = [place, self.watched.get(position, place)]
        summed, listed = all(one.summed for one in both), all(one.listed for one in both if not one.summed)
        self.watched[position] = Place(summed, listed)

    def _watch(self, piece: memoryview) -> None:
        for start, place in self.watched.items():
            at = start + len(place.blocks) - self.position
            if len(place.blocks) < 2 * BLOCK and 0 <= at < len(piece):
                place.blocks += piece[at : at + 2 * BLOCK - len(place.blocks)]


class Entry(Value):
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
    header: bytes = bytes(BLOCK)
    """Its own header block."""
    records: Mapping[str, str] = {}
    """What pax headers say of it, those for all entries included."""
    other_names: frozenset[str] = frozenset()
    """What readers call it that see less or more of its headers."""
    other_links: frozenset[str] = frozenset()

    @property
    def padded_size(self) -> int:
        """Bytes of data and padding."""
        return padded(self.data_size)

    @property
    def stop(self) -> int:
        """Offset of the first block after it."""
        return self.start + len(self.blocks) + self.padded_size

    @property
    def uid(self) -> int:
        return _whole(self.records.get("uid"), self.header[UID])

    @property
    def gid(self) -> int:
        return _whole(self.records.get("gid"), self.header[GID])

    @property
    def uname(self) -> str:
        return self.records.get("uname") or text(self.header[UNAME])

    @property
    def gname(self) -> str:
        return self.records.get("gname") or text(self.header[GNAME])

    @property
    def sparse(self) -> bool:
        """Whether its data is not its content."""
        return self.type == SPARSE_FILE or self.size != self.data_size

    @property
    def path(self) -> str:
        """The name without the spellings that mean nothing: `./a//b/` is `a/b`. The root is empty."""
        return normal(self.name)

    @property
    def readings(self) -> frozenset[str]:
        """Every path that some common reader writes it to, ours among them."""
        return frozenset(path for name in (self.name, *self.other_names) for path in readings(name))

    @property
    def targets(self) -> frozenset[str]:
        """Every path that some common reader takes a hard link's target for."""
        return frozenset(path for name in (self.link, *self.other_links) for path in readings(name))

    @property
    def is_directory(self) -> bool:
        """v7 has no type for directories: there a name says it. GNU tar has one more, which lists what lies there."""
        return self.type in (DIRECTORY, DUMPED_DIRECTORY) or (self.type in REGULAR and self.name.endswith("/"))


def _whole(record: Optional[str], field: bytes) -> int:
    """An owner's number: where a record holds none, readers go back to the header."""
    return int(record) if record and re.fullmatch("-?[0-9]{1,19}", record) else padded_number(field)


def padded(size: int) -> int:
    """`size` rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


class Headers:
    """The header blocks of one entry."""

    def __init__(self, start: int) -> None:
        self.start = start
        """Offset of the first one."""
        self.blocks: list[bytes] = []
        self.own = b""
        """The last one, which is not extended, or that of shared records."""
        self.extended: dict[str, bytes] = {}
        """What the extended ones hold, by their kinds."""
        self.names: list[str] = []
        """Of a header that some readers take for an entry of its own."""

    @property
    def type(self) -> bytes:
        return self.own[TYPE]


def entries(stream: Stream) -> Iterator[Entry]:
    """The entries up to the end of the tar: two zero blocks, or the end of the stream.

    Between two of them the caller may read the data of the first from the stream, or leave it. Raises InvalidArchive.
    """
    return (entry for entry in entries_and_records(stream) if entry.type != SHARED_RECORDS)


def entries_and_records(stream: Stream) -> Iterator[Entry]:
    """The same, for who keeps or moves all blocks: records shared by all that follow (pax `g`) come as if entries."""
    shared: dict[str, str] = {}
    while headers := read_headers(stream):
        pax = headers.extended.get(EXTENDED[b"x"], b"")
        if headers.type == SHARED_RECORDS:
            shared.update(read_records(headers.extended[EXTENDED[b"g"]], headers.start, shared=True))
            yield Entry(headers.start, b"".join(headers.blocks), "", SHARED_RECORDS, 0, 0, 0, 0, "")
            continue
        stated = number(headers.own[SIZE])
        entry = interpret(headers, stated, read_records(pax, headers.start, shared=False) if pax else {}, shared)
        watch(stream, stated, entry)
        if headers.type == SPARSE_FILE:
            entry = with_sparse_map(entry, stream)
        elif f"{SPARSE}major" in entry.records:
            check_sparse_map(entry, stream)
        yield entry
        complete = stream.skip(entry.stop - stream.position)
        check_watched(stream)
        if not complete:
            raise InvalidArchive(f"the tar is cut off inside {entry.name!r}; pack the model again")


def read_headers(stream: Stream) -> Optional[Headers]:
    """The header blocks of the next entry, None at the end of the tar."""
    headers = Headers(stream.position)
    while True:
        offset, block = stream.position, stream.read(BLOCK)
        if not headers.blocks and len(block) in (0, BLOCK) and not block.strip(b"\0"):
            check_end(stream, offset)
            return None
        agree(stream, offset)
        if checked(block, offset) == "signed" or not (block[0] or block[PREFIX.start]):
            stream.watch(stream.position, Place())  # who takes no signed sum or no empty name looks there
        headers.blocks.append(block)
        headers.own = block
        kind = EXTENDED.get(headers.type)
        if kind is None:
            return headers
        if kind in headers.extended:
            raise ambiguous(f"a second {kind} of one entry", headers.start)
        if headers.type == SHARED_RECORDS and len(headers.blocks) > 1:
            raise ambiguous("a shared header inside an entry's own", headers.start)
        headers.extended[kind] = read_extension(stream, block, headers)
        if headers.type == SOLARIS_RECORDS:
            headers.names = header_names(block, headers.start)
        if headers.type == SHARED_RECORDS:
            return headers


def check_end(stream: Stream, offset: int) -> None:
    """Raises InvalidArchive if what begins with a zero block at `offset` is not for everyone the end of the tar."""
    block = stream.read(BLOCK)
    if block.strip(b"\0"):
        raise ambiguous("one zero block alone, where some readers stop and some go on", offset)
    for start in list(stream.watched):
        stop = start + 2 * BLOCK - stream.position
        if any(bytes(piece).strip(b"\0") for piece in stream.pieces(max(0, stop))):
            raise ambiguous("what follows the end is where some readers go on", offset)


def checked(block: bytes, offset: int) -> Checksum:
    """How the header block is summed up. Raises InvalidArchive unless it is whole and its checksum right."""
    found = checksum(block) if len(block) == BLOCK else None
    if found:
        return found
    if offset == 0:
        raise InvalidArchive("there is no tar inside the gzip; pack the model with tar -czf")
    raise InvalidArchive(f"the tar is damaged: no header where one belongs, at its byte {offset}; pack the model again")


def checksum(block: bytes) -> Optional[Checksum]:
    """Whether the header block's checksum is that of its bytes, or as some old tars have it, of signed ones."""
    try:
        found = number(block[CHECKSUM])
    except InvalidArchive:
        return None
    total = sum(block) - sum(block[CHECKSUM]) + 8 * ord(" ")
    if found == total:
        return "unsigned"
    signed = total - 256 * sum(byte > 127 for byte in block[: CHECKSUM.start] + block[CHECKSUM.stop :])
    return "signed" if found == signed else None


def watch(stream: Stream, stated: int, entry: Entry) -> None:
    """Watch where a reader would go on that believes the size `stated` in the header block, in place of ours."""
    if padded(stated) != entry.padded_size or entry.type == SPARSE_FILE:
        place = Place(summed=entry.type in (DIRECTORY, SPARSE_FILE) or entry.data_size > 0)
        stream.watch(stream.position + padded(stated), place)
    if entry.data_size and entry.name.endswith("/"):
        if entry.type not in (DUMPED_DIRECTORY, SOLARIS_ACL):
            raise ambiguous("data behind a name like a directory's", entry.start)
        listed = entry.type == DUMPED_DIRECTORY and entry.data_size <= BLOCK
        stream.watch(stream.position, Place(summed=False, listed=listed))
    elif entry.data_size and (entry.type == LABEL or any(name.endswith("/") for name in entry.other_names)):
        stream.watch(stream.position, Place())
    if len(stream.watched) > WATCHED_LIMIT:
        raise ambiguous("too many sizes that not all readers believe", entry.start)


def agree(stream: Stream, offset: int) -> None:
    """Watch no more where others look for the header that we have found at `offset`, if need be behind a zero block."""
    stream.watched.pop(offset, None)
    before = stream.watched.get(offset - BLOCK)
    if before and before.blocks[:BLOCK] == bytes(BLOCK):
        del stream.watched[offset - BLOCK]


def check_watched(stream: Stream) -> None:
    """Raises InvalidArchive if a header has passed that only other readers take for one."""
    for offset, place in list(stream.watched.items()):
        found = place.holds_header()
        if found:
            raise ambiguous("a header that some readers take for an entry's, and others for data", offset)
        if found is False:
            del stream.watched[offset]


def has_numbers(block: bytes) -> bool:
    """Whether the block could be a header if its checksum did not count."""
    try:
        for field in NUMBERS:
            if block[field.start]:
                number(block[field])
    except InvalidArchive:
        return False
    return True


def read_extension(stream: Stream, block: bytes, headers: Headers) -> bytes:
    """What an extended header holds; its blocks are added to `headers`."""
    size = number(block[SIZE])
    together = size + sum(map(len, headers.blocks)) - BLOCK
    if size < 0 or together > HEADER_LIMIT:
        raise InvalidArchive(f"the tar is damaged: extended headers of {together} bytes; pack the model again")
    data = stream.read(padded(size))
    if len(data) < padded(size):
        raise InvalidArchive("the tar is cut off inside an extended header; pack the model again")
    headers.blocks.append(data)
    if data[size:].strip(b"\0"):
        raise ambiguous("an extended header that goes on in its padding", headers.start)
    if headers.type in (b"L", b"K") and any(name.endswith("/") for name in header_names(block, headers.start)):
        raise ambiguous("a long name that is called like a directory", headers.start)
    return data[:size]


def with_sparse_map(entry: Entry, stream: Stream) -> Entry:
    """The entry with the blocks that continue an old GNU sparse header."""
    maps, more, blocks = [entry.header[SPARSE_MAP]], entry.header[SPARSE_MORE], [entry.blocks]
    while more:
        block = stream.read(BLOCK)
        if len(block) < BLOCK or len(entry.blocks) + BLOCK * (len(blocks) - 1) > HEADER_LIMIT:
            raise InvalidArchive("the tar is damaged: a sparse map that does not end; pack the model again")
        blocks.append(block)
        maps.append(block[FURTHER_MAP])
        more = block[FURTHER_MORE]
    fields = b"".join(maps)
    pieces = [(number(fields[at : at + 12]), number(fields[at + 12 : at + 24])) for at in range(0, len(fields), 24)]
    end = next((sum(piece) for piece in reversed(pieces) if any(piece)), 0)
    fits = (sum(length for _, length in pieces), end) == (entry.data_size, entry.size)
    if not fits or entry.header[MAGIC] != GNU_MAGIC:
        raise ambiguous("a sparse file whose map does not fit it", entry.start)
    return entry._replace(blocks=b"".join(blocks))


def check_sparse_map(entry: Entry, stream: Stream) -> None:
    """Raises InvalidArchive unless a sparse map at the front of the data, a number on each line, fits the file."""
    head = stream.peek(min(entry.data_size, HEADER_LIMIT))
    count = re.match(rb"[0-9]{1,6}\n", head)
    lines = head.split(b"\n", 2 * int(count[0]) + 1)[:-1] if count else []
    data = entry.data_size - padded(len(b"\n".join(lines)) + 1)
    adds_up = mapped(b",".join(lines[1:]), entry.start) == f"{data} {entry.size}"
    if not (adds_up and len(lines) == 2 * int(lines[0]) + 1):
        raise ambiguous("a sparse file whose map does not fit it", entry.start)


def interpret(headers: Headers, stated: int, records: Mapping[str, str], shared: Mapping[str, str]) -> Entry:
    """The entry of its headers, with the size that its own one states and its own pax records."""
    block, kind, start = headers.own, headers.type, headers.start
    if kind in ONE_OF_SEVERAL:
        raise InvalidArchive(f"the tar holds {ONE_OF_SEVERAL[kind]}, at its byte {start}; pack the model again")
    if kind in (LABEL, SOLARIS_ACL) and headers.extended:  # bsdtar gives it to the entry behind
        raise ambiguous("an extended header of what is no entry to some", start)
    names = [*identities(records, "path", headers, "long name"), *header_names(block, start), *headers.names]
    links = [*identities(records, "linkpath", headers, "long link"), path_text(block[LINK], start)]
    size, real_size = sizes(stated, records, headers)
    if kind in WITHOUT_DATA or (kind in REGULAR and names[0].endswith("/")):
        size = real_size = 0
    facts = {**shared, **records} if shared else records
    return Entry(
        start,
        b"".join(headers.blocks),
        names[0],
        kind,
        padded_number(block[MODE]),
        time(facts["mtime"], start) if facts.get("mtime") else padded_number(block[MTIME]),
        size,
        real_size,
        links[0],
        block,
        facts,
        frozenset(names[1:]),
        frozenset(links[1:]),
    )


def identities(records: Mapping[str, str], key: str, headers: Headers, kind: str) -> list[str]:
    """What the extended headers call an entry, or a link's target: at most one of the two ways to say it."""
    found = [records[one] for one in ((f"{SPARSE}name", key) if key == "path" else (key,)) if one in records]
    if kind not in headers.extended:
        return found
    data = headers.extended[kind].rstrip(b"\0")
    if found:
        raise ambiguous(f"a pax {key} and a {kind} of one entry", headers.start)
    if not data or b"\0" in data:
        raise ambiguous(f"a {kind} that is empty or goes on behind a NUL", headers.start)
    if len(data) > VALUE_LIMIT:
        raise InvalidArchive(f"the tar is damaged: a {kind} of {len(data)} bytes; pack the model again")
    return [text(data)]


def header_names(block: bytes, start: int) -> list[str]:
    """What readers call an entry by its own header block alone, ours first: the magic says whether it has a prefix."""
    name = path_text(block[NAME], start)
    if not block[PREFIX.start]:
        return [name]
    prefix, magic = path_text(block[PREFIX], start), block[MAGIC]
    whole = f"{prefix}/{name}"
    if magic == GNU_MAGIC and re.match(_TIMES, block[PREFIX]):
        return [name]
    if magic == USTAR_MAGIC:
        return [f"{text(block[STAR_PREFIX])}/{name}", whole] if block[STAR_END] == STAR else [whole]
    if magic.startswith(b"ustar\0"):
        return [whole, name]
    if not name:  # to some a directory without data
        raise ambiguous("a prefix without a name, in another format than ustar", start)
    return [name, whole]


def sizes(stated: int, records: Mapping[str, str], headers: Headers) -> tuple[int, int]:
    """Bytes of data in the archive, and of the file it stands for."""
    start = headers.start
    size = natural("size", records, start, stated)
    if stated < 0:
        raise InvalidArchive(f"the tar is damaged: a negative size at its byte {start}; pack the model again")
    if size != stated and (size < 8**11 or headers.type in WITHOUT_DATA):
        raise ambiguous(f"the size {stated} in a header that has room for the {size} of its pax header", start)
    if "size" in records and len(headers.extended) > 1:
        raise ambiguous("a pax size before a GNU long name", start)
    if headers.type == SPARSE_FILE:
        if any(key.startswith(SPARSE) for key in records):
            raise ambiguous("a sparse map and records of a sparse file", start)
        return size, number(headers.own[SPARSE_SIZE])
    if headers.own[MAGIC] == GNU_MAGIC and headers.own[SPARSE_MAP.start] and headers.own[SPARSE_MORE]:
        raise ambiguous("a sparse map that goes on, at what is no sparse file", start)
    sparse = sparse_size(records, size, start) if records else None
    if sparse is not None and headers.type not in REGULAR:
        raise ambiguous("records of a sparse file at what is no file", start)
    if sparse is not None and (headers.own[MAGIC] != USTAR_MAGIC or b"\0" in headers.own[PREFIX].rstrip(b"\0")):
        raise ambiguous("records of a sparse file in a header of another format than ustar", start)
    return size, size if sparse is None else sparse


def path_text(field: bytes, start: int) -> str:
    """A path in a header; of what lies behind its NUL, node-tar drops no more than the line."""
    _, _, behind = field.partition(b"\0")
    if behind.strip(b"\0") and re.search(_LINE_BREAK, behind):
        raise ambiguous("a line break behind the NUL that ends a name", start)
    return text(field)


def text(field: bytes) -> str:
    """A string that ends at the first NUL or with its field."""
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def number(field: bytes) -> int:
    """A number in octal, or as GNU tar has large ones: in base 256, after 0x80 (positive) or 0xFF (negative)."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    digits = _NUMBER.fullmatch(field)
    if digits is None:
        raise InvalidArchive("the tar is damaged: a header field is no number; pack the model again")
    return int(digits[1] or b"0", 8)


def padded_number(field: bytes) -> int:
    """A number that no boundary hangs on, in which AIX has NULs for leading zeros."""
    return number(field.lstrip(b"\0") or b"0")
