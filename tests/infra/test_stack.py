"""What the template promises: costs nothing while idle, lets nobody in, keeps to the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra import machine
from infra.settings import Settings, WrongSetting
from lambda_fn.core import errors
from tests.stand_ins.stack import Json, resources, synthesize


@pytest.mark.slow
def test_cfn_lint_finds_nothing(template: Json, tmp_path: Path) -> None:
    from cfnlint.api import ManualArgs, lint  # type: ignore[import-untyped]

    # W3005, W3045: the CDK's own redundant dependencies and access control.
    found = lint(json.dumps(template), config=ManualArgs(regions=["eu-west-1"], ignore_checks=["W3005", "W3045"]))
    assert [str(match) for match in found] == []


def test_every_named_error_has_its_place_in_the_machine() -> None:
    named = errors.RepackError.__subclasses__()
    by_category: dict[str, set[str]] = {errors.CALLER: set(), errors.PASSING: set(), errors.TOO_BIG: set()}
    for error in named:
        by_category[error.category].add(error.__name__)
    assert set(machine.PASSING) == by_category[errors.PASSING]
    assert set(machine.TOO_BIG) == by_category[errors.TOO_BIG]


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
        kms_key_arn="arn:aws:kms:eu-west-1:123456789012:key/1",
        vpc_id="vpc-1",
        subnet_ids=("subnet-1", "subnet-2"),
        assign_public_ip=False,
        hyperparameters_uri="s3://defaults/hyperparameters.json",
        also_read=("s3://pipelines/models/",),
        alarm_topic_arn="arn:aws:sns:eu-west-1:123456789012:topic",
    )
    for kind in ("AWS::S3::Bucket", "AWS::EC2::VPC", "AWS::KMS::Key"):
        assert resources(template, kind) == []
    text = json.dumps(template)
    for given in ("models-in", "models-out", "subnet-2", ":topic", "s3:::defaults/hyperparameters.json"):
        assert given in text


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ({"repacker:lambda_memory_mib": "lots"}, "lambda_memory_mib must be a whole number, not 'lots'"),
        ({"repacker:lambda_memory_mib": 64}, "lambda_memory_mib must be between 512 and 10240, not 64"),
        ({"repacker:lamda_memory": 1}, "repacker:lamda_memory is no setting; there are "),
        ({"repacker:input_prefix": "/in/"}, "input_prefix must be empty or a key prefix"),
        ({"repacker:input_prefix": "in/*/"}, "input_prefix must be empty or a key prefix"),
        ({"repacker:task_cpu": 1024, "repacker:task_memory_mib": 512}, "task_memory_mib must be one of 2048, "),
        ({"repacker:vpc_id": "vpc-1"}, "vpc_id and subnet_ids must be given together"),
        ({"repacker:assign_public_ip": "false"}, "assign_public_ip can be false only with vpc_id"),
        ({"repacker:hyperparameters_uri": "s3://bucket/"}, "hyperparameters_uri must be s3://bucket/key"),
        (
            {"repacker:input_bucket": "one", "repacker:output_bucket": "one"},
            "output_prefix must be outside 'models/' when both lie in one bucket",
        ),
    ],
)
def test_a_wrong_setting_is_one_sentence(context: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WrongSetting) as wrong:
        Settings.from_context(context)
    assert str(wrong.value).startswith(sentence)


def test_settings_come_as_json_or_as_text() -> None:
    text = {"repacker:subnet_ids": "subnet-1, subnet-2", "repacker:vpc_id": "vpc-1", "repacker:keep_models": "true"}
    parsed = {**text, "repacker:subnet_ids": ["subnet-1", "subnet-2"], "repacker:keep_models": True, "other": 1}
    assert Settings.from_context(text) == Settings.from_context(parsed)
