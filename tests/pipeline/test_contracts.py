"""A contract refuses impossible promises, and finds where a script breaks possible ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lambda_fn.pipeline.contracts import ScriptContract
from lambda_fn.pipeline.dummy_training_contract import DUMMY_TRAINING_CONTRACT, DUMMY_TRAINING_CONTRACT_NEW_NAMES

SCRIPT = Path(__file__).parents[2] / "lambda_fn/pipeline/dummy_training.py"

GOOD: dict[str, Any] = {
    "entry_point": "step.py",
    "expected_input_paths": {"data": "/opt/ml/processing/input/data"},
    "expected_output_paths": {"result": "/opt/ml/processing/output/result"},
    "required_env_vars": ["MODE"],
    "optional_env_vars": {"LEVEL": "1"},
    "expected_arguments": {"data-dir": "/opt/ml/processing/input/data"},
}

KEEPS_IT = """
import os
from os import environ
def main(environ_vars):
    parser.add_argument("--data-dir", default="/opt/ml/processing/input/data")
    out = "/opt/ml/processing/output/result"
    return os.environ["MODE"], environ_vars.get("LEVEL")
"""


@pytest.mark.parametrize("contract", [DUMMY_TRAINING_CONTRACT, DUMMY_TRAINING_CONTRACT_NEW_NAMES])
def test_the_script_keeps_its_contract(contract: ScriptContract) -> None:
    result = contract.validate_implementation(SCRIPT)
    assert (result.errors, result.warnings, result.is_valid) == ([], [], True)


def test_the_contract_is_the_one_that_users_know() -> None:
    contract = DUMMY_TRAINING_CONTRACT
    assert contract.entry_point == "dummy_training.py"
    assert contract.expected_input_paths == {
        "pretrained_model_path": "/opt/ml/processing/input/model/model.tar.gz",
        "hyperparameters_path": "/opt/ml/processing/input/config/hyperparameters.json",
    }
    assert contract.expected_output_paths == {"model_input": "/opt/ml/processing/output/model"}
    assert set(DUMMY_TRAINING_CONTRACT_NEW_NAMES.expected_input_paths) == {
        "model_artifacts_input",
        "hyperparameters_s3_uri",
    }


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"entry_point": "step.sh"}, "must be a Python file"),
        ({"expected_input_paths": {"data": "/opt/ml/input"}}, "input path of data must lie below"),
        ({"expected_input_paths": {"data": "/opt/ml/processing/inputs/x"}}, "must lie below"),
        ({"expected_output_paths": {"result": "out"}}, "output path of result must lie below"),
        ({"expected_arguments": {"data_dir": "x"}}, "lowercase letters, digits and hyphens"),
        ({"expected_arguments": {"Data": "x"}}, "lowercase letters, digits and hyphens"),
        ({"required_env_var": []}, "required_env_var"),
    ],
)
def test_an_impossible_contract_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ScriptContract(**{**GOOD, **wrong})


@pytest.mark.parametrize(
    ("old", "new", "errors", "warnings"),
    [
        ("", "", 0, 0),
        ("/opt/ml/processing/output/result", "/tmp", 1, 0),
        ("--data-dir", "--folder", 1, 0),
        ('os.environ["MODE"]', "1", 1, 0),
        ('os.environ["MODE"]', 'os.getenv("MODE")', 0, 0),
        ('os.environ["MODE"]', 'environ.get("MODE")', 0, 0),
        ('environ_vars.get("LEVEL")', 'environ_vars["OTHER"]', 0, 1),
        ("import os\n", "import os\nPATH = '/opt/ml/processing/input/more'\n", 0, 1),
        ("import os\n", "import os (\n", 1, 0),
    ],
)
def test_a_script_is_read_for_what_it_uses(tmp_path: Path, old: str, new: str, errors: int, warnings: int) -> None:
    script = tmp_path / "step.py"
    script.write_text(KEEPS_IT.replace(old, new, 1))
    result = ScriptContract(**GOOD).validate_implementation(script)
    assert (len(result.errors), len(result.warnings)) == (errors, warnings), result
    assert result.is_valid == (not errors)


def test_a_script_that_is_not_there_breaks_the_contract(tmp_path: Path) -> None:
    assert not ScriptContract(**GOOD).validate_implementation(tmp_path / "none.py").is_valid
