"""The splice: patches of the uncompressed tar, carried into deflate data, almost all of which stays as it is.

A deflate stream cannot be cut just anywhere. A back-reference may reach 32 KiB back, so what follows a change within
32 KiB may lean on it; and blocks begin and end at any bit. But from a block boundary at least 32 KiB after the change
on, the stream leans on nothing that is gone; and up to a block boundary before it nothing has changed. So only the
neighbourhood between these two boundaries is encoded anew:

      | verbatim | join | neighbourhood as it shall be, encoded anew | join | tail, verbatim |
                 q                                                          r

The joins are about bits. What stays ends at some bit of a byte: an empty stored block brings the stream to a byte
boundary, where the new data begins. It ends on a byte boundary too, and empty blocks bring it to the very bit of a
byte at which the tail's first block begins (see `blocks`), since the tail must not be shifted: stored blocks in it are
aligned to bytes. The byte they share is the one new byte of the tail.

How q and r are found is told in `walk`; near an end of the stream they are that end. Patches near each other share a
neighbourhood. What goes, and is large, is not decoded again: there a second place is known not far before its end. A
neighbourhood may begin in one gzip member and end in another; what lies between them goes, and the two are
one member in the output. At last each new literal is decoded, with the tail's beginning after it, and compared with
what it should hold. (Only what is larger than SMALL, and streamed, is not.)
"""

from __future__ import annotations

import zlib
from collections import deque
from contextlib import closing
from itertools import chain
from typing import Generator, Iterable, Iterator, Mapping, Optional, Sequence, Union

from .blocks import WINDOW, closed, decode_from, joined
from .deflate import deflate
from .errors import InvalidArchive
from .gzip import TRAILER_SIZE, Place, Run, joined_runs, parse_header
from .inflate import RAW, combine_crc32, crc32
from .recipe import Copy, Literal, Made, Piece
from .store import Source
from .threads import Task, Threads
from .value import Value
from .walk import Effort, Nearby, NoWayIn, Walk, decoded

SMALL = 8 << 20
"""Bytes of a neighbourhood up to which it is encoded in one go, by an encoder that is the same everywhere; a larger one
is streamed through the fastest one at hand, on which its bytes depend."""
FAR = 2 << 20
"""Bytes of output that are not decoded again to come to what follows a patch."""
ENCODED_BESIDE = 2
"""Neighbourhoods that wait or are being encoded while the next one is searched."""
FOLLOWING = 4 << 10
"""Bytes of the tail that are decoded behind a literal to prove that they join."""
HELD = 16 << 20
"""Bytes of literals that a recipe holds; further ones are encoded again when they are written."""


class Patch(Value):
    """The tar's bytes from `start` up to `stop` become `new`."""

    start: int
    stop: int
    new: bytes
    runs: tuple[Run, Run]
    """In which it begins, and ends."""
    before: Optional[Place] = None
    """From where it can be reached, if not from the patch before it, or from the run's start."""
    behind: Optional[Place] = None
    """From where its end can be reached, if it is large."""


class Take(Value):
    """The tar from `start` up to `stop`, which can be had by decoding from a place."""

    place: Place
    start: int
    stop: int


class Neighbourhood(Value):
    """What lies between two boundaries, as it shall be."""

    begin: Place
    end: Place
    items: Sequence[Union[Take, bytes]]

    @property
    def size(self) -> int:
        """Uncompressed bytes."""
        return sum(item.stop - item.start if isinstance(item, Take) else len(item) for item in self.items)

    @property
    def ends_run(self) -> bool:
        """Whether nothing of its last run is left behind it."""
        return self.end.bit == 8 * self.end.run.stop


