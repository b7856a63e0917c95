"""Legs: how a decoder that begins in the middle of a deflate stream is found to be right.

Where a block with its own Huffman codes begins can be made out (see `blocks`), and how many bits its symbols take does
not depend on what came before. A decoder that begins there after 32 KiB of anything reads every symbol rightly; it only
copies wrong bytes where a reference leads into the unknown. Those die out: literals follow, and references to these.

So a source can be cut into legs, and each be run through for itself. Where two legs meet, the decoder that has come
through the first one goes on into the second, until at the end of a chunk of input it has the same 32 KiB of output
behind it as who began in that leg had there. What a decoder does from then on depends on these and on the rest of the
input alone: from there on the second one is as right as the first. Of some MiB 100 to 300 KiB are inflated twice.

It remains to prove that a block begins where the second one began. Packed files within the model are stored as they
are, so that their blocks are found first, and may even lead to the right 32 KiB; and somebody may have hidden headers
among the symbols of a block. But nothing comes out of a header, while the bits of symbols always give bytes: so the
first one, which is right, is watched while it passes there, and must fall quiet. And how much the second one has made
tells where in the first one's output it began: from there, and after the 32 KiB that are known there, decoding must
give just what the first one has made. (isal may hold back two bytes when its input is used up. How many depends on the
block's bits and on the portions they come in, which are the same for both but there.)

In the same way whoever runs passes a block boundary now and then, so that one is always known not far back: a splice
begins to walk from there.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import chain, islice
from threading import Lock
from typing import Any, Iterator, Optional

from .blocks import HEADER, UNKNOWN, WINDOW, begun, dynamic_blocks, numbers
from .inflate import DeflateError, Inflater, crc32
from .threads import Task
from .value import Value

CHUNK = 512 << 10
"""Uncompressed bytes asked for at a time: with fewer, threads spend their time waiting for each other."""
FINE, FINE_IN = 8, 32 << 10
"""Chunks at the beginning of a leg that are no larger, lest more of it is inflated twice than must be."""
SEARCHED, LIKELY = 8, 64 << 10
"""Chunks at the beginning of a leg in which a block is looked for, and bytes of them in which it is by its numbers."""
LEAD, QUIET = 2, 12
"""Bytes after the beginning of a header within which the block before it has given its last byte, and of which nothing
comes after these. Of 96 bits within a block three bytes would come at least: the last 47 may belong to a length and a
distance that are not complete, a literal has at most 15. And isal holds back two."""
HELD_BACK, LATELY = 2, 8
"""Bytes of output that isal may still owe when its input is used up, as it decodes up to three literals at once; and of
input in which more than these must have come, lest it is within another header that nothing comes."""
JOINT = 2 << 20
"""Bytes of a leg's output within which the helper has to be right."""
MOST_AHEAD = 15 << 20
"""Bytes that a helper makes at most: no less than come of the longest leg, and than JOINT, within which it is asked
about."""
EVERY, OFTEN = 16 << 20, 2 << 20
"""Bytes of output after which a runner looks for a block boundary, and where a splice will begin from one;"""
LOOK_AGAIN, SELDOM = 512 << 10, 2
"""and after which again if it found none, each time after twice as many; at last for such as do not begin alike."""
SHOWN = 4 << 10
"""Bytes behind one that are inflated again to prove it."""
ALIKE = 16
"""Headers' numbers that are remembered, to look for those that begin alike."""
TRIES = 4
"""Blocks that a helper begins at before it gives up."""


class Piece:
    """A piece of output."""

    def __init__(self, data: bytes, position: int, crc: int) -> None:
        self.data = data
        self.position = position
        """In the source, behind the input that the decoder had been given."""
        self.crc = crc
        """CRC-32 of the data."""


class Made(Value):
    """What comes of one chunk of input."""

    pieces: list[Piece]
    used_up: bool
    """Whether that is all that comes of it."""
    eof: bool
    """Whether the stream ends in it."""

    @property
    def size(self) -> int:
        """Bytes of output."""
        return sum(len(piece.data) for piece in self.pieces)


class Boundary(Value):
    """Where a block begins, as a runner has seen who passed there."""

    bit: int
    """Of the source."""
    offset: int
    """In the output."""
    window: bytes
    """The 32 KiB of output before it."""


