"""The scan: one pass over the source that inflates it, checks all of it and keeps what the plan needs.

When it has ended, the archive is known to be intact (every gzip CRC-32 and length, every tar header's checksum, an
end where it belongs), and every entry that matters has been seen. Nothing is extracted; memory is constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, Optional

from .errors import InvalidArchive
from .gzip import Limits, Reader, Run
from .prefix import FILES_LIMIT, Head
from .search import Search
from .store import Progress, Source
from .tar import REGULAR, SHARED_RECORDS, Entry, Stream, entries


@dataclass(frozen=True)
class Findings:
    """What a scan found."""

    head: Head
    search: Search
    rest: Run
    """The deflate data of the first member that a graft keeps."""
    uncompressed_size: Optional[int] = None
    entries: Optional[int] = None
    warnings: tuple[str, ...] = ()


def scan(
    source: Source,
    head: Head,
    names: Iterable[str],
    limits: Limits,
    progress: Progress,
    stream: Optional[Callable[[], Iterable[bytes]]] = None,
    stop: Callable[[Search], bool] = lambda search: False,
    visit: Callable[[Entry], None] = lambda entry: None,
) -> Optional[Findings]:
    """Scan the source, as `stream()` gives it if not as its own stream does.

    `visit` is called with every entry. After each hit `stop` may end the scan: then there are no findings. Raises
    InvalidArchive, ArchiveTooLarge, and what the stream raises.
    """
    search = Search(names)
    chunks = reported((stream or source.stream)(), source.size, progress)
    reader = Reader(chunks, limits, head.rest_start if head.rest else None, source.swift)
    count = 0
    try:
        tar = Stream(reader.chunks())
        for entry in entries(tar):
            visit(entry)
            count += entry.type != SHARED_RECORDS
            hits = search.see(entry, reader.recent) if entry.start >= head.prefix.size else None
            if hits:
                hits.content = _content(entry, tar, FILES_LIMIT - search.held)
                if stop(search):
                    return None
        second_tar = False
        for piece in tar.rest():
            second_tar = second_tar or bool(bytes(piece).strip(b"\0"))
    except InvalidArchive:
        if head.rest is None:
            raise
        lied = True
    else:
        lied = head.rest not in (None, reader.runs[-1])
    if lied:  # the mark tells of another archive
        return scan(source, head.unmarked(), names, limits, progress, stream, stop, visit)
    if reader.uncompressed == 0:
        raise InvalidArchive("there is no tar inside the gzip: it is empty; pack the model with tar -czf")
    return Findings(head, search, reader.runs[-1], reader.uncompressed, count, tuple(_warnings(head, second_tar)))


def reported(chunks: Iterable[bytes], size: int, progress: Progress) -> Iterator[bytes]:
    """The chunks, with progress told after each has been used."""
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        progress(done, size)


def _content(entry: Entry, tar: Stream, most: int) -> Optional[bytes]:
    plain = entry.type in REGULAR and not entry.sparse and entry.size <= most
    return tar.read(entry.data_size) if plain else None


def _warnings(head: Head, second_tar: bool) -> Iterator[str]:
    if second_tar:
        yield "something follows the end of the tar; readers ignore it, and it was kept"
    extra = head.header.extra or b""
    if extra.startswith((b"BC", b"RA")):
        yield "the archive was written for random access (BGZF or dictzip); its index does not fit the output"
