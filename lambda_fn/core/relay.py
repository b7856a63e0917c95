"""The relay: one deflate stream inflated by as many cores as there are, to the same bytes as by one.

Inflating seems to be work for one: a block begins where the one before it ends, and refers up to 32 KiB back to bytes
that are not there before. Yet who starts ahead is soon right, and can be found to be (see `legs`).

So the source is cut into legs, and helpers, each in a thread of its own, run ahead in the next ones, all at once. They
join their legs as well, whichever of two is the last to come to where these meet. So all hangs together with the first
leg, which the runner has gone through itself, knowing what came before; it has only to pass from meeting to meeting,
and to take what was made. If a helper was never right, or no block could be made out, the runner inflates that leg,
too, and nothing is lost.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import Callable, Generator, Iterator, Optional

from .errors import InvalidArchive
from .feed import Feed
from .inflate import DeflateError, Proof, inflater, strict_inflater
from .legs import EVERY, FINE, FINE_IN, MOST_AHEAD, OFTEN, Boundary, Leg, Lookout, Meeting, Piece, Runner, join
from .threads import Task, Threads

ALONE = 512 << 10
"""Bytes that the runner does alone at first: a small stream is over before help comes."""
AHEAD, LEAST_LEG = 45 << 20, 7 << 20
"""Bytes of all legs on their way with what they inflate to, as far as the ratio so far tells, since both are in memory;
and of one leg at least. So the more helpers, the shorter their legs."""
SPARE, EXPANDING = 2, 2
"""Legs more than helpers, so that none of them waits for the runner, or for the next one at a meeting. Where more than
so many bytes come of one, a single spare leg and longer legs take a tenth less time."""
LEAST_IN, MOST_IN, USUAL_OUT = 512, 256 << 10, 512 << 10
"""Bytes fed at a time at least and at most, and inflated from them at most where that can be had."""
MOST_ALONE = 64
"""Legs that the runner does alone at most after the helper was of no use."""


class Relay:
    """One deflate stream (RFC 1951) of a feed; without helpers, one runner inflates it all.

    Their threads are asked for when there is enough for them to do. With `strict` the stream is read as zlib reads it,
    else its first `proved` bytes are (see `inflate`).
    """

    def __init__(
        self,
        feed: Feed,
        helpers: Optional[Callable[[], Threads]] = None,
        strict: bool = False,
        proved: int = 0,
    ) -> None:
        self._feed, self._helpers = feed, helpers
        self._inflater = strict_inflater if strict else inflater
        self._alike: set[int] = set()
        self._every = EVERY
        """Bytes of output after which a block boundary is looked for."""
        self._runner = Runner(self._inflater(), lookout=Lookout(self._inflater, self._alike, EVERY))
        self.boundaries: deque[Boundary] = deque()
        """Block boundaries that were passed, or will be in what comes next, to be taken."""
        self._origin = 0
        """Where in the output that of the runner begins."""
        self._proof = Proof(proved) if proved > 0 and not strict else None
        self._begin = self._position = feed.position
        self._size = 0
        self._misses = self._alone = 0
        self._stored = False
        self._proving: Optional[Task[None]] = None
        self._unproved: list[bytes] = []

    @property
    def eof(self) -> bool:
        """Whether the stream came to its end."""
        return self._runner.eof

    def look_often(self) -> None:
        """Know more block boundaries from now on."""
        self._every = OFTEN
        self._begin_to_look()

    def pieces(self, stop: Optional[int] = None) -> Iterator[Piece]:
        """The output up to the stream's end, or to `stop` in the source; then the feed goes on from there.

        Raises InvalidArchive.
        """
        try:
            while not self.eof and (chunk := self._feed.take(stop and stop - self._feed.position)):
                if self._proof:
                    self._proof.take([chunk])
                yield from self._run(chunk)
                if self._helpers and stop is None and self._position - self._begin >= ALONE:
                    yield from self._legs(self._helpers())
            if self._proof and self._proving:
                self._proving.result()
                self._proof.take(self._unproved)
        except DeflateError:
            raise InvalidArchive(
                f"the archive is damaged: no deflate data before byte {self._position}; pack the model again"
            ) from None
        self._feed.put_back(self._runner.unused)

    def _run(self, chunk: bytes) -> Iterator[Piece]:
        self._position += len(chunk)
        before = self._size
        for piece in self._runner.run(chunk, self._position):
            while self._runner.boundaries:
                self._know(self._runner.boundaries.popleft(), self._origin)
            self._size += len(piece.data)
            yield piece
        self._feed.portion = max(LEAST_IN, min(MOST_IN, len(chunk) * USUAL_OUT // max(1, self._size - before)))

    def _begin_to_look(self) -> None:
        """Have the runner look for blocks as often as is wanted now."""
        if self._runner.lookout:
            self._runner.lookout.every = self._every

    def _know(self, boundary: Boundary, origin: int) -> None:
        """Tell of a boundary in output that begins at `origin` of the whole."""
        self.boundaries.append(boundary._replace(offset=origin + boundary.offset))

    def _legs(self, helpers: Threads) -> Iterator[Piece]:
        """All that is left, in legs: of the runner's own as long as help is of no use, else of the helpers."""
        self._feed.read_ahead()
        self._stored = self._size <= self._position - self._begin
        legs: deque[Leg] = deque()
        left: list[bytes] = []
        while not self.eof:
            own = None if legs else self._take_leg(helpers)
            if not self._stored:  # what is only copied needs no help
                self._ask(helpers, legs, own)
            if own:
                left = yield from self._alone_through(own)
            elif legs:
                left = yield from self._joining(legs.popleft())
            else:
                return
        for leg in legs:
            leg.wanted = False
        for chunk in reversed([*left, *chain.from_iterable(leg.chunks for leg in legs)]):
            self._feed.put_back(chunk)

    def _ask(self, helpers: Threads, legs: deque[Leg], own: Optional[Leg]) -> None:
        """Send helpers ahead, SPARE more than can run; after one was of no use, a single one now and then."""
        wanted = self._abreast(helpers) if not self._misses else self._alone <= 0
        while len(legs) < wanted and (before := legs[-1] if legs else own):
            leg = self._take_leg(helpers, before.end)
            if not leg:
                return
            legs.append(leg)
            helpers.do(leg.run, self._alike)

    def _abreast(self, helpers: Threads) -> int:
        """How many legs are on their way at a time."""
        expanding = self._size > EXPANDING * (self._position - self._begin)
        return helpers.number + (1 if expanding else SPARE)

    def _take_leg(self, helpers: Threads, begin: Optional[Meeting] = None) -> Optional[Leg]:
        taken = self._position - self._begin
        size = max(LEAST_LEG, min(AHEAD // self._abreast(helpers), MOST_AHEAD)) * taken // (taken + self._size)
        chunks: list[bytes] = []
        start = self._feed.position
        while self._feed.position < start + size and (
            chunk := self._feed.take(FINE_IN if len(chunks) < FINE else None)
        ):
            chunks.append(chunk)
        if self._proof and not self._proof.over:
            self._prove(self._proof, helpers, chunks)
        else:
            self._unproved = []
        return Leg(start, chunks, self._inflater, begin, self._misses, self._every) if chunks else None

    def _prove(self, proof: Proof, helpers: Threads, chunks: list[bytes]) -> None:
        """Let one helper at a time see to it; chunks that come meanwhile wait here, so that no helper has to."""
        self._unproved += chunks
        if self._proving is None or self._proving.done:
            if self._proving:
                self._proving.result()
            self._proving, self._unproved = helpers.do(proof.take, self._unproved), []

    def _alone_through(self, own: Leg) -> Generator[Piece, None, list[bytes]]:
        position, size = self._position, self._size
        left = yield from self._through(own.chunks)
        own.end.come(self._runner)
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
        assert leg.begin
        joint = leg.begin.joint(self._runner) or join(self._runner, leg)
        if joint.error:
            raise joint.error
        self._runner.made.extend(joint.made)
        number = len(joint.made)
        if joint.begin:
            self._know(joint.begin, self._size)
        left = yield from self._through(leg.chunks[:number])
        if joint.agreed and leg.ahead:
            self._runner, self._misses = leg.ahead.behind(number), 0
            self._origin = self._size - self._runner.skipped
            self._begin_to_look()
        else:
            self._misses = leg.misses + 1
            self._alone = min(2**self._misses - 1, MOST_ALONE)
        return left + (yield from self._through(leg.chunks[number:]))
