"""The prefix: our own entries at the front of the first gzip member, and the mark that makes the next repack O(1).

    | gzip header, its comment the mark | prefix: our entries, deflated | rest: the source's deflate data | trailer |

The prefix ends with a full flush (RFC 1951: an empty stored block, which ends on a byte boundary), and nothing after
it refers back into it. So the rest is the source's bytes, verbatim; to change our entries, the prefix alone is made
anew, and the new CRC follows from the rest's, which the mark remembers. The mark sits in the header's comment, since
an extra field would break streaming readers of CPython before 3.12.
"""

from __future__ import annotations

import re
import zlib
from typing import Mapping, Optional

from .deflate import LAST
from .errors import InvalidArchive
from .gzip import TRAILER_SIZE, Header, Run, parse_header, trailer
from .header import Attributes, entry
from .inflate import RAW, DeflateError, combine_crc32, crc32, inflater, strict_inflater
from .store import Source
from .tar import Stream, entries, entries_and_records
from .value import Value

PREFIX_LIMIT = 10 << 20
"""Bytes of tar that a prefix has at most: it is held in memory, and made anew each time."""
COMMENT_LIMIT = 511
"""Bytes of a gzip header's comment: Go's reader takes no more (compress/gzip, readString)."""

PEEK = 64 << 10
FIRST = 1 << 20
"""Bytes of tar in which the first entry's header is looked for."""
MARK_SIZE = len("model-repacker 1 prefix= rest= crc= length=") + 8 + 16 + 8 + 16
UNREADABLE: tuple[type[Exception], ...] = (*DeflateError, InvalidArchive, IndexError)
EXPANSION = 1032
"""Bytes that a byte of deflate data can become: a length and a distance of one bit each are 258 (RFC 1951, 3.2.5)."""
_MARK = re.compile(
    rb"model-repacker 1 prefix=([0-9a-f]{8}) rest=([0-9a-f]{16}) crc=([0-9a-f]{8}) length=([0-9a-f]{16})(?: (.*))?",
    re.DOTALL,
)


class Prefix(Value):
    """Our entries as deflate data, and what they hold uncompressed."""

    deflated: bytes = b""
    crc: int = 0
    size: int = 0


class Written(Value):
    """An entry as we write it: a regular file, or a directory."""

    data: bytes
    attributes: Attributes
    directory: bool = False

    def to_bytes(self, name: str) -> bytes:
        return entry(name, self.data, self.attributes, self.directory)


def make_prefix(files: Mapping[str, Written]) -> Prefix:
    """The files as tar entries in the order of their names, deflated up to a full flush."""
    if not files:
        return Prefix()
    tar = b"".join(files[name].to_bytes(name) for name in sorted(files))
    compressor = zlib.compressobj(level=6, wbits=RAW)
    return Prefix(compressor.compress(tar) + compressor.flush(zlib.Z_FULL_FLUSH), crc32(tar), len(tar))


class Head(Value):
    """What the first bytes of an archive say: the header, and our prefix if a true mark tells of one."""

    header: Header
    mtime: int = 0
    """Of the first entry, in seconds: what we put in front takes it over, so that no clock gets into the output."""
    files: Mapping[str, Written] = {}
    """What our prefix holds."""
    prefix: Prefix = Prefix()
    rest: Optional[Run] = None
    """What follows our prefix, as the mark has it."""
    comment: Optional[bytes] = None
    """The header's comment without our mark."""

    @property
    def rest_start(self) -> int:
        """Offset in the source of the deflate data that a graft keeps."""
        return self.header.size + len(self.prefix.deflated)

    def unmarked(self) -> Head:
        """The same head, our mark not believed."""
        return self._replace(files={}, prefix=Prefix(), rest=None)

    def grafted(self, prefix: Prefix, rest: Run) -> bytes:
        """The new first bytes, up to where the rest begins.

        Their number does not depend on `rest`, so that room can be kept for them before it is known.
        """
        mark = b"model-repacker 1 prefix=%08x rest=%016x crc=%08x length=%016x" % (
            len(prefix.deflated),
            rest.stop - rest.start,
            rest.crc,
            rest.size,
        )
        if not prefix.size:
            return self.header._replace(comment=self.comment).to_bytes()
        comment = mark if self.comment is None else (mark + b" " + self.comment)[:COMMENT_LIMIT]
        return self.header._replace(comment=comment).to_bytes() + prefix.deflated

    @property
    def comment_is_cut(self) -> bool:
        """Whether the source's own comment is too long to stand behind our mark."""
        return len(self.comment or b"") > COMMENT_LIMIT - MARK_SIZE - 1

    @staticmethod
    def trailer(prefix: Prefix, rest: Run) -> bytes:
        """The first member's new trailer."""
        return trailer(combine_crc32(prefix.crc, rest.crc, rest.size), prefix.size + rest.size)


