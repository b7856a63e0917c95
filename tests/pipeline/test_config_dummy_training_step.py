"""The config takes what SageMaker takes, and refuses the rest in one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from lambda_fn.pipeline.config_dummy_training_step import DummyTrainingConfig


class Variable:
    """As much of a pipeline variable as the config may look at: the SDK's own refuse texts, sums and truth."""

    expr = {"Get": "Parameters.X"}  # noqa: RUF012 - a property in the SDK

    def __str__(self) -> str:
        raise TypeError("Pipeline variables do not support __str__ operation.")


class Hyperparameters(BaseModel):
    """A user's own."""

    depth: int = 6
    rate: float = 0.1


def config(**settings: Any) -> DummyTrainingConfig:
    return DummyTrainingConfig(**{"pipeline_s3_loc": "s3://models/p", **settings})


@pytest.mark.parametrize(
    "hyperparameters", [Hyperparameters(), {"depth": 6, "rate": 0.1}], ids=["pydantic-model", "dict"]
)
def test_hyperparameters_become_their_document(hyperparameters: Any) -> None:
    document = config(hyperparameters=hyperparameters).hyperparameters_document
    assert document == b'{\n  "depth": 6,\n  "rate": 0.1\n}\n'


@pytest.mark.parametrize("hyperparameters", ["s3://models/params.json", Variable(), None])
def test_hyperparameters_that_lie_elsewhere_have_no_document(hyperparameters: Any) -> None:
    assert config(hyperparameters=hyperparameters).hyperparameters_document is None


def test_what_is_derived_is_derived_once() -> None:
    made = config(hyperparameters={"depth": 6}, use_large_processing_instance=True)
    assert made.hyperparameters_document is made.hyperparameters_document
    assert made.effective_instance_type == made.processing_instance_type_large
    with pytest.raises(ValidationError, match="frozen"):
        made.use_large_processing_instance = False


def test_a_local_model_is_a_file_or_the_folder_of_one(tmp_path: Path) -> None:
    model = tmp_path / "model.tar.gz"
    model.write_bytes(b"")
    assert config(pretrained_model_path=str(tmp_path)).pretrained_model_path == model
    assert config(pretrained_model_path=model).pretrained_model_path == model


@pytest.mark.parametrize(
    "name",
    [
        *("pipeline_s3_loc", "pretrained_model_path", "hyperparameters", "image_uri", "volume_kms_key"),
        *("output_kms_key", "processing_instance_type_small", "processing_instance_count", "processing_volume_size"),
    ],
)
def test_a_pipeline_variable_stands_where_sagemaker_allows_it(name: str) -> None:
    variable = Variable()
    assert getattr(config(**{name: variable}), name) is variable


@pytest.mark.parametrize(
    "name",
    [
        *("if_present", "hyperparameters_required", "where", "channel_names", "step_name", "wheels", "function_arn"),
        *("processing_framework_version", "enable_network_isolation", "enable_caching", "cache_expire_after", "tags"),
    ],
)
def test_a_pipeline_variable_is_refused_where_it_would_come_too_late(name: str) -> None:
    with pytest.raises(ValidationError, match=rf"(?s){name}.*must be known when the pipeline is built"):
        config(**{name: Variable()})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"pipeline_s3_loc": "models/p"}, r"give s3://bucket/prefix or a pipeline variable, not 'models/p'"),
        ({"pipeline_s3_loc": "s3://"}, "give s3://bucket/prefix"),
        ({"pretrained_model_path": "/nowhere/model.tar.gz"}, "there is no file /nowhere/model.tar.gz"),
        ({"pretrained_model_path": ""}, "give a path, an S3 URI or a pipeline variable"),
        ({"pretrained_model_path": "s3://"}, "give s3://bucket/prefix"),
        ({"hyperparameters": [1]}, "give a pydantic model, a dict or an S3 URI, not list"),
        ({"hyperparameters": "params.json"}, "give s3://bucket/prefix"),
        ({"hyperparameters": {"rate": float("nan")}}, "cannot be written as JSON"),
        ({"hyperparameters": {"model": object()}}, "cannot be written as JSON"),
        (
            {"hyperparameters": {"net": [{"rate": Variable()}]}},
            r"net\[0\]\.rate is a pipeline variable",
        ),
        ({"if_present": "perhaps"}, "'replace', 'keep' or 'error'"),
        ({"where": "lambda"}, 'where="lambda" needs function_arn'),
        ({"where": "callback"}, 'where="callback" needs queue_url'),
        ({"function_arn": "repacker"}, "function_arn"),
        ({"subnets": ["subnet-1"]}, "subnets and security_group_ids are given together"),
        ({"processing_instance_count": 0}, "a whole number from 1 to 100"),
        ({"processing_volume_size": "30"}, "a whole number from 1 to 16384"),
        ({"processing_framework_version": "0.23-1"}, r"the script needs Python 3\.9"),
        ({"image_uri": ""}, "give a text or a pipeline variable"),
        ({"step_name": "dummy_training"}, "step_name"),
        ({"wheels": "/nowhere"}, "there are no wheels in /nowhere"),
        ({"instance_type": "ml.m5.large"}, "instance_type"),
    ],
)
def test_a_wrong_value_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        config(**settings)
