"""The builder: what it makes of a config, in the SageMaker SDK that is installed (it is run with v3 and with v2)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from importlib import import_module
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
    "max_runtime_in_seconds": 3600,
    "ratio_limit": 1000,
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
    assert job["Environment"] == {
        "IF_PRESENT": "keep",
        "HYPERPARAMETERS_REQUIRED": "false",
        "RATIO_LIMIT": "1000",
    }
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
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


def test_what_was_uploaded_for_another_key_is_not_taken(build: Build, s3: Any) -> None:
    plain = build()._prepare_hyperparameters_file()
    uris = {build(output_kms_key=key)._prepare_hyperparameters_file() for key in ("alias/one", "alias/two")}
    assert len({plain, *uris}) == 3
    for uri in uris:
        head = s3.head_object(Bucket="models", Key=uri.removeprefix("s3://models/"))
        assert head["ServerSideEncryption"] == "aws:kms"


def test_retry_policies_are_the_sdk_s_own(build: Build, define: Define) -> None:
    retry = import_module("sagemaker.mlops.workflow.retry" if sdk.V3 else "sagemaker.workflow.retry")
    policy = retry.StepRetryPolicy(exception_types=[retry.StepExceptionTypeEnum.THROTTLING], max_attempts=3)
    (step,) = define(build(retry_policies=[policy]).create_step())["Steps"]
    assert step["RetryPolicies"] == [policy.to_request()]


def test_hyperparameters_in_a_file_are_uploaded_as_they_are(build: Build, s3: Any, tmp_path: Path) -> None:
    (tmp_path / "params.txt").write_bytes(b'{"depth":   6}')
    uri = build(hyperparameters=(tmp_path / "params.txt").as_uri())._prepare_hyperparameters_file()
    assert s3.get_object(Bucket="models", Key=uri.removeprefix("s3://models/"))["Body"].read() == b'{"depth":   6}'


def test_an_empty_object_is_an_object(build: Build, define: Define, s3: Any) -> None:
    for where in ({}, ELSEWHERE):
        assert define(build(**where, hyperparameters={}).create_step())
    uri = build(hyperparameters={})._prepare_hyperparameters_file()
    assert s3.get_object(Bucket="models", Key=uri.removeprefix("s3://models/"))["Body"].read() == b"{}\n"


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


@pytest.fixture
def train(session: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Makes the SDK's training step, with a specification of such a type."""
    # SDK v3 asks whether the role may train; moto cannot say.
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    session.boto_session.client("iam").create_role(RoleName="pipeline", AssumeRolePolicyDocument=document)
    allowed = "<Response><SimulatePrincipalPolicyResult/></Response>"
    responses = import_module("moto.iam.responses").IamResponse
    monkeypatch.setattr(responses, "simulate_principal_policy", lambda self: allowed, raising=False)

    def step_of_type(step_type: str) -> Any:
        machine = {"instance_type": "ml.m5.large", "instance_count": 1}
        if sdk.V3:
            compute = import_module("sagemaker.core.training.configs").Compute(**machine)
            trainer = import_module("sagemaker.train.model_trainer").ModelTrainer
            made = trainer(training_image="image", role=ROLE, compute=compute, sagemaker_session=session).train()
            step_class = import_module("sagemaker.mlops.workflow.steps").TrainingStep
        else:
            estimator = import_module("sagemaker.estimator").Estimator
            made = estimator("image", role=ROLE, sagemaker_session=session, **machine).fit()
            step_class = import_module("sagemaker.workflow.steps").TrainingStep
        step = step_class(name="Train", step_args=made)
        model = OutputSpec(
            logical_name="model_output",
            output_type=DependencyType.MODEL_ARTIFACTS,
            property_path="properties.ModelArtifacts.S3ModelArtifacts",
        )
        step._spec = StepSpecification(step_type=step_type, node_type=NodeType.SOURCE, outputs=[model])
        return step

    return step_of_type