class Lookout:
    """Looks out for blocks ahead of a runner, so that boundaries are known all along: a splice begins from them."""

    def __init__(self, inflater: Inflater, alike: set[int], every: int) -> None:
        self.inflater, self.alike = inflater, alike
        self.every = every
        """Bytes of output after which to look for the next one."""
        self._looked = self._unfound = 0

    def due(self, size: int) -> bool:
        """Whether it is time for one after so much output."""
        return size >= self._looked + (LOOK_AGAIN << self._unfound if self._unfound else self.every)

    def block(self, chunk: bytes, size: int) -> Optional[int]:
        """A bit of the chunk at which a block seems to begin, if it is time for one."""
        stop = min(LIKELY, len(chunk) - SHOWN)
        if stop <= 0 or not self.due(size):
            return None
        alike = self.alike if self.alike and self._unfound < SELDOM else None
        self._looked, self._unfound = size, self._unfound + 1
        return next(dynamic_blocks(chunk, 0, stop, alike), None)

    def found(self, chunk: bytes, bit: int) -> None:
        """There was one."""
        self._unfound = 0
        if len(self.alike) < ALIKE:
            self.alike.add(numbers(chunk, bit))


class Runner:
    """A decoder, and what it has already made of the next chunks."""

    def __init__(self, decoder: Any, begin: int = 0, lookout: Optional[Lookout] = None) -> None:
        self.decoder, self.lookout = decoder, lookout
        self.begin = begin
        """The bit of a leg where it began, if it runs ahead."""
        self.made: deque[Made] = deque()
        self.last: deque[Piece] = deque(maxlen=2)
        """What the decoder has given last."""
        self.eof = False
        """Whether the stream has ended and all of it was taken."""
        self.through = False
        """Whether it has decoded every chunk of its leg, up to no end of the stream."""
        self.unfed = b""
        """What it was not given any more of a chunk in which the stream ended."""
        self.boundaries: deque[Boundary] = deque()
        """Those that it has passed; offsets are in its own output."""
        self.skipped = 0
        """Bytes of its output that nobody asked for."""
        self._size = 0

    def run(self, chunk: bytes, position: int) -> Iterator[Piece]:
        """What comes out until the chunk, which ends at `position`, is used up."""
        if not self.made and self.lookout and self.lookout.due(self._size):
            self.made.append(self.make_looking(chunk, position, JOINT))
        if self.made:
            made = self.made.popleft()
            yield from made.pieces
            self.eof = made.eof
            if made.used_up:
                return
            chunk = b""
        yield from self._inflate(chunk, position)
        self.eof = self.decoder.eof

    def make(self, chunk: bytes, position: int, most: int) -> Made:
        """The same ahead of time; it ends early with the piece that makes it `most` bytes."""
        pieces = []
        for piece in self._inflate(chunk, position):
            pieces.append(piece)
            most -= len(piece.data)
            if most <= 0:
                break
        return Made(pieces, self.decoder.eof or self.decoder.needs_input, self.decoder.eof)

    def pass_header(self, chunk: bytes, position: int, at: int) -> tuple[Made, bool]:
        """What it makes of a chunk, and whether it reads a header that begins at this byte of it."""
        parts: list[Made] = []
        cuts = (0, max(0, at - LATELY), at + LEAD, at + LEAD + QUIET, len(chunk))
        for start, stop in zip(cuts, cuts[1:]):
            parts.append(self.make(chunk[start:stop], position - len(chunk) + stop, JOINT))
            if parts[-1].eof:
                self.unfed = chunk[stop:]
                break
        quiet = len(parts) > 2 and parts[1].size > HELD_BACK and parts[2].used_up and not parts[2].pieces
        pieces = [piece for made in parts for piece in made.pieces]
        return Made(pieces, parts[-1].used_up, parts[-1].eof), quiet

    def make_looking(self, chunk: bytes, position: int, most: int) -> Made:
        """What `make` does; if it is time to look for a block boundary, it passes one of the chunk with care."""
        begin = self.lookout.block(chunk, self._size) if self.lookout else None
        if not self.lookout or begin is None:
            return self.make(chunk, position, most)
        first, rest = chunk[: begin // 8 + SHOWN], chunk[begin // 8 + SHOWN :]
        before, size = b"".join(piece.data[-WINDOW:] for piece in self.last)[-WINDOW:], self._size
        leg = Leg(position - len(chunk), [first], self.lookout.inflater)
        made, quiet = self.pass_header(first, position - len(rest), begin // 8)
        if quiet and made.used_up and (boundary := passed(leg, begin, before, made)):
            self.boundaries.append(boundary._replace(offset=size + boundary.offset))
            self.lookout.found(chunk, begin)
        if made.eof:
            self.unfed += rest
            return made
        more = self.make(rest, position, most)
        return Made([*made.pieces, *more.pieces], more.used_up, more.eof)

    @property
    def unused(self) -> bytes:
        """What follows the stream's end of what it was given."""
        return bytes(self.decoder.unused_data) + self.unfed

    def behind(self, number: int) -> Runner:
        """The same one behind so many of the chunks."""
        for _ in range(number):
            self.skipped += self.made.popleft().size
        while self.boundaries and self.boundaries[0].offset < self.skipped:
            self.boundaries.popleft()
        return self

    def _inflate(self, chunk: bytes, position: int) -> Iterator[Piece]:
        while not self.decoder.eof:
            data = self.decoder.decompress(chunk, CHUNK)
            chunk = b""
            if data:
                piece = Piece(data, position, crc32(data))
                self.last.append(piece)
                self._size += len(data)
                yield piece
            if self.decoder.needs_input:
                return


class Joint(Value):
    """How one who has come to the end of a leg goes on into the next."""

    runner: Runner
    made: list[Made]
    """Of the first chunks."""
    agreed: bool = False
    """Whether who ran ahead in that leg is right from there on."""
    begin: Optional[Boundary] = None
    """Where that one began, if it can be told."""
    error: Optional[Exception] = None
    """What is wrong with the next chunk."""


class Meeting:
    """The end of one leg, which is the beginning of the next: whoever is the second to be through joins the two.

    It is not known then whether the runner of the first leg is right: if not, it was in vain.
    """

    def __init__(self) -> None:
        self._came: Optional[Runner] = None
        self._leg: Optional[Leg] = None
        self._lock, self._missing = Lock(), 2
        self._joint = Task(self._join)

    def come(self, runner: Optional[Runner]) -> None:
        """Who went through the first leg is here, if one came through it."""
        self._came = runner
        self._reached()

    def gone(self, leg: Leg) -> None:
        """The next leg was run through."""
        self._leg = leg
        self._reached()

    def joint(self, runner: Runner) -> Optional[Joint]:
        """How this runner goes on, as soon as it is known; None if he was not expected."""
        try:
            joint = self._joint.result()
        except Exception:
            if self._came is runner:
                raise
            return None  # it was in vain
        return joint if self._came is runner else None

    def _reached(self) -> None:
        with self._lock:
            self._missing -= 1
            last = not self._missing
        if last:
            self._joint.run()

    def _join(self) -> Optional[Joint]:
        leg, self._leg = self._leg, None  # the leg knows this meeting
        return join(self._came, leg) if self._came and leg else None


class Leg:
    """A stretch of the source, and who ran ahead in it."""

    def __init__(
        self,
        position: int,
        chunks: list[bytes],
        inflater: Inflater,
        begin: Optional[Meeting] = None,
        misses: int = 0,
        every: int = EVERY,
    ) -> None:
        self.position = position
        """Of the first chunk, in the source."""
        self.chunks = chunks
        self.inflater = inflater
        self.begin, self.end = begin, Meeting()
        self.every = every
        """Bytes of output after which a helper looks for a block boundary."""
        self.misses = misses
        """Legs in a row in which helpers were of no use, when this one was sent."""
        self.ahead: Optional[Runner] = None
        self.wanted = True
        """Whether a helper should still run."""

    def run(self, alike: set[int]) -> None:
        """The helper's work."""
        try:
            self.ahead = run_ahead(self, alike) if self.wanted else None
        finally:
            if self.begin:
                self.begin.gone(self)
            self.end.come(self.ahead if self.ahead and self.ahead.through else None)


def join(runner: Runner, leg: Leg) -> Joint:
    """Let the runner go on into a leg until its helper is shown to be right."""
    made: list[Made] = []
    seen = bytearray().join(piece.data for piece in runner.last)
    before, ahead, passed, position, quiet = len(seen), leg.ahead, 0, leg.position, False
    header = ahead.begin // 8 if ahead else 0
    for chunk, theirs in zip(leg.chunks, ahead.made if ahead else ()):
        at = leg.position + header - position
        position += len(chunk)
        try:
            if 0 <= at <= len(chunk) - LEAD - QUIET:
                ours, quiet = runner.pass_header(chunk, position, at)
            else:
                ours = runner.make(chunk, position, JOINT)
        except DeflateError as error:
            return Joint(runner, made, error=error)
        made.append(ours)
        for piece in ours.pieces:
            seen += piece.data
        passed += theirs.size
        if not ours.used_up or ours.eof or len(seen) > JOINT:
            break
        last = b"".join(piece.data for piece in theirs.pieces[-2:])[-WINDOW:]
        agreed = quiet and len(last) == WINDOW and seen.endswith(last)
        begin = len(seen) - passed
        if agreed and is_right(leg, len(made), bytes(seen), begin):
            return Joint(runner, made, agreed=True, begin=_boundary(leg, bytes(seen), begin, before))
    return Joint(runner, made)


def passed(leg: Leg, bit: int, before: bytes, made: Made) -> Optional[Boundary]:
    """The boundary at this bit of a leg of one chunk, of which this was made after `before`; None if there is none."""
    with suppress(*DeflateError):
        leg.ahead = run_from(bit, leg.position, leg.chunks, leg.inflater(UNKNOWN))
        seen = b"".join([before, *(piece.data for piece in made.pieces)])
        begin = len(seen) - leg.ahead.made[0].size
        if is_right(leg, 1, seen, begin):
            return _boundary(leg, seen, begin, len(before))
    return None


def is_right(leg: Leg, number: int, seen: bytes, begin: int) -> bool:
    """Whether who ran ahead began where a block begins: what was to be seen from there to the end of that chunk."""
    if begin < WINDOW or not leg.ahead:
        return False
    with suppress(*DeflateError):
        decoder = leg.inflater(seen[begin - WINDOW : begin])
        proof = run_from(leg.ahead.begin, 0, leg.chunks[:number], decoder)
        return b"".join(piece.data for made in proof.made for piece in made.pieces) == seen[begin:]
    return False


def _boundary(leg: Leg, seen: bytes, begin: int, before: int) -> Optional[Boundary]:
    """The boundary at which who ran ahead began, of whom it is known that this is right.

    How much was made of it would be wrong by a byte or two, more or less, if isal held back other bytes this time. What
    was seen would have been otherwise then, unless it repeats itself after so many.
    """
    assert leg.ahead
    if any(seen[begin + held :] == seen[begin:-held] for held in range(1, HELD_BACK + 1)):
        return None
    return Boundary(8 * leg.position + leg.ahead.begin, begin - before, seen[begin - WINDOW : begin])


def run_ahead(leg: Leg, alike: set[int]) -> Optional[Runner]:
    """A runner from the first block of the leg that can be made out, None if there is none.

    Blocks that begin `alike`, with numbers that others have had, are found much sooner, so they are looked for first.
    """
    begin = b"".join(leg.chunks[:SEARCHED])
    stop = len(begin) - HEADER
    found = chain(dynamic_blocks(begin, 0, min(stop, LIKELY), alike), dynamic_blocks(begin, 0, stop))
    for bit in islice(found, TRIES):
        with suppress(*DeflateError):
            lookout = Lookout(leg.inflater, alike, leg.every)
            runner = run_from(bit, leg.position, leg.chunks, leg.inflater(UNKNOWN), lookout)
            if len(alike) < ALIKE:
                alike.add(numbers(begin, bit))
            return runner
    return None


def run_from(bit: int, position: int, chunks: list[bytes], decoder: Any, lookout: Optional[Lookout] = None) -> Runner:
    """A runner that began with a new decoder at a bit of the chunks, the first of which lies at `position`."""
    runner, most = Runner(decoder, bit, lookout), MOST_AHEAD
    skipped, phase = divmod(bit, 8)
    for chunk in chunks:
        position += len(chunk)
        given = chunk[skipped:]
        skipped = max(0, skipped - len(chunk))
        if given:
            given, phase = begun(phase, given), 0
        made = runner.make_looking(given, position, most)
        runner.made.append(made)
        most -= made.size
        if made.eof or most <= 0:
            break
    else:
        runner.through = True
    return runner
