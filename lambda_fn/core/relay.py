"""The relay: one deflate stream inflated by two runners, to the same bytes as by one.

Inflating seems to be work for one: a block begins where the one before it ends, and refers up to 32 KiB back to bytes
that are not there before. Yet who starts ahead is soon right. Where a block with its own Huffman codes begins can be
made out (see `blocks`), and how many bits its symbols take does not depend on what came before. A decoder that begins
there after 32 KiB of anything reads every symbol rightly; it only copies wrong bytes where a reference leads into the
unknown. Those die out: literals follow, and references to these.

So the source is cut into legs. The runner, who knows all that came before, inflates one leg while a helper, in a
thread of its own, runs ahead in the next. Then the runner goes on into that leg, until at the end of a chunk of input
it has the same 32 KiB of output behind it as the helper had there. What a decoder does from then on depends on these
and on the rest of the input alone: the helper was right from there on, so its output counts, and it is the runner now.
If it was never right, or no block could be made out, the runner has inflated that leg, too, and nothing is lost.

It remains to prove that a block begins where the helper began. Packed files within the model are stored as they are,
so that their blocks are found first, and may even lead to the right 32 KiB. But how much the helper has made tells
where in the runner's output it began: from there, and after the 32 KiB that the runner knows, decoding must give just
what the runner has made. (isal may hold back two bytes when its input is used up. How many depends on the block's bits
and on the portions they come in, which are the same for both.)
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Callable, Generator, Iterator, NamedTuple, Optional

from .blocks import HEADER, UNKNOWN, WINDOW, decode_from, dynamic_blocks, joined
from .errors import InvalidArchive
from .feed import PORTION, Feed
from .inflate import DeflateError, Proof, inflater, strict_inflater

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

CHUNK = 128 << 10
"""Uncompressed bytes asked for at a time: with fewer, threads spend their time waiting for each other."""
CHUNK_ALONE = 512 << 10
"""The same where nobody helps: fewer pieces are less work."""
ALONE = 512 << 10
"""Bytes that the runner does alone at first: a small stream is over before help comes."""
LEG_IN, LEG_OUT = 4 << 20, 5 << 20
"""Bytes that a leg has at most, and should have inflated. Two legs are in memory, the helper's inflated, too."""
LEAST_IN, USUAL_OUT = 512, 512 << 10
"""Bytes fed at a time at least, and inflated from them at most where that can be had: where the input was used up, a
splice knows its place."""
SEARCHED = 4
"""Chunks at the beginning of a leg in which a block is looked for."""
HEAD = 2 << 20
"""Bytes of a leg's output after which the runner does not wait for the helper to be right."""
MOST_AHEAD = 6 << 20
"""Bytes that a helper makes at most; no less than HEAD, so that it is through with every chunk it is asked about."""
TRIES = 4
"""Blocks that a helper begins at before it gives up."""
MOST_ALONE = 64
"""Legs that the runner does alone at most after the helper was of no use."""


class Piece(NamedTuple):
    """A piece of output."""

    data: bytes
    position: int
    """In the source, behind the input that the decoder had been given."""
    used_up: bool
    """Whether it had used up that input."""


@dataclass
class Runner:
    """A decoder, and what it has already made of the next chunks."""

    decoder: Any
    begin: int = 0
    """The bit of a leg where it began, if it runs ahead."""
    made: deque[list[Piece]] = field(default_factory=deque)
    passed: int = 0
    """Bytes that it had made of the chunks before these."""
    most: int = CHUNK
    """Bytes of a piece."""

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
            data = self.decoder.decompress(chunk, self.most)
            chunk = b""
            if data:
                yield Piece(data, position, self.decoder.needs_input)
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
        decoded = decode_from(b"".join(chunks), self.begin, seen[begin - WINDOW : begin], len(seen) - begin)
        return decoded == seen[begin:]


