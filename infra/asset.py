"""The Lambda's deployment folder: our package, its requirements for Lambda's platform, and their byte code. No Docker.

The folder's name holds a digest of all that goes in, so that the same input is built once and gives the same asset.
Only the runtime's own version of Python can write its byte code; a machine without it deploys the sources alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, Optional

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lambda_fn"
REQUIREMENTS = PACKAGE / "requirements.txt"
BUILD = Path("build")
"""In the folder where the app runs and writes its cdk.out, since an installed package is no place to write."""

PYTHON = "3.13"
"""The runtime that the function is deployed to; byte code belongs to one version."""
PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
"""Lambda's architectures in uv's words. Its Amazon Linux 2023 has glibc 2.34."""
SERVICES = frozenset({"s3", "stepfunctions"})
"""The API models of botocore that are kept: it brings those of 400 services, 27 MB."""


class AssetError(Exception):
    """The folder cannot be built; the text says what is missing."""


def version() -> str:
    """Of the package that is deployed, which says it in its own source."""
    found = re.search(r'^__version__ = "(.+)"$', (PACKAGE / "__init__.py").read_text(), re.MULTILINE)
    assert found
    return found[1]


def build_asset(architecture: str) -> Path:
    """The folder to deploy for `arm64` or `x86_64`, built unless it is there. Raises AssetError."""
    python = interpreter()
    if python is None:
        print(
            f"warning: no Python {PYTHON} here, so the function gets no byte code and starts a quarter slower; "
            f"`uv python install {PYTHON}` fetches one",
            file=sys.stderr,
        )
    build = BUILD.absolute()
    asset = build / f"lambda-{architecture}-{_digest(architecture)}{'' if python else '-sources'}"
    if not asset.exists():
        build.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="lambda-", dir=build) as work:
            folder = Path(work, "asset")
            _install(folder, PLATFORMS[architecture])
            if python is not None:
                _compile(folder, python)
            try:
                folder.rename(asset)
            except OSError:  # another build was faster, with the same content
                if not asset.exists():
                    raise
    return asset


def interpreter() -> Optional[Path]:
    """A Python of the runtime's version, if this machine has one."""
    try:
        return Path(_uv("python", "find", "--no-python-downloads", PYTHON).strip())
    except AssetError:
        return None


def _sources() -> Iterator[Path]:
    """The files of our package that run in the Lambda, in a stable order."""
    return (path for path in sorted(PACKAGE.rglob("*.py")) if "pipeline" not in path.relative_to(PACKAGE).parts)


def _digest(architecture: str) -> str:
    digest = hashlib.sha256(architecture.encode())
    for path in (Path(__file__), REQUIREMENTS, *_sources()):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(ROOT)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _install(folder: Path, platform: str) -> None:
    _uv(
        *("pip", "install", "--quiet", "--target", folder, "--requirements", REQUIREMENTS, "--no-deps"),
        *("--python-platform", platform, "--python-version", PYTHON, "--only-binary", ":all:"),
    )
    for rest in (".lock", "bin"):  # scripts begin with this machine's path to Python
        _remove(folder / rest)
    for service in (folder / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)
    for path in _sources():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _compile(folder: Path, python: Path) -> None:
    # Unpacking an asset gives files other times than these here: only byte code that is not checked
    # against them is used. The folder's own path stays out of it, so that every build gives the same.
    _run(
        *(python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", folder, "-p", "/var/task", folder),
    )


def _uv(*arguments: str | Path) -> str:
    return _run(shutil.which("uv") or Path(sys.executable).with_name("uv"), *arguments)


def _run(*command: str | Path) -> str:
    # Under pyenv the other interpreters show themselves only when asked for.
    environment = {**os.environ, "PYENV_VERSION": PYTHON}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise AssetError("uv is not here: `pip install uv`") from None
    if done.returncode:
        raise AssetError(f"`{' '.join(map(str, command))}` failed: {done.stderr.strip()}")
    return done.stdout


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
