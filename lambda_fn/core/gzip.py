"""gzip (RFC 1952): members of header, deflate data and trailer, read in one pass and checked in full.

`Reader.chunks` gives the uncompressed bytes; when they have all been taken, every member's CRC-32 and length are
known to be right and nothing but zero padding follows the last one.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Callable, Generator, Iterable, Iterator, Optional

from .errors import ArchiveTooLarge, InvalidArchive
from .feed import PORTION, Feed
from .inflate import CORES, PROVED, combine_crc32, crc32
from .legs import Boundary, Piece
from .relay import Relay
from .threads import Threads
from .value import Value

HELPERS = CORES if CORES > 1 else 0
"""Threads that inflate beside the one that reads, where no other work is waiting for the cores."""
MAGIC = b"\x1f\x8b"
TRAILER_SIZE = 8
MEMBERS, LEAST_IN_MEMBERS = 100_000, 1 << 10
"""Members beyond which they must hold so many bytes on the average: one costs as much as 64 KiB of others, or more."""
HEADER_LIMIT = 1 << 20
FHCRC, FEXTRA, FNAME, FCOMMENT = 2, 4, 8, 16


class Limits(Value):
    """How much an archive may unpack to before it counts as a bomb."""

    uncompressed: int = 1 << 40
    """Bytes."""
    ratio: float = 200.0
    """Uncompressed to compressed; looked at beyond the first GiB, since honest small archives of zeros exist."""

    def check(self, compressed: int, uncompressed: int) -> None:
        """Raises ArchiveTooLarge."""
        if uncompressed > self.uncompressed:
            beyond = f"the archive unpacks to more than {self.uncompressed} bytes"
            raise ArchiveTooLarge(f"{beyond}; raise the limit (--max-uncompressed) if it may")
        if uncompressed > 1 << 30 and uncompressed > self.ratio * compressed:
            beyond = f"the archive unpacks to more than {self.ratio:g} times its size"
            raise ArchiveTooLarge(f"{beyond}; raise the limit (--max-ratio, ratio_limit) if it may")


class Header(Value):
    """A member's header as far as it is kept."""

    size: int
    mtime: int = 0
    extra_flags: int = 0
    system: int = 255
    extra: Optional[bytes] = None
    name: Optional[bytes] = None
    comment: Optional[bytes] = None

    def to_bytes(self) -> bytes:
        """The header with name and comment, without the extra field (streaming readers of CPython choke on it)."""
        flags = (FNAME if self.name is not None else 0) | (FCOMMENT if self.comment is not None else 0)
        fixed = struct.pack("<2sBBIBB", MAGIC, 8, flags, self.mtime, self.extra_flags, self.system)
        return fixed + b"".join(text + b"\0" for text in (self.name, self.comment) if text is not None)


def parse_header(data: bytes) -> Optional[Header]:
    """The header that `data` begins with, None if it goes on beyond. Raises InvalidArchive if there is none."""
    if not data.startswith(MAGIC[: len(data)]):
        raise InvalidArchive("this is not gzip; give a .tar.gz")
    try:
        _, method, flags, mtime, extra_flags, system = struct.unpack_from("<2sBBIBB", data)
        if method != 8 or flags & 0xE0:
            raise InvalidArchive(
                "the gzip header is damaged: unknown compression method or flags; pack the model again"
            )
        end, extra, name, comment = 10, None, None, None
        if flags & FEXTRA:
            end += 2 + struct.unpack_from("<H", data, end)[0]
            extra = data[12:end]
        if flags & FNAME:
            name = data[end : data.index(0, end)]
            end += len(name) + 1
        if flags & FCOMMENT:
            comment = data[end : data.index(0, end)]
            end += len(comment) + 1
        if flags & FHCRC:
            if struct.unpack_from("<H", data, end)[0] != crc32(data[:end]) & 0xFFFF:
                raise InvalidArchive("the gzip header is damaged: its checksum is wrong; pack the model again")
            end += 2
    except (struct.error, ValueError):  # beyond the end of data
        return None
    return Header(end, mtime, extra_flags, system, extra, name, comment) if end <= len(data) else None


def trailer(crc: int, size: int) -> bytes:
    """CRC-32 and the length modulo 2^32 of what a member holds uncompressed."""
    return struct.pack("<II", crc, size & 0xFFFFFFFF)


