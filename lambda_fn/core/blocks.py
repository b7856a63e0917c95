"""Deflate blocks (RFC 1951): where one may begin, and how to begin one at any bit.

A deflate stream is a sequence of blocks that begin at any bit of a byte, without a mark. Two kinds can be told from
chance. A dynamic block begins with the description of its Huffman codes, and a description of complete codes is
rare among random bits: of the headers that pass here, about one in a million is no block. A stored block holds its
length twice, the second time inverted, on a byte boundary; it ends on one too, so the block after it begins there.
What passes is a candidate only; who uses it proves it by decoding on from it.

Decoding from the middle of a byte needs no shifting (which stored blocks, being aligned, would not survive): empty
blocks before it bring a fresh decoder to the same bit of a byte. An empty block of fixed codes has 10 bits, which
gives the even phases; one of dynamic codes with 101 bits gives the odd ones.
"""

from __future__ import annotations

import zlib
from typing import Any, Iterator, Optional

from .inflate import RAW

WINDOW = 32 << 10
"""A back-reference reaches no further."""

STORED_LIMIT = 4 + (1 << 16)
"""Bytes that a stored block has at most behind its three header bits."""

ALIGN = b"\0\0\xff\xff"
"""What an empty stored block has after its three header bits and the padding."""

_CODE_LENGTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


class Bits:
    """Bits in deflate's order: the low ones of a byte first."""

    def __init__(self) -> None:
        self.value = 0
        self.count = 0

    def put(self, value: int, count: int) -> None:
        """Append the low `count` bits of `value`."""
        self.value |= value << self.count
        self.count += count


def _empty_fixed() -> tuple[int, int]:
    return 0b010, 10  # not final, fixed codes, end of block: seven zeros


def _empty_dynamic() -> tuple[int, int]:
    """Codes complete, as strict decoders ask: literal 0, end of block and two distances have one bit each."""
    bits = Bits()
    bits.put(0b100, 3)
    bits.put(0, 5)  # 257 literal and length codes
    bits.put(1, 5)  # 2 distance codes
    bits.put(14, 4)  # 18 code length codes: of 18 one bit (0), of 1 and 17 two (10, 11)
    for symbol in _CODE_LENGTH_ORDER[:18]:
        bits.put({18: 1, 1: 2, 17: 2}.get(symbol, 0), 3)
    one = (0b01, 2)
    bits.put(*one)  # literal 0
    for zeros in (138, 107):
        bits.put(0, 1)
        bits.put(zeros - 11, 7)
    bits.put(0b11, 2)
    bits.put(10 - 3, 3)  # and ten zeros more: 255
    for _ in range(3):  # end of block, two distances
        bits.put(*one)
    bits.put(1, 1)  # the end of block
    return bits.value, bits.count


EMPTY_FIXED = _empty_fixed()
EMPTY_DYNAMIC = _empty_dynamic()


def filler(phase: int) -> tuple[bytes, int]:
    """Empty blocks from a byte boundary up to bit `phase` (0 to 7) of a byte: whole bytes, then that byte's bits."""
    bits = Bits()
    if phase % 2:
        bits.put(*EMPTY_DYNAMIC)
    while bits.count % 8 != phase:
        bits.put(*EMPTY_FIXED)
    whole = bits.count // 8
    return (bits.value & (1 << 8 * whole) - 1).to_bytes(whole, "little"), bits.value >> 8 * whole


def joined(phase: int, following: int) -> bytes:
    """`filler(phase)`, its last byte completed by the high bits of `following`, in which the next block begins."""
    whole, low = filler(phase)
    return whole + bytes([low | following >> phase << phase]) if phase else whole


def decoder(window: bytes) -> Any:
    """A decoder of bare deflate data whose last 32 KiB of output were `window`."""
    return zlib.decompressobj(RAW, zdict=window) if window else zlib.decompressobj(RAW)


def decode_from(data: bytes, bit: int, window: bytes) -> Optional[bytes]:
    """What `data` from `bit` on decodes to after `window`, None if it is no deflate data."""
    try:
        return _decoded(decoder(window), data, bit)
    except zlib.error:
        return None


def decode_between(data: bytes, bit: int, stop: int, window: bytes) -> Optional[bytes]:
    """What `data` from `bit` up to `stop` decodes to after `window`, None if that is not a number of whole blocks."""
    decode = decoder(window)
    try:
        out = _decoded(decode, closed(data, stop, final=True), bit)
    except zlib.error:
        return None
    return out if decode.eof and not decode.unused_data else None


def _decoded(decode: Any, data: bytes, bit: int) -> bytes:
    at, phase = divmod(bit, 8)
    out = decode.decompress(joined(phase, data[at]) if phase else b"")
    return bytes(out + decode.decompress(memoryview(data)[at + bool(phase) :]))


