"""The rewrite: what no recipe can do is streamed through inflater, tar and compressor, in constant memory.

The safety net of the other methods, and the only one that makes new bytes of all old ones. The entries that stay pass
through as the blocks they are; the output has our prefix and mark, so that the next repack is a graft.
"""

from __future__ import annotations

from contextlib import closing
from typing import Collection, Iterator, Union

from .edit import Edit
from .feed import read_ahead
from .gzip import Limits, Reader
from .prefix import Head
from .search import Search
from .store import Source
from .tar import SHARED_RECORDS, Stream, entries_and_records


def rewritten(
    source: Source, limits: Limits, head: Head, edit: Edit, going: Collection[str]
) -> Iterator[Union[bytes, memoryview]]:
    """The tar behind our own entries, edited, without the entries of the paths `going`.

    Raises InvalidArchive, ArchiveTooLarge, and what reading the source raises.
    """
    with closing(read_ahead(source.stream())) as chunks:
        reader = Reader(chunks, limits, proved=0)  # it was surveyed; the other cores compress
        yield from _edited(Stream(reader.chunks()), head, edit, going)


def _edited(tar: Stream, head: Head, edit: Edit, going: Collection[str]) -> Iterator[Union[bytes, memoryview]]:
    search = Search(edit, head.files)
    shared: list[bytes] = []
    end, gone = 0, False
    for entry in entries_and_records(tar):
        end = entry.stop
        if entry.start < head.prefix.size:
            continue
        verdict = search.see(entry)
        if entry.type == SHARED_RECORDS:
            shared.append(entry.blocks)
        elif verdict.gone or verdict.name in going:
            gone = True
        else:
            yield from shared
            shared, gone = [], False
            yield verdict.header or entry.blocks
            yield from tar.pieces(entry.padded_size)
    if not gone:  # else they have nothing left to speak for
        yield from shared
    yield bytes(tar.position - end)  # the zero block that ended the entries
    yield from tar.rest()
