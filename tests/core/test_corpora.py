"""Odd archives that other projects test their readers with, each accepted, or refused with a reason.

They are made anew: what is odd about the file that is named, header by header, and nothing else of it. Where Go is
installed, its own files are there, too. After an edit of what is accepted every reader at hand sees what it saw before,
names and bytes, behind what was put in; and before and after it sees nothing that we do not know of.

The files are those of Go (src/archive/tar/testdata), libarchive (libarchive/test), CPython (Lib/test), node-tar
(test/fixtures/tars), tar-rs and tokio-tar (tests/archives), commons-compress (src/test/resources) and tar-split
(tar/asm/testdata).
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.tar import SHARED_RECORDS, Entry, Stream, entries
from tests.archives import (
    WANTED,
    gunzip,
    header,
    long_name,
    member,
    padded,
    pax,
    raw_header,
    record,
    shared,
    sparse,
    with_signed_sum,
)
from tests.core.memory import repacked
from tests.hunt.readers import readers
from tests.hunt.tar import unknown
from tests.programs import Using, asking

END = bytes(1024)
GNU = b"ustar  "
TIMES = b"12574544345\x0012574542274\0"
FILE = header("file", 15) + padded(b"Slartibartfast\n")
INNER = header("INNER_FILE", 100) + padded(b"B" * 100)
LONG = "123456789/" * 30
SPARSE_1_0 = [
    record(f"GNU.sparse.{key}", value)
    for key, value in {"major": "1", "minor": "0", "name": "sparse.db", "realsize": "1000"}.items()
]

ACCEPTED: dict[str, bytes] = {
    "Go gnu-incremental.tar": header("test2/", 14, b"D", GNU, prefix=TIMES)
    + padded(b"Yfoo\0Ysparse\0\0")
    + header("test2/foo", 64, magic=GNU, prefix=TIMES)
    + padded(b"f" * 64)
    + END,
    "Go gnu-nil-sparse-data.tar": sparse([(0, 1000)], b"0123456789" * 100) + END,
    "Go gnu-nil-sparse-hole.tar": sparse([(1000, 0)], b"") + END,
    "Go pax-nil-sparse-data.tar": pax(*SPARSE_1_0)
    + header("GNUSparseFile.0/sparse.db", 1512)
    + padded(b"1\n0\n1000\n")
    + padded(b"0123456789" * 100)
    + END,
    "Go pax-nil-sparse-hole.tar": pax(*SPARSE_1_0)
    + header("GNUSparseFile.0/sparse.db", 512)
    + padded(b"1\n1000\n0\n")
    + END,
    "Go hardlink.tar": FILE + header("hard.txt", kind=b"1", link=b"file") + END,
    "Go invalid-go17.tar": header("foo", kind=b"\0", magic=GNU, uid=b"\x80\0\0\0\0\x20\0\0", prefix=b"a" * 90) + END,
    "Go nil-uid.tar": header("P1050238.JPG.log", 14, magic=GNU, uid=bytes(8), gid=bytes(8), prefix=bytes(41) + b"\0")
    + padded(b"44,44,POWERON\n"),
    "Go star.tar": header(
        "small.txt", 5, mode=b"0000640 ", prefix=bytes(131) + b"11213575217 ", end=bytes(8) + b"tar\0"
    )
    + padded(b"Kilts")
    + END,
    "Go v7.tar": header(
        "small.txt", 5, b"\0", b"", mode=b"   444 ", uid=b"216501 ", gid=b" 11610 ", mtime=b"11213575720 "
    )
    + (b"Kilts" + b"\0left in a buffer" * 40)[:512]
    + bytes(1536),
    "Go trailing-slash.tar": pax(record("path", LONG)) + header(LONG[:100], kind=b"5") + END,
    "Go pax-bad-mtime-file.tar": pax(record("mtime", "999xxx9324.432432444444")) + FILE + END,
    "Go gnu-not-utf8.tar": header("hi\udc80\udc81\udc82\udc83bye", magic=GNU) + END,
    "Go pax-records.tar": pax(record("GOLANG.pkg", "tar"), record("uname", "long" * 10))
    + header(uname=b"long" * 8)
    + END,
    "libarchive test_compat_gtar_2.tar": header("big_uid", magic=GNU, uid=b"\x80\0\0\0\0\x20\0\0", gid=b"10000000")
    + END,
    "libarchive test_compat_perl_archive_tar.tar": header(
        "file1", 5, uid=b"001750", gid=b"001750", mode=b"000644", devices=b"000000\0\x00000000"
    )
    + padded(b"abcd\n")
    + END,
    "libarchive test_compat_solaris_tar_acl.tar": header("file", 30, b"A")
    + padded(b"1000007\0user::rw-,user:lp:--x:7")
    + FILE
    + header("d/", 158, b"A")
    + padded(b"1000007\0" + b"user:lp:--x:71," * 10)
    + header("d/", kind=b"5")
    + END,
    "libarchive test_compat_tar_directory_1.tar": header("d1/", 1, b"\0", b"") + header("d2/", 0, b"\0", b"") + END,
    "libarchive test_compat_tar_hardlink_1.tar": header("docs_d/READMf", 321, b"\0", b"")
    + padded(b"x" * 321)
    + header("README", 321, b"1", b"", link=b"docs_d/READMf"),
    "libarchive test_read_format_tar_concatenated.tar": header("file1") + bytes(2560) + header("file2") + END,
    "libarchive test_read_format_tar_empty_filename.tar": header("", kind=b"5") + END,
    "libarchive test_read_format_tar_empty_with_gnulabel.tar": header("label", kind=b"V", magic=b"") + END,
    "libarchive test_read_format_tar_pax_negative_time.tar": pax(record("mtime", "-2146608000"))
    + header("empty", mtime=b"\xff" * 7 + b"\x80\x0d\x5c\x80\x20")
    + END,
    "libarchive test_read_format_tar_pax_sun_holesdata.tar": pax(record("SUN.holesdata", " 0 512 1024 1536"))
    + FILE
    + END,
    "node-tar emptypax.tar": pax(record("path", "\N{GLOWING STAR}.txt"))
    + header("\N{GLOWING STAR}.txt", 1)
    + padded(b"s")
    + pax()
    + FILE
    + END,
    "node-tar links-invalid.tar": header("hardlink-1", 6, link=b"hardlink-2")
    + padded(b"strong")
    + header("symlink", kind=b"2", link=b"hardlink-1")
    + END,
    "node-tar path-missing.tar": header("", 0) + END,
    "node-tar trailing-slash-corner-case.tar": long_name(b"99-byte-dirname-".ljust(99, b"c") + b"/" + b"d" * 52 + b"\0")
    + header("99-byte-dirname-".ljust(99, "c") + "/", 560, magic=GNU)
    + padded(b"Behold! I am a text file and NOT a tar header.\n".ljust(560, b"x"))
    + END,
    "tar-rs 7z_long_path.tar": long_name(b"folder/" + b"n" * 130 + b"\0") + header("folder/" + "n" * 93) + END,
    "tar-rs simple_missing_last_header.tar": FILE + bytes(512),
    "commons-compress COMPRESS-335.tar": header("readpassphrase.h", 9, b"\0", b"", mode=b"100664 ")
    + padded(b"#include\n")
    + END,
    "commons-compress COMPRESS-355.tar": pax(record("NODETAR.depth", "1"), record("uid", "1505590441"))
    + header("package.json", 2, mode=b"000644 ", uid=b"\x80\0\0\0\0\x59\xbd\x7c", gid=b"\x80\0\0\0\x88\x71\x03\x7b")
    + padded(b"{}")
    + END,
    "commons-compress simple-aix-native-tar.tar": header("l", kind=b"2", link=b"x", mtime=b"\x001722000726 ")
    + FILE
    + END,
    "commons-compress preepoch-star.tar": header("foo", magic=GNU, mtime=b"\xff" * 12) + END,
    "commons-compress archives/SunOS_cEf.tar": header("1", 30, b"X", prefix=b"/tmp/PaxHeaders.2705")
    + padded(record("mtime", "1238264462.471982219"))
    + header("1", 27)
    + padded(b"abcdefghijklmnopqrstuvwxyz\n")
    + END,
    "commons-compress COMPRESS-612/test-times-exustar-folder.tar": shared({"SCHILY.release": "star 1.6"}).blocks
    + FILE
    + END,
    "tar-split extranils.tar.gz": FILE + END + bytes(408),
    "CPython testtar.tar, gnu/sparse-0.0": pax(
        record("GNU.sparse.size", "86016"),
        record("GNU.sparse.numblocks", "2"),
        record("GNU.sparse.offset", "4096"),
        record("GNU.sparse.numbytes", "512"),
        record("GNU.sparse.offset", "85504"),
        record("GNU.sparse.numbytes", "512"),
    )
    + header("sparse", 1024)
    + bytes(1024)
    + END,
    "CPython testtar.tar, ustar/dirtype-with-size": header("ustar/dirtype-with-size/", 255, b"5") + FILE + END,
    "CPython testtar.tar, misc/regtype-hpux-signed-chksum": with_signed_sum(
        header("misc/regtype-hpux-signed-chksum-\udcff", 2)
    )
    + padded(b"\xff\n")
    + END,
}

AMBIGUOUS, DAMAGED = "the tar is ambiguous at its byte", "the tar is damaged:"
REFUSED: dict[str, tuple[bytes, str]] = {
    "Go gnu-long-nul.tar": (
        long_name(b"0123456789\0" + b"0123456789" * 15 + b"\0") + header("0123456789" * 10, magic=GNU) + END,
        f"{AMBIGUOUS} 0: a long name that is empty or goes on behind a NUL",
    ),
    "Go gnu-multi-hdrs.tar": (
        long_name(b"GNU1/long-path-name\0")
        + long_name(b"GNU2/long-path-name\0")
        + header("bar", kind=b"2", link=b"foo"),
        f"{AMBIGUOUS} 0: a second long name of one entry",
    ),
    "Go hdr-only.tar": (
        header("fifo", 5, b"6", GNU)
        + FILE
        + b"".join(header(name, 5, kind, GNU, link=b"file") for name, kind in (("hardlink", b"1"), ("null", b"3")))
        + header("symlink", 5, b"2", GNU, link=b"file")
        + END,
        f"{AMBIGUOUS} 1024: a header that some readers take for an entry's, and others for data",
    ),
    "Go pax-global-records.tar": (
        shared({"path": "global1", "mtime": "1500000000.0"}).blocks + FILE + END,
        f"{AMBIGUOUS} 0: 'path' in a pax header for all entries that follow",
    ),
    "Go pax-multi-hdrs.tar": (
        pax(record("path", "PAX1/long-path-name")) + pax(record("path", "PAX2/long-path-name")) + FILE,
        f"{AMBIGUOUS} 0: a second pax header of one entry",
    ),
    "Go pax-nul-path.tar": (
        pax(record("path", "0123456789" * 10 + "\0" + "0123456789" * 10)) + header("0123456789" * 10) + END,
        f"{AMBIGUOUS} 0: a NUL in the value of 'path'",
    ),
    "Go pax-nul-xattrs.tar": (
        pax(record("SCHILY.xattr.null\0", "fizzbuzz")) + FILE + END,
        f"{DAMAGED} a broken pax record at its byte 0",
    ),
    "Go pax-pos-size-file.tar": (
        pax(record("size", "000000000000000000000999")) + header("foo", 684) + padded(b"i" * 684),
        f"{DAMAGED} 'size' is no number at its byte 0",
    ),
    "Go pax-path-hdr.tar": (
        pax(record("path", "PAX1/PAX1/long-path-name")),
        f"{DAMAGED} no header where one belongs, at its byte 1024",
    ),
    "Go pax-bad-hdr-file.tar": (pax(b"7 path=bad\n") + FILE + END, f"{DAMAGED} a broken pax record at its byte 0"),
    "Go issue10968.tar": (raw_header(b"x", b"0000000000x") + END, "the tar is damaged: a header field is no number"),
    "Go sparse-formats.tar": (
        sparse([(1, 1), (3, 1)], b"GG", size=10) + END,
        f"{AMBIGUOUS} 0: a sparse file whose map does not fit it",
    ),
    "libarchive test_read_format_gtar_sparse_1_17_posix10_modified.tar": (
        pax(*SPARSE_1_0) + header("GNUSparseFile.0/sparse.db", 512) + padded(b"# a comment\n1\n1000\n0\n") + END,
        f"{AMBIGUOUS} 0: a sparse map that is none",
    ),
    "Go writer-big.tar": (
        raw_header(b"tmp/16gig.txt", b"\x80" + (1 << 34).to_bytes(11, "big")),
        "the tar is cut off inside 'tmp/16gig.txt'",
    ),
    "libarchive test_compat_plexus_archiver_tar.tar": (
        header("NOTICE.txt", 177, magic=b"ustar\0\0\0", uid=b"       ", gid=b"       ")
        + padded(b"N" * 177)
        + bytes(1023)
        + b"\n",
        f"{AMBIGUOUS} 1024: one zero block alone, where some readers stop and some go on",
    ),
    "libarchive test_read_format_gtar_redundant_L.tar": (
        long_name(b"d/" + b"n" * 120 + b"\0") * 2 + FILE + END,
        f"{AMBIGUOUS} 0: a second long name of one entry",
    ),
    "libarchive test_read_format_tar_pax_g_large.tar": (
        raw_header(b"g", b"40000000000", b"g") + FILE + END,
        f"{DAMAGED} extended headers of 4294967296 bytes",
    ),
    "libarchive test_read_format_tar_timestamp_overflow.tar": (
        raw_header(b"tmp/f.txt", bytes(7) + b"16") + padded(b"o" * 14) + END,
        f"{DAMAGED} a header field is no number",
    ),
    "node-tar bad-cksum.tar": (
        FILE + header("one-byte.txt", 1).replace(b"ustar", b"USTAR") + END,
        f"{DAMAGED} no header where one belongs, at its byte 1024",
    ),
    "node-tar global-header.tar": (
        pax(record("path", "ab"), kind=b"g") + FILE + END,
        f"{AMBIGUOUS} 0: 'path' in a pax header for all entries that follow",
    ),
    "node-tar excessively-deep.tar": (
        pax(record("path", "d/" * 222_000)) + FILE + END,
        f"{DAMAGED} 'path' has 444000 bytes at its byte 0",
    ),
    "tar-rs pax_size.tar": (
        pax(record("mtime", "1591049509.784738529"), record("size", "4")) + header("test") + bytes(512) + END,
        f"{AMBIGUOUS} 0: the size 0 in a header that has room for the 4 of its pax header",
    ),
    "tokio-tar pax-header-precedence.tar": (
        pax(record("size", "1024")) + header("blob.bin") + INNER + FILE + END,
        f"{AMBIGUOUS} 0: the size 0 in a header that has room for the 1024 of its pax header",
    ),
    "tokio-tar pax-overrides-extension-header.tar": (
        pax(record("size", "2048"))
        + long_name(b"longname.txt")
        + header("file_a", 2048)
        + b"A" * 1536
        + FILE[:512]
        + END,
        f"{AMBIGUOUS} 0: a pax size before a GNU long name",
    ),
    "tokio-tar diff-014-unterminated-pax.tar": (
        pax(b"15 path=hidden") + FILE + END,
        f"{DAMAGED} a broken pax record at its byte 0",
    ),
    "commons-compress COMPRESS-544_truncated_in_padding-fail.tar": (FILE[:700], "the tar is cut off inside 'file'"),
    "commons-compress synthetic/long-name/gnu-fail.tar": (
        header("././@LongLink", 2147483639, b"L", GNU),
        f"{DAMAGED} extended headers of 2147483639 bytes",
    ),
    "CPython testtar.tar, pax/regtype4": (
        pax(record("size", "7011")) + header("pax/regtype4") + padded(b"r" * 7011) + END,
        f"{AMBIGUOUS} 0: the size 0 in a header that has room for the 7011 of its pax header",
    ),
}

NEW = b'{"new": 1}'


def accepted(data: bytes) -> list[Entry]:
    return [one for one in entries(Stream([data])) if one.type != SHARED_RECORDS]


def edited(data: bytes) -> bytes:
    """The tar after hyperparameters were put in."""
    return gunzip(repacked(member(data), {WANTED: NEW})[0])


@pytest.mark.parametrize("file", REFUSED)
def test_what_is_refused_is_refused_for_its_reason(file: str) -> None:
    data, reason = REFUSED[file]
    with pytest.raises(InvalidArchive) as caught:
        repacked(member(data), {WANTED: NEW})
    assert str(caught.value).startswith(reason)


UNLIKE = {"Go gnu-not-utf8.tar", "CPython testtar.tar, misc/regtype-hpux-signed-chksum"}
"""Names that readers print each in a way of its own."""


def test_every_reader_sees_what_it_saw_before_an_edit_and_nothing_that_we_do_not_know_of(tmp_path: Path) -> None:
    before, after = ([tmp_path / f"{at}.{when}.tar" for at in range(len(ACCEPTED))] for when in ("before", "after"))
    found, wrong = [], []
    for data, old, new in zip(ACCEPTED.values(), before, after, strict=True):
        old.write_bytes(data)
        new.write_bytes(edited(data))
        found.append(accepted(new.read_bytes()))
    for name, read in readers(tmp_path).items():
        for file, ours, saw, sees in zip(ACCEPTED, found, read(before), read(after), strict=True):
            if (saw or sees) and sees != [WANTED, *saw]:  # GNU tar gives up where a name is missing, and says so
                wrong.append(f"{name}, {file}: {sees} after {saw}")
            stranger = unknown(ours, sees, name == "node, tar-stream")
            if stranger is not None and file not in UNLIKE:
                wrong.append(f"{name}, {file}: {stranger!r} in {sees}")
    assert wrong == []


def python_contents(file: Path) -> bytes:
    with tarfile.open(file) as tar:
        return b"".join(tar.extractfile(info).read() for info in tar if info.isreg())  # type: ignore[union-attr]


def contents(*command: str) -> Callable[[Path], bytes]:
    return lambda file: subprocess.run([*command, str(file)], capture_output=True).stdout


CONTENTS: dict[str, Callable[[Path], bytes]] = {
    "Python": python_contents,
    "GNU tar": Using("GNU tar", contents("tar", "-xOf")),
    "bsdtar": Using("bsdtar", contents("bsdtar", "-xOf")),
    "busybox": Using("busybox", contents("busybox", "tar", "-xOf")),
}


@pytest.mark.parametrize("reader", asking(CONTENTS))
def test_every_reader_has_the_same_contents_behind_what_was_put_in(reader: str, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    for name, data in ACCEPTED.items():
        file.write_bytes(data)
        before = CONTENTS[reader](file)
        file.write_bytes(edited(data))
        assert CONTENTS[reader](file) == NEW + before, name


GOS = {file.removeprefix("Go ") for file in (*ACCEPTED, *REFUSED) if file.startswith("Go ")}


@pytest.mark.needs("go")
def test_gos_own_files_fare_like_those_made_anew() -> None:
    root = Path(subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip())
    folder = root / "src/archive/tar/testdata"
    if not folder.exists():
        pytest.skip("Go is here without its sources")
    for name in GOS & set(os.listdir(folder)):
        data = (folder / name).read_bytes()
        if f"Go {name}" in ACCEPTED:
            assert [one.name for one in accepted(edited(data))] == [WANTED, *(one.name for one in accepted(data))]
            continue
        with pytest.raises(InvalidArchive) as caught:
            accepted(data)
        what = [re.sub(r"\d+", "N", text) for text in (str(caught.value), REFUSED[f"Go {name}"][1])]
        assert what[0].startswith(what[1]), name