class Run:
    """A stretch of deflate data that stands on its own, and what it holds."""

    def __init__(
        self, start: int, stop: int = 0, crc: int = 0, size: int = 0, offset: int = 0, member: int = 0
    ) -> None:
        self.start, self.stop = start, stop
        """Offsets in the source."""
        self.crc, self.size = crc, size
        """CRC-32 and length of the uncompressed bytes."""
        self.offset = offset
        """Where the first of these stands in the tar as a whole."""
        self.member = member
        """Offset in the source of the header of its gzip member."""

    def is_like(self, other: Run) -> bool:
        """Whether the other one begins and ends in the same places and holds the same."""
        return (self.start, self.stop, self.crc, self.size) == (other.start, other.stop, other.crc, other.size)


class Place(Value):
    """A block boundary of a run, and all that a decoder needs to begin there."""

    bit: int
    """Of the source."""
    offset: int
    """In the tar."""
    run: Run
    window: bytes = b""
    """The 32 KiB of output before it, fewer near the run's start."""
    crc: int = 0
    """CRC-32 of the run up to it."""

    @classmethod
    def at_start(cls, run: Run) -> Place:
        return cls(8 * run.start, run.offset, run)

    @classmethod
    def at_end(cls, run: Run) -> Place:
        return cls(8 * run.stop, run.offset + run.size, run, crc=run.crc)

    @property
    def size(self) -> int:
        """Uncompressed bytes of the run up to it."""
        return self.offset - self.run.offset


def joined_runs(runs: Iterable[Run]) -> Run:
    """Runs one after the other as one: its length from 0, and what it holds."""
    whole = Run(0)
    for run in runs:
        whole.crc = combine_crc32(whole.crc, run.crc, run.size)
        whole.size += run.size
        whole.stop += run.stop - run.start
    return whole


RECENT = 3 << 20
"""Bytes of output of which the runs are known: more than an entry's extended headers and sparse map have together."""
PLACES = 4
"""Places that are known: the output between them is several times as much as is recent."""


