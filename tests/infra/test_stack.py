"""What the template promises: costs nothing while idle, lets nobody in, keeps to the contract."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs.errors import raised
from infra import machine, settings
from infra.settings import PROFILES, Settings, StackSettings, WrongSetting
from lambda_fn import __version__, batches
from lambda_fn import settings as deployed_settings
from lambda_fn.core import errors
from tests.infra.concrete import Concrete, leaves
from tests.stand_ins.stack import PROJECT, Json, resources, synthesize

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
VPC, SUBNETS = "vpc-0123456789abcdef0", ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")


@pytest.mark.slow
def test_cfn_lint_finds_nothing(template: Json, tmp_path: Path) -> None:
    from cfnlint.api import ManualArgs, lint  # type: ignore[import-untyped]

    # W3005, W3045: the CDK's own redundant dependencies and access control.
    found = lint(json.dumps(template), config=ManualArgs(regions=["eu-west-1"], ignore_checks=["W3005", "W3045"]))
    assert [str(match) for match in found] == []


def test_every_named_error_has_its_place_in_the_machine() -> None:
    named = raised()
    by_category: dict[str, set[str]] = {errors.CALLER: set(), errors.PASSING: set(), errors.TOO_BIG: set()}
    for error in named:
        by_category[error.category].add(error.__name__)
    assert set(machine.PASSING) == by_category[errors.PASSING]
    assert set(machine.TOO_BIG) == by_category[errors.TOO_BIG]


def test_both_sides_look_for_manifests_in_the_same_place() -> None:
    assert settings.BATCHES == batches.MANIFESTS


def test_the_network_costs_nothing_while_idle(template: Json) -> None:
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    assert not kinds & {"AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::ECS::Service"}
    (endpoint,) = resources(template, "AWS::EC2::VPCEndpoint")
    assert endpoint["VpcEndpointType"] == "Gateway"


def test_nothing_comes_in(template: Json) -> None:
    (group,) = resources(template, "AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in group
    assert resources(template, "AWS::EC2::SecurityGroupIngress") == []
    for bucket in resources(template, "AWS::S3::Bucket"):
        assert all(bucket["PublicAccessBlockConfiguration"].values())


def test_definitions_keep_no_null(template: Json) -> None:
    # The CDK drops nulls from JSON: a ResultPath of null would silently become "replace everything".
    for properties in resources(template, "AWS::StepFunctions::StateMachine"):
        text = json.dumps(properties["DefinitionString"])
        assert "null" not in text


def test_given_buckets_key_and_network_are_used_and_none_is_made(tmp_path: Path) -> None:
    template = synthesize(
        tmp_path,
        input_bucket="models-in",
        output_bucket="models-out",
        kms_key_arn=KEY,
        vpc_id=VPC,
        subnet_ids=SUBNETS,
        hyperparameters_uri="s3://defaults/hyperparameters.json",
        also_read=("s3://pipelines/models/",),
        alarm_topic_arn="arn:aws:sns:eu-west-1:123456789012:topic",
    )
    for kind in ("AWS::S3::Bucket", "AWS::EC2::VPC", "AWS::KMS::Key"):
        assert resources(template, kind) == []
    text = json.dumps(template)
    for given in ("models-in", "models-out", SUBNETS[1], ":topic", "s3:::defaults/hyperparameters.json"):
        assert given in text


ONE_BUCKET = {"repacker:input_bucket": "one", "repacker:output_bucket": "one"}


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ({"repacker:lambda_memory_mib": "lots"}, "lambda_memory_mib must be a whole number, not 'lots'"),
        ({"repacker:lambda_memory_mib": 64}, "lambda_memory_mib must be between 512 and 10240, not 64"),
        ({"repacker:lamda_memory": 1}, "repacker:lamda_memory is no setting; there are "),
        ({"repacker:input_prefix": "/in/"}, "input_prefix must be empty or a key prefix"),
        ({"repacker:input_prefix": "in/*/"}, "input_prefix must be empty or a key prefix"),
        ({"repacker:task_cpu": 1024, "repacker:task_memory_mib": 512}, "task_memory_mib must be one of 2048, "),
        ({"repacker:vpc_id": "vpc-0123abcd"}, "vpc_id and subnet_ids must be given together"),
        ({"repacker:assign_public_ip": "true"}, "assign_public_ip is for a given vpc_id"),
        ({"repacker:lambda_memory_mib": True}, "lambda_memory_mib must be a whole number, not True"),
        ({"repacker:bucket_owner": "me"}, "bucket_owner must be the twelve digits of an account, not 'me'"),
        ({"repacker:bucket_owner": "123456789012"}, "bucket_owner is for given buckets"),
        ({"repacker:storage_class": "GLACIER"}, "storage_class must be one of STANDARD, "),
        ({"repacker:acl": "public-read"}, "acl must be one of private, "),
        ({"repacker:task_s3_endpoint_url": "localhost"}, "task_s3_endpoint_url must be written like https://"),
        ({"repacker:task_concurrency": 101}, "task_concurrency must be between 0 and 100, not 101"),
        ({"repacker:keep_models": "perhaps"}, "keep_models must be true or false, not 'perhaps'"),
        ({"repacker:also_read": [1]}, "also_read must be a list of texts"),
        ({"repacker:also_read": "s3://bucket/" + "p" * 1300}, "also_read must be with also_write and"),
        ({"repacker:name": "two words"}, "name must be letters, digits and -"),
        ({"repacker:name": "aws-repacker"}, "name must be one that does not begin with aws"),
        ({"repacker:profile": "reckless"}, "profile must be one of thrifty, fast, not 'reckless'"),
        (
            {"repacker:input_prefix": "known-sources/"},
            "input_prefix must be outside batches/, known-sources/, semaphores/",
        ),
        ({"repacker:hyperparameters_uri": "s3://bucket/"}, "hyperparameters_uri must be s3://bucket/key"),
        (
            {"repacker:input_bucket": "one", "repacker:output_bucket": "one"},
            "output_prefix must be neither within 'models/' nor around it when both lie in one bucket",
        ),
        (
            {**ONE_BUCKET, "repacker:input_prefix": "models/in/", "repacker:output_prefix": "models/"},
            "output_prefix must be neither within 'models/in/' nor around it",
        ),
        (
            {**ONE_BUCKET, "repacker:input_prefix": "in/", "repacker:output_prefix": ""},
            "output_prefix must be neither within 'in/' nor around it",
        ),
    ],
)
def test_a_wrong_setting_is_one_sentence(context: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WrongSetting) as wrong:
        StackSettings.from_context(context)
    assert str(wrong.value).startswith(sentence)


def test_settings_come_as_json_or_as_text() -> None:
    text = {
        "repacker:subnet_ids": f"{SUBNETS[0]}, {SUBNETS[1]}",
        "repacker:vpc_id": "vpc-0123abcd",
        "repacker:keep_models": "true",
    }
    parsed = {**text, "repacker:subnet_ids": list(SUBNETS), "repacker:keep_models": True, "other": 1}
    assert StackSettings.from_context(text) == StackSettings.from_context(parsed)


@pytest.mark.parametrize("given", [{"lambda_memory_mib": "3008"}, {"keep_models": "no"}, {"also_read": "s3://b/p/"}])
def test_a_setting_of_another_type_is_one_sentence_where_no_text_is_expected(given: dict[str, Any]) -> None:
    with pytest.raises(WrongSetting, match=rf"^{next(iter(given))} must be "):
        Settings(**given)


def test_a_profile_gives_defaults_and_what_is_given_besides_counts_first() -> None:
    fast = StackSettings.from_context({"repacker:profile": "fast"})
    assert fast.lambda_memory_mib == PROFILES["fast"]["lambda_memory_mib"]
    assert StackSettings.from_context({"repacker:profile": "fast", "repacker:task_cpu": 2048}).task_cpu == 2048


# What is kept, what is told apart, who may take a role


def test_buckets_stay_with_their_models_unless_told_otherwise(template: Json, tmp_path: Path) -> None:
    buckets = [item for item in template["Resources"].values() if item["Type"] == "AWS::S3::Bucket"]
    assert len(buckets) == 3
    for bucket in buckets:
        assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert "Custom::S3AutoDeleteObjects" not in {item["Type"] for item in template["Resources"].values()}
    assert "kept with its content" in template["Outputs"]["InputBucket"]["Description"]
    gone = synthesize(tmp_path, keep_models=False)
    assert all(
        item["DeletionPolicy"] == "Delete" for item in gone["Resources"].values() if item["Type"] == "AWS::S3::Bucket"
    )
    assert "destroyed with its content" in gone["Outputs"]["InputBucket"]["Description"]


def test_nothing_is_kept_for_ever_but_models(template: Json) -> None:
    rules = {
        name: bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        for name, bucket in template["Resources"].items()
        if bucket["Type"] == "AWS::S3::Bucket"
    }
    expiring = [rule for of in rules.values() for rule in of if "ExpirationInDays" in rule]
    assert {rule.get("Prefix", "the whole bucket") for rule in expiring} == {"the whole bucket", settings.KNOWN_SOURCES}
    (whole,) = (
        name for name, of in rules.items() for rule in of if "ExpirationInDays" in rule and "Prefix" not in rule
    )
    assert "Logs" in whole
    models = [of for name, of in rules.items() if name != whole]
    assert all(of[0]["NoncurrentVersionExpiration"] for of in models)
    assert all(of[0]["AbortIncompleteMultipartUpload"] for of in models)


@pytest.mark.parametrize(
    ("given", "protected"),
    [
        ({}, True),
        ({"keep_models": False}, False),
        ({"input_bucket": "models-in", "output_bucket": "models-out"}, False),
    ],
)
def test_a_stack_that_holds_models_is_protected(tmp_path: Path, given: dict[str, Any], protected: bool) -> None:
    synthesize(tmp_path, **given)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["artifacts"]["model-repacker"]["properties"].get("terminationProtection", False) is protected


def test_an_instance_of_another_name_shares_nothing(template: Json, tmp_path: Path) -> None:
    other = synthesize(tmp_path, name="second")
    text = json.dumps(other)
    assert "POWERTOOLS_METRICS_NAMESPACE" in text
    leftover = {path for path, value in leaves(other) if value == "model-repacker"}
    assert {path.rpartition("/")[2] for path in leftover} <= {"POWERTOOLS_SERVICE_NAME", "Value"}
    (function,) = resources(other, "AWS::Lambda::Function")
    assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == "second"
    machines = [json.dumps(of["DefinitionString"]) for of in resources(other, "AWS::StepFunctions::StateMachine")]
    assert any(r"\"Source\": \"second\"" in text.replace(r'":\"', r'": \"') or "second" in text for text in machines)
    (dashboard,) = resources(other, "AWS::CloudWatch::Dashboard")
    assert "second" in json.dumps(dashboard)


def test_a_role_is_taken_only_for_this_account(template: Json) -> None:
    for role in resources(template, "AWS::IAM::Role"):
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_a_machine_may_ask_for_all_that_tracing_needs(template: Json) -> None:
    needed = {"PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets"}
    text = [json.dumps(role) for role in resources(template, "AWS::IAM::Role")]
    machines = [role for role in text if "states.amazonaws.com" in role]
    assert len(machines) == 2
    assert all(f"xray:{action}" in role for role in machines for action in needed)


def test_a_given_key_covers_all_that_holds_models_hyperparameters_or_tokens(tmp_path: Path) -> None:
    template = synthesize(tmp_path, kms_key_arn=KEY)
    assert [queue["KmsMasterKeyId"] for queue in resources(template, "AWS::SQS::Queue")] == [KEY] * 3
    assert [group["KmsKeyId"] for group in resources(template, "AWS::Logs::LogGroup")] == [KEY] * 4
    rules = [bucket["BucketEncryption"] for bucket in resources(template, "AWS::S3::Bucket")]
    assert sum(KEY in json.dumps(rule) for rule in rules) == 2, "S3 writes access logs with no key of ours"
    receiving = [
        role for role in map(json.dumps, resources(template, "AWS::IAM::Role")) if "sqs:ReceiveMessage" in role
    ]
    assert len(receiving) == 1
    assert "kms:Decrypt" in receiving[0]
    policy = re.search(
        r"```json\n(\[\s*\{\s*\"Sid\": \"Logs.*?)```", (PROJECT / "docs/deploy.md").read_text(), re.DOTALL
    )
    assert policy is not None
    services = {statement["Principal"]["Service"] for statement in json.loads(policy[1])}
    assert services == {"logs.REGION.amazonaws.com", "events.amazonaws.com"}


def test_what_a_request_of_s3_may_need_reaches_the_function_and_the_task(template: Json, tmp_path: Path) -> None:
    def environments(template: Json) -> list[dict[str, Any]]:
        (function,) = resources(template, "AWS::Lambda::Function")
        (task,) = resources(template, "AWS::ECS::TaskDefinition")
        of_task = task["ContainerDefinitions"][0]["Environment"]
        return [function["Environment"]["Variables"], {item["Name"]: item["Value"] for item in of_task}]

    assert all(of["REPACK_EXPECTED_BUCKET_OWNER"] == {"Ref": "AWS::AccountId"} for of in environments(template))
    assert [of["REPACK_CORES"] for of in environments(template)] == ["1", "1"]
    assert "s3:PutObjectAcl" not in json.dumps(template)
    endpoint = "https://bucket.vpce-0a1b.s3.eu-west-1.vpce.amazonaws.com"
    other = synthesize(
        tmp_path,
        input_bucket="theirs-in",
        output_bucket="theirs-out",
        bucket_owner="210987654321",
        request_payer=True,
        storage_class="INTELLIGENT_TIERING",
        acl="bucket-owner-full-control",
        task_s3_endpoint_url=endpoint,
    )
    function, task = environments(other)
    assert task.pop("AWS_ENDPOINT_URL_S3") == endpoint
    for environment in (function, task):
        told = deployed_settings.Settings.from_environment(
            {name: value for name, value in environment.items() if isinstance(value, str)}
        )
        assert (told.expected_bucket_owner, told.request_payer) == ("210987654321", True)
        assert (told.storage_class, told.acl) == ("INTELLIGENT_TIERING", "bucket-owner-full-control")
        assert "AWS_ENDPOINT_URL_S3" not in environment
    writing = [role for role in map(json.dumps, resources(other, "AWS::IAM::Role")) if "s3:PutObjectTagging" in role]
    assert len(writing) == 2
    assert all(role.count("s3:PutObjectAcl") == 2 for role in writing)


def test_what_goes_through_the_machines_is_logged_only_where_that_is_wanted(template: Json, tmp_path: Path) -> None:
    def logged(template: Json) -> list[bool]:
        machines = resources(template, "AWS::StepFunctions::StateMachine")
        return [of["LoggingConfiguration"].get("IncludeExecutionData", False) for of in machines]

    assert logged(template) == [False, False]
    assert logged(synthesize(tmp_path, log_execution_data=True)) == [True, True]


@pytest.mark.parametrize("public", [True, False])
def test_tasks_have_addresses_where_they_need_one(template: Json, tmp_path: Path, public: bool) -> None:
    given = {"vpc_id": VPC, "subnet_ids": SUBNETS[:1]}
    other = synthesize(tmp_path, **given, assign_public_ip=public)
    for synthesized, expected in ((template, True), (other, public)):
        texts = [
            of["DefinitionString"]
            for of in Concrete(synthesized).resources("AWS::StepFunctions::StateMachine").values()
        ]
        assert any(f'"AssignPublicIp":"{"ENABLED" if expected else "DISABLED"}"' in text for text in texts)


def test_the_images_base_is_pinned_by_digest() -> None:
    bases = re.findall(r"^FROM (\S+)", (PROJECT / "lambda_fn" / "Dockerfile").read_text(), re.MULTILINE)
    own = {"python", "build", "processing"}
    assert [base for base in bases if base not in own and not re.search(r"@sha256:[0-9a-f]{64}$", base)] == []


def test_the_image_and_the_stack_say_which_version_they_are(template: Json) -> None:
    labels = re.findall(
        r'org\.opencontainers\.image\.version="(.+?)"', (PROJECT / "lambda_fn" / "Dockerfile").read_text()
    )
    assert labels == [__version__]
    assert template["Outputs"]["Version"]["Value"] == __version__


def test_every_alarm_has_its_entry_in_the_runbook_and_its_output(template: Json) -> None:
    alarms = [name for name in template["Outputs"] if name.endswith("Alarm")]
    assert len(alarms) == len(resources(template, "AWS::CloudWatch::Alarm"))
    runbook = (PROJECT / "docs" / "operate.md").read_text()
    for name in alarms:
        assert f"### {name.removesuffix('Alarm')}\n" in runbook
