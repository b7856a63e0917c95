"""The specification of the DummyTraining step: it takes a model and hyperparameters and gives one model."""

from __future__ import annotations

from .contracts import ScriptContract
from .dummy_training_contract import DUMMY_TRAINING_CONTRACT, DUMMY_TRAINING_CONTRACT_NEW_NAMES, NEW_NAMES
from .specification import DependencySpec, DependencyType, NodeType, OutputSpec, StepSpecification

PLANNED_SOURCES = ("ProcessingStep", "XGBoostTraining", "PytorchTraining", "TabularPreprocessing")
"""What the step's plan names."""
PRESENT_SOURCES = (
    "TrainingStep",
    "PyTorchTraining",
    "LightGBMTraining",
    "LightGBMMTTraining",
    "XgboostMtTraining",
    "TSATraining",
    "DummyTraining",
)
"""What steps that train are called today."""


def _specification(
    contract: ScriptContract, model: str, hyperparameters: str, output: str, *aliases: str
) -> StepSpecification:
    return StepSpecification(
        step_type="DummyTraining",
        node_type=NodeType.INTERNAL,
        script_contract=contract,
        dependencies=[
            DependencySpec(
                logical_name=model,
                dependency_type=DependencyType.PROCESSING_INPUT,
                required=True,
                compatible_sources=[*PLANNED_SOURCES, *PRESENT_SOURCES],
                semantic_keywords=["model", "pretrained", "artifact", "weights", "training_output", "model_data"],
                data_type="S3Uri",
                description="The pretrained model.tar.gz",
            ),
            DependencySpec(
                logical_name=hyperparameters,
                dependency_type=DependencyType.HYPERPARAMETERS,
                required=True,
                compatible_sources=["HyperparameterPrep", "ProcessingStep"],
                semantic_keywords=["config", "params", "hyperparameters", "settings", "hyperparams"],
                data_type="S3Uri",
                description="The hyperparameters.json to put into it",
            ),
        ],
        outputs=[
            OutputSpec(
                logical_name=output,
                output_type=DependencyType.MODEL_ARTIFACTS,
                property_path=f"properties.ProcessingOutputConfig.Outputs['{output}'].S3Output.S3Uri",
                data_type="S3Uri",
                description="The model.tar.gz that holds both",
                aliases=["ModelOutputPath", "ModelArtifacts", "model_data", "output_path", *aliases],
            )
        ],
    )


DUMMY_TRAINING_SPEC = _specification(
    DUMMY_TRAINING_CONTRACT, "pretrained_model_path", "hyperparameters_path", "model_input"
)
DUMMY_TRAINING_SPEC_NEW_NAMES = _specification(DUMMY_TRAINING_CONTRACT_NEW_NAMES, *NEW_NAMES.values(), "model_input")
