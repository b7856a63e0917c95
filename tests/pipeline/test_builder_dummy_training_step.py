"""The builder: what it makes of a config, in the SageMaker SDK that is installed (it is run with v3 and with v2)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

pytest.importorskip("sagemaker", reason="the SageMaker SDK is in environments of its own")

from lambda_fn.contract import Request, Result
from lambda_fn.pipeline import sdk
from lambda_fn.pipeline.builder_dummy_training_step import RESULT_OUTPUTS, DummyTrainingStepBuilder
from lambda_fn.pipeline.config_dummy_training_step import DummyTrainingConfig
from lambda_fn.pipeline.specification import DependencyType, NodeType, OutputSpec, StepSpecification

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own

ROLE = "arn:aws:iam::123456789012:role/pipeline"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:repacker"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/repacker"
MODEL = "s3://models/in/model.tar.gz"

Define = Callable[..., dict[str, Any]]


@pytest.fixture
def build(session: Any) -> Callable[..., DummyTrainingStepBuilder]:
    """A builder; settings that are not given are the plainest."""

    def builder(**settings: Any) -> DummyTrainingStepBuilder:
        plain = {"pipeline_s3_loc": "s3://models/p", "pretrained_model_path": MODEL, "hyperparameters": {"depth": 6}}
        return DummyTrainingStepBuilder(DummyTrainingConfig(**{**plain, **settings}), session, ROLE)

    return builder


Build = Callable[..., DummyTrainingStepBuilder]


def named(items: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Inputs or outputs of a job by name: where they are in S3."""
    return {item[f"{kind}Name"]: item[f"S3{kind}"]["S3Uri"] for item in items}


def inputs_of(definition: dict[str, Any]) -> dict[str, Any]:
    return named(definition["Steps"][-1]["Arguments"]["ProcessingInputs"], "Input")


def keys(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket="models").get("Contents", [])]


