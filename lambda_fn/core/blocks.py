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

import os
import re
from functools import cache
from typing import Any, Collection, Iterator, Optional

from .inflate import RAW, DeflateError, strict_engine

WINDOW = 32 << 10
"""A back-reference reaches no further."""

STORED_LIMIT = 4 + (1 << 16)
"""Bytes that a stored block has at most behind its three header bits."""

ALIGN = b"\0\0\xff\xff"
"""What an empty stored block has after its three header bits and the padding."""

SEAL = bytes(byte & 0x7F for byte in os.urandom(16))
"""What nobody can foresee."""

HEADER = 400
"""Bytes that a dynamic block's header has at most: where fewer are known it cannot be told from chance."""

UNKNOWN = bytes(WINDOW)
"""Stands for a window that is not known."""

TOLD = 10
"""Bytes behind a place that tell whether a dynamic block may begin there."""

NUMBERS = 17
"""Bits of a dynamic block's header before the lengths of its codes."""

QUIET = 16
"""Bytes of which a decoder makes nothing only within a header."""

STRIDE = 4 << 10
"""Bytes looked at together: what is computed of them fits into a core's first cache."""

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


@cache
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


def begun(phase: int, data: bytes) -> bytes:
    """`data`, of which the first `phase` bits are replaced by empty blocks, so that a fresh decoder can begin there."""
    return joined(phase, data[0]) + data[1:] if phase else data


def decoder(window: bytes) -> Any:
    """A decoder of bare deflate data whose last 32 KiB of output were `window`."""
    return strict_engine.decompressobj(RAW, zdict=window) if window else strict_engine.decompressobj(RAW)


def decode_from(data: bytes, bit: int, window: bytes) -> Optional[bytes]:
    """What `data` from `bit` on decodes to after `window`; None if it is not deflate."""
    at, phase = divmod(bit, 8)
    try:
        return bytes(decoder(window).decompress(begun(phase, data[at:])))
    except DeflateError:
        return None


def decode_up_to(decode: Any, data: bytes, bit: int, phase: int = 0) -> Optional[bytes]:
    """What a decoder makes of `data` from bit `phase` up to `bit`, None if no block ends there.

    A last block behind that bit tells: it holds bytes that nobody can foresee, and only who expects a block there gives
    just these, and is at its end. Else its bits belong to symbols, a header or a stored block, and whatever comes of
    them, and malice may choose what, is something else. One kind of block is not enough: the three bits with which a
    stored one begins may pass for the padding of another, those of fixed codes for the end of a header.
    """
    if bit < phase:
        return None
    at = bit // 8
    ends = [_sealed(data[at] if bit % 8 else 0, bit % 8, stored) for stored in (True, False)]
    try:
        out: bytes = decode.decompress(begun(phase, data[:at])) if at else b""
        found = set()
        for end in ends if at else [begun(phase, end) for end in ends]:
            last = decode.copy()
            found.add(last.decompress(end))
            if not last.eof or last.unused_data:
                return None
    except DeflateError:
        return None
    rest = found.pop()
    return None if found or not rest.endswith(SEAL) else out + rest[: -len(SEAL)]