def neighbourhoods(source: Nearby, waiting: deque[Patch], effort: Effort) -> Iterator[Neighbourhood]:
    """What has to be encoded anew around patches, which wait in order and are taken. Raises NoWayIn."""
    runs = {run.start: run for patch in waiting for run in patch.runs}
    if not waiting:
        return
    walk = _nearest(source, None, waiting[0], runs, effort)
    begin = origin = walk.last_before(waiting[0].start)
    items: list[Union[Take, bytes]] = [Take(begin, begin.offset, waiting[0].start)]
    while waiting:
        patch = waiting.popleft()
        items.append(patch.new)
        if patch.behind and patch.behind.offset > walk.offset:
            walk = Walk(source, patch.behind, runs, effort)
            origin = patch.behind
        elif patch.stop - origin.offset > FAR:
            origin = walk.last_before(patch.stop)
        following = waiting[0] if waiting else None
        if following and following.start < patch.stop + WINDOW:
            items.append(Take(origin, patch.stop, following.start))
            continue
        end = walk.first_after(patch.stop)._replace(window=b"")
        if following is None:
            yield Neighbourhood(begin, end, [*items, Take(origin, patch.stop, end.offset)])
            return
        there = _nearest(source, walk, following, runs, effort)
        next_begin = there.last_before(following.start)
        if next_begin.bit // 8 <= end.bit // 8:  # the byte that a tail begins in is new
            items.append(Take(origin, patch.stop, following.start))
            continue
        yield Neighbourhood(begin, end, [*items, Take(origin, patch.stop, end.offset)])
        walk, begin, origin = there, next_begin, next_begin
        items = [Take(begin, begin.offset, following.start)]


def _nearest(source: Nearby, walk: Optional[Walk], patch: Patch, runs: Mapping[int, Run], effort: Effort) -> Walk:
    """A walk that comes to the patch from where it is the least work."""
    place = patch.before or Place.at_start(patch.runs[0])
    if walk and walk.run is patch.runs[0] and place.offset <= walk.offset:
        return walk
    return Walk(source, place, runs, effort)


def taken(source: Nearby, items: Iterable[Union[Take, bytes]]) -> Iterator[bytes]:
    """The uncompressed bytes of a neighbourhood."""
    place: Optional[Place] = None
    for item in items:
        if isinstance(item, bytes):
            yield item
            continue
        if item.place is not place:
            place, at, left = item.place, item.place.offset, b""
            chunks = decoded(source, place)
        while at < item.stop:
            chunk = left or next(chunks, b"")
            if not chunk:
                raise InvalidArchive("the archive is damaged: it cannot be decoded twice; pack the model again")
            used = chunk[: item.stop - at]
            left = chunk[len(used) :]
            yield used[max(0, item.start - at) :]
            at += len(used)


class Member:
    """A gzip member of the output while it is put together: its deflate data, and what that holds."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._runs: list[Run] = []

    @property
    def known(self) -> bool:
        """Whether its figures can be told before it is written."""
        return all(piece.size is not None for piece in self.pieces)

    @property
    def run(self) -> Run:
        """The figures of all of it, once they are known."""
        return joined_runs(self._runs)

    def add(self, piece: Piece, run: Run) -> None:
        """Deflate data, and its figures, which may become known while it is made."""
        self.pieces.append(piece)
        self._runs.append(run)

    def keep(self, begin: Place, end: Place) -> None:
        """What the source has between two boundaries of one run, less the bits of bytes that are shared."""
        start, stop = -(-begin.bit // 8), end.bit // 8
        size = end.offset - begin.offset
        crc = combine_crc32(begin.crc, end.crc, size)  # to join is to add, so this takes the beginning away again
        self.add(Copy(start, stop), Run(start, stop, crc, size))


class Spliced:
    """The source's members, those with patches put together anew, the others and what is between them as they are."""

    def __init__(self, first: Member) -> None:
        self.parts: list[Union[Member, Piece]] = [first]
        self.places = 0
        """Neighbourhoods that are encoded anew."""
        self.encoded = 0
        """Uncompressed bytes of these."""


def splice(source: Source, first: Member, rest: Run, patches: deque[Patch], effort: Effort, most: int) -> Spliced:
    """The source's members with patches, from `rest` on, which goes on in `first`; none is left.

    Raises NoWayIn, also where more than `most` bytes would have to be encoded.
    """
    done = Spliced(first)
    member, run, at = first, rest, Place.at_start(rest)
    nearby, several = Nearby(source), len(patches) > 1
    with closing(_all_encoded(nearby, neighbourhoods(nearby, patches, effort), several)) as made:
        for around, piece, figures in made:
            if around.begin.run is not run:
                _finish(member, at, run)
                end = run.stop + TRAILER_SIZE
                member, run, at = Member(), around.begin.run, Place.at_start(around.begin.run)
                header = parse_header(nearby.read(run.member, run.start))
                assert header  # the survey has read it
                done.parts += [Copy(end, run.member), Literal(header.to_bytes()), member]
            member.keep(at, around.begin)
            member.add(piece, figures)
            run, at = around.end.run, around.end
            done.places += 1
            done.encoded += around.size
            if done.encoded > most:
                raise NoWayIn("what changes is spread over so much of it that a splice would be no less work")
    _finish(member, at, run)
    done.parts.append(Copy(run.stop + TRAILER_SIZE, source.size))
    return done