def closed(data: bytes, bit: int, final: bool = False) -> bytes:
    """`data` up to `bit`, and from there to a byte boundary by an empty stored block, which may be the last one."""
    at, phase = divmod(bit, 8)
    if not phase and not final:
        return data[:at]
    low = (data[at] & (1 << phase) - 1 if phase else 0) | final << phase
    return data[:at] + low.to_bytes(2 if phase > 5 else 1, "little") + ALIGN


def candidates(data: bytes, start: int, stop: int) -> Iterator[int]:
    """Bits from byte `start` up to byte `stop` of `data` at which a block seems to begin."""
    for at in range(start, min(stop, len(data) - 4)):
        word = int.from_bytes(data[at : at + 11], "little")
        for phase in _PHASES_OF_DYNAMIC[word & 0x3FF]:
            if _may_describe_codes(word >> phase) and _describes_codes(data, 8 * at + phase):
                yield 8 * at + phase
    for at in range(max(0, start - STORED_LIMIT), min(stop, len(data)) - 4):
        if data[at] ^ data[at + 2] == 0xFF and data[at + 1] ^ data[at + 3] == 0xFF:
            end = at + 4 + (data[at] | data[at + 1] << 8)
            if start <= end < stop:
                yield 8 * end


def is_dynamic(data: bytes, bit: int) -> bool:
    """Whether the block that begins at `bit` describes its codes."""
    at, phase = divmod(bit, 8)
    return int.from_bytes(data[at : at + 2], "little") >> phase & 0b110 == 0b100


_PHASES_OF_DYNAMIC = [[phase for phase in range(8) if word >> phase & 7 == 0b100] for word in range(1 << 10)]
"""Where in a byte the three bits stand that begin a dynamic block which is not the last one."""

_SHARE = (0, 64, 32, 16, 8, 4, 2, 1)
"""The part of a code's space that a code of this length takes, in 128ths."""

_KRAFT = [a + b + c + d for a in _SHARE for b in _SHARE for c in _SHARE for d in _SHARE]
"""The same of four lengths, of three bits each."""


def _may_describe_codes(bits: int) -> bool:
    """Whether the numbers at a dynamic block's begin are possible, and its code length code is complete."""
    if bits & 0x1F00 > 0x1D00 or bits & 0xF8 > 0xE8:
        return False
    lengths = bits >> 17 & _LENGTHS_MASK[bits >> 13 & 15]
    kraft = _KRAFT[lengths & 0xFFF] + _KRAFT[lengths >> 12 & 0xFFF] + _KRAFT[lengths >> 24 & 0xFFF]
    return kraft <= 128 and kraft + _KRAFT[lengths >> 36 & 0xFFF] + _KRAFT[lengths >> 48] == 128


_LENGTHS_MASK = [(1 << 3 * (count + 4)) - 1 for count in range(16)]


def _describes_codes(data: bytes, bit: int) -> bool:
    """Whether a dynamic block's header at `bit` describes complete codes (of distances, one code may do)."""
    at, phase = divmod(bit, 8)
    bits = int.from_bytes(data[at : at + 11], "little") >> phase
    count = 4 + (bits >> 13 & 15)
    packed = bits >> 17 & (1 << 3 * count) - 1
    literals, distances = 257 + (bits >> 3 & 31), 1 + (bits >> 8 & 31)
    lengths = [0] * 19
    for index, symbol in enumerate(_CODE_LENGTH_ORDER[:count]):
        lengths[symbol] = packed >> 3 * index & 7
    bits = int.from_bytes(data[at : at + 12 + (literals + distances) * 14 // 8], "little") >> phase + 17 + 3 * count
    codes = _read_lengths(bits, _codes(lengths), literals + distances)
    if codes is None or not codes[256] or not _complete(codes[:literals]):
        return False
    used = [length for length in codes[literals:] if length]
    return _complete(used) or used in ([], [1])


def _complete(lengths: list[int]) -> bool:
    return sum(1 << 15 - length for length in lengths if length) == 1 << 15


def _codes(lengths: list[int]) -> dict[tuple[int, int], int]:
    """(length, code as its bits come) → symbol, of a canonical Huffman code."""
    codes, code = {}, 0
    for length in range(1, 8):
        for symbol, its in enumerate(lengths):
            if its == length:
                codes[length, int(format(code, f"0{length}b")[::-1], 2)] = symbol
                code += 1
        code <<= 1
    return codes


def _read_lengths(bits: int, codes: dict[tuple[int, int], int], count: int) -> Optional[list[int]]:
    """`count` code lengths, run-length coded. None if they are not."""
    found: list[int] = []
    while len(found) < count:
        for length in range(1, 8):
            if (symbol := codes.get((length, bits & (1 << length) - 1))) is not None:
                break
        else:
            return None
        bits >>= length
        if symbol < 16:
            found.append(symbol)
            continue
        if symbol == 16 and not found:
            return None
        extra, least, value = {16: (2, 3, found[-1] if found else 0), 17: (3, 3, 0), 18: (7, 11, 0)}[symbol]
        found += [value] * (least + (bits & (1 << extra) - 1))
        bits >>= extra
    return found if len(found) == count else None
