"""Every inflater says the same of every archive: isal's, zlib-ng's and the standard library's, on any Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import archives
from tests.archives import ENCODERS, WANTED, Tar, entry, member

ROOT = Path(__file__).parents[2]
SCANS = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[3:]: sys.modules[name] = None
from lambda_fn.core import inflate
from lambda_fn.core.errors import RepackError
from lambda_fn.core.gzip import Limits
from lambda_fn.core.prefix import read_head
from lambda_fn.core.scan import scan
from lambda_fn.stores.local import LocalSource
found = []
for name in sorted(os.listdir(sys.argv[2])):
    source = LocalSource(os.path.join(sys.argv[2], name))
    seen = []
    try:
        head = read_head(source)
        wanted = ["hyperparameters.json"]
        findings = scan(source, head, wanted, Limits(), lambda *_: None, visit=seen.append)
        hits = {path: (hit.count, hit.last.start) for path, hit in findings.search.hits.items()}
        figures = [findings.rest.start, findings.rest.stop, findings.rest.crc, findings.rest.size]
        what = [hits, figures, findings.uncompressed_size, findings.entries, findings.warnings]
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


def scans(python: str, folder: Path, hidden: list[str]) -> dict[str, object]:
    command = [python, "-c", SCANS, str(ROOT), str(folder), *hidden]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def standard(folder: Path) -> dict[str, object]:
    return scans(sys.executable, folder, ENGINES["zlib"])


@pytest.mark.parametrize("engine", ENGINES)
def test_findings_do_not_depend_on_the_inflater(engine: str, folder: Path, standard: dict[str, object]) -> None:
    scanned = scans(sys.executable, folder, ENGINES[engine])
    assert scanned["engine"] == engine
    assert scanned["found"] == standard["found"]
