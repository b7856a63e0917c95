"""The example's pipeline, built the way its readers build it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("sagemaker", reason="the SageMaker SDK is in environments of its own")

ROOT = Path(__file__).parents[2]


def test_one_install_line_brings_what_builder_and_example_import() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[>=<]", line)[0] for line in project["optional-dependencies"]["pipeline"]}
    files = [ROOT / "examples/pipeline.py", *(ROOT / "lambda_fn/pipeline").glob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    packages = {name.split(".")[0] for name in imported} - sys.stdlib_module_names - {"lambda_fn"}
    brought_along = {"botocore": "boto3", "isal": "isal"}
    assert {brought_along.get(name, name) for name in packages} <= {*declared, "isal"}
    assert "sagemaker" in declared


@pytest.mark.parametrize("where", ["processing", "lambda", "callback"])
def test_the_example_prints_its_definition_and_nothing_else(where: str) -> None:
    command = [sys.executable, "-m", "examples.pipeline", where]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    first, *_, last = json.loads(run.stdout)["Steps"]
    assert (first["Type"].lower(), last["Type"]) == (where, "RegisterModel")