@pytest.mark.parametrize("step_type", ["PyTorchTraining", "HouseTraining"])
@pytest.mark.parametrize("where", ["processing", "lambda"])
def test_what_a_training_step_gives_is_found(
    build: Build, define: Define, train: Callable[[str], Any], step_type: str, where: str
) -> None:
    source = train(step_type)
    builder = build(pretrained_model_path=None, where=where, function_arn=ARN)
    definition = define(source, builder.create_step(dependencies=[source]))
    artifacts = {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}
    arguments = definition["Steps"][-1]["Arguments"]
    if where == "lambda":
        assert arguments["model_uri"] == artifacts
    else:
        assert inputs_of(definition)["pretrained_model_path"] == artifacts


def test_a_step_that_ran_elsewhere_can_be_followed_by_another(build: Build, define: Define) -> None:
    first = build(step_name="First", where="lambda", function_arn=ARN)
    step = first.create_step()
    definition = define(step, build().create_step(dependencies=[step]))
    assert inputs_of(definition)["pretrained_model_path"] == first.model(step).expr


@pytest.mark.parametrize("name", ["model_input", "ModelOutputPath", "model_data"])
def test_an_output_goes_where_it_is_told_by_name_or_alias(build: Build, define: Define, name: str) -> None:
    definition = define(build().create_step(outputs={name: "s3://models/out"}))
    job = definition["Steps"][0]["Arguments"]
    assert named(job["ProcessingOutputConfig"]["Outputs"], "Output") == {"model_input": "s3://models/out"}


def test_caching_is_off_unless_config_or_call_say_otherwise(build: Build, define: Define) -> None:
    def cached(step: Any) -> Any:
        return define(step)["Steps"][0]["CacheConfig"]

    assert cached(build().create_step())["Enabled"] is False
    assert cached(build().create_step(enable_caching=True)) == {"Enabled": True, "ExpireAfter": "P30D"}
    assert cached(build(enable_caching=True).create_step())["Enabled"] is True


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


ELSEWHERE = {"where": "lambda", "function_arn": ARN}
KNOWN = {
    "Parameters.Object": "s3://models/in/churn.tar.gz",
    "Parameters.Folder": "s3://models/in",
    "Parameters.Slashed": "s3://models/in/",
    "Steps.Before.ProcessingOutputConfig.Outputs['model_data'].S3Output.S3Uri": "s3://models/in",
    "Execution.PipelineExecutionId": "execution",
}


