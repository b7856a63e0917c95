"""The splice: patches of the uncompressed tar, carried into deflate data, almost all of which stays as it is.

A deflate stream cannot be cut just anywhere. A back-reference may reach 32 KiB back, so what follows a change within
32 KiB may lean on it; and blocks begin and end at any bit. But from a block boundary at least 32 KiB after the change
on, the stream leans on nothing that is gone; and up to a block boundary before it nothing has changed. So only the
neighbourhood between these two boundaries is encoded anew:

      | head, verbatim | join | neighbourhood as it shall be, encoded anew | join | tail, verbatim |
                       q                                                          r

The joins are about bits. The head ends at some bit of a byte: an empty stored block brings the stream to a byte
boundary, where the new data begins. It ends on a byte boundary too, and empty blocks bring it to the very bit of a
byte at which the tail's first block begins (see `blocks`), since the tail must not be shifted: stored blocks in it are
aligned to bytes. The byte they share is the one new byte of the tail.

What is hard is to know a block boundary, and it is found in two steps.

First, while the survey passes by, `enter` finds a place from which decoding is right, no matter how far before the
patch. The survey keeps its last 2 MiB of output, and the places in the source where the decoder had used up all its
input. A candidate (see `blocks`) is decoded up to the next such place: how much comes out does not depend on the
unknown 32 KiB before it, so it tells the candidate's offset in the output; with the offset, the 32 KiB are known; with
them, decoding must give exactly what the survey saw, up to the patch and 512 bytes beyond. (isal may hold back two
bytes when its input ends, so three offsets are tried; where more than one fits, the candidate is left alone.) That what
follows is decoded rightly does not prove that a block begins there. The header of a dynamic block does, as chance does
not describe the very codes in use. But a block of fixed codes begins with three bits that say nothing, and the end of a
symbol may pass for them: any other candidate counts only if decoding from an earlier one comes to the end of a block
there. Such a place keeps 32 KiB, the window of a decoder that begins there, and the CRC up to it; the 2 MiB may go.

Then a `Walk` decodes on from that place, and finds boundaries exactly: from a copy of the decoder at most a step
before, the data up to a candidate is decoded with an empty last block behind it; the decoder then comes to its end just
if a block ends there. The last boundary before a patch and the first one 32 KiB after it do not depend on where the
walk began, nor on how the survey was fed: the same archive and edit give the same bytes, whatever inflates them.

Patches near each other share a neighbourhood. What goes, and is large, is not decoded again: there a second place was
found just before its end. A neighbourhood may begin in one gzip member and end in another; what lies between them goes,
and the two are one member in the output. At last each new literal is decoded, with the tail's beginning after it, and
compared with what it should hold.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import islice
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence, Union

from .blocks import (
    HEADER,
    STORED_LIMIT,
    STRIDE,
    UNKNOWN,
    WINDOW,
    closed,
    decode_between,
    decode_from,
    decoder,
    dynamic_blocks,
    is_dynamic,
    joined,
    stored_ends,
)
from .crc import combine_crc32
from .deflate import deflate
from .errors import InvalidArchive
from .gzip import TRAILER_SIZE, Recent, Run, joined_runs, parse_header
from .inflate import RAW, crc32, inflater
from .recipe import Copy, Literal, Made, Piece
from .store import Source

SEARCH_LIMIT = 1 << 20
"""Bytes of compressed data in which a boundary must be found."""
TRIES = 1000
"""Candidates that are looked at, lest an archive made of nothing but candidates takes minutes."""
NEAR = 256 << 10
"""Bytes of compressed data that are sooner decoded from their beginning than searched."""
STEP_IN, STEP_OUT = 32 << 10, 256 << 10
"""Bytes that a step of a walk reads at most, and decodes."""
KEPT_OUT = 8 << 20
"""Bytes of output that a walk keeps, to find the last boundary in them."""
SKIPPED = 2 << 20
"""Bytes of a patch from which on its end has a place of its own."""
HELD_BACK = 2
"""Bytes of output that isal may still owe when its input is used up: it decodes up to three literals at once."""
READ, READ_KEPT = 256 << 10, 8
"""Bytes that a source is asked for at a time where much of it is looked at, and how often that is kept."""
BLOCK = 512
"""Bytes behind a patch's beginning that must be decoded as seen: a tar header never repeats."""
SMALL = 8 << 20
"""Bytes of a neighbourhood up to which it is encoded in one go, by an encoder that is the same everywhere."""
PROOF = 64
"""Bytes of output that must follow from a boundary as they did."""
PROVED_IN = 4 << 10
"""Bytes of the tail that are decoded behind a new literal, to prove it."""
HEADER_READ = 64 << 10
"""Bytes in which a gzip header is looked for."""
HELD = 16 << 20
"""Bytes of literals that a recipe holds; further ones are encoded again when they are written."""


