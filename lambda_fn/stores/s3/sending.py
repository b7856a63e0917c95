"""The parts of one output on their way: several at once, within memory, the late ones last."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Iterator, Optional

from ...core.errors import StoreFull
from ...core.store import Progress
from .multipart import MultipartUpload
from .parts import MAX_PARTS, MEMORY, Part, Shape, Upload, split
from .source import S3Source

PARALLEL = 6
"""Parts under way at once."""
TICK = 1.0
"""Seconds between two reports of progress while S3 is busy."""


@dataclass
class Sent:
    """Bytes of the output that are in S3."""

    uploaded: int = 0
    copied: int = 0

    @property
    def size(self) -> int:
        return self.uploaded + self.copied


class Sending:
    """The parts of one upload; the first failure, ours or a report's, ends them all."""

    def __init__(
        self, upload: MultipartUpload, source: Optional[S3Source], shape: Shape, size: int, progress: Progress
    ) -> None:
        self._upload = upload
        self._source = source
        self._shape = shape
        self._size = size
        """As far as it is known."""
        self._progress = progress
        self._sent = Sent()
        self._number = 0
        self._late: list[tuple[int, Upload]] = []
        self._under_way: dict[Future[None], Part] = {}

    def all(self, parts: Iterator[Part]) -> Sent:
        """Send them, each as soon as it is made, and wait for them."""
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="s3-publish") as pool:
            try:
                while self._next(pool, parts):
                    pass
                for number, part in self._late:
                    part.fill_in()
                    self._submit(pool, number, part)
                while self._under_way:
                    self._wait()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._upload.abort()  # before the parts under way have ended: this machine may not live so long
                raise
        return self._sent

    def _next(self, pool: ThreadPoolExecutor, parts: Iterator[Part]) -> bool:
        """Make the next part when there is memory for it, and send it; whether there was one."""
        while self._in_memory and self._in_memory + self._shape.upload > MEMORY:
            self._wait()
        part = next(parts, None)
        if part is None:
            return False
        for piece in (part,) if isinstance(part, Upload) else split(part, self._shape.copy):
            self._number += 1
            if self._number > MAX_PARTS:
                raise StoreFull(
                    f"{self._upload.place} grows beyond the {MAX_PARTS} parts that S3 takes; pack the model anew"
                )
            if isinstance(piece, Upload) and piece.waits:
                self._late.append((self._number, piece))
            else:
                self._submit(pool, self._number, piece)
        return True

    @property
    def _in_memory(self) -> int:
        return sum(part.size for part in self._under_way.values() if isinstance(part, Upload))

    def _submit(self, pool: ThreadPoolExecutor, number: int, part: Part) -> None:
        while len(self._under_way) >= PARALLEL:
            self._wait()
        self._under_way[pool.submit(self._send, number, part)] = part
        self._report()

    def _send(self, number: int, part: Part) -> None:
        if isinstance(part, Upload):
            self._upload.upload(number, part.data)
        elif self._source:
            self._upload.copy(number, self._source, part)

    def _wait(self) -> None:
        """Until a part has arrived, or it is time for a report."""
        for future in wait(self._under_way, timeout=TICK, return_when=FIRST_COMPLETED).done:
            part = self._under_way.pop(future)
            future.result()
            if isinstance(part, Upload):
                self._sent.uploaded += part.size
            else:
                self._sent.copied += part.size
        self._report()

    def _report(self) -> None:
        self._progress(self._sent.size, max(self._size, self._sent.size))
