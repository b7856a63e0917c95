"""The config takes what SageMaker takes, and refuses the rest in one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from lambda_fn.pipeline.config_dummy_training_step import DummyTrainingConfig

ARN = "arn:aws:lambda:us-east-1:123456789012:function:repacker"


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


def test_hyperparameters_in_a_file_are_read_when_the_config_is_made(tmp_path: Path) -> None:
    file = tmp_path / "my params.txt"
    file.write_bytes(b'{"depth":   6}')
    for given in (file, str(file), file.as_uri()):
        assert config(hyperparameters=given).hyperparameters_document == b'{"depth":   6}'
    file.write_bytes(b"depth: 6")
    with pytest.raises(ValidationError, match=r"my params\.txt cannot be read as JSON in line 1"):
        config(hyperparameters=file)


def test_an_empty_object_is_a_document() -> None:
    assert config(hyperparameters={}).hyperparameters_document == b"{}\n"


JOB_SETTINGS: dict[str, Any] = {
    "processing_instance_type_small": "ml.m5.xlarge",
    "processing_instance_type_large": "ml.m5.xlarge",
    "use_large_processing_instance": True,
    "processing_instance_count": 2,
    "processing_volume_size": 100,
    "processing_framework_version": "1.4-2",
    "image_uri": "image",
    "wheels": None,
    "volume_kms_key": "alias/volume",
    "output_kms_key": Variable(),
    "enable_network_isolation": True,
    "encrypt_inter_container_traffic": True,
    "subnets": ["subnet-1"],
    "security_group_ids": ["sg-1"],
    "tags": {"team": "churn"},
    "max_runtime_in_seconds": 3600,
    "retry_policies": [],
    "ratio_limit": 1000,
}


@pytest.mark.parametrize("where", ["lambda", "callback"])
@pytest.mark.parametrize("name", JOB_SETTINGS)
def test_a_setting_that_only_a_job_heeds_is_refused_where_there_is_none(name: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "isal.whl").write_bytes(b"")
    settings = {name: JOB_SETTINGS[name] if name != "wheels" else tmp_path}
    if name in ("subnets", "security_group_ids"):
        settings = {key: JOB_SETTINGS[key] for key in ("subnets", "security_group_ids")}
    with pytest.raises(ValidationError, match=rf"starts no job, so it cannot heed .*{name}"):
        config(where=where, function_arn=ARN, queue_url="https://queue", **settings)
    assert config(**settings)


def test_a_job_s_setting_that_asks_for_nothing_is_taken_everywhere() -> None:
    nothing: dict[str, Any] = {"output_kms_key": None, "subnets": None, "tags": {}, "enable_network_isolation": False}
    assert config(where="lambda", function_arn=ARN, **nothing)


def test_a_local_model_is_a_file_or_the_folder_of_one(tmp_path: Path) -> None:
    model = tmp_path / "model.tar.gz"
    model.write_bytes(b"")
    assert config(pretrained_model_path=str(tmp_path)).pretrained_model_path == model
    assert config(pretrained_model_path=model).pretrained_model_path == model
    assert config(pretrained_model_path=model.as_uri()).pretrained_model_path == model


@pytest.mark.parametrize("uri", ["s3://models/a b.tar.gz", "s3://models/a.TGZ", "s3://models/v1/", "s3://models/v1.2"])
def test_a_model_s_uri_stays_as_it_is(uri: str) -> None:
    assert config(pretrained_model_path=uri).pretrained_model_path == uri


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
        ({"pretrained_model_path": __file__}, r"\.py is no \.tar\.gz or \.tgz: pack the model with tar -czf"),
        ({"pretrained_model_path": ""}, "give a path, an S3 URI or a pipeline variable"),
        ({"pretrained_model_path": "s3://"}, "give s3://bucket/prefix"),
        (
            {"pretrained_model_path": "s3://models/model.tar"},
            r"model\.tar is no \.tar\.gz or \.tgz: .*end the URI with /",
        ),
        ({"pretrained_model_path": "s3://models/model.tar.gz\n"}, "give s3://bucket/prefix"),
        ({"hyperparameters": [1]}, "give a pydantic model, a dict, a path or an S3 URI, not list"),
        ({"hyperparameters": "params.json"}, r"there is no file /\S+/params\.json"),
        ({"hyperparameters": "s3://models/params.txt"}, r"params\.txt is no \.json: name the file so"),
        ({"hyperparameters": {"rate": float("nan")}}, "cannot be written as JSON"),
        ({"hyperparameters": {"vocabulary": "x" * (11 << 20)}}, "at most 10,485,760 can be put in"),
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
        ({"max_runtime_in_seconds": 0}, "a whole number from 1"),
        ({"retry_policies": ["twice"]}, "'twice', which is none of the SDK's retry policies"),
        ({"ratio_limit": 0}, "ratio_limit"),
        ({"hyperparameters_required": "perhaps"}, "unless_in_model"),
        ({"wheels": "/nowhere"}, "there are no wheels in /nowhere"),
        ({"instance_type": "ml.m5.large"}, "instance_type"),
    ],
)
def test_a_wrong_value_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        config(**settings)