def _sealed(byte: int, phase: int, stored: bool) -> bytes:
    """A last block that holds the seal, from a bit of a byte on: a stored one, or one of fixed codes."""
    bits = Bits()
    bits.put(byte & (1 << phase) - 1, phase)
    if stored:
        bits.put(0b001, 3)
        bits.put(0, -bits.count % 8)
        bits.put(len(SEAL) | (len(SEAL) ^ 0xFFFF) << 16, 32)
        bits.put(int.from_bytes(SEAL, "little"), 8 * len(SEAL))
    else:
        bits.put(0b011, 3)
        for literal in SEAL:  # codes begin with their high bits
            bits.put(int(f"{0x30 + literal:08b}"[::-1], 2), 8)
        bits.put(0, 7)
    return bits.value.to_bytes(-(-bits.count // 8), "little")


def closed(data: bytes, bit: int) -> bytes:
    """`data` up to `bit`, and from there to a byte boundary by an empty stored block."""
    at, phase = divmod(bit, 8)
    if not phase:
        return data[:at]
    low = data[at] & (1 << phase) - 1
    return data[:at] + low.to_bytes(2 if phase > 5 else 1, "little") + ALIGN


def stored_ends(data: bytes, start: int, stop: int) -> Iterator[int]:
    """Bits from byte `start` up to byte `stop` of `data` at which a stored block seems to end.

    Its length stands there twice, the second time inverted: the two differ in all of their 16 bits. All places are
    compared at once, by one shift and one xor of the data as an integer.
    """
    first = max(0, start - STORED_LIMIT)
    near = data[first:stop]
    number = int.from_bytes(near, "little")
    differing = (number ^ number >> 16).to_bytes(len(near), "little")[: max(0, len(near) - 2)]
    at = differing.find(b"\xff\xff")
    while at >= 0:
        end = first + at + 4 + (near[at] | near[at + 1] << 8)
        if start <= end < stop:
            yield 8 * end
        at = differing.find(b"\xff\xff", at + 1)


def dynamic_blocks(data: bytes, start: int, stop: int, alike: Optional[Collection[int]] = None) -> Iterator[int]:
    """Those bits in order at which a dynamic block seems to begin that is not the last one.

    With `alike` only blocks of these `numbers`, which takes a twentieth of the time.
    """
    for at in range(start, min(stop, len(data)), STRIDE):
        size = min(STRIDE, stop - at)
        count, bits = 8 * size, int.from_bytes(data[at : at + size + TOLD], "little")
        found = _code_length_codes(bits, count) if alike is None else _beginning(bits, count, alike)
        for match in re.finditer("1", f"{found:b}"[::-1]):
            byte, phase = divmod(match.start(), 8)
            if _is_header(data[at + byte : at + byte + HEADER], phase):
                yield 8 * (at + byte) + phase


def numbers(data: bytes, bit: int) -> int:
    """The bits in front of the codes of a dynamic block: its kind, and of how many codes it tells."""
    at, phase = divmod(bit, 8)
    return int.from_bytes(data[at : at + 4], "little") >> phase & (1 << NUMBERS) - 1


def _beginning(bits: int, count: int, alike: Collection[int]) -> int:
    """Where in the first `count` of the bits one of these numbers stands: all places are compared together."""
    everywhere = (1 << count) - 1
    ones = [bits >> k & everywhere for k in range(NUMBERS)]
    zeros = [one ^ everywhere for one in ones]
    found = before = 0
    places = [everywhere]
    """Where the first, the first two… of the number's bits stand, the high ones first: numbers in order share many."""
    for number in sorted(alike):
        del places[NUMBERS + 1 - (number ^ before).bit_length() :]
        for k in range(NUMBERS - len(places), -1, -1):
            places.append(places[-1] & (ones[k] if number >> k & 1 else zeros[k]))
        found |= places[-1]
        before = number
    return found


def _is_header(data: bytes, phase: int) -> bool:
    """Whether a block begins at this bit of the first byte, as far as its header and its first symbol tell."""
    try:
        strict_engine.decompressobj(RAW).decompress(begun(phase, data), 1)
    except DeflateError as error:
        return "too far back" in str(error)  # a reference to what is not known here
    return True


def _code_length_codes(bits: int, count: int) -> int:
    """Where in the first `count` of the bits a dynamic block may begin: its numbers possible, its first code complete.

    That code, for the lengths of the others, comes as up to 19 lengths of three bits. It is complete if the sum of
    2^-length is 1 (Kraft), or 128 in 128ths. All places are looked at together: bit i of an integer says something of
    place i, `bits >> k` brings the k-th bit after each place to it, and 19 numbers are added for all places by as many
    full adders, made of `&`, `^` and `|` on integers.
    """
    everywhere = (1 << count) - 1
    second, third = bits >> 1, bits >> 2
    seven = bits & second & third
    six, five, three = second & third ^ seven, bits & third ^ seven, bits & second ^ seven
    one, two, four = bits ^ seven ^ five ^ three, second ^ seven ^ six ^ three, third ^ seven ^ six ^ five
    lengths = (seven, six, five, four, three, two, one)  # where they are read, by their weights 1, 2, 4 … 64
    pairs = bits & second
    all_set = pairs & pairs >> 2
    place = four & ~(all_set >> 4 | all_set >> 9) & everywhere  # 001, then two numbers of five bits, neither above 29
    number = [bits >> 13 + k & everywhere for k in range(4)]
    sums = [0] * len(lengths)
    for index in range(19):
        at = 17 + 3 * index
        there = _at_least(index - 3, number, everywhere)
        carry = 0
        for weight, length in enumerate(lengths):
            addend, before = length >> at & there, sums[weight]
            half = before ^ addend
            sums[weight] = half ^ carry
            carry = before & addend | half & carry
    for remainder in sums:
        place &= ~remainder
    return place


def _at_least(least: int, number: list[int], everywhere: int) -> int:
    """Where the number of four bits is no less."""
    if least <= 0:
        return everywhere
    more, equal = 0, everywhere
    for k in (3, 2, 1, 0):
        if least >> k & 1:
            equal &= number[k]
        else:
            more |= equal & number[k]
    return more | equal