class Relay:
    """One deflate stream (RFC 1951) of a feed; without a helper, one runner inflates it all.

    A helper's thread is asked for when there is enough for it to do. With `strict` the stream is read as zlib reads it,
    else its first `proved` bytes are (see `inflate`).
    """

    def __init__(
        self, feed: Feed, helper: Optional[Callable[[], Executor]] = None, strict: bool = False, proved: int = 0
    ) -> None:
        self._feed, self._helper = feed, None if strict else helper
        self._runner = Runner(strict_inflater() if strict else inflater(), most=CHUNK if helper else CHUNK_ALONE)
        self._proof = Proof(proved) if proved > 0 and not strict else None
        self._begin = self._position = feed.position
        self._size = 0
        self._last: deque[Piece] = deque(maxlen=2)
        self._misses = self._alone = 0

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
                if self._helper and stop is None and self._position - self._begin >= ALONE:
                    yield from self._laps(self._helper())
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
        self._feed.portion = max(LEAST_IN, min(PORTION, len(chunk) * USUAL_OUT // max(1, self._size - before)))

    def _laps(self, helper: Executor) -> Iterator[Piece]:
        """All that is left, in laps of a leg for the runner and, if help is of use, one for the helper."""
        while not self.eof and (own := self._take_leg()):
            self._alone -= 1
            start, following = self._feed.position, [] if self._alone >= 0 else self._take_leg()
            ahead = helper.submit(run_ahead, start, following) if following else None
            left = yield from self._through(own)
            if self.eof or not ahead:
                left += following
            else:
                left = yield from self._checking(ahead, following)
            for chunk in reversed(left):
                self._feed.put_back(chunk)

    def _take_leg(self) -> list[bytes]:
        size = min(LEG_IN, LEG_OUT * (self._position - self._begin) // max(1, self._size))
        chunks, stop = [], self._feed.position + size
        while self._feed.position < stop and (chunk := self._feed.take()):
            chunks.append(chunk)
        return chunks

    def _through(self, chunks: list[bytes]) -> Generator[Piece, None, list[bytes]]:
        """The output of the chunks; returns those behind the stream's end."""
        for number, chunk in enumerate(chunks):
            if self.eof:
                return chunks[number:]
            yield from self._run(chunk)
        return []

    def _checking(self, helper: Future[Optional[Runner]], chunks: list[bytes]) -> Generator[Piece, None, list[bytes]]:
        """The same, of chunks in which the helper ran ahead."""
        seen = bytearray().join(piece.data for piece in self._last)
        for number, chunk in enumerate(chunks, 1):
            for piece in self._run(chunk):
                if len(seen) <= HEAD:
                    seen += piece.data
                yield piece
            ahead = helper.result()
            if self.eof or not ahead or not ahead.made or len(seen) > HEAD:
                break
            if ahead.is_right(chunks[:number], bytes(seen)):
                self._runner, self._misses = ahead, 0
                return (yield from self._through(chunks[number:]))
        self._misses += 1
        self._alone = min(2**self._misses - 1, MOST_ALONE)
        return (yield from self._through(chunks[number:]))


def run_ahead(start: int, chunks: list[bytes]) -> Optional[Runner]:
    """The helper's work: a runner from the first block that can be made out, None if there is none."""
    begin = b"".join(chunks[:SEARCHED])
    for bit in islice(dynamic_blocks(begin, 0, len(begin) - HEADER), TRIES):
        with suppress(*DeflateError):
            return _from(bit, start, chunks)
    return None


def _from(bit: int, position: int, chunks: list[bytes]) -> Runner:
    runner, made, size = Runner(inflater(UNKNOWN), bit), deque[list[Piece]](), 0
    skipped, phase = divmod(bit, 8)
    for chunk in chunks:
        position += len(chunk)
        made.append([])
        given = chunk[skipped:]
        skipped = max(0, skipped - len(chunk))
        if given and phase:
            given, phase = joined(phase, given[0]) + given[1:], 0
        for piece in runner.run(given, position):
            made[-1].append(piece)
            size += len(piece.data)
            if size >= MOST_AHEAD:
                break
        if runner.decoder.eof or size >= MOST_AHEAD:
            break
    runner.made = made
    return runner
