"""What is shipped is complete, the same every time, and needs nothing but Python."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from lambda_fn.pipeline import shipped


def wheel(folder: Path, name: str) -> None:
    with zipfile.ZipFile(folder / "speed-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(name, "FAST = True")


def test_the_archive_is_the_same_every_time() -> None:
    first, second = shipped.files(), shipped.files()
    assert shipped.archive(first) == shipped.archive(second)
    assert shipped.digest(first) == shipped.digest(second)


def test_every_byte_and_name_counts() -> None:
    digests = {shipped.digest(files) for files in ({"a": b"bc"}, {"ab": b"c"}, {"a": b"b"}, {"a": b"b", "c": b""})}
    assert len(digests) == 4


def test_only_source_is_shipped_and_nothing_that_knows_aws() -> None:
    names = set(shipped.files())
    assert {"dummy_training.py", "lambda_fn/repacker.py", "lambda_fn/core/survey.py"} <= names
    assert not {name for name in names if not name.endswith(".py")}
    assert not {name for name, data in shipped.files().items() if b"import boto" in data}


def test_the_script_runs_from_what_is_shipped_alone(tmp_path: Path, bare_python: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(shipped.archive(shipped.files()))) as tar:
        tar.extractall(tmp_path)
    run = subprocess.run([bare_python, "dummy_training.py", "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert "--hyperparameters-path" in run.stdout


def test_wheels_are_shipped_unpacked(tmp_path: Path) -> None:
    wheel(tmp_path, "speed/__init__.py")
    assert shipped.files(tmp_path)["speed/__init__.py"] == b"FAST = True"


def test_a_wheel_that_installs_elsewhere_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path, "speed-1.0.data/scripts/speed")
    with pytest.raises(ValueError, match="outside its package"):
        shipped.files(tmp_path)