def expression(kind: str, before: Any) -> Any:
    """A model's place in one of the ways that users write it; a step before this one may give it."""
    given = sdk.resolve(before, TRAINED.property_path)
    parameter = sdk.ParameterString
    return {
        "object": "s3://models/in/model.tar.gz",
        "tgz": "s3://models/in/churn.tgz",
        "capitals": "s3://models/in/CHURN.TAR.GZ",
        "spaces": "s3://models/in/my model.tar.gz",
        "folder": "s3://models/in",
        "slashed folder": "s3://models/in/",
        "version": "s3://models/v1.2",
        "parameter": parameter(name="Object"),
        "parameter of an object": parameter(name="Object", default_value="s3://models/other.tar.gz"),
        "parameter of a folder": parameter(name="Folder", default_value="s3://models/other"),
        "parameter of a slashed folder": parameter(name="Slashed", default_value="s3://models/other/"),
        "job's output": given,
        "object in a job's output": sdk.join(given, "model.tar.gz"),
        "object in a parameter": sdk.join(parameter(name="Folder"), "model.tar.gz"),
        "the execution's folder": sdk.join("s3://models", sdk.EXECUTION_ID),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "asked", "downloaded"),
    [
        ("object", "in/model.tar.gz", "in/model.tar.gz"),
        ("tgz", "in/churn.tgz", "in/churn.tgz"),
        ("capitals", "in/CHURN.TAR.GZ", "in/CHURN.TAR.GZ"),
        ("spaces", "in/my model.tar.gz", "in/my model.tar.gz"),
        ("folder", "in/model.tar.gz", "in/"),
        ("slashed folder", "in/model.tar.gz", "in/"),
        ("version", "v1.2/model.tar.gz", "v1.2/"),
        ("parameter", "in/churn.tar.gz", "in/churn.tar.gz"),
        ("parameter of an object", "in/churn.tar.gz", "in/churn.tar.gz"),
        ("parameter of a folder", "in/model.tar.gz", "in"),
        ("parameter of a slashed folder", "in/model.tar.gz", "in/"),
        ("job's output", "in/model.tar.gz", "in"),
        ("object in a job's output", "in/model.tar.gz", "in/model.tar.gz"),
        ("object in a parameter", "in/model.tar.gz", "in/model.tar.gz"),
        ("the execution's folder", "execution/model.tar.gz", "execution"),
    ],
)
def test_a_place_means_the_same_wherever_the_step_runs(
    build: Build, define: Define, resolved: Callable[..., Any], kind: str, asked: str, downloaded: str
) -> None:
    parameters = [sdk.ParameterString(name=name) for name in ("Object", "Folder", "Slashed")]
    before = giver(build, "Before", TRAINED)
    inputs = {"pretrained_model_path": expression(kind, before)}
    steps = [build(step_name="Job").create_step(inputs=inputs), build(**ELSEWHERE).create_step(inputs=inputs)]
    _, job, request = define(before, *steps, parameters=parameters)["Steps"]
    assert resolved(request["Arguments"], KNOWN)["model_uri"] == f"s3://models/{asked}"
    places = named(resolved(job["Arguments"], KNOWN)["ProcessingInputs"], "Input")
    assert places["pretrained_model_path"] == f"s3://models/{downloaded}"


def test_hyperparameters_in_a_folder_are_asked_for_by_name(build: Build, define: Define) -> None:
    (request,) = define(build(**ELSEWHERE, hyperparameters="s3://models/params").create_step())["Steps"]
    assert request["Arguments"]["hyperparameters_uri"] == "s3://models/params/hyperparameters.json"
    (job,) = define(build(hyperparameters="s3://models/params").create_step())["Steps"]
    assert named(job["Arguments"]["ProcessingInputs"], "Input")["hyperparameters_path"] == "s3://models/params/"


OUT = "s3://models/out/model.tar.gz"


@pytest.mark.parametrize(
    "kind", ["folder", "slashed folder", "object", "parameter", "object in a parameter", "object after a slash"]
)
def test_an_output_means_the_same_wherever_the_step_runs(
    build: Build, define: Define, resolved: Callable[..., Any], kind: str
) -> None:
    out = sdk.ParameterString(name="Out")
    given = {
        "folder": "s3://models/out",
        "slashed folder": "s3://models/out/",
        "object": OUT,
        "parameter": out,
        "object in a parameter": sdk.join(out, "model.tar.gz"),
        "object after a slash": sdk.join(out, "/model.tar.gz", on=""),
    }[kind]
    builders = [build(step_name="Job"), build(**ELSEWHERE)]
    steps = [builder.create_step(outputs={"model_input": given}) for builder in builders]
    job, request = define(*steps, parameters=[out])["Steps"]
    known = {"Parameters.Out": "s3://models/out"}
    folder = named(resolved(job["Arguments"], known)["ProcessingOutputConfig"]["Outputs"], "Output")["model_input"]
    known["Steps.Job.ProcessingOutputConfig.Outputs['model_input'].S3Output.S3Uri"] = folder
    known["Steps.DummyTraining.OutputParameters['output_uri']"] = resolved(request["Arguments"], known)["output_uri"]
    models = [builder.model(step).expr for builder, step in zip(builders, steps, strict=True)]
    assert resolved(models, known) == [OUT, OUT]