class NoWayIn(Exception):
    """There is no boundary where one is needed; the text says why, for the plan."""


class Effort:
    """What may still be decoded to find boundaries: an archive made to be slow is rewritten."""

    def __init__(self, most: int) -> None:
        self.left = most

    def spend(self, size: int) -> None:
        """Raises NoWayIn when it is used up."""
        self.left -= size
        if self.left < 0:
            raise NoWayIn("block boundaries cost too much to find")


class Place(NamedTuple):
    """A proved block boundary, and all that a decoder needs to begin there."""

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

    @property
    def size(self) -> int:
        """Uncompressed bytes of the run up to it."""
        return self.offset - self.run.offset


@dataclass(frozen=True)
class Patch:
    """The tar's bytes from `start` up to `stop` become `new`."""

    start: int
    stop: int
    new: bytes
    runs: tuple[Run, Run]
    """In which it begins, and ends."""
    before: Optional[Place] = None
    """From where it can be reached; None where that is known of an earlier patch, or not at all."""
    behind: Optional[Place] = None
    """From where its end can be reached, if it is large."""


# --- A place before the patch, found while the survey passes by ---


def enter(source: Source, recent: Iterable[Recent], at: int, effort: Effort) -> Optional[Place]:
    """A place at or before offset `at` of the tar, which lies in what is `recent`; None if none can be proved."""
    pieces = _of_one_run(recent, at)
    run = pieces[0].run
    reached = next(piece for piece in reversed(pieces) if piece.offset <= at)
    if reached.position - run.start <= NEAR:
        return Place.at_start(run)
    seen, seen_from = b"".join(piece.data for piece in pieces), pieces[0].offset
    proved = min(at + BLOCK, seen_from + len(seen))
    until = next((piece.position for piece in pieces if piece.offset + len(piece.data) >= proved), reached.position)
    later: Optional[Place] = None
    try:
        for start, data, bit, end in islice(_candidates(source, run, pieces, at), TRIES):
            offset = _offset(source, (start, data, bit, end), until, (seen, seen_from), (run, proved), effort)
            if offset is None or offset > at:
                continue
            before = seen[: offset - seen_from]
            here = Place(8 * start + bit, offset, run, before[-WINDOW:], crc32(before, pieces[0].crc))
            if is_dynamic(data, bit):
                return here
            if later and _leads(source, here, later, seen[offset - seen_from : later.offset - seen_from]):
                return later
            later = here
    except NoWayIn:
        pass
    return Place.at_start(run) if seen_from == run.offset else None


def _of_one_run(recent: Iterable[Recent], at: int) -> list[Recent]:
    """The pieces of the run in which offset `at` of the tar lies."""
    pieces = list(recent)
    last = max(index for index, piece in enumerate(pieces) if piece.offset <= at)
    run = pieces[last].run
    return [piece for piece in pieces if piece.run is run]