def beyond_limits(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """What of a request is longer, bigger or other than SageMaker documents; botocore itself checks little of it."""
    limits = shape.metadata
    size = value if isinstance(value, int) else len(value)
    if not limits.get("min", 0) <= size <= limits.get("max", size):
        yield f"{path}: {value!r} is not within {limits}"
    pattern = limits.get("pattern", ".*").replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
    if isinstance(value, str) and not re.fullmatch(pattern, value, re.DOTALL):
        yield f"{path}: {value!r} is not {pattern}"
    if isinstance(value, str) and value not in limits.get("enum", [value]):
        yield f"{path}: {value!r} is not one of {limits['enum']}"
    if shape.type_name == "structure":
        for name, item in value.items():
            yield from beyond_limits(item, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from beyond_limits(item, shape.member, f"{path}[{index}]")
    elif shape.type_name == "map":
        for name, item in value.items():
            yield from beyond_limits(name, shape.key, f"{path}.{name}")
            yield from beyond_limits(item, shape.value, f"{path}.{name}")


EVERYTHING: dict[str, Any] = {
    "use_large_processing_instance": True,
    "processing_volume_size": 100,
    "volume_kms_key": "alias/volume",
    "output_kms_key": "alias/output",
    "enable_network_isolation": True,
    "encrypt_inter_container_traffic": True,
    "subnets": ["subnet-0123456789abcdef0"],
    "security_group_ids": ["sg-0123456789abcdef0"],
    "tags": {"team": "churn"},
    "if_present": "keep",
    "hyperparameters_required": False,
}


@pytest.mark.parametrize("settings", [{}, EVERYTHING, {"channel_names": "new"}], ids=["plain", "everything", "new"])
def test_the_definition_is_a_request_that_sagemaker_accepts(
    build: Build, define: Define, resolved: Callable[..., Any], settings: dict[str, Any]
) -> None:
    (step,) = define(build(**settings).create_step())["Steps"]
    request = resolved(step["Arguments"], {"Execution.PipelineExecutionId": "abcdefghijkl"})
    request["ProcessingJobName"] = "pipelines-abcdefghijkl-DummyTraining-0123456789"
    shape = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateProcessingJob")
    assert shape.input_shape is not None
    report = ParamValidator().validate(request, shape.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert not list(beyond_limits(request, shape.input_shape))
    assert step["Type"] == "Processing"


def test_the_check_of_limits_finds_what_is_beyond(build: Build, define: Define, resolved: Callable[..., Any]) -> None:
    (step,) = define(build().create_step())["Steps"]
    request = resolved(step["Arguments"], {"Execution.PipelineExecutionId": "x"})
    request["Environment"] = {"TOO_LONG": "x" * 257}
    request["ProcessingInputs"] *= 5
    shape = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateProcessingJob")
    found = " ".join(beyond_limits(request, shape.input_shape))
    assert ".Environment.TOO_LONG" in found
    assert ".ProcessingInputs" in found


def test_all_settings_arrive(build: Build, define: Define) -> None:
    job = define(build(**EVERYTHING).create_step())["Steps"][0]["Arguments"]
    cluster = job["ProcessingResources"]["ClusterConfig"]
    assert (cluster["InstanceType"], cluster["VolumeSizeInGB"], cluster["VolumeKmsKeyId"]) == (
        "ml.m5.4xlarge",
        100,
        "alias/volume",
    )
    assert job["ProcessingOutputConfig"]["KmsKeyId"] == "alias/output"
    assert job["Environment"] == {"IF_PRESENT": "keep", "HYPERPARAMETERS_REQUIRED": "false"}
    assert job["NetworkConfig"] == {
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "VpcConfig": {"Subnets": ["subnet-0123456789abcdef0"], "SecurityGroupIds": ["sg-0123456789abcdef0"]},
    }
    assert job["Tags"] == [{"Key": "team", "Value": "churn"}]
    assert job["RoleArn"] == ROLE


def test_channels_have_the_names_and_places_that_users_know(build: Build, define: Define) -> None:
    job = define(build().create_step())["Steps"][0]["Arguments"]
    places = {item["InputName"]: item["S3Input"]["LocalPath"] for item in job["ProcessingInputs"]}
    assert places["pretrained_model_path"] == "/opt/ml/processing/input/model"
    assert places["hyperparameters_path"] == "/opt/ml/processing/input/config"
    (output,) = job["ProcessingOutputConfig"]["Outputs"]
    assert output["OutputName"] == "model_input"
    assert output["S3Output"]["LocalPath"] == "/opt/ml/processing/output/model"


def test_one_switch_gives_the_channels_their_newer_names(build: Build, define: Define) -> None:
    builder = build(channel_names="new")
    step = builder.create_step(inputs={"model_artifacts_input": "s3://models/other/model.tar.gz"})
    definition = define(step)
    assert inputs_of(definition)["model_artifacts_input"] == "s3://models/other/model.tar.gz"
    assert "hyperparameters_s3_uri" in inputs_of(definition)
    assert "Outputs['model_output']" in builder.output(step).expr["Get"]


def test_two_builds_give_the_same_definition_and_upload_once(build: Build, define: Define, s3: Any) -> None:
    first = define(build().create_step())
    uploaded = {key: s3.head_object(Bucket="models", Key=key)["LastModified"] for key in keys(s3)}
    assert len(uploaded) == 3
    s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    assert define(build().create_step()) == first
    versions = s3.list_object_versions(Bucket="models")["Versions"]
    assert {item["Key"]: item["LastModified"] for item in versions} == uploaded
    assert len(versions) == len(uploaded)


def test_a_definition_uploads_nothing(build: Build, define: Define, s3: Any) -> None:
    step = build().create_step()
    before = keys(s3)
    for key in before:
        s3.delete_object(Bucket="models", Key=key)
    assert define(step) == define(step)
    assert keys(s3) == []


def test_hyperparameters_lie_under_their_content_s_key(build: Build, define: Define, s3: Any) -> None:
    uri = build()._prepare_hyperparameters_file()
    body = s3.get_object(Bucket="models", Key=uri.removeprefix("s3://models/"))["Body"].read()
    assert uri == f"s3://models/p/dummy_training/uploads/{hashlib.sha256(body).hexdigest()}/hyperparameters.json"
    assert uri != build(hyperparameters={"depth": 7})._prepare_hyperparameters_file()
    assert uri == inputs_of(define(build().create_step()))["hyperparameters_path"]


def test_a_local_model_is_uploaded_under_its_content_s_key(
    build: Build, tmp_path: Path, s3: Any, define: Define
) -> None:
    model = tmp_path / "churn-v3.tar.gz"
    model.write_bytes(b"model")
    uri = inputs_of(define(build(pretrained_model_path=model).create_step()))["pretrained_model_path"]
    assert uri == f"s3://models/p/dummy_training/uploads/{hashlib.sha256(b'model').hexdigest()}/model.tar.gz"
    assert s3.get_object(Bucket="models", Key=uri.removeprefix("s3://models/"))["Body"].read() == b"model"


def test_what_is_uploaded_is_encrypted_with_the_output_s_key(build: Build, s3: Any) -> None:
    uri = build(output_kms_key="alias/output")._prepare_hyperparameters_file()
    head = s3.head_object(Bucket="models", Key=uri.removeprefix("s3://models/"))
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "alias/output")


def test_pipeline_variables_work_wherever_sagemaker_allows_them(build: Build, define: Define, s3: Any) -> None:
    names = ("Place", "Model", "Params", "Instance", "Image", "Key", "Subnet", "Group")
    variable = {name: sdk.ParameterString(name=name) for name in names}
    builder = build(
        pipeline_s3_loc=variable["Place"],
        pretrained_model_path=variable["Model"],
        hyperparameters=variable["Params"],
        processing_instance_type_small=variable["Instance"],
        image_uri=variable["Image"],
        volume_kms_key=variable["Key"],
        output_kms_key=variable["Key"],
        subnets=[variable["Subnet"]],
        security_group_ids=[variable["Group"]],
    )
    definition = define(builder.create_step(), parameters=variable.values())
    job = definition["Steps"][0]["Arguments"]
    assert inputs_of(definition)["pretrained_model_path"] == {"Get": "Parameters.Model"}
    assert inputs_of(definition)["hyperparameters_path"] == {"Get": "Parameters.Params"}
    assert job["AppSpecification"]["ImageUri"] == {"Get": "Parameters.Image"}
    assert job["ProcessingResources"]["ClusterConfig"]["InstanceType"] == {"Get": "Parameters.Instance"}
    assert job["NetworkConfig"]["VpcConfig"]["Subnets"] == [{"Get": "Parameters.Subnet"}]
    output = named(job["ProcessingOutputConfig"]["Outputs"], "Output")["model_input"]
    assert output["Std:Join"]["Values"][0] == {"Get": "Parameters.Place"}
    assert all(key.startswith("dummy_training/uploads/") for key in keys(s3))


def giver(build: Build, name: str, *outputs: OutputSpec, step_type: str = "TabularPreprocessing") -> Any:
    """A step of the family with the given outputs."""
    step = build(step_name=name).create_step()
    copies = [output.model_copy() for output in outputs]
    step._spec = StepSpecification(step_type=step_type, node_type=NodeType.SOURCE, outputs=copies)
    return step


def output(name: str, kind: DependencyType) -> OutputSpec:
    path = f"properties.ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri"
    return OutputSpec(logical_name=name, output_type=kind, property_path=path)


TRAINED = output("model_data", DependencyType.MODEL_ARTIFACTS)
PARAMS = output("hyperparameters_file", DependencyType.HYPERPARAMETERS)


def test_inputs_given_by_dependencies_win_over_the_config_s(build: Build, define: Define) -> None:
    source = giver(build, "Before", TRAINED, PARAMS)
    definition = define(source, build().create_step(dependencies=[source]))
    path = "Steps.Before.ProcessingOutputConfig.Outputs['{}'].S3Output.S3Uri"
    assert inputs_of(definition)["pretrained_model_path"] == {"Get": path.format("model_data")}
    assert inputs_of(definition)["hyperparameters_path"] == {"Get": path.format("hyperparameters_file")}
    assert definition["Steps"][-1]["DependsOn"] == ["Before"]


def test_steps_of_the_family_may_say_types_by_name_and_those_without_specification_only_come_first(
    build: Build, define: Define
) -> None:
    source, other = giver(build, "Before", TRAINED), giver(build, "Other", TRAINED)
    object.__setattr__(source._spec.outputs["model_data"], "output_type", "model_artifacts")
    del other._spec
    definition = define(source, other, build().create_step(dependencies=[source, other]))
    assert "Steps.Before." in inputs_of(definition)["pretrained_model_path"]["Get"]
    assert definition["Steps"][-1]["DependsOn"] == ["Before", "Other"]


def test_explicit_inputs_win_over_dependencies(build: Build, define: Define) -> None:
    source = giver(build, "Before", TRAINED)
    step = build().create_step(inputs={"pretrained_model_path": "s3://models/x/model.tar.gz"}, dependencies=[source])
    assert inputs_of(define(source, step))["pretrained_model_path"] == "s3://models/x/model.tar.gz"


@pytest.mark.parametrize(
    ("offered", "step_type"),
    [
        (output("model_data", DependencyType.PAYLOAD_SAMPLES), "TabularPreprocessing"),
        (output("report", DependencyType.PROCESSING_OUTPUT), "TabularPreprocessing"),
    ],
    ids=["other-type", "other-words"],
)
def test_an_output_that_does_not_fit_is_left(build: Build, define: Define, offered: OutputSpec, step_type: str) -> None:
    source = giver(build, "Before", offered, step_type=step_type)
    definition = define(source, build().create_step(dependencies=[source]))
    assert inputs_of(definition)["pretrained_model_path"] == MODEL


def test_two_outputs_that_fit_are_refused_unless_inputs_say_which(build: Build) -> None:
    sources = [giver(build, name, TRAINED) for name in ("One", "Two")]
    with pytest.raises(ValueError, match="model_data of One, model_data of Two could each be pretrained_model_path"):
        build().create_step(dependencies=sources)
    assert build().create_step(inputs={"pretrained_model_path": MODEL}, dependencies=sources)


def test_an_output_called_like_the_input_goes_first(build: Build, define: Define) -> None:
    exact = output("pretrained_model_path", DependencyType.PROCESSING_OUTPUT)
    sources = [giver(build, "One", TRAINED), giver(build, "Two", exact)]
    definition = define(*sources, build().create_step(dependencies=sources))
    assert "Steps.Two." in inputs_of(definition)["pretrained_model_path"]["Get"]


def test_a_dummy_training_step_can_follow_another(build: Build, define: Define) -> None:
    first = build(step_name="First")
    step = first.create_step()
    definition = define(step, build().create_step(dependencies=[step]))
    assert inputs_of(definition)["pretrained_model_path"] == first.output(step).expr


@pytest.mark.parametrize("name", ["model_input", "ModelOutputPath", "model_data"])
def test_an_output_goes_where_it_is_told_by_name_or_alias(build: Build, define: Define, name: str) -> None:
    definition = define(build().create_step(outputs={name: "s3://models/out"}))
    job = definition["Steps"][0]["Arguments"]
    assert named(job["ProcessingOutputConfig"]["Outputs"], "Output") == {"model_input": "s3://models/out"}


def test_caching_is_the_config_s_unless_the_call_says_otherwise(build: Build, define: Define) -> None:
    def cached(step: Any) -> Any:
        return define(step)["Steps"][0]["CacheConfig"]

    assert cached(build().create_step()) == {"Enabled": True, "ExpireAfter": "P30D"}
    assert cached(build().create_step(enable_caching=False))["Enabled"] is False
    assert cached(build(enable_caching=False).create_step())["Enabled"] is False


REQUEST = {
    "model_uri": MODEL,
    "output_uri": "s3://models/p/dummy_training/output/execution/model.tar.gz",
    "if_present": "replace",
}


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ({"where": "lambda", "function_arn": ARN}, {"Type": "Lambda", "FunctionArn": ARN}),
        ({"where": "callback", "queue_url": QUEUE}, {"Type": "Callback", "SqsQueueUrl": QUEUE}),
    ],
    ids=["lambda", "callback"],
)
def test_one_line_sends_the_same_request_elsewhere(
    build: Build, define: Define, resolved: Callable[..., Any], settings: dict[str, Any], target: dict[str, str]
) -> None:
    builder = build(**settings)
    step = builder.create_step()
    (emitted,) = define(step)["Steps"]
    assert emitted.items() >= target.items()
    request = Request.from_json(resolved(emitted["Arguments"], {"Execution.PipelineExecutionId": "execution"}))
    sent = request.to_json()
    assert sent.pop("hyperparameters_uri") == build()._prepare_hyperparameters_file()
    assert sent.items() >= REQUEST.items()
    answered = [item["OutputName"] for item in emitted["OutputParameters"]]
    assert builder.output(step).expr == {"Get": f"Steps.DummyTraining.OutputParameters['{answered[0]}']"}


