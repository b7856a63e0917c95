"""One version of one object, pinned at open and read by parallel ranged GETs a bounded way ahead."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import cached_property
from typing import Any, Callable, Generator, Iterator, Mapping, Optional, TypeVar

import urllib3.exceptions
from botocore.exceptions import BotoCoreError

from ...core.errors import (
    AccessDenied,
    InvalidRequest,
    SourceChanged,
    SourceNotFound,
    StoreUnavailable,
)
from . import checksum, pointer
from .access import S3Access
from .failures import code, named_errors, required
from .place import Place
from .pointer import Output

Answer = TypeVar("Answer")

BLOCK = 6 << 20
"""Bytes of one ranged GET of a stream: more than the smallest part, so that the first is filled without another."""
AHEAD = 4
"""GETs under way while a block is consumed: 30 MiB in memory at most, and both ends of the object."""
CHUNK = 256 << 10
"""Bytes asked of a connection at once: with fewer, or if larger pieces are cut, reading takes more CPU time."""
CHECKSUM_EVERY = 1 << 20
"""Bytes from one remembered CRC of a streamed object to the next: half of that is read to know the CRC of a range,"""
CHECKSUMS = 16_384
"""and there are at most so many."""
ATTEMPTS = 6
"""For a range whose body breaks or falls short; botocore retries what fails before the body."""
PAUSE = 0.5
"""Seconds before the second attempt at most, then twice as many each time."""
NEWEST = (
    "{} was read as its newest version, since s3:GetObjectVersion is not permitted: "
    "one that is written meanwhile would end the repack"
)
BROKEN = (BotoCoreError, urllib3.exceptions.HTTPError, OSError)


class S3Source:
    """A `core.store.Source`. Raises SourceNotFound, AccessDenied, InvalidRequest and StoreUnavailable at open.

    In a versioned bucket the version found at open is read to its end even when a newer one appears; elsewhere
    an overwritten object is SourceChanged.
    """

    def __init__(self, uri: str, access: S3Access, known_as: Optional[Output] = None, only_read: bool = False) -> None:
        self.place, self._asked_version = Place.of_source(uri)
        self.access = access
        with named_errors(self.place, missing=SourceNotFound):
            self.head: Mapping[str, Any] = access.head(self.place, self._asked_version)
        if not self.head:
            raise SourceNotFound(f"{uri} does not exist, as far as can be told without s3:ListBucket")
        self.size: int = self.head["ContentLength"]
        self.etag: Optional[str] = required(self.head, "ETag", self.place)
        self.version_id: Optional[str] = self.head.get("VersionId")
        self.warnings: tuple[str, ...] = ()
        self._version: Optional[str] = self.version_id
        """The version that is asked for; None where that is not permitted."""
        self.model: Optional[S3Source] = None
        """What this is an output of, where it is read in the stead of that."""
        self.bytes_read = 0
        self.checksums = checksum.RunningCrcs.of_object(self.head)
        """What is known of the object's CRCs: by S3's word at first, at every block once it was streamed."""
        self._only_read = only_read
        """Whether nobody will ask for more of them."""
        self._known_as = known_as
        self._ends: dict[int, bytes] = {}
        self._counting = threading.Lock()

    @property
    def note(self) -> Mapping[str, str]:
        """What stands beside these bytes if we made them."""
        return self._word or {}

    @property
    def ours(self) -> bool:
        """Whether this is an output of ours: by the word of known sources or, without them, of its own metadata."""
        return self._word is not None

    @cached_property
    def _word(self) -> Optional[Mapping[str, str]]:
        if self._known_as and self._known_as.identity == Output.of(self.place, self.head, {}).identity:
            return self._known_as.note
        return pointer.note_of(self.place, self.head, self.access)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a range; those of a stream's first and last blocks are at hand."""
        for end, block in dict(self._ends).items():  # a stream may be read in another thread
            if end <= start and stop <= end + len(block):
                return block[start - end : stop - end]
        return b"".join(self._get(start, stop)) if start < stop else b""

    def stream(self, start: int = 0, stop: Optional[int] = None) -> Generator[bytes, None, None]:
        """A range in order, the whole object if none is given, in chunks of at most 256 KiB."""
        stop = self.size if stop is None else stop
        if (start, stop) == (0, self.size) and not self._only_read:
            yield from self._whole()
        elif stop - start <= BLOCK:
            yield from _chunks(self.read(start, stop))
        else:
            with closing(self._blocks(start, stop)) as blocks:
                for block in blocks:
                    yield from block

    def _whole(self) -> Generator[bytes, None, None]:
        """All chunks; afterwards the checksums tell of any range, and both ends are at hand."""
        crc = checksum.known()[0]
        running = checksum.RunningCrcs(crc)
        step = max(CHECKSUM_EVERY, self.size // CHECKSUMS)
        position = value = noted = 0
        with closing(self._blocks(0, self.size)) as blocks:
            for block in blocks:
                start = position
                for chunk in block:
                    value = crc.of(chunk, value)
                    position += len(chunk)
                    if position - noted >= step or position == self.size:
                        running.append(position, value)
                        noted = position
                    yield chunk
                if start == 0 or position == self.size:
                    self._ends[start] = b"".join(block)  # recipes cut near both ends
        self.checksums = running

    def tags(self) -> dict[str, str]:
        """The object's tags; none, and a warning, where we may not see them or the store has no such thing."""
        if self.place.express:
            return {}
        try:
            answer = self._tagging()
        except (AccessDenied, InvalidRequest, SourceChanged) as refused:
            if code(refused.__cause__) == "NoSuchTagSet":
                return {}
            if isinstance(refused, SourceChanged) and code(refused.__cause__) in ("NoSuchKey", "NoSuchVersion"):
                raise
            self.warnings += (f"tags are not carried over: {refused}",)
            return {}
        if answer.get("TagSet") is None:
            self.warnings += (f"tags are not carried over: the store gave no answer to what {self.place} has",)
        return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet") or ()}

    def _tagging(self) -> Mapping[str, Any]:
        """What S3 says of the tags of this version. Tags have rights of their own, and no condition pins them."""

        def ask(version: Mapping[str, str]) -> Mapping[str, Any]:
            with named_errors(self.place, missing=SourceChanged):
                tags: Mapping[str, Any] = self.access.client.get_object_tagging(**self.access.on(self.place), **version)
            if tags.get("VersionId") not in (None, self.version_id or "null"):
                raise SourceChanged(f"{self.place} has a newer version by now")
            return tags

        if not self._version:
            return ask({})
        try:
            return ask({"VersionId": self._version})
        except AccessDenied as denied:
            try:
                return ask({})
            except (AccessDenied, SourceChanged):
                raise denied from denied.__cause__

    def is_there(self) -> bool:
        """Whether S3 still has these bytes, as far as it tells."""
        with named_errors(self.place):
            return self.access.head(self.place, self._version).get("ETag") == self.etag

    def pinned(self, ask: Callable[[Mapping[str, str]], Answer]) -> Answer:
        """The answer to what is asked of this version; of the newest one, where a role may not name versions.

        Whoever asks pins it by its ETag as well.
        """
        version = {"VersionId": self._version} if self._version else {}
        try:
            return ask(version)
        except AccessDenied as denied:
            if not version or self._asked_version:
                raise
            try:
                answer = ask({})
            except AccessDenied:
                raise denied from denied.__cause__
        with self._counting:
            if self._version:
                self._version = None
                self.warnings += (NEWEST.format(self.place),)
        return answer

    def close(self) -> None:
        """Let go of what was kept; a stream that was left early has ended its own fetching."""
        self._ends.clear()

    def _blocks(self, first: int, end: int) -> Generator[list[bytes], None, None]:
        """A range in blocks of chunks, in order, fetched ahead by a few threads."""
        pending: deque[Future[list[bytes]]] = deque()
        left = threading.Event()
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="s3-read") as pool:
            try:
                for start in range(first, end, BLOCK):
                    pending.append(pool.submit(self._get, start, min(start + BLOCK, end), left.is_set))
                    if len(pending) == AHEAD:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            except BaseException:
                left.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _get(self, start: int, stop: int, unwanted: Callable[[], bool] = lambda: False) -> list[bytes]:
        """One range in chunks, or some of it once it is unwanted. Raises SourceChanged, StoreUnavailable."""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, PAUSE * 2**attempt))
            body = self.pinned(lambda version: self._body(version, start, stop))
            chunks: list[bytes] = []
            try:
                with closing(body):
                    for chunk in body.iter_chunks(CHUNK):
                        chunks.append(chunk)
                        if unwanted():
                            return chunks
                if sum(map(len, chunks)) == stop - start:
                    return chunks
            except BROKEN:
                pass
            finally:
                with self._counting:
                    self.bytes_read += sum(map(len, chunks))
        raise StoreUnavailable(f"{self.place}: S3 broke off bytes {start} to {stop} {ATTEMPTS} times")

    def _body(self, version: Mapping[str, str], start: int, stop: int) -> Any:
        with named_errors(self.place, missing=SourceChanged, changed=SourceChanged):
            answer = self.access.client.get_object(
                **self.access.on(self.place), **version, IfMatch=self.etag, Range=f"bytes={start}-{stop - 1}"
            )
        if answer.get("ETag", self.etag) != self.etag:  # some stores ignore the condition
            answer["Body"].close()
            raise SourceChanged(f"{self.place} was overwritten meanwhile")
        return answer["Body"]


def _chunks(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    return (bytes(view[at : at + CHUNK]) for at in range(0, len(view), CHUNK))
