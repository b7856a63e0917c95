"""The splice: entries cut out of the middle of deflate data, almost all of which stays as it is.

A deflate stream cannot be cut just anywhere. A back-reference may reach 32 KiB back, so what follows a removed entry
within 32 KiB may lean on it; and blocks begin and end at any bit. But from a block boundary at least 32 KiB after the
entry on, the stream leans on nothing that is gone; and up to a block boundary before the entry nothing has changed.
So only the neighbourhood between these two boundaries is encoded anew:

      | head, verbatim | join | neighbourhood less the entry, encoded anew | join | tail, verbatim |
                       q                                                          r

The joins are about bits. The head ends at some bit of a byte: an empty stored block brings the stream to a byte
boundary, where the new data begins. It ends on a byte boundary too, and empty blocks bring it to the very bit of a
byte at which the tail's first block begins (see `blocks`), since the tail must not be shifted: stored blocks in it are
aligned to bytes. The byte they share is the one new byte of the tail.

What is hard is to know a block boundary. The scan keeps its last 2 MiB of output, and the places in the source where
the decoder had used up all its input. A candidate q (see `blocks`) is decoded up to the next such place: how much comes
out does not depend on the unknown 32 KiB before q, so it tells q's offset in the output; with the offset, the 32 KiB
are known; with them, decoding must give exactly what the scan saw, from q up to the entry and its header. (isal may
hold back two bytes when its input ends, so three offsets are tried. Where bytes repeat, more than one might do, but a
tar header never repeats, and it is the last of what must agree.)

That what follows is decoded rightly does not prove that a block begins at q. The header of a dynamic block does, as
chance does not describe the very codes in use. But a block of fixed codes begins with three bits that say nothing, and
the end of a symbol may pass for them: decoding goes on as if a block had begun. So any other candidate counts only if
decoding from an earlier one comes to the end of a block there. From q on everything is decoded once more, so that r is
found in the same way, and always proved by coming to it from q. At last the literal itself is decoded, with the tail's
beginning after it, and compared. If any of this fails within bounds, there is no splice, and the rewrite does the work.

Entries that lie apart have a neighbourhood each, as long as there are boundaries between them.

The CRC of what is left follows from those of the parts (see `crc`).
"""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Iterable, Iterator, NamedTuple, Optional, Sequence, Union

from .blocks import (
    HEADER,
    STORED_LIMIT,
    UNKNOWN,
    WINDOW,
    candidates,
    closed,
    decode_between,
    decode_from,
    decoder,
    is_dynamic,
    joined,
)
from .crc import combine_crc32
from .gzip import Recent, Run
from .inflate import RAW, crc32
from .recipe import Copy, Literal, size
from .store import Source

SEARCH_LIMIT = 1 << 20
"""Bytes of compressed data in which a boundary must be found."""
TRIES = 1000
"""Candidates that are looked at, lest an archive made of nothing but candidates takes minutes."""
ENCODE_LIMIT = 16 << 20
"""Bytes of output that may be decoded again; most of it is encoded again, and uploaded."""
STEP = 32 << 10
PROOF = 512
"""Bytes of output that must agree before a candidate is looked at more closely."""
HELD_BACK = 2
"""Bytes of output that isal may still owe when its input is used up: it decodes up to three literals at once."""


@dataclass(frozen=True)
class Cut:
    """An entry to remove: its uncompressed bytes from `start` up to `stop`, counted from where the run begins."""

    start: int
    stop: int
    recent: Sequence[Recent]
    """What the scan had just decoded when it came to `start`."""


class Boundary(NamedTuple):
    """A proved block boundary."""

    bit: int
    """Of the source."""
    offset: int
    """Uncompressed, in the run."""
    window: bytes = b""
    """The 32 KiB of output before it, fewer near the run's start."""
    crc: int = 0
    """CRC-32 of the run up to it."""


@dataclass(frozen=True)
class Spliced:
    """What a splice leaves."""

    recipe: list[Union[Literal, Copy]]
    """The deflate data."""
    run: Run
    """Its figures."""


