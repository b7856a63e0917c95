"""The relay: one deflate stream inflated by as many cores as there are, to the same bytes as by one.

Inflating seems to be work for one: a block begins where the one before it ends, and refers up to 32 KiB back to bytes
that are not there before. Yet who starts ahead is soon right. Where a block with its own Huffman codes begins can be
made out (see `blocks`), and how many bits its symbols take does not depend on what came before. A decoder that begins
there after 32 KiB of anything reads every symbol rightly; it only copies wrong bytes where a reference leads into the
unknown. Those die out: literals follow, and references to these.

So the source is cut into legs, and helpers, each in a thread of its own, run ahead in the next ones, all at once. The
runner, who knows all that came before, goes on from the end of one leg into the following, until at the end of a chunk
of input it has the same 32 KiB of output behind it as the helper of that leg had there. What a decoder does from then
on depends on these and on the rest of the input alone: the helper was right from there on, so its output counts, and
it is the runner now, at the end of its leg. Of some MiB the runner inflates 100 to 300 KiB itself. If a helper was
never right, or no block could be made out, the runner has inflated that leg, too, and nothing is lost.

It remains to prove that a block begins where the helper began. Packed files within the model are stored as they are,
so that their blocks are found first, and may even lead to the right 32 KiB. But how much the helper has made tells
where in the runner's output it began: from there, and after the 32 KiB that the runner knows, decoding must give just
what the runner has made. (isal may hold back two bytes when its input is used up. How many depends on the block's bits
and on the portions they come in, which are the same for both.)
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Callable, Generator, Iterator, NamedTuple, Optional

from .blocks import HEADER, UNKNOWN, WINDOW, begun, dynamic_blocks, numbers
from .errors import InvalidArchive
from .feed import Feed
from .inflate import DeflateError, Proof, crc32, inflater, strict_inflater

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

CHUNK = 512 << 10
"""Uncompressed bytes asked for at a time: with fewer, threads spend their time waiting for each other."""
ALONE = 512 << 10
"""Bytes that the runner does alone at first: a small stream is over before help comes."""
LEG = 13 << 20
"""Bytes of a leg and of what it inflates to, taken together, as it has been so far: both are in memory."""
SPARE = 1
"""Legs more than helpers, so that none of them waits for the runner."""
LEAST_IN, MOST_IN, USUAL_OUT = 512, 256 << 10, 512 << 10
"""Bytes fed at a time at least and at most, and inflated from them at most where that can be had: where the input was
used up, a splice knows its place."""
FINE, FINE_IN = 8, 32 << 10
"""Chunks at the beginning of a leg that are no larger, lest the runner inflates more of it than it must."""
SEARCHED = 8
"""Chunks at the beginning of a leg in which a block is looked for."""
JOINT = 2 << 20
"""Bytes of a leg's output within which the helper has to be right."""
MOST_AHEAD = 13 << 20
"""Bytes that a helper makes at most; no less than JOINT, so that it is through with every chunk it is asked about."""
ALIKE = 16
"""Headers' numbers that are remembered, to look for those that begin alike."""
TRIES = 4
"""Blocks that a helper begins at before it gives up."""
MOST_ALONE = 64
"""Legs that the runner does alone at most after the helper was of no use."""


class Piece(NamedTuple):
    """A piece of output."""

    data: bytes
    position: int
    """In the source, behind the input that the decoder had been given."""
    needs_input: bool
    """Whether it had used up that input."""
    crc: int
    """CRC-32 of the data."""


