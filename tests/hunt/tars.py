"""Tars that are written as nobody should, with an entry hidden wherever a reader may go astray."""

from __future__ import annotations

import random
import tarfile
from collections.abc import Callable

from tests.archives import checksummed, padded, record

NAMES = ["a", "dir/b", "./c", "d/", "hyperparameters.json", "x/../hyperparameters.json", "long/" + "n" * 110]
MAGICS = [b"ustar\x0000", b"ustar\x0000", b"ustar\x0000", b"ustar  \0", b"ustar\0\0\0", bytes(8), b"ustar  0"]
LISTED = "Yfoo"
"""What an incremental dump of GNU tar holds of a directory: a list of names, each behind a letter."""
KINDS = b"\0" + b"0000055761234SDVZA"


def tar(rng: random.Random) -> bytes:
    """A few entries, most of them sound, and an end that may not be one."""
    parts = [part(rng) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.1:
        parts.insert(rng.randrange(len(parts) + 1), bytes(512))
    return b"".join(parts) + bytes(rng.choice([1024, 1024, 1024, 512, 0, 10240]))


def part(rng: random.Random) -> bytes:
    extended = [rng.choice([pax, pax, long_name])(rng) for _ in range(rng.choice([0, 0, 0, 1, 1, 2]))]
    return b"".join(extended) + member(rng)


def member(rng: random.Random) -> bytes:
    """An entry with its data, which may itself look like entries, or be more or less than the header says."""
    data = rng.choice([b"", b"", b"x" * rng.randint(1, 1200), hidden(rng), hidden(rng)])
    stated = len(data) if rng.random() < 0.85 else rng.choice([0, 1, 512, 513, 1024, len(data) + 512])
    kind = bytes([rng.choice(KINDS)]) if rng.random() < 0.4 else b"0"
    if kind == b"D" and rng.random() < 0.8:
        data = padded(LISTED.encode()) + data
        return header(rng, "d/", len(data) if len(data) > 512 else len(LISTED) + 2, kind) + padded(data)
    if kind == b"S" and rng.random() < 0.5:
        return sparse(rng)
    if kind in b"12345" and rng.random() < 0.8:
        data = b""
        stated = stated if rng.random() < 0.4 else 0
    return header(rng, rng.choice(NAMES), stated, kind) + padded(data)


def sparse(rng: random.Random) -> bytes:
    """A sparse file whose map lies in front of its data, and may tell of more or less than there is."""
    data = rng.choice([b"", b"x" * 512, hidden(rng), hidden(rng)])
    at, length = rng.choice([0, 0, 512]), rng.choice([len(data), len(data), 0, 512])
    size = at + length if rng.random() < 0.7 else rng.choice([0, 512, 2048])
    about = {"major": "1", "minor": "0", "realsize": str(size)}
    records = b"".join(record(f"GNU.sparse.{key}", value) for key, value in about.items())
    content = padded(b"1\n%d\n%d\n" % (at, length)) + data
    parts = header(rng, "pax", len(records), b"x"), padded(records), header(rng, "s", len(content), b"0")
    return b"".join(parts) + padded(content)


def hidden(rng: random.Random) -> bytes:
    """Data in which a header lies where some reader might look for one."""
    inner = tarfile.TarInfo("hidden").tobuf(tarfile.USTAR_FORMAT)
    return bytes(512 * rng.randint(0, 2)) + inner + bytes(512 * rng.randint(0, 2))


def header(rng: random.Random, name: str, size: int, kind: bytes) -> bytes:
    block = bytearray(512)
    block[:100] = name.encode()[:100].ljust(100, b"\0")
    for at, width in ((100, 8), (108, 8), (116, 8), (136, 12)):
        block[at : at + width] = b"0" * (width - 1) + b"\0"
    block[124:136] = b"%011o\0" % size
    block[156:157] = kind
    if kind in b"12":
        block[157:158] = b"a"
    block[257:265] = rng.choice(MAGICS)
    for _ in range(rng.choice([0, 0, 0, 0, 1, 2])):
        rng.choice(ODDITIES)(rng, block, size)
    done = checksummed(bytes(block))
    if rng.random() < 0.03:
        total = sum(done) - sum(done[148:156]) + 256 - 256 * sum(byte > 127 for byte in done[:148] + done[156:])
        done = done[:148] + b"%06o\0 " % max(0, total) + done[156:]
    return done


def _number(rng: random.Random, block: bytearray, size: int) -> None:
    at, width = rng.choice([(124, 12), (124, 12), (124, 12), (100, 8), (136, 12)])
    value = size if at == 124 else 0
    spelled = [
        b"%d" % value,
        b"0o%o" % value,
        b"%o" % value,
        b" %o " % value,
        b"+%o" % value,
        b"-%o" % value,
        b"\t%o" % value,
        b"\0%o" % value,
        b"\0\0%o\0" % value,
        b"%o\0007" % value,
        b"%o 7" % value,
        b"%o_0" % value,
        b"%ox" % value,
        b"\x80" + value.to_bytes(width - 1, "big"),
        b"\xff" * width,
        b"\x81" + value.to_bytes(width - 1, "big"),
        b" " * width,
        bytes(width),
        (b"%o" % value).rjust(width, b"0"),
    ]
    block[at : at + width] = rng.choice(spelled)[:width].ljust(width, b"\0")


def _prefix(rng: random.Random, block: bytearray, size: int) -> None:
    prefix = rng.choice([b"p", b"p/q", b"/", b"..", b"13640052170\x0013640052171\0", b"p" * 140])
    block[345 : 345 + len(prefix)] = prefix


def _name(rng: random.Random, block: bytearray, size: int) -> None:
    name = rng.choice([b"", b"a\0b", b"a\0\nb", b"/a", b"../a", b"n" * 100, b"a//", b"a/.", b"C:a", b"a\\b"])
    block[:100] = name.ljust(100, b"\0")


def _tail(rng: random.Random, block: bytearray, size: int) -> None:
    at, tail = rng.choice(
        [(508, b"tar\0"), (482, b"\1"), (504, b"\1"), (483, b"00000001000\0"), (475, b" "), (329, b"x")]
    )
    block[at : at + len(tail)] = tail


ODDITIES: list[Callable[[random.Random, bytearray, int], None]] = [_number, _number, _prefix, _name, _tail]


KEYS = [
    *("path", "path", "linkpath", "size", "mtime", "uid", "comment", "SCHILY.xattr.user.a", "SCHILY.realsize", "type"),
    *(f"GNU.sparse.{key}" for key in ("name", "major", "minor", "realsize", "size", "map", "numblocks")),
    *("path\0x", "Path", " path", "hdrcharset"),
]


def pax(rng: random.Random) -> bytes:
    """An extended header of one to three records, most of them sound."""
    found = b"".join(one_record(rng) for _ in range(rng.randint(1, 3)))
    size = len(found) - (rng.random() < 0.03)
    data = bytearray(padded(found))
    if rng.random() < 0.05 and len(data) - len(found) > 20:
        data[len(found) : len(found) + 9] = b"9 path=p\n"
    return header(rng, "pax", size, rng.choice([b"x", b"x", b"x", b"x", b"X", b"g"])) + bytes(data)


def one_record(rng: random.Random) -> bytes:
    key = rng.choice(KEYS)
    value = rng.choice(
        ["a", "pax/a", "0", "512", "1024", "1.5", "1,5", "", "a\0b", "d/", "+512", "0512"]
        + [f"x\n{line}path=q\n" for line in ("10 ", "9\t", "+9", "09")]
    )
    whole = record(key, value)
    odd = rng.random()
    if odd < 0.03:
        return rng.choice([b"0", b"+", b" ", b"\n"]) + whole
    return whole if odd < 0.97 else whole.replace(b" ", b"  ", 1)


def long_name(rng: random.Random) -> bytes:
    name = rng.choice([b"long/" + b"l" * 120, b"l", b"l\0", b"l\0m", b"", b"\0", b"l/", b"../l", b"/l"])
    if rng.random() < 0.7:
        name += b"\0"
    return header(rng, "././@LongLink", len(name), rng.choice([b"L", b"L", b"K"])) + padded(name)
