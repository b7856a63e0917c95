"""Archives to repack: tars made header by header or by other people's tools, gzipped by every encoder at hand.

What is made here by hand knows its own parts, so that a test can say what must come out without asking the code
under test.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import deflate
import zopfli.gzip
from hypothesis import strategies as st
from isal import isal_zlib
from zlib_ng import zlib_ng

from tests.programs import Using
from tests.readers import SEVEN

WANTED = "hyperparameters.json"
SPELLINGS = [
    WANTED,
    f"./{WANTED}",
    f"/{WANTED}",
    f"//{WANTED}",
    f".//./{WANTED}",
    f"code/../{WANTED}",
]
NEIGHBOURS = [f"code/{WANTED}", f"{WANTED}.bak", f"x{WANTED}", "hyperparameters", WANTED.upper(), f".{WANTED}"]


@dataclass(frozen=True)
class Part:
    """One entry of a tar, or a shared pax header: all of its blocks."""

    name: str
    blocks: bytes = field(repr=False)
    old: bool = False
    """Whether it must be gone after a repack that puts in WANTED."""


@dataclass(frozen=True)
class Tar:
    """A tar by its parts."""

    parts: Sequence[Part]
    end: bytes = bytes(1024)

    @property
    def data(self) -> bytes:
        return b"".join(part.blocks for part in self.parts) + self.end

    @property
    def without_old(self) -> bytes:
        """What is left; shared headers go with the last entry that they spoke for."""
        parts = list(self.parts)
        if parts and any(part.old for part in parts):
            last = max((at for at, part in enumerate(parts) if part.name and not part.old), default=-1)
            old = max(at for at, part in enumerate(parts) if part.old)
            parts = [part for at, part in enumerate(parts) if part.name or at < last or at > old]
        return b"".join(part.blocks for part in parts if not part.old) + self.end

    @property
    def old(self) -> list[Part]:
        return [part for part in self.parts if part.old]


# Parts


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def checksummed(block: bytes) -> bytes:
    """The header block with its checksum put right."""
    return block[:148] + b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32) + block[156:]


def entry(
    name: str,
    data: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    dialect: int | str = tarfile.PAX_FORMAT,
    old: bool = False,
    mtime: float = 1_700_000_000,
    mode: int = 0o644,
    link: str = "",
    records: dict[str, str] | None = None,
) -> Part:
    """An entry as Python's tarfile writes it, or in the format "v7". Raises ValueError for what that cannot hold."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode, info.linkname, info.pax_headers = kind, len(data), mode, link, dict(records or {})
    info.mtime = mtime if dialect == tarfile.PAX_FORMAT else int(mtime)
    if dialect != "v7":
        return Part(name, info.tobuf(dialect, "utf-8", "surrogateescape") + padded(data), old)  # type: ignore[arg-type]
    if kind not in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE) or len(os.fsencode(name)) > 98:
        raise ValueError("v7 has no such entry")
    info.type = tarfile.AREGTYPE if kind in (tarfile.REGTYPE, tarfile.DIRTYPE) else kind
    info.name = name.rstrip("/") + "/" if kind == tarfile.DIRTYPE else name
    block = info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")
    return Part(name, checksummed(block[:257] + bytes(255)) + padded(data), old)


def shared(records: dict[str, str]) -> Part:
    """A pax header for all entries that follow."""
    return Part("", tarfile.TarInfo.create_pax_global_header(records))


def record(key: str, value: str | bytes) -> bytes:
    """A pax record; its length counts its own digits, too."""
    text = f" {key}=".encode() + (value.encode() if isinstance(value, str) else value) + b"\n"
    size = len(text) + len(str(len(text) + len(str(len(text)))))
    return b"%d" % size + text


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    """A pax header that holds them, as a header and its padded data."""
    data = b"".join(records)
    return raw_header(b"pax", b"%011o" % len(data), kind) + padded(data)