class Runner:
    """A decoder, and what it has already made of the next chunks."""

    def __init__(self, decoder: Any, begin: int = 0) -> None:
        self.decoder = decoder
        self.begin = begin
        """The bit of a leg where it began, if it runs ahead."""
        self.made: deque[list[Piece]] = deque()
        self.passed = 0
        """Bytes that it had made of the chunks before these."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended and all of it was taken."""
        return bool(self.decoder.eof) and not self.made

    def run(self, chunk: bytes, position: int) -> Iterator[Piece]:
        """What comes out until the chunk, which ends at `position`, is used up."""
        if self.made:
            yield from self.made.popleft()
            if self.made or self.decoder.needs_input:
                return
            chunk = b""
        while not self.decoder.eof:
            data = self.decoder.decompress(chunk, CHUNK)
            chunk = b""
            if data:
                yield Piece(data, position, self.decoder.needs_input, crc32(data))
            if self.decoder.needs_input:
                return

    def is_right(self, chunks: list[bytes], seen: bytes) -> bool:
        """Whether it may take over at the end of these chunks of its leg, from one that has seen this output."""
        made = self.made.popleft()
        self.passed += sum(len(piece.data) for piece in made)
        last = b"".join(piece.data for piece in made[-2:])[-WINDOW:]
        begin = len(seen) - self.passed
        if begin < WINDOW or len(last) < WINDOW or not seen.endswith(last):
            return False
        with suppress(*DeflateError):
            proof = run_from(self.begin, 0, chunks, seen[begin - WINDOW : begin])
            return b"".join(piece.data for made in proof.made for piece in made) == seen[begin:]
        return False


class Helpers(NamedTuple):
    """Threads that inflate ahead."""

    threads: Executor
    number: int


class Leg(NamedTuple):
    """A stretch of the source in which a helper runs ahead."""

    chunks: list[bytes]
    ahead: Future[Optional[Runner]]
    misses: int
    """Of the helpers, when this one was asked."""


