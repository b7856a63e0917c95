"""Reading one entry out of an archive, no further than it must be read.

Of several entries of one path extraction leaves the last, so an archive has to be read to its end before it is known
which one counts. Our own outputs say in their mark that what our prefix holds is there once.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import Iterator, Optional

from .errors import EntryConflict, EntryNotFound, InvalidArchive
from .gzip import HELPERS, Limits, Reader
from .prefix import read_head
from .store import Source
from .tar import HARD_LINK, REGULAR, Entry, Stream, entries, normal

HELD = 8 << 20
"""Bytes of an entry that are kept while the archive is read to its end; a larger one is read a second time."""


def read_entry(source: Source, name: str, limits: Limits) -> Iterator[bytes]:
    """The bytes of the file that extracting the archive leaves under this path.

    Raises EntryNotFound, EntryConflict if it is no plain file, InvalidArchive, ArchiveTooLarge.
    """
    path = normal(name)
    head = read_head(source)
    if path in head.files and not head.files[path].directory:
        yield head.files[path].data
        return
    helpers = HELPERS
    reader = _reader(source, limits, helpers)
    try:
        last, data = _last(reader, path)
    except InvalidArchive:  # what is found wrong with helpers is looked at again by one alone
        if not reader.helped:
            raise
        helpers = 0
        last, data = _last(_reader(source, limits, helpers), path)
    if data is not None:
        yield data
        return
    with _opened(_reader(source, limits, helpers)) as tar:
        for entry in entries(tar):
            if entry.start == last.start:
                for piece in tar.pieces(entry.data_size):
                    yield bytes(piece)
                return


def _last(reader: Reader, path: str) -> tuple[Entry, Optional[bytes]]:
    """The last plain file of a path, and its bytes if they are few."""
    last: Optional[Entry] = None
    data: Optional[bytes] = None
    with _opened(reader) as tar:
        for entry in entries(tar):
            if entry.path != path:
                continue
            if last and entry.type == HARD_LINK and normal(entry.link) == path:
                continue  # the file was given twice
            last, data = entry, None
            if _plain(entry) and entry.data_size <= HELD:
                data = tar.read(entry.data_size)
        for _ in tar.rest():
            pass
    if last is None:
        raise EntryNotFound(f"the archive holds no {path}; inspect lists what it holds")
    if not _plain(last):
        what = "a directory" if last.is_directory else f"a link to {last.link}" if last.link else "no plain file"
        raise EntryConflict(f"{path or 'the root'} is {what}, and has no bytes of its own to read")
    return last, data


def _reader(source: Source, limits: Limits, helpers: int) -> Reader:
    return Reader(source.stream(), limits, helpers=helpers)


@contextmanager
def _opened(reader: Reader) -> Iterator[Stream]:
    with closing(reader.chunks()) as chunks:
        yield Stream(chunks)


def _plain(entry: Entry) -> bool:
    return entry.type in REGULAR and not entry.sparse and not entry.is_directory