def raw_header(name: bytes, size: bytes, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A ustar header block with whatever in its fields, its checksum right."""
    block = bytearray(512)
    layout = {"mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "mtime": (136, 12), "link": (157, 100)}
    layout |= {"uname": (265, 32), "devices": (329, 16), "prefix": (345, 155), "end": (500, 12)}
    block[:100] = name.ljust(100, b"\0")
    block[124:136] = size.ljust(12, b"\0")
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    for column, value in {"mode": b"0000644", "mtime": b"00000000000", **fields}.items():
        at, width = layout[column]
        block[at : at + width] = value.ljust(width, b"\0")
    return checksummed(bytes(block))


def header(
    name: str = "file", size: int = 0, kind: bytes = b"0", magic: bytes = b"ustar\x0000", **fields: bytes
) -> bytes:
    block = raw_header(name.encode("utf-8", "surrogateescape"), b"%011o" % size, kind, **fields)
    return checksummed(block[:257] + magic.ljust(8, b"\0") + block[265:])


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    return raw_header(b"././@LongLink", b"%011o" % len(name), kind) + padded(name)


def with_signed_sum(block: bytes) -> bytes:
    total = sum(block) - sum(block[148:156]) + 8 * 32 - 256 * sum(byte > 127 for byte in block)
    return block[:148] + b"%06o\0 " % total + block[156:]


def sparse(pieces: list[tuple[int, int]], data: bytes, more: bytes = b"", size: int | None = None) -> bytes:
    """An old GNU sparse file: where its pieces lie and how long they are, then these; it ends with the last."""
    size = sum(pieces[-1]) if pieces and size is None else size or 0
    mapped = b"".join(b"%011o\0%011o\0" % piece for piece in pieces)
    prefix = bytes(41) + mapped.ljust(96, b"\0") + (b"\1" if more else b"\0") + b"%011o" % size
    return header("s", len(data), b"S", b"ustar  ", prefix=prefix) + more + padded(data)


# Generated tars

_segments = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
_names = st.one_of(
    st.sampled_from(NEIGHBOURS),
    st.lists(_segments, min_size=1, max_size=4).map("/".join),
    st.integers(90, 300).map(lambda length: "long/" + "n" * length),
    st.binary(min_size=1, max_size=8).map(lambda name: os.fsdecode(name.replace(b"\0", b"_").replace(b"/", b"_"))),
)
_decorations = st.sampled_from(["", "", "", "./", "/", "//", "a/./"])
_data = st.one_of(
    st.just(b""),
    st.binary(max_size=1500),
    st.builds(lambda unit, times: unit * times, st.binary(min_size=1, max_size=40), st.integers(1, 4000)),
    st.builds(lambda seed, size: noise(size, seed), st.integers(0, 99), st.integers(1, 100_000)),
)
_kinds = st.sampled_from(
    [tarfile.REGTYPE] * 5 + [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
DIALECTS: list[int | str] = [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, "v7"]
ENDS = [bytes(1024), bytes(512), b"", bytes(10240)]


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that no compressor makes smaller, the same each time."""
    return random.Random(seed).randbytes(size)


def harmless(name: str) -> bool:
    """Whether an entry of this name neither is WANTED nor stands in its way."""
    path = os.path.normpath(name.lstrip("/"))
    return path != WANTED and not path.startswith(f"{WANTED}/")


@st.composite
def parts(draw: st.DrawFn, dialect: int | str) -> Part:
    """Any part that a repack must keep as it is."""
    records = draw(
        st.sampled_from([None, None, {"SCHILY.xattr.user.a": "b=c\nd"}, {"comment": "ü" * 300}, {"LIBARCHIVE.x": "1"}])
    )
    if dialect == tarfile.PAX_FORMAT and draw(st.integers(0, 9)) == 0:
        return shared(records or {"comment": "shared"})
    kind, data = draw(_kinds), draw(_data)
    name = draw(_decorations) + draw(_names.filter(harmless))
    mtime = draw(st.sampled_from([0, 1_700_000_000, 1_700_000_000.123456, 2**33 - 1, 1]))
    link = draw(st.sampled_from(["target", "./code/x", "t" * 200, NEIGHBOURS[0]])) if kind in b"12" else ""
    mode = draw(st.integers(0, 0o7777))
    content = data if kind == tarfile.REGTYPE else b""
    try:
        return entry(name, content, kind=kind, dialect=dialect, mtime=mtime, mode=mode, link=link, records=records)
    except ValueError:  # more than this format can hold
        return entry("plain", data, dialect=dialect)


@st.composite
def tars(draw: st.DrawFn, old: st.SearchStrategy[int]) -> Tar:
    """A tar in any format, with `old` entries of the wanted name in any spelling, anywhere."""
    dialect = draw(st.sampled_from(DIALECTS))
    made = draw(st.lists(parts(dialect), max_size=6))
    for _ in range(draw(old)):
        name, data = draw(st.sampled_from(SPELLINGS)), draw(_data)
        made.insert(draw(st.integers(0, len(made))), entry(name, data, dialect=dialect, old=True))
    end = draw(st.sampled_from(ENDS))
    return Tar(made, end if made or end else bytes(1024))


# gzip encoders


def member(
    data: bytes,
    level: int = 6,
    strategy: int = zlib.Z_DEFAULT_STRATEGY,
    *,
    name: bytes | None = None,
    comment: bytes | None = None,
    extra: bytes | None = None,
    checked: bool = False,
) -> bytes:
    """One gzip member with any header."""
    flags = 2 * checked | 4 * (extra is not None) | 8 * (name is not None) | 16 * (comment is not None)
    header = b"\x1f\x8b\x08" + bytes([flags]) + struct.pack("<I", 12345) + b"\0\x03"
    if extra is not None:
        header += struct.pack("<H", len(extra)) + extra
    header += b"".join(text + b"\0" for text in (name, comment) if text is not None)
    if checked:
        header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    deflated = compressor.compress(data) + compressor.flush()
    return header + deflated + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def members(data: bytes, size: int, **header: bytes) -> bytes:
    """Members of `size` uncompressed bytes each."""
    return b"".join(member(data[at : at + size], **header) for at in range(0, len(data), size))  # type: ignore[arg-type]


def flushed(data: bytes, flush: int) -> bytes:
    """One member with a flush every 1,000 bytes, as log writers and web servers do."""
    compressor = zlib.compressobj(6, wbits=31)
    done = b"".join(
        compressor.compress(data[at : at + 1000]) + compressor.flush(flush) for at in range(0, len(data), 1000)
    )
    return done + compressor.flush()


Encoder = Callable[[bytes], bytes]

SINGLE: dict[str, Encoder] = {
    **{f"zlib {level}": partial(member, level=level) for level in range(10)},
    **{f"isal {level}": partial(isal_zlib.compress, level=level, wbits=31) for level in range(4)},
    **{f"zlib-ng {level}": partial(zlib_ng.compress, level=level, wbits=31) for level in (1, 2, 6)},
    "fixed Huffman": lambda data: member(data, strategy=zlib.Z_FIXED),
    "Huffman only": lambda data: member(data, strategy=zlib.Z_HUFFMAN_ONLY),
    "run lengths": lambda data: member(data, strategy=zlib.Z_RLE),
    "sync flushes": lambda data: flushed(data, zlib.Z_SYNC_FLUSH),
    "full flushes": lambda data: flushed(data, zlib.Z_FULL_FLUSH),
    "FNAME": lambda data: member(data, name=b"model.tar"),
    "FCOMMENT": lambda data: member(data, comment=b"made by hand \xff"),
    "FHCRC": lambda data: member(data, checked=True),
    "FEXTRA": lambda data: member(data, extra=b"AB\x04\0abcd"),
    "all header fields": lambda data: member(data, name=b"n", comment=b"c", extra=b"AB\0\0", checked=True),
    "zero padding": lambda data: member(data) + bytes(700),
}
SEVERAL: dict[str, Encoder] = {
    "halves": lambda data: members(data, max(1, -(-len(data) // 2))),
    "members of 300 bytes": lambda data: members(data, 300),
    "empty members": lambda data: member(b"") + member(data) + member(b""),
    "BGZF": lambda data: members(data, 65280, extra=b"BC\x02\0\0\0") + member(b"", extra=b"BC\x02\0\x1b\0"),
    "padded members": lambda data: members(data, 5000) + bytes(64 << 10),
}
ENCODERS = {**SINGLE, **SEVERAL}

encoders = st.sampled_from(sorted(ENCODERS)).map(ENCODERS.__getitem__)
"""The strategy of all encoders that are fast enough for it."""


def _filter(*command: str) -> Encoder:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


def _libdeflate(level: int) -> Encoder:
    return lambda data: bytes(deflate.gzip_compress(data, level))


PROGRAMS: dict[str, Encoder] = {
    **{f"libdeflate {level}": _libdeflate(level) for level in (0, 1, 6, 12)},
    "zopfli": partial(zopfli.gzip.compress, numiterations=1),
    "7zz": _filter(SEVEN, "a", "-si", "-so", "-tgzip", "-mx9", "-bd", "a.gz"),
    "gzip -1": Using("gzip", _filter("gzip", "-1")),
    "gzip -9": Using("gzip", _filter("gzip", "-9")),
    "gzip --rsyncable": Using("gzip", _filter("gzip", "--rsyncable")),
    "pigz": Using("pigz", _filter("pigz", "-p2", "-b128")),
    "pigz -0": Using("pigz", _filter("pigz", "-0")),
    "pigz -11": Using("pigz", _filter("pigz", "-11", "-I1")),
    "busybox gzip": Using("busybox", _filter("busybox", "gzip", "-c")),
}
"""Other people's encoders."""
SLOW = {"7zz", "pigz -11", "zopfli"}
"""Those that think long: a test of a thousand archives does without them."""


# Trees packed by other people's tars


def make_tree(root: Path) -> None:
    """Everything that a model folder may hold and a few things it should not."""
    (root / "code/lib/empty").mkdir(parents=True)
    (root / "code/inference.py").write_text("print('hello')\n")
    (root / "code" / WANTED).write_text('{"not": "ours"}')
    (root / "weights.bin").write_bytes(noise(200_000))
    (root / "empty").touch()
    (root / "code/lib/empty").chmod(0o700)
    (root / "code/inference.py").chmod(0o4755)
    (root / "link").symlink_to("weights.bin")
    (root / "dangling").symlink_to("nowhere")
    os.link(root / "weights.bin", root / "zz-hard-link")
    os.mkfifo(root / "fifo")
    long = root / ("d" * 120) / ("e" * 120)
    long.mkdir(parents=True)
    (long / ("f" * 100)).write_text("deep")
    (root / "naïve name ☃").write_text("utf-8")
    with open(os.fsencode(root) + b"/\xff\xfe undecodable", "wb") as file:
        file.write(b"latin")
    with open(root / "sparse", "wb") as file:
        for at in range(0, 6 << 20, 200 << 10):  # more holes than an old GNU header has room for
            file.seek(at)
            file.write(noise(4096, at))
        file.truncate(8 << 20)
    os.utime(root / "empty", ns=(1_600_000_000_123_456_789, 1_600_000_000_987_654_321))


def make_plain_tree(root: Path) -> None:
    """What v7 and strict ustar can hold."""
    (root / "code").mkdir(parents=True)
    (root / "code/inference.py").write_text("print('hello')\n")
    (root / "weights.bin").write_bytes(noise(50_000))
    (root / "link").symlink_to("weights.bin")
    os.link(root / "weights.bin", root / "zz-hard-link")


def _packs(program: str, *command: str, rich: bool = True) -> Callable[[Path], bytes]:
    def pack(root: Path) -> bytes:
        (make_tree if rich else make_plain_tree)(root)
        done = subprocess.run([*command, "-cf", "-", "."], cwd=root, capture_output=True)
        assert done.stdout, done.stderr.decode(errors="replace")
        return done.stdout

    return Using(program, pack)


def _python(dialect: int) -> Callable[[Path], bytes]:
    def pack(root: Path) -> bytes:
        make_tree(root)
        with tarfile.open(root.with_suffix(".tar"), "w", format=dialect) as tar:
            tar.add(root, ".")
        return root.with_suffix(".tar").read_bytes()

    return pack


def _seven(root: Path) -> bytes:
    make_plain_tree(root)
    subprocess.run([SEVEN, "a", "-ttar", "-snl", "-bd", f"{root}.tar", "."], cwd=root, capture_output=True, check=True)
    return Path(f"{root}.tar").read_bytes()


def _gnu(*options: str, rich: bool = True) -> Callable[[Path], bytes]:
    return _packs("GNU tar", "tar", "--sort=name", *options, rich=rich)


def _bsd(*options: str, rich: bool = False) -> Callable[[Path], bytes]:
    return _packs("bsdtar", "bsdtar", *options, rich=rich)


TREE_TARS: dict[str, Callable[[Path], bytes]] = {
    "Python pax": _python(tarfile.PAX_FORMAT),
    "Python GNU": _python(tarfile.GNU_FORMAT),
    "7zz": _seven,
    "GNU tar": _gnu(),
    "GNU tar oldgnu sparse": _gnu("--format=oldgnu", "--sparse"),
    "GNU tar pax sparse 0.0": _gnu("--format=pax", "--sparse", "--sparse-version=0.0"),
    "GNU tar pax sparse 0.1": _gnu("--format=pax", "--sparse", "--sparse-version=0.1"),
    "GNU tar pax sparse 1.0": _gnu("--format=pax", "--sparse", "--sparse-version=1.0"),
    "GNU tar pax xattrs": _gnu("--format=pax", "--xattrs", "--pax-option=globexthdr.name=g"),
    "GNU tar absolute": _gnu("-P", "--transform=s,^\\./,/model/,"),
    "GNU tar v7": _gnu("--format=v7", rich=False),
    "GNU tar ustar": _gnu("--format=ustar", rich=False),
    "bsdtar": _bsd(rich=True),
    "bsdtar pax": _bsd("--format=pax", rich=True),
    "bsdtar gnutar": _bsd("--format=gnutar"),
    "bsdtar ustar": _bsd("--format=ustar"),
    "bsdtar v7": _bsd("--format=v7"),
    "busybox tar": _packs("busybox", "busybox", "tar", rich=False),
}
"""Tars that pack a fresh tree, which they make where they are told."""


def pack_tree(tool: str, root: Path) -> bytes:
    """A fresh tree under `root`, and its tar by one of TREE_TARS."""
    return TREE_TARS[tool](root)


# Damage


def truncations(data: bytes) -> Iterator[bytes]:
    return (data[:size] for size in range(len(data)))


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every flipped bit: its number, and the data with it."""
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        yield bit, bytes(flipped)


def small() -> Tar:
    """A tar that has something of everything and packs into few bytes."""
    return Tar([entry("model.txt", b"weights " * 40, mtime=1), entry("code/x.py", b"pass\n", mtime=1)])


def gunzip(data: bytes) -> bytes:
    """All members, by Python's own reader."""
    return gzip.decompress(data)


def split(tar: bytes) -> tuple[str, bytes, bytes]:
    """The first entry's name and content, and all that follows it, by Python's reader."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        info = opened.next()
        assert info is not None
        assert info.isreg()
        at = info.offset_data
    return info.name, tar[at : at + info.size], tar[at + -(-info.size // 512) * 512 :]


def infos(output: bytes) -> dict[str, tarfile.TarInfo]:
    """The entries of a tar.gz by name, by Python's reader."""
    with tarfile.open(fileobj=io.BytesIO(gunzip(output))) as tar:
        return {info.name: info for info in tar}