def read_head(source: Source) -> Head:
    """The head of an archive, from a small read or two. A mark that is not true is as good as none.

    Raises InvalidArchive if the source does not begin like gzip.
    """
    data = source.read(0, min(source.size, PEEK))
    header = parse_header(data) if data else None
    if header is None:
        if len(data) == PEEK:
            raise InvalidArchive(f"the gzip header is damaged or has more than {PEEK} bytes; pack the model again")
        raise InvalidArchive(f"this is not gzip but a file of {len(data)} bytes; give a .tar.gz")
    mark = _MARK.fullmatch(header.comment or b"")
    if mark is None:
        return Head(header, _first_mtime(data[header.size :]), comment=header.comment)
    prefix_size, rest_size, crc, size = (int(figure, 16) for figure in mark.groups()[:4])
    rest_start = header.size + prefix_size
    rest = Run(rest_start, rest_start + rest_size, crc, size)
    plain = Head(header, _first_mtime(data[header.size :]), comment=mark[5])
    if prefix_size > 2 * PREFIX_LIMIT or rest.stop + TRAILER_SIZE > source.size or size > EXPANSION * rest_size:
        return plain
    if len(data) < rest_start:
        data += source.read(len(data), rest_start)
    return _believe(plain, data[header.size : rest_start], rest, source) or plain


def _believe(plain: Head, deflated: bytes, rest: Run, source: Source) -> Optional[Head]:
    """The head with the prefix that a mark tells of, None if anything about it is not as we write it."""
    inflate = strict_inflater()
    try:
        tar = inflate.decompress(deflated, 2 * PREFIX_LIMIT)
        if inflate.eof or not inflate.needs_input:
            return None
        inflate.decompress(LAST, 1)
        if not inflate.eof or inflate.unused_data:  # it does not end on a block's end
            return None
        files = _files(tar)
    except UNREADABLE:
        return None
    prefix = Prefix(deflated, crc32(tar), len(tar))
    proved = source.read(rest.stop, rest.stop + TRAILER_SIZE) == Head.trailer(prefix, rest)
    return plain._replace(files=files, prefix=prefix, rest=rest) if proved and files else None


def _files(tar: bytes) -> dict[str, Written]:
    """The files of a prefix. Raises InvalidArchive unless each of its entries is, to the byte, as we write it."""
    files: dict[str, Written] = {}
    end, stream = 0, Stream([tar])
    for found in entries_and_records(stream):
        name = found.name.rstrip("/")
        attributes = Attributes(found.mode, int(found.mtime), found.uid, found.gid, found.uname, found.gname)
        written = Written(stream.read(found.data_size), attributes, found.is_directory)
        if name != found.path or name in files or written.to_bytes(name) != tar[found.start : found.stop]:
            raise InvalidArchive("this prefix is not ours")
        files[name] = written
        end = found.stop
    if end != len(tar) or list(files) != sorted(files):
        raise InvalidArchive("this prefix is not ours")
    return files


def _first_mtime(deflated: bytes) -> int:
    """The time of the first entry, 0 if it cannot be had from so few bytes: the survey says what is wrong with it."""
    try:
        stream = Stream([inflater().decompress(deflated, FIRST)])
        return min(max(0, int(next(entries(stream)).mtime)), 8**11 - 1)
    except StopIteration:
        return 0
    except UNREADABLE:
        return 0