@pytest.mark.parametrize("given", ["s3://models/out/churn.tar.gz", "parameter", "slashed"])
def test_an_output_that_a_job_cannot_give_that_name_is_refused(build: Build, given: str) -> None:
    if given == "parameter":
        given = sdk.ParameterString(name="Out", default_value="s3://models/out/model.tar.gz")
    elif given == "slashed":
        given = sdk.ParameterString(name="Out", default_value="s3://models/out/")
    with pytest.raises(ValueError, match=r"puts model\.tar\.gz into a folder"):
        build().create_step(outputs={"model_input": given})


def register(session: Any, model: Any) -> Any:
    """A ModelStep that registers the model, whose code is in it."""
    settings: dict[str, Any] = {"image_uri": "image", "sagemaker_session": session}
    environment = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    if sdk.V3:
        module, steps = "sagemaker.serve.model_builder", "sagemaker.mlops.workflow.model_step"
        builder = import_module(module).ModelBuilder
        made = builder(s3_model_data_url=model, env_vars=environment, role_arn=ROLE, **settings)
    else:
        steps = "sagemaker.workflow.model_step"
        made = import_module("sagemaker.model").Model(model_data=model, env=environment, role=ROLE, **settings)
    types = {"content_types": ["application/json"], "response_types": ["application/json"]}
    registration = made.register(model_package_group_name="churn", **types)
    return import_module(steps).ModelStep(name="Register", step_args=registration)


@pytest.mark.parametrize(
    "settings", [{}, ELSEWHERE, {"where": "callback", "queue_url": QUEUE}], ids=["processing", "lambda", "callback"]
)
def test_a_model_can_be_registered_wherever_the_step_runs(
    build: Build, define: Define, resolved: Callable[..., Any], session: Any, settings: dict[str, Any]
) -> None:
    builder = build(**settings)
    step = builder.create_step()
    first, second = define(step, register(session, builder.model(step)))["Steps"]
    (container,) = second["Arguments"]["InferenceSpecification"]["Containers"]
    known = {
        "Steps.DummyTraining.ProcessingOutputConfig.Outputs['model_input'].S3Output.S3Uri": "s3://models/out",
        "Steps.DummyTraining.OutputParameters['output_uri']": OUT,
    }
    assert resolved(container["ModelDataUrl"], known) == OUT
    assert (first["Name"], second["Type"]) == ("DummyTraining", "RegisterModel")


def test_what_is_awaited_from_elsewhere_is_part_of_every_result() -> None:
    assert set(RESULT_OUTPUTS) <= set(Result._fields)


@pytest.mark.parametrize(
    ("settings", "arguments", "says"),
    [
        ({"pretrained_model_path": None}, {}, "there is no model: set pretrained_model_path"),
        ({"hyperparameters": None}, {}, "there are no hyperparameters: .* set hyperparameters_required=False"),
        ({}, {"inputs": {"model": MODEL}}, "model is no input of this step; these are pretrained_model_path and"),
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
    for required in (False, "unless_in_model"):
        step = build(hyperparameters=None, hyperparameters_required=required).create_step()
    assert set(inputs_of(define(step))) == {"pretrained_model_path", "code", "entrypoint"}


def test_a_builder_refuses_what_would_start_a_job_or_cannot(session: Any) -> None:
    config = DummyTrainingConfig(pipeline_s3_loc="s3://models/p")
    with pytest.raises(ValueError, match="must be a PipelineSession"):
        DummyTrainingStepBuilder(config, object(), ROLE)
    with pytest.raises(ValueError, match="needs a role"):
        DummyTrainingStepBuilder(config, session)
    with pytest.raises(ValueError, match="must be a DummyTrainingConfig, not dict"):
        DummyTrainingStepBuilder({}, session, ROLE)  # type: ignore[arg-type]


def test_what_assemblers_of_the_family_give_is_taken(session: Any) -> None:
    config = DummyTrainingConfig(pipeline_s3_loc="s3://models/p")
    given = {"notebook_root": Path(), "registry_manager": object(), "dependency_resolver": object()}
    assert DummyTrainingStepBuilder(config=config, sagemaker_session=session, role=ROLE, **given)
