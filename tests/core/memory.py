"""A store in memory: carries recipes out byte by byte, counts what is read, and keeps what it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lambda_fn.core.edit import Content, Edit
from lambda_fn.core.plan import Plan
from lambda_fn.core.recipe import Copy, Late, Literal, Made, Recipe
from lambda_fn.core.repack import Job
from lambda_fn.core.store import CopiesAhead, Memory, Present, Progress, Published, Source


class MemorySource:
    """Bytes to read from, in chunks of any size."""

    etag: str | None = None
    version_id: str | None = None
    note: Mapping[str, str] = {}
    ours = False
    warnings: tuple[str, ...] = ()

    def __init__(self, data: bytes, chunk: int = 64 << 10) -> None:
        self.data, self.size, self.chunk, self.bytes_read = data, len(data), chunk, 0

    def read(self, start: int, stop: int) -> bytes:
        assert 0 <= start <= stop <= self.size
        self.bytes_read += stop - start
        return self.data[start:stop]

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        stop = self.size if stop is None else stop
        for at in range(start, stop, self.chunk):
            yield self.read(at, min(at + self.chunk, stop))

    def close(self) -> None: ...


class MemoryTarget:
    """The place of one output."""

    present: Present | None = None
    memory: Memory | None = None
    ahead: CopiesAhead | None = None

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.recipe: Recipe | None = None
        self.note: Mapping[str, str] = {}

    def publish(self, source: Source, recipe: Recipe, note: Mapping[str, str], progress: Progress) -> Published:
        assert self.data is None
        assert isinstance(source, MemorySource)
        self.recipe, self.note = recipe, note
        parts: list[bytes | Late] = []
        for piece in recipe:
            if isinstance(piece, Copy):
                assert 0 <= piece.start < piece.stop <= source.size
                parts.append(source.data[piece.start : piece.stop])
            elif isinstance(piece, Made):
                made = b"".join(piece.chunks())
                if piece.size is not None:
                    assert piece.size == len(made)
                    assert made == b"".join(piece.chunks())
                parts.append(made)
            else:
                parts.append(piece.data if isinstance(piece, Literal) else piece)
        late = {id(part): part.data() for part in parts if isinstance(part, Late)}
        assert all(len(late[id(part)]) == part.size for part in parts if isinstance(part, Late))
        self.data = data = b"".join(late[id(part)] if isinstance(part, Late) else part for part in parts)
        copied = sum(piece.size for piece in recipe if isinstance(piece, Copy))
        return Published(len(data), None, None, len(data) - copied, copied, None)

    def close(self) -> None: ...


def repacked(
    archive: bytes,
    put: Mapping[str, bytes] | Edit,
    chunk: int = 64 << 10,
    if_present: str = "replace",
    **options: object,
) -> tuple[bytes, Plan]:
    """The output and the plan that made it. Raises the errors of `errors`; then there is no output."""
    target = MemoryTarget()
    try:
        if not isinstance(put, Edit):
            contents = {name: Content.of(data) for name, data in put.items()}
            put = Edit(contents, if_present=if_present)  # type: ignore[arg-type]
        plan, _ = Job(MemorySource(archive, chunk), target, put, **options).run()  # type: ignore[arg-type]
    except BaseException:
        assert target.data is None
        raise
    assert target.data is not None
    return target.data, plan