def splice(source: Source, run: Run, cuts: Sequence[Cut]) -> Optional[Spliced]:
    """The run's deflate data without the cuts, which come in order; None if it cannot be had this way."""
    if not cuts:
        return None
    recipe: list[Union[Literal, Copy]] = []
    ends: list[tuple[int, int]] = []
    copied = run.start
    waiting = deque(cuts)
    middle = find_head(source, run, cuts[0])
    while middle:
        group, tail, following = _reach(middle, waiting)
        literal = middle.encoded(group, tail) if tail else None
        if tail is None or literal is None:
            return None
        recipe += [Copy(copied, middle.head.bit // 8), Literal(literal)]
        copied = -(-tail.bit // 8)
        ends += [(middle.crc_before(cut.start), middle.crc_before(cut.stop)) for cut in group]
        middle = following
    if waiting:
        return None
    recipe.append(Copy(copied, run.stop))
    left = Run(run.start, run.start + size(recipe), *_without(run, cuts, ends))
    return Spliced([piece for piece in recipe if piece.size], left)


def _reach(middle: Neighbourhood, waiting: deque[Cut]) -> tuple[list[Cut], Optional[Boundary], Optional[Neighbourhood]]:
    """The cuts that `middle` will do for, taken from those that wait; its tail; and what lies around the next cut.

    It has to do for a cut, too, around which no neighbourhood can be found that begins behind its tail.
    """
    group: list[Cut] = []
    while waiting:
        group.append(waiting.popleft())
        tail = middle.find_tail(group[-1].stop)
        if tail is None:
            return group, None, None
        if waiting and waiting[0].start >= tail.offset:
            following = find_head(middle.source, middle.run, waiting[0])
            if following and following.head.bit // 8 > tail.bit // 8:  # the byte that a tail begins in is new
                return group, tail, following
    return group, tail, None


def _without(run: Run, cuts: Sequence[Cut], crcs: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """CRC-32 and size of the run less the cuts, from the run's CRCs up to where each cut begins and ends."""
    crc = left = crc_before = before = 0
    for cut, (crc_start, crc_stop) in zip(cuts, crcs):
        start, stop = cut.start, cut.stop
        crc = combine_crc32(crc, combine_crc32(crc_before, crc_start, start - before), start - before)
        left += start - before
        crc_before, before = crc_stop, stop
    crc = combine_crc32(crc, combine_crc32(crc_before, run.crc, run.size - before), run.size - before)
    return crc, left + run.size - before


def find_head(source: Source, run: Run, cut: Cut) -> Optional[Neighbourhood]:
    """What lies around the cut, from the last block boundary before it on that can be proved."""
    seen, seen_from = b"".join(piece.data for piece in cut.recent), cut.recent[0].offset
    later: Optional[Boundary] = None
    for bit, offset, certain in _boundaries(source, run, cut.recent, seen):
        if offset > cut.start:
            continue
        before = seen[: offset - seen_from]
        earlier = Boundary(bit, offset, before[-WINDOW:], crc32(before, cut.recent[0].crc))
        heads = [earlier] if certain else []
        if later and _leads(source, earlier, later, seen[offset - seen_from : later.offset - seen_from]):
            heads.insert(0, later)
        for head in heads:
            middle = Neighbourhood(source, run, head)
            if middle.begins_with(seen[head.offset - seen_from :]):
                return middle
        later = earlier
    return None


def _leads(source: Source, earlier: Boundary, later: Boundary, between: bytes) -> bool:
    """Whether decoding from one boundary on comes to the end of a block at the other."""
    start, phase = divmod(earlier.bit, 8)
    data = source.read(start, later.bit // 8 + 1)
    return decode_between(data, phase, later.bit - 8 * start, earlier.window) == between


def _boundaries(source: Source, run: Run, recent: Sequence[Recent], seen: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where blocks seem to begin, the last first: the bit of the source, an offset in the run that fits, and whether
    there can be no doubt.
    """
    seen_from = recent[0].offset
    for start, data, bit, end in islice(_candidates(source, run, recent), TRIES):
        for offset in _offsets(data, bit, seen, seen_from, range(end, end + HELD_BACK + 1)):
            yield 8 * start + bit, offset, is_dynamic(data, bit)
    if seen_from == 0:
        yield 8 * run.start, 0, True


def _candidates(source: Source, run: Run, recent: Sequence[Recent]) -> Iterator[tuple[int, bytes, int, int]]:
    """The last candidate first: where in the source its data begins, the data, its bit there, the output's end."""
    known = [(piece.used_up, piece.offset + len(piece.data)) for piece in recent if piece.used_up is not None]
    if recent[0].offset == 0:
        known.insert(0, (run.start, 0))
    for (start, _), (stop, end) in reversed(list(zip(known, known[1:]))):
        if known[-1][0] - start > SEARCH_LIMIT:
            return
        lead = min(STORED_LIMIT, start - known[0][0])
        data = source.read(start - lead, stop)
        for bit in sorted(candidates(data, lead, len(data)), reverse=True):
            yield start - lead, data, bit, end


def _offsets(data: bytes, bit: int, seen: bytes, seen_from: int, ends: Iterable[int]) -> Iterator[int]:
    """Offsets that a block which begins at `bit` may have, if decoding data to its end brings us to one of `ends`.

    `seen` is the output from `seen_from` on; decoding must give just what is seen there.
    """
    blind = decode_from(data, bit, UNKNOWN)
    if blind is None or len(blind) < PROOF:
        return
    for end in ends:
        before = end - len(blind) - seen_from
        if before >= (WINDOW if seen_from else 0):
            decoded = decode_from(data, bit, seen[max(0, before - WINDOW) : before])
            if decoded and decoded.startswith(seen[before : before + len(decoded)]):
                yield seen_from + before


class Neighbourhood:
    """What lies around cuts, decoded once more from a proved boundary on."""

    def __init__(self, source: Source, run: Run, head: Boundary) -> None:
        self.head = head
        self.source, self.run = source, run
        self._start, self._phase = divmod(head.bit, 8)
        self._decoder = decoder(head.window)
        self._data = b""
        self._out = bytearray()

    def begins_with(self, expected: bytes) -> bool:
        """Whether this is what decoding gives."""
        while len(self._out) < len(expected) and self._decode_more():
            pass
        return self._out.startswith(expected)

    def find_tail(self, stop: int) -> Optional[Boundary]:
        """The first boundary that can be proved where nothing refers back to before `stop`; else the run's end."""
        while self._offset < stop + WINDOW and not self._decoder.eof:
            if not self._decode_more():
                return None
        tries = 0
        begin = searched = max(0, len(self._data) - STEP)
        while len(self._data) - begin <= SEARCH_LIMIT and tries < TRIES:
            if not self._decoder.eof and not self._decode_more():
                return None
            until, out = len(self._data) - (0 if self._decoder.eof else HEADER), bytes(self._out)
            for bit in candidates(self._data, searched, until):
                for offset in _offsets(self._data, bit, out, self.head.offset, [self._offset]):
                    if offset >= stop + WINDOW and self._leads_to(bit, offset):
                        return Boundary(8 * self._start + bit, offset)
                tries += 1
            if self._decoder.eof:
                return Boundary(8 * self.run.stop, self._offset) if self._offset == self.run.size else None
            searched = until
        return None

    def encoded(self, cuts: Sequence[Cut], tail: Boundary) -> Optional[bytes]:
        """The literal that joins head and tail without the cuts, None if it does not decode to what it should."""
        kept, before = b"", self.head.offset
        for cut in cuts:
            kept += self._between(before, cut.start)
            before = cut.stop
        kept += self._between(before, tail.offset)
        window = self.head.window
        compressor = zlib.compressobj(wbits=RAW, zdict=window) if window else zlib.compressobj(wbits=RAW)
        last = tail.bit == 8 * self.run.stop
        encoded = compressor.compress(kept) + compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        at, phase = divmod(tail.bit - 8 * self._start, 8)
        join = joined(phase, self._data[at]) if phase else b""
        literal = closed(self._data, self._phase) + encoded + join
        following = self._data[at + (phase > 0) :]
        decoded = decode_from(literal + following, self._phase, self.head.window)
        return literal if decoded == kept + self._between(tail.offset, self._offset) else None

    def crc_before(self, offset: int) -> int:
        """CRC-32 of the run's first `offset` bytes."""
        return int(crc32(self._between(self.head.offset, offset), self.head.crc))

    def _leads_to(self, bit: int, offset: int) -> bool:
        """Whether a block ends at this bit of the data."""
        expected = self._between(self.head.offset, offset)
        return decode_between(self._data, self._phase, bit, self.head.window) == expected

    @property
    def _offset(self) -> int:
        return self.head.offset + len(self._out)

    def _between(self, start: int, stop: int) -> bytes:
        return bytes(self._out[start - self.head.offset : stop - self.head.offset])

    def _decode_more(self) -> bool:
        """Decode another step; whether there was one within the limit."""
        at = self._start + len(self._data)
        if self._decoder.eof or at == self.run.stop:
            return False
        step = self.source.read(at, min(at + STEP, self.run.stop))
        try:
            first = joined(self._phase, step[0]) + step[1:] if not self._data and self._phase else step
            self._out += self._decoder.decompress(first)
        except zlib.error:
            return False
        self._data += step
        return len(self._out) <= ENCODE_LIMIT