class Reader:
    """One pass over a gzip stream that begins with `chunks`, all members of it.

    With `cut` the first member's deflate data is known to fall into two runs that share no window: they are inflated
    each on its own, so that a reference from the second into the first is found out.
    """

    def __init__(
        self,
        source: Iterable[bytes],
        limits: Limits = Limits(),
        cut: Optional[int] = None,
        helpers: int = 0,
        strict: bool = False,
        proved: int = PROVED,
        passed: Callable[[int], None] = lambda position: None,
    ) -> None:
        self._source, self._limits = source, limits
        self._cut = cut
        """Offset in the source where the first member's second run begins."""
        self._helpers = helpers
        """Threads that may inflate, too."""
        self._strict = strict
        """Whether all of the deflate data, and not its beginning alone, must be such as zlib reads."""
        self._proved = proved
        """Bytes of its beginning that must be so in any case."""
        self._passed = passed
        """Told how much of the source has been read and checked."""
        self.runs: list[Run] = []
        """Of the first member: one, or with `cut` two."""
        self._recent: deque[Run] = deque()
        self._places: deque[Place] = deque(maxlen=PLACES)
        self.members = self.uncompressed = 0
        self._pool: Optional[Threads] = None
        self._relay: Optional[Relay] = None
        self._often = False

    def chunks(self) -> Generator[bytes, None, None]:
        """The uncompressed bytes; to be closed where not all are taken, since threads may be at work.

        Raises InvalidArchive, ArchiveTooLarge.
        """
        bytes(4 << 20)  # once glibc has seen a block of this size freed, it recycles the pieces' memory
        feed = Feed(self._source)
        try:
            while self._member_follows(feed):
                member = feed.position
                self._read_header(feed)
                runs = self.runs if self.members == 0 else []
                if self._cut is not None and self.members == 0:
                    yield from self._inflate(feed, runs, member, stop=self._cut)
                yield from self._inflate(feed, runs, member)
                self._check_trailer(feed, runs)
                self.members += 1
                if self.members > MEMBERS and self.uncompressed < LEAST_IN_MEMBERS * self.members:
                    empty = f"more than {MEMBERS} gzip members with next to nothing in them"
                    raise InvalidArchive(f"the archive has {empty}; pack the model again")
        finally:
            if self._pool:
                self._pool.close()
            feed.close()

    def look_often(self) -> None:
        """Know more places from now on."""
        self._often = True
        if self._relay:
            self._relay.look_often()

    def run_at(self, offset: int) -> Run:
        """The run in which an offset of the tar lies, which has just been passed."""
        return next(run for run in reversed(self._recent) if run.offset <= offset < run.offset + run.size)

    def place_before(self, offset: int) -> Optional[Place]:
        """The last place of its run that is known before an offset that has just been passed."""
        run = self.run_at(offset)
        return next((place for place in reversed(self._places) if place.run is run and place.offset <= offset), None)

    @property
    def helped(self) -> bool:
        """Whether there was enough to do for helpers."""
        return self._pool is not None

    def _help(self) -> Threads:
        """The helpers, called when there is enough to do."""
        if self._pool is None:
            self._pool = Threads(self._helpers, "inflate")
        return self._pool

    def _member_follows(self, feed: Feed) -> bool:
        start = feed.position
        data = feed.take()
        feed.put_back(data)
        if self.members == 0:
            return True
        while data and not data.strip(b"\0"):  # tapes and some encoders pad with zeros
            data = feed.take()
        padded = feed.position > start
        if not data.strip(b"\0"):
            return False
        if padded or not data.startswith(MAGIC[: len(data)]):
            raise InvalidArchive(f"garbage follows the gzip data at byte {start}; cut it off or pack the model again")
        return True

    def _read_header(self, feed: Feed) -> Header:
        data = b""
        while (header := parse_header(data)) is None:
            chunk = feed.take()
            if not chunk:
                raise cut_off(feed.position)
            data += chunk
            if len(data) > HEADER_LIMIT + PORTION:
                raise InvalidArchive("the gzip header is damaged: it does not end; pack the model again")
        feed.put_back(data[header.size :])
        return header

    def _inflate(self, feed: Feed, runs: list[Run], member: int, stop: Optional[int] = None) -> Iterator[bytes]:
        run = Run(feed.position, offset=self.uncompressed, member=member)
        runs.append(run)
        self._recent.append(run)
        while self._recent[0].offset + self._recent[0].size < self.uncompressed - RECENT:
            self._recent.popleft()
        relay = Relay(feed, self._help if self._helpers else None, self._strict, self._proved - feed.position)
        self._relay = relay
        if self._often:
            relay.look_often()
        for piece in relay.pieces(stop):
            size = len(piece.data)
            while relay.boundaries and relay.boundaries[0].offset <= run.size + size:
                self._keep(relay.boundaries.popleft(), run, piece)
            run.crc = combine_crc32(run.crc, piece.crc, size)
            run.size += size
            self.uncompressed += size
            self._limits.check(piece.position, self.uncompressed)
            self._passed(piece.position)
            yield piece.data
        if stop is None and not relay.eof:
            raise cut_off(feed.position)
        if stop is not None and (relay.eof or feed.position < stop):
            raise InvalidArchive("the archive is damaged: its first gzip member ends too early; pack the model again")
        run.stop = feed.position

    def _keep(self, boundary: Boundary, run: Run, piece: Piece) -> None:
        """Keep the place of a block that begins in the output that comes next."""
        before = boundary.offset - run.size
        if before < 0:  # one that helpers have told of too late
            return
        crc = int(crc32(piece.data[:before], run.crc))
        self._places.append(Place(boundary.bit, run.offset + boundary.offset, run, boundary.window, crc))

    def _check_trailer(self, feed: Feed, runs: list[Run]) -> None:
        whole = joined_runs(runs)
        found = b""
        while len(found) < TRAILER_SIZE:
            data = feed.take(TRAILER_SIZE - len(found))
            if not data:
                raise cut_off(feed.position)
            found += data
        if found != trailer(whole.crc, whole.size):
            raise InvalidArchive(
                f"the archive is damaged: CRC-32 or length before byte {feed.position} is wrong; pack the model again"
            )


def cut_off(position: int) -> InvalidArchive:
    """The error of an archive that ends too early."""
    return InvalidArchive(f"the archive is cut off after byte {position}; upload or pack it again")
