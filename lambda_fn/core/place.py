"""Places: where deflate data can be entered, found while the survey passes by.

What is hard about cutting into deflate data is to know a block boundary: blocks begin at any bit, without a mark, and
what they mean depends on the 32 KiB of output before them. The survey knows its output. It keeps the last 2 MiB, and
the places in the source where the decoder had used up all of its input: there alone it is known which offset of the
output belongs to which byte of the source.

A candidate (see `blocks`) is decoded up to the next such place: how much comes out does not depend on the unknown
32 KiB before it, so it tells the candidate's offset in the output; with the offset, the 32 KiB are known; with them,
decoding must give exactly what the survey saw, up to where we want to enter and 512 bytes beyond. (isal may hold back
two bytes when its input ends, so three offsets are tried; where more than one fits, the candidate is left alone.)

That what follows is decoded rightly does not prove that a block begins there. The header of a dynamic block does, as
chance does not describe the very codes in use. But a block of fixed codes begins with three bits that say nothing, and
the end of a symbol may pass for them: any other candidate counts only if decoding from an earlier one comes to the end
of a block there. (Malice may describe these codes among the symbols of a block. The decoder that would see through it
has passed; SECURITY.md says what follows.)

A place keeps 32 KiB, the window of a decoder that begins there, and the CRC up to it; the 2 MiB may go.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import Collection, Iterable, Iterator, Optional, Sequence

from .blocks import (
    STORED_LIMIT,
    STRIDE,
    UNKNOWN,
    WINDOW,
    decode_between,
    decode_from,
    dynamic_blocks,
    is_dynamic,
    is_quiet,
    numbers,
    stored_ends,
)
from .gzip import Place, Recent, Run
from .inflate import crc32
from .legs import HELD_BACK
from .relay import MOST_IN
from .store import Source
from .value import Value

SEARCH_LIMIT = 1 << 20
"""Bytes of compressed data in which a boundary must be found."""
LIKELY = 128 << 10
"""Bytes of it in which one is looked for that begins as others did."""
TRIES = 1000
"""Candidates that are looked at, lest an archive made of nothing but candidates takes minutes."""
NEAR = 256 << 10
"""Bytes of compressed data that are sooner decoded from their beginning than searched."""
GLANCE = 4 << 10
"""Bytes decoded to see that it is not worth going on."""
PROOF = 512
"""Bytes beyond the wanted offset that must be decoded as seen: a tar header never repeats."""


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


class Passed:
    """A stream's chunks, kept until what came out of them is no longer recent: it is there that places are found."""

    def __init__(self, source: Source, chunks: Iterable[bytes]) -> None:
        self._source, self._chunks = source, chunks
        self._kept: deque[tuple[int, bytes]] = deque()
        self._lock = threading.Lock()  # they are taken in another thread

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        for chunk in self._chunks:
            with self._lock:
                self._kept.append((at, chunk))
            at += len(chunk)
            yield chunk

    def forget(self, oldest: Recent) -> None:
        """Let go of chunks whose output is no longer recent."""
        before = oldest.position - MOST_IN - STORED_LIMIT
        with self._lock:
            while self._kept and self._kept[0][0] + len(self._kept[0][1]) <= before:
                self._kept.popleft()

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a range of the source."""
        with self._lock:
            kept = [chunk[max(0, start - at) : max(0, stop - at)] for at, chunk in self._kept]
        found = b"".join(kept)
        return found if len(found) == stop - start else self._source.read(start, stop)


def enter(
    source: Passed,
    recent: Iterable[Recent],
    at: int,
    effort: Effort,
    alike: Optional[set[int]] = None,
    proved: Collection[Place] = (),
) -> Optional[Place]:
    """A place at or before offset `at` of the tar, which lies in what is `recent`; None if none is found.

    It is proved later (see `walk.reached`), from the last of the places that are `proved`, or from the run's start.
    `alike` are the numbers of the headers that were found before, which are looked for first.
    """
    alike = set() if alike is None else alike
    pieces = _of_one_run(recent, at)
    run = pieces[0].run
    reached = next(piece for piece in reversed(pieces) if piece.offset <= at)
    if reached.position - run.start <= NEAR:
        return Place.at_start(run)
    seen, seen_from = b"".join(piece.data for piece in pieces), pieces[0].offset
    shown = min(at + PROOF, seen_from + len(seen))
    until = next((piece.position for piece in pieces if piece.offset + len(piece.data) >= shown), reached.position)
    later: Optional[Place] = None
    tiny: Optional[Place] = None  # begins with so few codes that a walk would see others before it
    try:
        for stretch, bit in islice(_candidates(source, run, pieces, at, alike), TRIES):
            offset = _offset(source, stretch, bit, until, (seen, seen_from), (run, shown), effort)
            if offset is None or offset > at:
                continue
            here = Place(8 * stretch.start + bit, offset, run, crc=_crc_before(pieces, offset))
            here = here._replace(since=_last_before(here, proved))
            if is_dynamic(stretch.data, bit):
                alike.add(numbers(stretch.data, bit))
                if is_quiet(stretch.data, bit, stretch.start):
                    return here
                tiny = tiny or here
                continue
            if later and _leads(source, here, later, seen, seen_from):
                return later
            later = here
    except NoWayIn:
        pass
    return tiny or (Place.at_start(run) if seen_from == run.offset else None)


def _last_before(place: Place, proved: Collection[Place]) -> Place:
    """The last of these places in its run before it, or the run's start."""
    earlier = (one for one in proved if one.run is place.run and one.bit <= place.bit)
    return max(earlier, key=lambda one: one.bit, default=Place.at_start(place.run))


