"""Archives that lie: by a mark, each in another way, or by blocks that only seem to begin."""

from __future__ import annotations

import struct
import tarfile
import zlib

from lambda_fn.core.blocks import _CODE_LENGTH_ORDER, Bits
from lambda_fn.core.crc import combine_crc32
from tests import archives
from tests.archives import WANTED, Tar, entry, member
from tests.hunt.streams import codes


def forged(mark: dict[str, int], deflated: bytes, rest: bytes, whole: bytes) -> bytes:
    """An archive with a mark that says so, a prefix and a rest; `whole` is what it holds."""
    comment = b"model-repacker 1 prefix=%(prefix)08x rest=%(rest)016x crc=%(crc)08x length=%(length)016x" % {
        key.encode(): value for key, value in mark.items()
    }
    head = member(b"", comment=comment)[:-10]
    return head + deflated + rest + struct.pack("<II", zlib.crc32(whole), len(whole))


def deflated(data: bytes, flush: int) -> bytes:
    compressor = zlib.compressobj(6, wbits=-15)
    return compressor.compress(data) + compressor.flush(flush)


def forgery(ours: bytes, theirs: bytes, **lies: int) -> bytes:
    first, second = deflated(ours, zlib.Z_FULL_FLUSH), deflated(theirs, zlib.Z_FINISH)
    crc = zlib.crc32(theirs)
    figures = {"prefix": len(first), "rest": len(second), "crc": crc, "length": len(theirs)}
    return forged({**figures, **lies}, first, second, ours + theirs)


def too_long() -> bytes:
    """A mark that agrees with the trailer and is wrong by 4 GiB, which so much deflate data could inflate to."""
    theirs = LARGE.data
    length = len(theirs) + (1 << 32)
    shifted = combine_crc32(zlib.crc32(OURS), 0, length)
    return forgery(OURS, theirs, crc=shifted ^ zlib.crc32(OURS + theirs), length=length)


def referring_back() -> bytes:
    """A rest that repeats the prefix by reference: with another prefix it would be something else."""
    theirs = entry("again", OURS * 3).blocks + archives.small().data
    compressor = zlib.compressobj(9, wbits=-15)
    first = compressor.compress(OURS) + compressor.flush(zlib.Z_SYNC_FLUSH)
    second = compressor.compress(theirs) + compressor.flush()
    figures = {"prefix": len(first), "rest": len(second), "crc": zlib.crc32(theirs), "length": len(theirs)}
    return forged(figures, first, second, OURS + theirs)


LARGE = Tar([*archives.small().parts, entry("noise", archives.noise(5 << 20))])
OURS = entry(WANTED, b'{"depth": 6}\n', dialect=tarfile.USTAR_FORMAT).blocks
FORGERIES = {
    "a true mark made by somebody else": forgery(OURS, archives.small().data),
    "a prefix of two like names": forgery(OURS + OURS, archives.small().data),
    "a prefix that ends the tar": forgery(OURS + bytes(1024), archives.small().data),
    "a prefix that ends within an entry": forgery(OURS[:600], OURS[600:] + archives.small().data),
    "a prefix that holds a link": forgery(entry("l", kind=b"2", link="x").blocks, archives.small().data),
    "a prefix with a shared header": forgery(archives.shared({"comment": "x"}).blocks + OURS, archives.small().data),
    "a prefix otherwise spelled": forgery(entry(f"./{WANTED}", b"x").blocks, archives.small().data),
    "an old entry in the rest": forgery(OURS, entry(f"./{WANTED}", b"x").blocks + archives.small().data),
    "a rest that refers back": referring_back(),
    "a wrong CRC": forgery(OURS, archives.small().data, crc=7),
    "a wrong length": forgery(OURS, archives.small().data, length=7),
    "no prefix": forgery(OURS, archives.small().data, prefix=0),
    "a short prefix": forgery(OURS, archives.small().data, prefix=9),
    "a long prefix": forgery(OURS, archives.small().data, prefix=len(forgery(OURS, b"")) - 100),
    "a prefix beyond the end": forgery(OURS, archives.small().data, prefix=1 << 31),
    "a rest beyond the end": forgery(OURS, archives.small().data, rest=1 << 40),
    "a length beyond the truth": too_long(),
    "a short rest": forgery(OURS, archives.small().data, rest=3),
}


LITERALS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Bytes by their codes of eight bits, which begin with the high ones; 255 has nine, as the end of the block has."""


def header() -> bytes:
    """A dynamic block's header of whole bytes that tells of just these codes, and of two distances."""
    bits, widths = Bits(), {8: 1, 16: 2, 9: 3, 1: 3}
    words = codes([widths.get(symbol, 0) for symbol in range(19)])
    for value, count in ((0b100, 3), (0, 5), (1, 5), (14, 4)):
        bits.put(value, count)
    for symbol in _CODE_LENGTH_ORDER[:18]:
        bits.put(widths.get(symbol, 0), 3)
    bits.put(*words[8])
    for again in [6] * 41 + [5, 3]:
        bits.put(*words[16])
        bits.put(again - 3, 2)
    for length in (9, 9, 1, 1):
        bits.put(*words[length])
    assert bits.count % 8 == 0
    return bits.value.to_bytes(bits.count // 8, "little")


HIDDEN = header().translate(LITERALS)
"""What that header stands for where its bits are literals of such a block: from there, too, all decodes to the same."""


def one_block(data: bytes) -> bytes:
    """Deflate data of one such block, and an empty one."""
    assert 255 not in data
    bits = Bits()
    bits.value = int.from_bytes(header() + data.translate(LITERALS), "little")
    bits.count = 8 * (len(header()) + len(data))
    bits.put(0x1FF, 9)
    bits.put(0b011, 10)
    return bits.value.to_bytes(-(-bits.count // 8), "little")
