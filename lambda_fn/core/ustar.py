"""The fields of a tar header: a block of 512 bytes, in which each has its place.

POSIX.1-1988 ("ustar") set them, and all formats since have kept what comes before the magic. GNU tar has others in the
prefix's place, of which those of its sparse files matter here, and star ends its prefix earlier.
"""

from __future__ import annotations

BLOCK = 512

NAME = slice(0, 100)
MODE = slice(100, 108)
UID = slice(108, 116)
GID = slice(116, 124)
SIZE = slice(124, 136)
MTIME = slice(136, 148)
CHECKSUM = slice(148, 156)
TYPE = slice(156, 157)
LINK = slice(157, 257)
MAGIC = slice(257, 265)
"""With the version behind it."""
UNAME = slice(265, 297)
GNAME = slice(297, 329)
PREFIX = slice(345, 500)
"""What comes before the name, a slash between them."""
STAR_PREFIX = slice(345, 476)
STAR_END = slice(508, 512)

SPARSE_MAP = slice(386, 482)
SPARSE_MORE = 482
"""Whether a block with more of the map follows."""
SPARSE_SIZE = slice(483, 495)
"""Of the file with its holes."""
FURTHER_MAP, FURTHER_MORE = slice(0, 504), 504
"""The same in such a block."""

NUMBERS = (MODE, UID, GID, SIZE, MTIME)


def room(field: slice) -> int:
    """Bytes of a field."""
    return int(field.stop - field.start)