def test_a_folder_is_sent_elsewhere_as_the_object_in_it(
    build: Build, define: Define, resolved: Callable[..., Any]
) -> None:
    source = giver(build, "Before", TRAINED)
    builder = build(where="lambda", function_arn=ARN, hyperparameters="s3://models/params")
    emitted = define(source, builder.create_step(dependencies=[source], outputs={"model_input": "s3://models/out"}))
    path = "Steps.Before.ProcessingOutputConfig.Outputs['model_data'].S3Output.S3Uri"
    request = resolved(emitted["Steps"][-1]["Arguments"], {path: "s3://models/before"})
    assert request["model_uri"] == "s3://models/before/model.tar.gz"
    assert request["hyperparameters_uri"] == "s3://models/params/hyperparameters.json"
    assert request["output_uri"] == "s3://models/out/model.tar.gz"


def test_an_output_folder_that_is_a_variable_is_sent_elsewhere_as_the_object_in_it(
    build: Build, define: Define, resolved: Callable[..., Any]
) -> None:
    folder = sdk.ParameterString(name="Out")
    step = build(where="lambda", function_arn=ARN).create_step(outputs={"model_input": folder})
    (emitted,) = define(step, parameters=[folder])["Steps"]
    request = resolved(emitted["Arguments"], {"Parameters.Out": "s3://models/out"})
    assert request["output_uri"] == "s3://models/out/model.tar.gz"