def _of_one_run(recent: Iterable[Recent], at: int) -> list[Recent]:
    """The pieces of the run in which offset `at` of the tar lies."""
    pieces = list(recent)
    last = max(index for index, piece in enumerate(pieces) if piece.offset <= at)
    run = pieces[last].run
    return [piece for piece in pieces if piece.run is run]


def _crc_before(pieces: Sequence[Recent], offset: int) -> int:
    """CRC-32 of the run up to an offset of the tar."""
    piece = next(piece for piece in reversed(pieces) if piece.offset <= offset)
    return int(crc32(piece.data[: offset - piece.offset], piece.crc))


class Stretch(Value):
    """A range of the source up to a place whose offset in the tar is known, and where in it blocks are looked for."""

    start: int
    """In the source."""
    data: bytes
    low: int
    """Where in the data blocks may begin; what lies before tells of stored blocks that end behind it."""
    high: int
    end: int
    """The offset of the tar to which the data leads."""


def _candidates(
    source: Passed, run: Run, pieces: Sequence[Recent], at: int, alike: Collection[int]
) -> Iterator[tuple[Stretch, int]]:
    """Where blocks seem to begin, as bits of a stretch: those near that begin `alike`, then all, the last first."""
    for stretch in _stretches(source, run, pieces, at, LIKELY) if alike else ():
        for low in reversed(range(stretch.low, stretch.high, STRIDE)):
            found = dynamic_blocks(stretch.data, low, min(low + STRIDE, stretch.high), alike)
            yield from ((stretch, bit) for bit in reversed([*found]))
    for stretch in _stretches(source, run, pieces, at, SEARCH_LIMIT):
        ends = [*stored_ends(stretch.data, stretch.low, stretch.high)]
        for low in reversed(range(stretch.low, stretch.high, STRIDE)):
            high = min(low + STRIDE, stretch.high)
            found = dynamic_blocks(stretch.data, low, high)
            bits = {*found, *(bit for bit in ends if low <= bit // 8 < high)}
            yield from ((stretch, bit) for bit in sorted(bits, reverse=True))


def _stretches(source: Passed, run: Run, pieces: Sequence[Recent], at: int, most: int) -> Iterator[Stretch]:
    """What lies between the places where all input was used up, from that before `at` back, up to `most` bytes."""
    known = [(piece.position, piece.offset + len(piece.data)) for piece in pieces if piece.needs_input]
    if pieces[0].offset == run.offset:
        known.insert(0, (run.start, run.offset))
    spans = [span for span in zip(known, known[1:]) if span[0][1] <= at]
    for (start, first), (stop, end) in reversed(spans):
        low = min(STORED_LIMIT, start - run.start)
        data = source.read(start - low, stop)
        about = low + (len(data) - low) * (at - first) // max(1, end - first) + 2 * STRIDE  # behind it is too late
        high = min(len(data), about)
        yield Stretch(start - low, data, max(low, high - most), high, end)
        most -= high - low
        if most <= 0:
            return


def _offset(
    source: Passed,
    stretch: Stretch,
    bit: int,
    until: int,
    output: tuple[bytes, int],
    within: tuple[Run, int],
    effort: Effort,
) -> Optional[int]:
    """The one offset that a block which begins there can have; None if decoding from there does not give what was seen.

    `until` is how far the source has to be decoded to come to the offset that `within` ends at.
    """
    start, data, end = stretch.start, stretch.data, stretch.end
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
        window, expected = seen[max(0, before - WINDOW) : before], seen[before : proved - seen_from]
        glance = decode_from(further, bit, window, GLANCE)
        if glance is None or not expected.startswith(glance[: len(expected)]):
            continue
        decoded = decode_from(further, bit, window, len(expected))
        effort.spend(len(decoded or b""))
        if decoded == expected:
            fitting.append(seen_from + before)
    return fitting[0] if len(fitting) == 1 else None


def _leads(source: Passed, earlier: Place, later: Place, seen: bytes, seen_from: int) -> bool:
    """Whether decoding from one place on comes to the end of a block at the other."""
    start, phase = divmod(earlier.bit, 8)
    at = earlier.offset - seen_from
    decoded = decode_between(
        source.read(start, later.bit // 8 + 1), phase, later.bit - 8 * start, seen[max(0, at - WINDOW) : at]
    )
    return decoded == seen[at : later.offset - seen_from]
