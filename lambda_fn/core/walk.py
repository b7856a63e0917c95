"""The walk: from a place on, block boundaries are found exactly.

A `Walk` decodes on step by step, and keeps a copy of the decoder from before each step. From such a copy, the data up
to a candidate is decoded with a last block behind it: the decoder takes it for one just if a block ends at the
candidate.

Which boundary is the last before an offset, or the first after one, does not depend on where the walk began, nor on how
the survey was fed, as long as it lies in what a walk keeps. That is why the same archive and edit give the same bytes,
whatever inflates them.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict, deque
from heapq import merge
from typing import Any, Callable, Iterator, Mapping, Optional

from .blocks import HEADER, QUIET, STORED_LIMIT, WINDOW, begun, decode_up_to, decoder, dynamic_blocks, stored_ends
from .gzip import TRAILER_SIZE, Place, Run, parse_header
from .inflate import DeflateError, crc32, inflater
from .store import Source
from .value import Value

SEARCH_LIMIT = 1 << 20
"""Bytes of compressed data in which a boundary must be found."""
EFFORT = 64 << 20
"""Bytes that may be decoded to find boundaries, besides eight times the source."""
STEP_IN, STEP_OUT = 8 << 10, 256 << 10
"""Bytes that a step of a walk reads at most, and decodes."""
KEPT_OUT, KEPT_STEPS = 8 << 20, 512
"""Bytes of output that a walk keeps, to find the last boundary in them; and steps, since each has its decoder."""
READ, READ_KEPT = 256 << 10, 8
"""Bytes that a source is asked for at a time where much of it is looked at, and how often that is kept."""
ENDING = 3
"""Bytes in which the block before a header may have ended without giving any."""
LEAP = 2 << 10
"""Bytes of a step's data that are decoded at once where nothing is looked for."""
NEAR = 512 << 10
"""Bytes of output in which boundaries are found by their headers."""
MARGIN = 64 << 10
"""Bytes of it more that are kept, lest a boundary at its beginning lies before what is kept."""
SOON_IN, SOON_OUT = 48 << 10, 320 << 10
"""Bytes of data up to an end of a run, and what comes of them, that are encoded sooner than a boundary is found."""
HEADER_READ = 64 << 10
"""Bytes in which a gzip header is looked for."""


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


def budget(source: Source, more: int = 0) -> Effort:
    """What may be decoded of a source to find boundaries, and so much more."""
    return Effort(EFFORT + 8 * source.size + more)


