"""The contract of the DummyTraining script: where its model, hyperparameters and output lie in the container."""

from __future__ import annotations

from .contracts import ScriptContract

DUMMY_TRAINING_CONTRACT = ScriptContract(
    entry_point="dummy_training.py",
    expected_input_paths={
        "pretrained_model_path": "/opt/ml/processing/input/model/model.tar.gz",
        "hyperparameters_path": "/opt/ml/processing/input/config/hyperparameters.json",
    },
    expected_output_paths={"model_input": "/opt/ml/processing/output/model"},
    expected_arguments={
        "pretrained-model-path": "/opt/ml/processing/input/model/model.tar.gz",
        "hyperparameters-path": "/opt/ml/processing/input/config/hyperparameters.json",
        "output-dir": "/opt/ml/processing/output/model",
    },
    required_env_vars=[],
    optional_env_vars={"IF_PRESENT": "replace", "HYPERPARAMETERS_REQUIRED": "true", "RATIO_LIMIT": "200"},
    framework_requirements={"python": ">=3.9"},
    description="Puts hyperparameters.json into a pretrained model.tar.gz without extracting it, for the packaging and "
    "payload steps that follow. The standard library is enough; with isal it is faster.",
)

NEW_NAMES = {
    "pretrained_model_path": "model_artifacts_input",
    "hyperparameters_path": "hyperparameters_s3_uri",
    "model_input": "model_output",
}
"""What newer pipelines call the same channels; the paths in the container stay."""


def _renamed(paths: dict[str, str]) -> dict[str, str]:
    return {NEW_NAMES[name]: path for name, path in paths.items()}


DUMMY_TRAINING_CONTRACT_NEW_NAMES = DUMMY_TRAINING_CONTRACT.model_copy(
    update={
        "expected_input_paths": _renamed(DUMMY_TRAINING_CONTRACT.expected_input_paths),
        "expected_output_paths": _renamed(DUMMY_TRAINING_CONTRACT.expected_output_paths),
    }
)