def _candidates(source: Source, run: Run, pieces: Sequence[Recent], at: int) -> Iterator[tuple[int, bytes, int, int]]:
    """Where blocks seem to begin, the last first: where in the source its data begins, the data, its bit in it, and
    the offset of the tar to which the data is decoded.
    """
    known = [(piece.position, piece.offset + len(piece.data)) for piece in pieces if piece.used_up]
    if pieces[0].offset == run.offset:
        known.insert(0, (run.start, run.offset))
    spans = [span for span in zip(known, known[1:]) if span[0][1] <= at]
    for (start, first), (stop, end) in reversed(spans):
        if spans[-1][1][0] - start > SEARCH_LIMIT:
            return
        lead = min(STORED_LIMIT, start - run.start)
        data = source.read(start - lead, stop)
        ends = [*stored_ends(data, lead, len(data))]
        about = lead + (len(data) - lead) * (at - first) // max(1, end - first) + 2 * STRIDE  # behind it is too late
        for low in reversed(range(lead, min(len(data), about), STRIDE)):
            high = min(low + STRIDE, len(data))
            found = [*dynamic_blocks(data, low, high), *(bit for bit in ends if low <= bit // 8 < high)]
            for bit in sorted(found, reverse=True):
                yield start - lead, data, bit, end


def _offset(
    source: Source,
    candidate: tuple[int, bytes, int, int],
    until: int,
    output: tuple[bytes, int],
    within: tuple[Run, int],
    effort: Effort,
) -> Optional[int]:
    """The one offset that a block which begins there can have; None if decoding from there does not give what was seen.

    `until` is how far the source has to be decoded to come to the offset that `within` ends at.
    """
    start, data, bit, end = candidate
    (seen, seen_from), (run, proved) = output, within
    blind = decode_from(data, bit, UNKNOWN)
    effort.spend(len(blind or b"") + len(data) - bit // 8)
    if not blind:
        return None
    further = data + source.read(start + len(data), until) if until > start + len(data) else data
    fitting = []
    for owed in range(HELD_BACK + 1):
        before = end + owed - len(blind) - seen_from
        if before < (0 if seen_from == run.offset else WINDOW) or before >= len(seen):
            continue
        decoded = decode_from(further, bit, seen[max(0, before - WINDOW) : before])
        effort.spend(len(decoded or b""))
        expected = seen[before : proved - seen_from]
        if decoded and decoded[: len(expected)] == expected[: len(decoded)] and len(decoded) >= len(expected):
            fitting.append(seen_from + before)
    return fitting[0] if len(fitting) == 1 else None


def _leads(source: Source, earlier: Place, later: Place, between: bytes) -> bool:
    """Whether decoding from one place on comes to the end of a block at the other."""
    start, phase = divmod(earlier.bit, 8)
    data = source.read(start, later.bit // 8 + 1)
    return decode_between(data, phase, later.bit - 8 * start, earlier.window) == between


# --- From there on, boundaries are found exactly ---


class Nearby:
    """A source read in small ranges near each other, of which it is asked for larger ones, once."""

    def __init__(self, source: Source) -> None:
        self._source, self.size = source, source.size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a range."""
        first, last = start // READ, -(-stop // READ)
        data = b"".join(map(self._block, range(first, last)))
        return data[start - first * READ : stop - first * READ]

    def _block(self, number: int) -> bytes:
        block = self._blocks.pop(number, None)
        if block is None:
            block = self._source.read(number * READ, min((number + 1) * READ, self.size))
        self._blocks[number] = block
        if len(self._blocks) > READ_KEPT:
            self._blocks.popitem(last=False)
        return block


class Step(NamedTuple):
    """A few KiB of a walk."""

    start: int
    """In the source, as is `stop`."""
    stop: int
    phase: int
    """The bit of the first byte at which it begins."""
    decoder: Any
    """As it was before."""
    offset: int
    """In the tar, of what it decodes."""
    crc: int
    """CRC-32 of the run up to there."""
    out: bytes


class Walk:
    """Decodes on from a place, and knows every block boundary that can be told from chance."""

    def __init__(self, source: Nearby, place: Place, runs: Mapping[int, Run], effort: Effort) -> None:
        self._source, self._runs, self._effort = source, runs, effort
        self._begin(place)

    def _begin(self, place: Place) -> None:
        self._began = place
        self.run, self.offset, self._crc = place.run, place.offset, place.crc
        self._at, self._phase = divmod(place.bit, 8)
        self._decoder = decoder(place.window)
        self._steps: deque[Step] = deque()
        self._kept = 0

    def last_before(self, offset: int) -> Place:
        """The last boundary that is no later than this offset of the tar; at the worst the place where this began."""
        while self.offset <= offset and self._step():
            pass
        self._step()
        for step in reversed(self._steps):
            if step.offset <= offset:
                for place in self._boundaries(step, most=offset):
                    return place
        return self._began

    def first_after(self, offset: int) -> Place:
        """The first boundary from which on nothing refers back to before this offset of the tar. Raises NoWayIn."""
        while self.offset < offset:
            if not self._step():
                self._cross()
        begun = self._at
        for step in self._following(offset):
            for place in self._boundaries(step, least=offset + WINDOW):
                return place
            if step.stop - begun > SEARCH_LIMIT:
                raise NoWayIn("its encoder leaves no block boundaries that can be found")
        return Place(8 * self._at, self.offset, self.run, crc=self._crc)

    def _following(self, offset: int) -> Iterator[Step]:
        """The steps with output behind an offset, to the end of the run, each when the one after it is known, too."""
        ahead = [step for step in self._steps if step.offset + len(step.out) > offset]
        while self._step():
            ahead.append(self._steps[-1])
            while len(ahead) > 1:
                yield ahead.pop(0)
        yield from ahead

    def _cross(self) -> None:
        """Go on in the next gzip member."""
        member = self._at + TRAILER_SIZE
        head = parse_header(self._source.read(member, min(member + HEADER_READ, self._source.size)))
        if head is None:
            raise NoWayIn("a gzip header is too long")
        start = member + head.size
        self._begin(Place.at_start(self._runs.get(start) or Run(start, offset=self.offset, member=member)))

    def _step(self) -> bool:
        """Decode a step; whether there was one in this run."""
        if self._decoder.eof:
            return False
        data = self._source.read(self._at, min(self._at + STEP_IN, self._source.size))
        before = self._decoder.copy()
        try:
            out = self._decoder.decompress(begun(self._phase, data), STEP_OUT)
        except zlib.error:
            raise NoWayIn("its deflate data cannot be decoded from where it was entered") from None
        left = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
        used = len(data) - len(left)
        self._effort.spend(len(out) + used)
        if not used and not out and not self._decoder.eof:
            raise NoWayIn("its deflate data ends where it should not")
        self._steps.append(Step(self._at, self._at + used, self._phase, before, self.offset, self._crc, out))
        self._kept += len(out)
        while self._kept - len(self._steps[0].out) > KEPT_OUT:
            self._kept -= len(self._steps.popleft().out)
        self._at, self._phase = self._at + used, 0
        self.offset, self._crc = self.offset + len(out), int(crc32(out, self._crc))
        return True

    def _boundaries(self, step: Step, least: int = 0, most: Optional[int] = None) -> Iterator[Place]:
        """The boundaries in a step at offsets of at least `least`, in order; or of at most `most`, the last first."""
        lead = min(STORED_LIMIT, step.start - self.run.start)
        end = lead + step.stop - step.start
        data = self._source.read(step.start - lead, min(step.stop + HEADER, self._source.size))
        strides, ends = range(lead, end, STRIDE), [*stored_ends(data, lead, end)]
        for low in strides if most is None else reversed(strides):
            high = min(low + STRIDE, end)
            if most is None and high < end and self._offset_at(step, data[lead:high]) < least:
                continue
            if most is not None and low > lead and self._offset_at(step, data[lead:low]) > most:
                continue
            bits = {*dynamic_blocks(data, low, high), *(bit for bit in ends if low <= bit // 8 < high)}
            for bit in sorted(bits, reverse=most is not None):
                place = self._proved(step, data[lead:], bit - 8 * lead)
                if place and least <= place.offset and (most is None or place.offset <= most):
                    yield place

    def _offset_at(self, step: Step, data: bytes) -> int:
        """How far the first bytes of a step lead, without looking for boundaries."""
        out = step.decoder.copy().decompress(begun(step.phase, data), len(step.out) + STEP_OUT)
        self._effort.spend(len(out) + len(data))
        return step.offset + len(out)

    def _proved(self, step: Step, data: bytes, bit: int) -> Optional[Place]:
        """The boundary at a bit of the step's data, None if no block ends there."""
        decode = step.decoder.copy()
        try:
            out = decode.decompress(begun(step.phase, closed(data, bit, final=True)), len(step.out) + STEP_OUT)
        except zlib.error:
            return None
        self._effort.spend(len(out) + bit // 8)
        if bit < step.phase or not decode.eof or decode.unused_data:
            return None
        place = Place(8 * step.start + bit, step.offset + len(out), self.run, self._window(step, out))
        return place._replace(crc=int(crc32(out, step.crc))) if self._goes_on(place) else None

    def _goes_on(self, place: Place) -> bool:
        """Whether decoding from there gives what follows: within the last block, a chance end of it is final, too."""
        at, phase = divmod(place.bit, 8)
        decoded = decode_from(self._source.read(at, min(at + PROVED_IN, self._source.size)), phase, place.window)
        known = b"".join(
            step.out[max(0, place.offset - step.offset) :]
            for step in self._steps
            if place.offset < step.offset + len(step.out) and step.offset < place.offset + PROVED_IN
        )
        if decoded is None:
            return False
        size = min(len(decoded), len(known))
        return decoded[:size] == known[:size] and (size >= PROOF or self._decoder.eof)

    def _window(self, step: Step, out: bytes) -> bytes:
        """The 32 KiB before a boundary, to which `out` leads from where the step begins."""
        outs, size = [out], len(out)
        for earlier in reversed(self._steps):
            if size >= WINDOW:
                break
            if earlier.offset < step.offset:
                outs.append(earlier.out)
                size += len(earlier.out)
        if size < WINDOW:
            outs.append(self._began.window)
        return b"".join(reversed(outs))[-WINDOW:]


def begun(phase: int, data: bytes) -> bytes:
    """`data`, of which the first `phase` bits are replaced by empty blocks, so that a fresh decoder can begin there."""
    return joined(phase, data[0]) + data[1:] if phase else data


# --- What is encoded anew ---


class Take(NamedTuple):
    """The tar from `start` up to `stop`, which can be had by decoding from a place."""

    place: Place
    start: int
    stop: int


@dataclass(frozen=True)
class Neighbourhood:
    """What lies between two boundaries, as it shall be."""

    head: Place
    tail: Place
    items: Sequence[Union[Take, bytes]]

    @property
    def size(self) -> int:
        """Uncompressed bytes."""
        return sum(item.stop - item.start if isinstance(item, Take) else len(item) for item in self.items)

    @property
    def ends_run(self) -> bool:
        """Whether nothing of its last run is left behind it."""
        return self.tail.bit == 8 * self.tail.run.stop


def neighbourhoods(source: Nearby, patches: Sequence[Patch], effort: Effort) -> Iterator[Neighbourhood]:
    """What has to be encoded anew around patches, which come in order. Raises NoWayIn."""
    runs = {run.start: run for patch in patches for run in patch.runs}
    waiting = deque(patches)
    if not waiting:
        return
    walk = _nearest(source, None, waiting[0], runs, effort)
    head = origin = walk.last_before(waiting[0].start)
    items: list[Union[Take, bytes]] = [Take(head, head.offset, waiting[0].start)]
    while waiting:
        patch = waiting.popleft()
        items.append(patch.new)
        if patch.behind and patch.behind.offset > walk.offset:
            walk = Walk(source, patch.behind, runs, effort)
            origin = patch.behind
        following = waiting[0] if waiting else None
        if following and following.start < patch.stop + WINDOW:
            items.append(Take(origin, patch.stop, following.start))
            continue
        tail = walk.first_after(patch.stop)
        if following is None:
            yield Neighbourhood(head, tail, [*items, Take(origin, patch.stop, tail.offset)])
            return
        there = _nearest(source, walk, following, runs, effort)
        next_head = there.last_before(following.start)
        if next_head.bit // 8 <= tail.bit // 8:  # the byte that a tail begins in is new
            items.append(Take(origin, patch.stop, following.start))
            continue
        yield Neighbourhood(head, tail, [*items, Take(origin, patch.stop, tail.offset)])
        walk, head, origin = there, next_head, next_head
        items = [Take(head, head.offset, following.start)]


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


def decoded(source: Nearby, place: Place) -> Iterator[bytes]:
    """The tar from a place on, across the members that follow."""
    at, phase = divmod(place.bit, 8)
    decode = inflater(place.window)
    while at < source.size:
        data = source.read(at, min(at + STEP_IN, source.size))
        given, phase = begun(phase, data), 0
        at += len(data)
        while True:
            out = decode.decompress(given, STEP_OUT)
            given = b""
            if out:
                yield out
            if decode.eof or decode.needs_input:
                break
        if decode.eof:
            at += TRAILER_SIZE - len(decode.unused_data)
            head = parse_header(source.read(at, min(at + HEADER_READ, source.size))) if at < source.size else None
            if head is None:
                return
            at, decode = at + head.size, inflater()


# --- The splice itself ---


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


@dataclass
class Spliced:
    """The source's members, those with patches put together anew, the others and what is between them as they are."""

    parts: list[Union[Member, Piece]]
    places: int = 0
    """Neighbourhoods that are encoded anew."""
    encoded: int = 0
    """Uncompressed bytes of these."""


def splice(source: Source, first: Member, rest: Run, patches: Sequence[Patch], effort: Effort) -> Spliced:
    """The source's members with patches, from `rest` on, which goes on in `first`. Raises NoWayIn."""
    done = Spliced([first])
    member, run, at = first, rest, Place.at_start(rest)
    held, nearby = 0, Nearby(source)
    for around in neighbourhoods(nearby, patches, effort):
        if around.head.run is not run:
            _finish(member, at, run)
            end = run.stop + TRAILER_SIZE
            member, run, at = Member(), around.head.run, Place.at_start(around.head.run)
            header = parse_header(nearby.read(run.member, run.start))
            assert header  # the survey has read it
            done.parts += [Copy(end, run.member), Literal(header.to_bytes()), member]
        member.keep(at, around.head)
        piece, figures = encoded(nearby, around, held < HELD)
        held += len(piece.data) if isinstance(piece, Literal) else 0
        member.add(piece, figures)
        run, at = around.tail.run, around.tail
        done.places += 1
        done.encoded += around.size
    _finish(member, at, run)
    done.parts.append(Copy(run.stop + TRAILER_SIZE, source.size))
    return done


def _finish(member: Member, at: Place, run: Run) -> None:
    member.keep(at, Place(8 * run.stop, run.offset + run.size, run, crc=run.crc))


def encoded(source: Nearby, around: Neighbourhood, hold: bool) -> tuple[Piece, Run]:
    """What joins head and tail, and its figures; it is not held if it need not be."""
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
    """`plain` as deflate data that joins head and tail. Raises NoWayIn if it does not decode to what it should."""
    opening, join = _joins(source, around)
    window = around.head.window
    compressor = zlib.compressobj(wbits=RAW, zdict=window) if window else zlib.compressobj(wbits=RAW)
    data = compressor.compress(plain) + compressor.flush(zlib.Z_FINISH if around.ends_run else zlib.Z_SYNC_FLUSH)
    literal = opening + data + join
    at = -(-around.tail.bit // 8)
    following = source.read(at, min(at + PROVED_IN, around.tail.run.stop)) if not around.ends_run else b""
    found = decode_from(literal + following, around.head.bit % 8, window)
    expected = b"" if around.ends_run else next(decoded(source, around.tail._replace(window=plain[-WINDOW:])), b"")
    if found is None or not found.startswith(plain):
        raise NoWayIn("what was encoded anew does not decode to what it should")
    behind = found[len(plain) :]
    if not (expected.startswith(behind) or behind.startswith(expected)) or (following and not behind):
        raise NoWayIn("what was encoded anew does not join what follows")
    return literal


def _joins(source: Nearby, around: Neighbourhood) -> tuple[bytes, bytes]:
    """The bytes in which the head ends and the tail begins."""
    at, phase = divmod(around.head.bit, 8)
    opening = closed(source.read(at, at + 1), phase) if phase else b""
    at, phase = divmod(around.tail.bit, 8)
    join = joined(phase, source.read(at, at + 1)[0]) if phase and not around.ends_run else b""
    return opening, join


def _streamed(source: Nearby, around: Neighbourhood, run: Run) -> Iterator[bytes]:
    """The same of a large neighbourhood, in constant memory; `run` gets its figures."""
    opening, join = _joins(source, around)
    yield opening
    yield from deflate(taken(source, around.items), run, around.head.window, last=around.ends_run)
    yield join
    run.stop += len(opening) + len(join)