class Nearby:
    """A source read in small ranges near each other, by several threads, of which it is asked for larger ones, once."""

    def __init__(self, source: Source) -> None:
        self._source, self.size = source, source.size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a range."""
        numbers = range(start // READ, -(-stop // READ))
        with self._lock:
            parts = [self._block(number)[max(0, start - number * READ) : stop - number * READ] for number in numbers]
        return b"".join(parts)

    def stream(self, start: int, stop: int) -> Iterator[bytes]:
        """A range in order, in chunks of which only few are kept."""
        if stop - start > READ_KEPT * READ:
            yield from self._source.stream(start, stop)
            return
        for at in range(start, stop, READ):
            yield self.read(at, min(at + READ, stop))

    def _block(self, number: int) -> bytes:
        block = self._blocks.pop(number, None)
        if block is None:
            block = self._source.read(number * READ, min((number + 1) * READ, self.size))
        self._blocks[number] = block
        if len(self._blocks) > READ_KEPT:
            self._blocks.popitem(last=False)
        return block


class Step(Value):
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


Finder = Callable[[Step, bytes, int, int], Iterator[int]]
"""(step, its data and a header more, least, most) → bits where blocks seem to begin, at such offsets if it can tell."""


class Walk:
    """Decodes on from a place, and knows every block boundary that can be told from chance."""

    def __init__(self, source: Nearby, place: Place, runs: Mapping[int, Run], effort: Effort) -> None:
        self._source, self._runs, self._effort = source, runs, effort
        self._begin(place)

    def _begin(self, place: Place) -> None:
        self._began = place
        """From where it begins again to look further back; no later than the offset that was asked for last."""
        self.run, self.offset, self._crc = place.run, place.offset, place.crc
        self._at, self._phase = divmod(place.bit, 8)
        self._decoder = decoder(place.window)
        self._steps: deque[Step] = deque()
        self._kept = self._skipped = 0
        self._before = place.window
        """The 32 KiB before the first step that is kept."""

    def last_before(self, offset: int) -> Place:
        """The last boundary that is no later than this offset of the tar, which is no smaller than those before.

        At the worst it is the one that was told last, or the place where this began. Near the run's start it is that
        start: what another one would save is less work than to find it.
        """
        if self._soon_encoded(offset - self.run.offset):
            return Place.at_start(self.run)
        near = self._last(self._headers, offset, offset - NEAR, NEAR + MARGIN)
        self._began = near or self._last(self._candidates, offset, 0, KEPT_OUT) or self._began
        return self._began

    def _last(self, find: Finder, offset: int, least: int, kept: int) -> Optional[Place]:
        """The last boundary before an offset that is found in steps that hold so much of the output before it."""
        if self._skipped and self._skipped > offset - kept:
            self._begin(self._began)
        if self.offset < offset - kept:
            self._skip(offset - kept)
            self._skipped = self.offset
        while self.offset <= offset and self._step():
            pass
        self._step()
        for step in reversed(self._steps):
            for place in self._boundaries(step, find, least, offset, last_first=True):
                return place
        return None

    def first_after(self, offset: int) -> Place:
        """The first boundary from which on nothing refers back to before this offset of the tar. Raises NoWayIn.

        Near the run's end it is that, likewise.
        """
        while self.offset < offset:
            self._skip(offset - WINDOW)
            if not self._step():
                self._cross()
        if self._soon_encoded(self.run.offset + self.run.size - offset):
            return Place.at_end(self.run)
        begun, least = self._at, offset + WINDOW
        for find, most in ((self._headers, least + NEAR), (self._candidates, sys.maxsize)):
            for step in self._following(offset):
                for place in self._boundaries(step, find, least, most):
                    return place
                if step.stop - begun > SEARCH_LIMIT:
                    raise NoWayIn("its encoder leaves no block boundaries that can be found")
                if step.offset > most:
                    break
            if self._decoder.eof and self.offset <= most:  # so little is sooner encoded than searched bit by bit
                break
        return Place(8 * self._at, self.offset, self.run, crc=self._crc)

    def _soon_encoded(self, size: int) -> bool:
        """Whether so much output of the run is soon encoded.

        How long an encoder takes, depends on how much it makes: that is told from the run as a whole, which all walks
        know alike, wherever they began.
        """
        packed = self.run.stop - self.run.start
        return packed > 0 and size <= SOON_OUT and size * packed <= SOON_IN * self.run.size

    def _following(self, offset: int) -> Iterator[Step]:
        """The steps with output behind an offset, to the end of the run, each when the one after it is known, too."""
        ahead = [step for step in self._steps if step.offset + len(step.out) > offset]
        while self._step():
            ahead.append(self._steps[-1])
            while len(ahead) > 1:
                yield ahead.pop(0)
        yield from ahead

    def _cross(self) -> None:
        """Go on in the next gzip member; if no patch begins or ends there, only its beginning is known."""
        member = self._at + TRAILER_SIZE
        head = parse_header(self._source.read(member, min(member + HEADER_READ, self._source.size)))
        if head is None:
            raise NoWayIn("a gzip header is too long")
        start = member + head.size
        self._begin(Place.at_start(self._runs.get(start) or Run(start, offset=self.offset, member=member)))

    def _skip(self, offset: int) -> None:
        """Decode to this offset of the tar, or to the run's end, without keeping any steps."""
        if offset <= self.offset:
            return
        while self._steps:
            self._forget()
        while self.offset < offset and not self._decoder.eof:
            stop = self._at + self._packed(offset - self.offset)
            if stop == self._at:
                raise NoWayIn("its deflate data ends where it should not")
            for chunk in self._source.stream(self._at, stop):
                data = chunk
                while data and self.offset < offset and not self._decoder.eof:
                    start, out = self._at, self._decode(data, min(STEP_OUT, offset - self.offset))
                    self._before = (self._before + out)[-WINDOW:]
                    data = data[self._at - start :]
                if data:
                    break

    def _packed(self, size: int) -> int:
        """About as many bytes of the source as come to so much output of the run, and no more than there are."""
        share = (self.run.stop - self.run.start) / self.run.size if self.run.size else 1.0
        return min(READ + int(size * share), self._source.size - self._at)

    def _step(self) -> bool:
        """Decode a step; whether there was one in this run."""
        if self._decoder.eof:
            return False
        start, phase, offset, crc, before = self._at, self._phase, self.offset, self._crc, self._decoder.copy()
        out = self._decode(self._source.read(start, min(start + STEP_IN, self._source.size)), STEP_OUT)
        if self._at == start and not out and not self._decoder.eof:
            raise NoWayIn("its deflate data ends where it should not")
        self._steps.append(Step(start, self._at, phase, before, offset, crc, out))
        self._kept += len(out)
        while self._kept - len(self._steps[0].out) > KEPT_OUT or len(self._steps) > KEPT_STEPS:
            self._forget()
        return True

    def _forget(self) -> None:
        """The first step that is kept."""
        forgotten = self._steps.popleft().out
        self._kept -= len(forgotten)
        self._before = (self._before + forgotten)[-WINDOW:]

    def _decode(self, data: bytes, most: int) -> bytes:
        """What comes next of the data from where it is, at most so much."""
        try:
            out: bytes = self._decoder.decompress(begun(self._phase, data), most)
        except DeflateError:
            raise NoWayIn("its deflate data cannot be decoded from where it was entered") from None
        left = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
        used = len(data) - len(left)
        self._effort.spend(len(out) + used)
        self._at, self._phase = self._at + used, 0
        self.offset, self._crc = self.offset + len(out), int(crc32(out, self._crc))
        return out

    def _boundaries(self, step: Step, find: Finder, least: int, most: int, last_first: bool = False) -> Iterator[Place]:
        """The boundaries in a step at offsets from `least` to `most`, in order or the last first."""
        if step.offset > most or step.offset + len(step.out) < least:
            return
        lead = min(STORED_LIMIT, step.start - self.run.start)
        data = self._source.read(step.start - lead, min(step.stop + HEADER, self._source.size))
        size, data, before = step.stop - step.start, data[lead:], data[:lead]
        ends = sorted(bit - 8 * lead for bit in stored_ends(before + data, lead, lead + size))
        found = merge(find(step, data, least, most), ends)
        last = -1
        for bit in reversed([*found]) if last_first else found:
            place = self._proved(step, data, bit) if bit != last else None
            if place and least <= place.offset <= most:
                yield place
            last = bit

    def _candidates(self, step: Step, data: bytes, least: int, most: int) -> Iterator[int]:
        """Bits of a step's data at which a dynamic block seems to begin."""
        return dynamic_blocks(data, 0, step.stop - step.start)

    def _headers(self, step: Step, data: bytes, least: int, most: int) -> Iterator[int]:
        """Those of them from which a decoder makes nothing of 16 bytes, found in less time, if at such offsets.

        Nothing comes out of a block's header, while 16 bytes within a block hold two symbols at least. Where the
        codes are few, a header may be shorter; such ones alone need the search bit by bit.
        """
        size, empty = step.stop - step.start, False
        decode, at, offset = _leapt(step, data, least)
        while at < len(data) and not decode.eof and offset <= most and (empty or at < size + QUIET):
            following = at + QUIET - (step.start + at) % QUIET
            try:
                out = decode.decompress(data[at:following] if at else begun(step.phase, data[:following]))
            except DeflateError:  # the next step will tell
                return
            quiet = not out and following - at == QUIET  # fewer would depend on where the step begins
            if quiet and not empty:
                yield from dynamic_blocks(data, max(0, at - QUIET), min(at + ENDING, size))
            at, offset, empty = following, offset + len(out), quiet
        self._effort.spend(offset - step.offset + at)

    def _proved(self, step: Step, data: bytes, bit: int) -> Optional[Place]:
        """The boundary at a bit of the step's data, None if no block ends there."""
        self._effort.spend(bit // 8 + len(step.out) * bit // (8 * (step.stop - step.start)))
        out = decode_up_to(step.decoder.copy(), data, bit, step.phase)
        if out is None:
            return None
        place = Place(8 * step.start + bit, step.offset + len(out), self.run, self._window(step, out))
        return place._replace(crc=int(crc32(out, step.crc)))

    def _window(self, step: Step, out: bytes) -> bytes:
        """The 32 KiB before a boundary, to which `out` leads from where the step begins.

        Of steps that are no longer kept, the last 32 KiB are in `_before`.
        """
        outs, size = [out], len(out)
        for earlier in reversed(self._steps):
            if size >= WINDOW:
                break
            if earlier.offset < step.offset:
                outs.append(earlier.out)
                size += len(earlier.out)
        if size < WINDOW:
            outs.append(self._before)
        return b"".join(reversed(outs))[-WINDOW:]


def _leapt(step: Step, data: bytes, least: int) -> tuple[Any, int, int]:
    """A decoder not far before an offset, or at the beginning of the step; where in the data it is, and its offset."""
    decode, at, offset = step.decoder.copy(), 0, step.offset
    while at + LEAP < step.stop - step.start:
        there = decode.copy()
        out = decode.decompress(data[at : at + LEAP] if at else begun(step.phase, data[:LEAP]))
        if offset + len(out) >= least:
            return there, at, offset
        at, offset = at + LEAP, offset + len(out)
    return decode, at, offset


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