class Relay:
    """One deflate stream (RFC 1951) of a feed; without helpers, one runner inflates it all.

    Their threads are asked for when there is enough for them to do. With `strict` the stream is read as zlib reads it,
    else its first `proved` bytes are (see `inflate`).
    """

    def __init__(
        self,
        feed: Feed,
        helpers: Optional[Callable[[], Helpers]] = None,
        strict: bool = False,
        proved: int = 0,
    ) -> None:
        self._feed, self._helpers = feed, None if strict else helpers
        self._runner = Runner(strict_inflater() if strict else inflater())
        self._proof = Proof(proved) if proved > 0 and not strict else None
        self._begin = self._position = feed.position
        self._size = 0
        self._last: deque[Piece] = deque(maxlen=2)
        self._misses = self._alone = 0
        self._stored = False
        self._alike: set[int] = set()

    @property
    def eof(self) -> bool:
        """Whether the stream came to its end."""
        return self._runner.eof

    def pieces(self, stop: Optional[int] = None) -> Iterator[Piece]:
        """The output up to the stream's end, or to `stop` in the source; then the feed goes on from there.

        Raises InvalidArchive.
        """
        try:
            while not self.eof and (chunk := self._feed.take(stop and stop - self._feed.position)):
                yield from self._run(chunk)
                if self._helpers and stop is None and self._position - self._begin >= ALONE:
                    yield from self._legs(self._helpers())
        except DeflateError:
            raise InvalidArchive(
                f"the archive is damaged: no deflate data before byte {self._position}; pack the model again"
            ) from None
        self._feed.put_back(self._runner.decoder.unused_data)

    def _run(self, chunk: bytes) -> Iterator[Piece]:
        self._position += len(chunk)
        before = self._size
        if self._proof:
            self._proof.take(chunk)
        for piece in self._runner.run(chunk, self._position):
            self._size += len(piece.data)
            self._last.append(piece)
            yield piece
        self._feed.portion = max(LEAST_IN, min(MOST_IN, len(chunk) * USUAL_OUT // max(1, self._size - before)))

    def _legs(self, helpers: Helpers) -> Iterator[Piece]:
        """All that is left, in legs: of the runner's own as long as help is of no use, else of the helpers."""
        self._feed.read_ahead()
        self._stored = self._size <= self._position - self._begin
        legs: deque[Leg] = deque()
        left: list[bytes] = []
        while not self.eof:
            own = [] if legs else self._take_leg()
            if not self._stored:  # what is only copied needs no help
                self._ask(helpers, legs)
            if own:
                left = yield from self._alone_through(own)
            elif legs:
                left = yield from self._joining(legs.popleft())
            else:
                return
        for leg in legs:
            leg.ahead.cancel()
        for chunk in reversed([*left, *chain.from_iterable(leg.chunks for leg in legs)]):
            self._feed.put_back(chunk)

    def _ask(self, helpers: Helpers, legs: deque[Leg]) -> None:
        """Send helpers ahead, one more than can run; after one was of no use, a single one now and then."""
        wanted = helpers.number + SPARE if not self._misses else self._alone <= 0
        while len(legs) < wanted:
            start = self._feed.position
            chunks = self._take_leg()
            if not chunks:
                return
            legs.append(Leg(chunks, helpers.threads.submit(run_ahead, start, chunks, self._alike), self._misses))

    def _take_leg(self) -> list[bytes]:
        taken = self._position - self._begin
        size = LEG * taken // (taken + self._size)
        chunks: list[bytes] = []
        stop = self._feed.position + size
        while self._feed.position < stop and (chunk := self._feed.take(FINE_IN if len(chunks) < FINE else None)):
            chunks.append(chunk)
        return chunks

    def _alone_through(self, chunks: list[bytes]) -> Generator[Piece, None, list[bytes]]:
        position, size = self._position, self._size
        left = yield from self._through(chunks)
        self._alone -= 1
        self._stored = self._size - size <= self._position - position
        return left

    def _through(self, chunks: list[bytes]) -> Generator[Piece, None, list[bytes]]:
        """The output of the chunks; returns those behind the stream's end."""
        for number, chunk in enumerate(chunks):
            if self.eof:
                return chunks[number:]
            yield from self._run(chunk)
        return []

    def _joining(self, leg: Leg) -> Generator[Piece, None, list[bytes]]:
        """The same of a leg, most of it as its helper has made it if that is right."""
        seen = bytearray().join(piece.data for piece in self._last)
        for number, chunk in enumerate(leg.chunks, 1):
            for piece in self._run(chunk):
                if len(seen) <= JOINT:
                    seen += piece.data
                yield piece
            ahead = leg.ahead.result()
            if self.eof or not ahead or not ahead.made or len(seen) > JOINT:
                break
            if ahead.is_right(leg.chunks[:number], bytes(seen)):
                self._runner, self._misses = ahead, 0
                return (yield from self._through(leg.chunks[number:]))
        self._misses = leg.misses + 1
        self._alone = min(2**self._misses - 1, MOST_ALONE)
        return (yield from self._through(leg.chunks[number:]))


def run_ahead(start: int, chunks: list[bytes], alike: set[int]) -> Optional[Runner]:
    """The helper's work: a runner from the first block that can be made out, None if there is none.

    Blocks that begin `alike`, with numbers that others have had, are found much sooner, so they are looked for first.
    """
    begin = b"".join(chunks[:SEARCHED])
    stop = len(begin) - HEADER
    found = chain(dynamic_blocks(begin, 0, min(stop, FINE_IN), alike), dynamic_blocks(begin, 0, stop))
    for bit in islice(found, TRIES):
        with suppress(*DeflateError):
            runner = run_from(bit, start, chunks, UNKNOWN)
            if len(alike) < ALIKE:
                alike.add(numbers(begin, bit))
            return runner
    return None


def run_from(bit: int, position: int, chunks: list[bytes], window: bytes) -> Runner:
    """A runner that began at a bit of the chunks, the first of which lies at `position`, after 32 KiB of output."""
    runner, made, size = Runner(inflater(window), bit), deque[list[Piece]](), 0
    skipped, phase = divmod(bit, 8)
    for chunk in chunks:
        position += len(chunk)
        made.append([])
        given = chunk[skipped:]
        skipped = max(0, skipped - len(chunk))
        if given:
            given, phase = begun(phase, given), 0
        for piece in runner.run(given, position):
            made[-1].append(piece)
            size += len(piece.data)
            if size >= MOST_AHEAD:
                break
        if runner.decoder.eof or size >= MOST_AHEAD:
            break
    runner.made = made
    return runner
