"""The walk: from a place on, block boundaries are found exactly.

A `Walk` decodes on step by step, and keeps a copy of the decoder from before each step. From such a copy, the data up
to a candidate is decoded with an empty last block behind it: the decoder then comes to its end just if a block ends at
the candidate. (Within the very last block a chance end is final, too; so what follows must decode as it did.)

Which boundary is the last before an offset, or the first after one, does not depend on where the walk began, nor on how
the survey was fed. That is why the same archive and edit give the same bytes, whatever inflates them.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from typing import Any, Iterator, Mapping, NamedTuple, Optional

from .blocks import (
    HEADER,
    STORED_LIMIT,
    STRIDE,
    WINDOW,
    candidates,
    closed,
    decode_from,
    decoder,
    joined,
    stored_ends,
)
from .gzip import TRAILER_SIZE, Run, parse_header
from .inflate import crc32, inflater
from .place import SEARCH_LIMIT, Effort, NoWayIn, Place
from .store import Source

STEP_IN, STEP_OUT = 32 << 10, 256 << 10
"""Bytes that a step of a walk reads at most, and decodes."""
KEPT_OUT = 8 << 20
"""Bytes of output that a walk keeps, to find the last boundary in them."""
READ, READ_KEPT = 256 << 10, 8
"""Bytes that a source is asked for at a time where much of it is looked at, and how often that is kept."""
PROOF = 64
"""Bytes of output that must follow from a boundary as they did."""
PROVED_IN = 4 << 10
"""Bytes of data that are decoded from a boundary to prove it."""
HEADER_READ = 64 << 10
"""Bytes in which a gzip header is looked for."""


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
            for bit in sorted(candidates(data, low, high, ends), reverse=most is not None):
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
