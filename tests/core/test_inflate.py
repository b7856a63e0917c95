"""Every inflater says the same of every archive: isal's, zlib-ng's and the standard library's, on any Python."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from lambda_fn.core import inflate
from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.gzip import Reader
from tests import archives
from tests.archives import ENCODERS, WANTED, Tar, entry, member
from tests.hunt import streams

ROOT = Path(__file__).parents[2]
SURVEYS = """
import hashlib, json, os, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[3:]: sys.modules[name] = None
from lambda_fn.core import inflate
from lambda_fn.core.errors import RepackError
from lambda_fn.core.gzip import Limits
from lambda_fn.core.prefix import read_head
from lambda_fn.core.edit import Content, Edit
from lambda_fn.core.survey import survey
from lambda_fn.repacker import repack
from lambda_fn.stores.local import LocalSource
found = []
for name in sorted(os.listdir(sys.argv[2])):
    source = LocalSource(os.path.join(sys.argv[2], name))
    seen = []
    try:
        head = read_head(source)
        edit = Edit({"hyperparameters.json": Content.of(b"{}")})
        findings = survey(source, head, edit, Limits(), lambda *_: None, visit=seen.append)
        hits = {path: hit.count for path, hit in findings.search.hits.items()}
        touched = [(touch.start, touch.stop) for touch in findings.touches]
        figures = [findings.rest.start, findings.rest.stop, findings.rest.crc, findings.rest.size]
        what = [hits, touched, figures, findings.uncompressed_size, findings.entries, findings.warnings]
        if name.startswith("good"):
            output = os.path.join(sys.argv[2], "..", "output")
            result = repack(source.path, output, {"hyperparameters.json": b"{}"})
            with open(output, "rb") as file:
                what += [result.method, hashlib.sha256(file.read()).hexdigest() if result.method != "rewrite" else ""]
    except RepackError as error:
        what = error.name
    names = [(entry.name, entry.start, entry.size) for entry in seen]
    found.append((name, what, names if what != "InvalidArchive" else 0))
    source.close()
print(json.dumps({"engine": inflate.engine.__name__, "found": found}))
"""
ENGINES = {"isal.isal_zlib": [], "zlib_ng.zlib_ng": ["isal"], "zlib": ["isal", "zlib_ng"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good archives of every encoder, and a damaged one for every bit."""
    folder = tmp_path_factory.mktemp("archives")
    tar = Tar([entry("w", archives.noise(90_000)), entry(WANTED, b"old"), entry("zeros", bytes(400_000))])
    for name, encode in ENCODERS.items():
        (folder / f"good {name}").write_bytes(encode(tar.data))
    for bit, damaged in archives.flips(member(archives.small().data)):
        (folder / f"bit {bit:05}").write_bytes(damaged)
    return folder


def surveys(python: str, folder: Path, hidden: list[str]) -> dict[str, object]:
    command = [python, "-c", SURVEYS, str(ROOT), str(folder), *hidden]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def standard(folder: Path) -> dict[str, object]:
    return surveys(sys.executable, folder, ENGINES["zlib"])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_findings_do_not_depend_on_the_inflater(engine: str, folder: Path, standard: dict[str, object]) -> None:
    surveyed = surveys(sys.executable, folder, ENGINES[engine])
    assert surveyed["engine"] == engine
    assert surveyed["found"] == standard["found"]


def front(size: int) -> bytes:
    """Stored blocks of so many bytes, none of them the last one."""
    return b"".join(b"\0" + struct.pack("<HH", n, n ^ 0xFFFF) + bytes(n) for n in [65535] * (size // 65535))


def read(data: bytes, chunk: int = 64 << 10, *, strict: bool = False, helpers: int = 0) -> int:
    pieces = (data[at : at + chunk] for at in range(0, len(data), chunk))
    return sum(map(len, Reader(pieces, strict=strict, helpers=helpers).chunks()))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("helpers", [0, 2])
def test_incomplete_codes_at_the_front_are_refused_whoever_inflates(seed: int, helpers: int) -> None:
    deflated, data = streams.spoiled(seed)
    with pytest.raises(InvalidArchive, match="no deflate data"):
        read(streams.member(deflated, data), helpers=helpers)
    with pytest.raises(InvalidArchive, match="no deflate data"):
        read(member(b"x") + streams.member(deflated, data), helpers=helpers)


@pytest.mark.parametrize("helpers", [0, 2])
def test_incomplete_codes_are_refused_anywhere_if_that_is_asked_for(helpers: int) -> None:
    deflated, data = streams.spoiled(1)
    size = 5 << 20
    far = streams.member(front(size) + deflated, bytes(size // 65535 * 65535) + data)
    with pytest.raises(InvalidArchive, match="no deflate data"):
        read(far, strict=True, helpers=helpers)


def test_a_bomb_is_not_inflated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    class Counted(inflate._Inflater):
        def decompress(self, data: bytes, max_length: int) -> bytes:
            nonlocal made
            out = super().decompress(data, max_length)
            made += len(out)
            return out

    monkeypatch.setattr(inflate, "strict_inflater", lambda: Counted(like=zlib))
    assert read(member(bytes(128 << 20))) == 128 << 20
    assert made <= (inflate.PROVED * inflate.MOST_INFLATED) + inflate.PROVED_AT_ONCE


@pytest.mark.parametrize(("said", "cores"), [("3", 3), ("12", 12)])
def test_the_environment_says_how_many_cores_may_be_kept_busy(said: str, cores: int) -> None:
    asked = "from lambda_fn.core.inflate import CORES; print(CORES)"
    told = subprocess.run(
        [sys.executable, "-c", asked], env={"REPACK_CORES": said}, cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert int(told.stdout) == cores


@pytest.mark.parametrize("said", ["", "0", "-1", "many", "²"])
def test_what_is_no_number_of_cores_counts_as_not_said(said: str) -> None:
    asked = "from lambda_fn.core.inflate import CORES; print(CORES)"
    told = subprocess.run(
        [sys.executable, "-c", asked], env={"REPACK_CORES": said}, cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert 1 <= int(told.stdout) <= len(os.sched_getaffinity(0))
