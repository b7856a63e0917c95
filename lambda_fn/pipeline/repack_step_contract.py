"""The contract of the general step's script: DummyTraining's, and where the packed edit lies."""

from __future__ import annotations

from .contracts import ScriptContract
from .dummy_training_contract import DUMMY_TRAINING_CONTRACT

EDIT_FOLDER = "/opt/ml/processing/input/edit"

REPACK_STEP_CONTRACT = ScriptContract(
    entry_point="repack_step.py",
    expected_input_paths={**DUMMY_TRAINING_CONTRACT.expected_input_paths, "edit_path": EDIT_FOLDER},
    expected_output_paths=DUMMY_TRAINING_CONTRACT.expected_output_paths,
    expected_arguments={**DUMMY_TRAINING_CONTRACT.expected_arguments, "edit-path": EDIT_FOLDER},
    required_env_vars=[],
    optional_env_vars=DUMMY_TRAINING_CONTRACT.optional_env_vars,
    framework_requirements=DUMMY_TRAINING_CONTRACT.framework_requirements,
    description="Puts files and folders into a model.tar.gz, and takes entries out, without extracting it.",
)
