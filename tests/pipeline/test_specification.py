"""Specifications hold together in themselves and with their contract."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lambda_fn.pipeline.dummy_training_contract import DUMMY_TRAINING_CONTRACT_NEW_NAMES
from lambda_fn.pipeline.dummy_training_spec import DUMMY_TRAINING_SPEC, DUMMY_TRAINING_SPEC_NEW_NAMES
from lambda_fn.pipeline.specification import DependencySpec, DependencyType, NodeType, OutputSpec, StepSpecification

NEED = DependencySpec(logical_name="data", dependency_type=DependencyType.TRAINING_DATA)
GIFT = OutputSpec(
    logical_name="model",
    output_type=DependencyType.MODEL_ARTIFACTS,
    property_path="properties.X",
    aliases=["Model_Data"],
)


def test_the_specification_is_the_one_that_users_know() -> None:
    spec = DUMMY_TRAINING_SPEC
    assert spec.node_type is NodeType.INTERNAL
    model, hyperparameters = spec.list_required_dependencies()
    assert (model.logical_name, model.dependency_type) == ("pretrained_model_path", DependencyType.PROCESSING_INPUT)
    planned = ["ProcessingStep", "XGBoostTraining", "PytorchTraining", "TabularPreprocessing"]
    assert model.compatible_sources[:4] == planned
    assert {"PyTorchTraining", "LightGBMTraining", "LightGBMMTTraining", "TrainingStep"} <= {*model.compatible_sources}
    assert hyperparameters.dependency_type is DependencyType.HYPERPARAMETERS
    assert hyperparameters.compatible_sources == ["HyperparameterPrep", "ProcessingStep"]
    output = spec.get_output_by_name_or_alias("MODELARTIFACTS")
    assert output is not None
    assert output is spec.get_output("model_input")
    assert output.property_path == "properties.ProcessingOutputConfig.Outputs['model_input'].S3Output.S3Uri"
    assert [model.data_type, hyperparameters.data_type, output.data_type] == ["S3Uri"] * 3


@pytest.mark.parametrize("spec", [DUMMY_TRAINING_SPEC, DUMMY_TRAINING_SPEC_NEW_NAMES])
def test_specification_and_contract_agree(spec: StepSpecification) -> None:
    assert spec.validate_contract_alignment().is_valid


def test_a_contract_that_says_otherwise_is_found() -> None:
    spec = DUMMY_TRAINING_SPEC.model_copy(update={"script_contract": DUMMY_TRAINING_CONTRACT_NEW_NAMES})
    assert len(spec.validate_contract_alignment().errors) == 3


def test_the_kinds_of_dependency_are_those_of_the_family() -> None:
    assert {kind.value for kind in DependencyType} == {
        "model_artifacts",
        "processing_input",
        "processing_output",
        "training_data",
        "hyperparameters",
        "payload_samples",
        "custom_property",
    }


@pytest.mark.parametrize(
    ("node_type", "needs", "gives"),
    [(NodeType.SOURCE, 0, 1), (NodeType.INTERNAL, 1, 1), (NodeType.SINK, 1, 0), (NodeType.SINGULAR, 0, 0)],
)
def test_a_node_type_says_whether_there_are_dependencies_and_outputs(
    node_type: NodeType, needs: int, gives: int
) -> None:
    for dependencies in (0, 1):
        for outputs in (0, 1):
            arguments: dict[str, Any] = {"dependencies": [NEED] * dependencies, "outputs": [GIFT] * outputs}
            if (dependencies, outputs) == (needs, gives):
                assert StepSpecification(step_type="Step", node_type=node_type, **arguments).node_type is node_type
            else:
                with pytest.raises(ValidationError, match=r"dependencies|outputs"):
                    StepSpecification(step_type="Step", node_type=node_type, **arguments)


@pytest.mark.parametrize(
    ("kind", "wrong", "says"),
    [
        (DependencySpec, {"logical_name": " "}, "letters, digits"),
        (DependencySpec, {"logical_name": "a b"}, "letters, digits"),
        (DependencySpec, {"dependency_type": "guess"}, "dependency_type"),
        (OutputSpec, {"property_path": "Steps.X"}, "must start with 'properties.'"),
        (OutputSpec, {"aliases": ["MODEL"]}, "alias of itself"),
        (OutputSpec, {"aliases": ["a b"]}, "letters, digits"),
    ],
)
def test_a_wrong_value_is_refused(kind: type[Any], wrong: dict[str, Any], says: str) -> None:
    good = NEED if kind is DependencySpec else GIFT
    with pytest.raises(ValidationError, match=says):
        kind(**{**good.model_dump(), **wrong})


def test_names_are_given_once() -> None:
    with pytest.raises(ValidationError, match="same logical name"):
        StepSpecification(step_type="Step", node_type=NodeType.SINK, dependencies=[NEED, NEED])
    other = GIFT.model_copy(update={"logical_name": "other"})
    with pytest.raises(ValidationError, match="share the name model_data"):
        StepSpecification(step_type="Step", node_type=NodeType.SOURCE, outputs=[GIFT, other])


def test_words_are_kept_in_order_and_once() -> None:
    need = DependencySpec(
        logical_name="data",
        dependency_type=DependencyType.TRAINING_DATA,
        compatible_sources=["A", " B", "A", "", "b"],
        semantic_keywords=["Model", "data", "model"],
    )
    assert (need.compatible_sources, need.semantic_keywords) == (["A", "B", "b"], ["model", "data"])