def _finish(member: Member, at: Place, run: Run) -> None:
    member.keep(at, Place.at_end(run))


def _all_encoded(
    source: Nearby, found: Iterator[Neighbourhood], several: bool
) -> Generator[tuple[Neighbourhood, Piece, Run], None, None]:
    """Each neighbourhood encoded; one of several beside the search for the next."""
    if not several:
        yield from ((around, *encoded(source, around, hold=True)) for around in found)
        return
    held = 0

    def encoded_next(around: Neighbourhood) -> tuple[Piece, Run]:
        nonlocal held
        piece, figures = encoded(source, around, hold=held < HELD)
        held += len(piece.data) if isinstance(piece, Literal) else 0
        return piece, figures

    under_way: deque[tuple[Neighbourhood, Task[tuple[Piece, Run]]]] = deque()
    with Threads(1, "encode") as beside:
        for around in chain(found, [None]):
            while len(under_way) > (ENCODED_BESIDE if around else 0):
                before, made = under_way.popleft()
                yield (before, *made.result())
            if around:
                under_way.append((around, beside.do(encoded_next, around)))


def encoded(source: Nearby, around: Neighbourhood, hold: bool) -> tuple[Piece, Run]:
    """What joins what stays on both sides, and its figures; it is not held if it need not be."""
    if around.size > SMALL:
        run = Run(0)
        return Made(lambda: _streamed(source, around, run)), run
    plain = b"".join(taken(source, around.items))
    data = _joining(source, around, plain)
    run = Run(0, len(data), int(crc32(plain)), len(plain))
    if hold:
        return Literal(data), run
    return Made(lambda: iter([_joining(source, around, b"".join(taken(source, around.items)))]), len(data)), run


def _joining(source: Nearby, around: Neighbourhood, plain: bytes) -> bytes:
    """`plain` as deflate data that joins what stays. Raises NoWayIn if it does not decode to what it should."""
    opening, join = _joins(source, around)
    window = around.begin.window
    compressor = zlib.compressobj(wbits=RAW, zdict=window) if window else zlib.compressobj(wbits=RAW)
    data = compressor.compress(plain) + compressor.flush(zlib.Z_FINISH if around.ends_run else zlib.Z_SYNC_FLUSH)
    literal = opening + data + join
    at = -(-around.end.bit // 8)
    following = source.read(at, min(at + FOLLOWING, around.end.run.stop)) if not around.ends_run else b""
    found = decode_from(literal + following, around.begin.bit % 8, window)
    expected = b""
    if around.end.size < around.end.run.size:  # else the last block is empty: some encoders flush before they end
        expected = next(decoded(source, around.end._replace(window=plain[-WINDOW:])), b"")
    if found is None or not found.startswith(plain):
        raise NoWayIn("what was encoded anew does not decode to what it should")
    behind = found[len(plain) :]
    if not (expected.startswith(behind) or behind.startswith(expected)) or bool(expected) != bool(behind):
        raise NoWayIn("what was encoded anew does not join what follows")
    return literal


def _joins(source: Nearby, around: Neighbourhood) -> tuple[bytes, bytes]:
    """The bytes in which what stays ends before it, and begins behind it."""
    at, phase = divmod(around.begin.bit, 8)
    opening = closed(source.read(at, at + 1), phase) if phase else b""
    at, phase = divmod(around.end.bit, 8)
    join = joined(phase, source.read(at, at + 1)[0]) if phase and not around.ends_run else b""
    return opening, join


def _streamed(source: Nearby, around: Neighbourhood, run: Run) -> Iterator[bytes]:
    """The same of a large neighbourhood, in constant memory; `run` gets its figures."""
    opening, join = _joins(source, around)
    yield opening
    yield from deflate(taken(source, around.items), run, around.begin.window, last=around.ends_run)
    yield join
    run.stop += len(opening) + len(join)
