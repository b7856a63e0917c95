"""What a processing job is given to run: the script, the core it calls, and wheels, as one archive and a launcher.

The archive is the same, byte for byte and name by name, for the same code, so that its key can be its content.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Iterator, Optional

PACKAGE = Path(__file__).resolve().parent.parent
NEEDED = (
    "__init__.py",
    "contents.py",
    "contract.py",
    "hyperparameters.py",
    "inspection.py",
    "repacker.py",
    "core/*.py",
    "stores/__init__.py",
    "stores/local.py",
)
"""Of our package, all on the standard library; what knows AWS stays here."""

SHARED_SCRIPT = "pipeline/dummy_training.py"
"""What another script than this one has to import."""

ARCHIVE = "sourcedir.tar.gz"
LAUNCHER = "runproc.sh"

LAUNCHER_TEXT = """\
#!/bin/bash
# Unpacks what was shipped and becomes the script. Nothing is installed: wheels were unpacked when this was built.
cd /opt/ml/processing/input/code && tar -xzf sourcedir.tar.gz || {
    mkdir -p /opt/ml/output
    echo 'CodeMissing: sourcedir.tar.gz is not in the code input or is damaged; build the step again.' |
        tee /opt/ml/output/message >&2
    exit 1
}
exec python3 SCRIPT "$@"
"""


def launcher(script: str) -> bytes:
    """What the job's entry point runs."""
    return LAUNCHER_TEXT.replace("SCRIPT", script).encode()


def files(wheels: Optional[Path] = None, script: str = "dummy_training.py") -> dict[str, bytes]:
    """Name in the archive → bytes. `wheels` is a folder of wheels for the container's Python and platform.

    Raises ValueError for a wheel that cannot simply be unpacked.
    """
    found = {script: (PACKAGE / "pipeline" / script).read_bytes()}
    shared = () if SHARED_SCRIPT.endswith(script) else ("pipeline/__init__.py", SHARED_SCRIPT)
    for pattern in (*NEEDED, *shared):
        for path in sorted(PACKAGE.glob(pattern)):
            found[f"{PACKAGE.name}/{path.relative_to(PACKAGE).as_posix()}"] = path.read_bytes()
    for wheel in sorted(wheels.glob("*.whl")) if wheels else ():
        found.update(_unpacked(wheel))
    return dict(sorted(found.items()))


def _unpacked(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if ".data/" in name:
                raise ValueError(f"{wheel.name} installs {name} outside its package and cannot be shipped unpacked")
            if not name.endswith("/"):
                yield name, archive.read(name)


def digest(contents: dict[str, bytes]) -> str:
    """SHA-256 of names, bytes and the launcher's text; compressed bytes would differ between versions of zlib."""
    seal = hashlib.sha256(LAUNCHER_TEXT.encode())
    for name, data in contents.items():
        seal.update(f"{name}\0{len(data)}\0".encode() + data)
    return seal.hexdigest()


def archive(contents: dict[str, bytes]) -> bytes:
    """The files as a tar.gz without times, owners or names."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
