"""The rewrite: what no recipe can do safely is streamed through inflater, tar and compressor, in constant memory.

The safety net of the other methods, and the only one that makes new bytes of old ones. The entries that stay pass
through as the blocks they are; the output has our prefix and mark, so that the next repack is a graft.
"""

from __future__ import annotations

from typing import Iterable, Iterator, Mapping, Union

from .deflate import deflate
from .gzip import Limits, Reader, Run
from .prefix import Head, Prefix
from .search import Search
from .tar import Stream, entries


def rewritten(
    source: Iterable[bytes], limits: Limits, head: Head, prefix: Prefix, files: Mapping[str, bytes], rest: Run
) -> Iterator[bytes]:
    """The new archive without its first bytes: the deflated rest and the trailer.

    All entries of the paths in `files` are left out. `rest` gets the figures for `head.grafted`. Raises
    InvalidArchive, ArchiveTooLarge, EntryConflict, and what reading the source raises.
    """
    reader = Reader(source, limits, helped=False, remembered=0)  # the second core compresses, and nothing is spliced
    yield from deflate(_kept(Stream(reader.chunks()), head, files), rest)
    yield Head.trailer(prefix, rest)


def _kept(tar: Stream, head: Head, files: Mapping[str, bytes]) -> Iterator[Union[bytes, memoryview]]:
    search = Search(files)
    end = 0
    for entry in entries(tar):
        end = entry.stop
        if entry.start < head.prefix.size or search.see(entry):
            continue
        yield entry.blocks
        yield from tar.pieces(entry.padded_size)
    search.change(files, "replace", {})
    yield bytes(tar.position - end)  # the zero block that ended the entries
    yield from tar.rest()