def test_what_is_awaited_from_elsewhere_is_part_of_every_result() -> None:
    assert set(RESULT_OUTPUTS) <= {field.name for field in fields(Result)}


@pytest.mark.parametrize(
    ("settings", "arguments", "says"),
    [
        ({"pretrained_model_path": None}, {}, "there is no model: set pretrained_model_path"),
        ({"hyperparameters": None}, {}, "there are no hyperparameters: .* set hyperparameters_required=False"),
        ({}, {"inputs": {"model": MODEL}}, "model is no input of this step; .*'classic'"),
        ({}, {"inputs": {"model_artifacts_input": MODEL}}, "is no input of this step"),
        ({}, {"inputs": {"pretrained_model_path": "model.tar.gz"}}, "give s3://bucket/prefix"),
        ({}, {"outputs": {"model_output": "s3://models/out"}}, "whose only one is model_input"),
        (
            {"where": "lambda", "function_arn": ARN, "hyperparameters": None, "hyperparameters_required": False},
            {},
            'there is nothing for where="lambda" to do',
        ),
    ],
)
def test_a_step_that_cannot_be_built_is_refused(
    build: Build, settings: dict[str, Any], arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        build(**settings).create_step(**arguments)


def test_without_hyperparameters_there_is_no_input_for_them(build: Build, define: Define) -> None:
    step = build(hyperparameters=None, hyperparameters_required=False).create_step()
    assert set(inputs_of(define(step))) == {"pretrained_model_path", "code", "entrypoint"}


def test_a_builder_refuses_what_would_start_a_job_or_cannot(session: Any) -> None:
    config = DummyTrainingConfig(pipeline_s3_loc="s3://models/p")
    with pytest.raises(ValueError, match="must be a PipelineSession"):
        DummyTrainingStepBuilder(config, object(), ROLE)
    with pytest.raises(ValueError, match="needs a role"):
        DummyTrainingStepBuilder(config, session)
    with pytest.raises(ValueError, match="must be a DummyTrainingConfig, not dict"):
        DummyTrainingStepBuilder({}, session, ROLE)  # type: ignore[arg-type]
