"""A store in memory: carries recipes out byte by byte, counts what is read, and keeps what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lambda_fn.core.recipe import Copy, Literal, Recipe
from lambda_fn.core.repack import Job, Outcome
from lambda_fn.core.store import Present, Progress, Published, Source


class MemorySource:
    """Bytes to read from, in chunks of any size."""

    etag: str | None = None
    version_id: str | None = None
    note: Mapping[str, str] = {}
    swift = True

    def __init__(self, data: bytes, chunk: int = 64 << 10) -> None:
        self.data, self.size, self.chunk, self.bytes_read = data, len(data), chunk, 0

    def read(self, start: int, stop: int) -> bytes:
        assert 0 <= start <= stop <= self.size
        self.bytes_read += stop - start
        return self.data[start:stop]

    def stream(self) -> Iterator[bytes]:
        for at in range(0, self.size, self.chunk):
            yield self.read(at, min(at + self.chunk, self.size))

    def close(self) -> None: ...


class MemoryTarget:
    """The place of one output."""

    present: Present | None = None
    copies_beside = False

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.recipe: Recipe | None = None

    def earlier(self, source: Source, made_of: Mapping[str, str]) -> Source | None:
        return None

    def remember(self, source: Source, made_of: Mapping[str, str]) -> None: ...

    def anticipate(self, source: Source, shift: int) -> Iterator[bytes]:
        return source.stream()

    def publish(self, source: Source, recipe: Recipe, note: Mapping[str, str], progress: Progress) -> Published:
        assert self.data is None
        assert isinstance(source, MemorySource)
        self.recipe = recipe
        self.data = b"".join(
            piece.data if isinstance(piece, Literal) else source.data[piece.start : piece.stop] for piece in recipe
        )
        assert all(0 <= piece.start < piece.stop <= source.size for piece in recipe if isinstance(piece, Copy))
        return Published(len(self.data), None, None, 0, 0, None)

    def write(
        self, source: Source, head_size: int, body: Iterator[bytes], head: Callable[[], bytes], note: Mapping[str, str]
    ) -> Published:
        assert self.data is None
        rest = b"".join(body)
        first = head()
        assert len(first) == head_size
        self.data = first + rest
        return Published(len(self.data), None, None, len(self.data), 0, None)

    def close(self) -> None: ...


def repacked(
    archive: bytes, overlay: Mapping[str, bytes], chunk: int = 64 << 10, **options: object
) -> tuple[bytes, Outcome]:
    """The output and how it went. Raises the errors of `errors`; then there is no output."""
    target = MemoryTarget()
    try:
        outcome = Job(MemorySource(archive, chunk), target, overlay, **options).run()  # type: ignore[arg-type]
    except BaseException:
        assert target.data is None
        raise
    assert target.data is not None
    return target.data, outcome
