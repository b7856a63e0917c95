"""The examples' pipelines, built the way their readers build them, and run as they were emitted."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sagemaker", reason="the SageMaker SDK is in environments of its own")

from examples import packaging
from examples import pipeline as example
from examples.pipeline import BUCKET
from tests.stand_ins.sagemaker import SageMaker, resolve

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own

ROOT = Path(__file__).parents[2]


def test_one_install_line_brings_what_builder_and_example_import() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[>=<]", line)[0] for line in project["optional-dependencies"]["pipeline"]}
    files = [ROOT / "examples/pipeline.py", ROOT / "examples/packaging.py", *(ROOT / "lambda_fn/pipeline").glob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    packages = {name.split(".")[0] for name in imported} - sys.stdlib_module_names - {"examples", "lambda_fn"}
    brought_along = {"botocore": "boto3", "isal": "isal"}
    assert {brought_along.get(name, name) for name in packages} <= {*declared, "isal"}
    assert "sagemaker" in declared


@pytest.mark.parametrize(("named", "steps"), [("pipeline", 2), ("packaging", 3)])
def test_an_example_prints_its_definition_and_nothing_else(named: str, steps: int) -> None:
    command = [sys.executable, "-m", f"examples.{named}", "callback"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert types(run.stdout) == ["callback"] * (steps - 1) + ["registermodel"]


def types(definition: str) -> list[str]:
    return [step["Type"].lower() for step in json.loads(definition)["Steps"]]


@pytest.mark.parametrize("where", ["processing", "lambda"])
def test_the_examples_steps_run_where_they_are_told_to(s3: Any, tmp_path: Path, where: str) -> None:
    assert types(example.pipeline(where)) == [where, "registermodel"]
    sources = packaging.written(tmp_path)
    assert types(packaging.pipeline(where, sources)) == [where, where, "registermodel"]


@pytest.mark.needs("unshare")
def test_packaging_adds_code_and_calibration_and_keeps_the_hyperparameters(
    sagemaker: SageMaker,
    s3: Any,
    tmp_path: Path,
    make_archive: Callable[..., bytes],
    entries_of: Callable[..., dict[str, bytes]],
) -> None:
    definition = json.loads(packaging.pipeline("processing", packaging.written(tmp_path / "sources")))
    old = {"model.bin": b"weights", "code/old.py": b"", "checkpoint-1/optimizer.bin": b""}
    s3.put_object(Bucket=BUCKET, Key="pretrained/model.tar.gz", Body=make_archive(old))
    *jobs, registration = definition["Steps"]
    for job, ended in sagemaker.run_pipeline({**definition, "Steps": jobs}).items():
        assert ended.status == 0, (job, ended.log)
    (container,) = registration["Arguments"]["InferenceSpecification"]["Containers"]
    assert container["Environment"].items() >= {"SAGEMAKER_PROGRAM": "inference.py"}.items()
    place = resolve(container["ModelDataUrl"], sagemaker.known).removeprefix(f"s3://{BUCKET}/")
    found = entries_of(s3.get_object(Bucket=BUCKET, Key=place)["Body"].read())
    files = {name: data for name, data in found.items() if data}
    assert files.keys() == {
        "model.bin", "hyperparameters.json", "code/inference.py", "calibration/calibration.json"
    }  # fmt: skip
    assert json.loads(files["hyperparameters.json"]) == {"max_depth": 6}
