"""The floor of a survey from S3: the same survey, its bytes from one HTTP connection of the standard library's.

`python -m benchmarks.bare URL`. There is no client of S3 and none of its work: no signature, no pin, nothing that
would be asked for again, and no more under way than what the kernel holds. Whoever reads from S3 does all of that, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

from lambda_fn.core.edit import Edit
from lambda_fn.core.gzip import Limits
from lambda_fn.core.prefix import read_head
from lambda_fn.core.survey import survey

RANGE = 6 << 20
"""Bytes of one request, as the store for S3 asks for them."""
CHUNK = 256 << 10


class BareSource:
    """A `core.store.Source`, as long as nothing goes wrong."""

    etag: str | None = None
    version_id: str | None = None
    warnings: tuple[str, ...] = ()
    note: Mapping[str, str] = {}
    ours = False

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._path = parts.path
        self._connection = HTTPConnection(parts.netloc)
        self._connection.request("HEAD", self._path)
        with self._connection.getresponse() as head:
            self.size = int(head.headers["Content-Length"])
        self.bytes_read = 0

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a range."""
        return self._get(start, stop).read()

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """A range in chunks, each read from the socket at once where the kernel has it."""
        stop = self.size if stop is None else stop
        for begin in range(start, stop, RANGE):
            body = self._get(begin, min(begin + RANGE, stop))
            yield body.read(len(body.fp.peek(1)))  # what came with the headers; the rest need not be copied twice
            while chunk := body.read(CHUNK):
                yield chunk

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _get(self, start: int, stop: int) -> HTTPResponse:
        self._connection.request("GET", self._path, headers={"Range": f"bytes={start}-{stop - 1}"})
        return self._connection.getresponse()


if __name__ == "__main__":
    opened = BareSource(sys.argv[1])
    survey(opened, read_head(opened).unmarked(), Edit(), Limits(), lambda done, total: None)
