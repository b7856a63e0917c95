"""What a region or partition lacks: found in CloudFormation's own registry, said before anything is deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Environment

from infra import function
from infra.regions import WITHOUT_PIPES
from infra.settings import StackSettings, WrongSetting
from infra.stack import ModelRepackerStack
from tests.infra.concrete import ACCOUNT, Concrete
from tests.stand_ins.stack import PROJECT, Json, resources, synthesize


@pytest.fixture(scope="module")
def without_pipes(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return synthesize(tmp_path_factory.mktemp("without-pipes"), callback_steps=False)


def lacking(template: Json) -> dict[str, set[str]]:
    """Region → the template's types of resources that CloudFormation does not know there, by its registry's schemas."""
    from cfnlint.helpers import REGIONS  # type: ignore[import-untyped]
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

    kinds = {item["Type"] for item in template["Resources"].values()}
    missing = {region: kinds - set(PROVIDER_SCHEMA_MANAGER.get_resource_types(region)) for region in REGIONS}
    return {region: kinds for region, kinds in missing.items() if kinds}


@pytest.mark.slow
def test_pipes_are_all_that_is_missing_in_any_region_and_the_list_of_those_is_true(
    template: Json, without_pipes: Json
) -> None:
    assert lacking(template) == {region: {"AWS::Pipes::Pipe"} for region in WITHOUT_PIPES}
    assert lacking(without_pipes) == {}


def test_without_callback_steps_there_is_neither_queue_nor_pipe_nor_alarm_for_them(
    template: Json, without_pipes: Json
) -> None:
    assert resources(without_pipes, "AWS::Pipes::Pipe") == []
    assert len(resources(without_pipes, "AWS::SQS::Queue")) == 1
    gone = template["Outputs"].keys() - without_pipes["Outputs"].keys()
    assert gone == {
        *("CallbackQueueUrl", "CallbackQueueArn", "CallbackLettersArn"),
        *("CallbackLettersAlarm", "CallbacksWaitAlarm"),
    }
    assert "Callback" not in json.dumps(resources(without_pipes, "AWS::CloudWatch::Dashboard"))


def make(monkeypatch: pytest.MonkeyPatch, region: str | None, **settings: Any) -> None:
    """A stack in that region; None: wherever the command line will deploy it."""
    monkeypatch.setattr(function, "build_asset", lambda architecture: PROJECT / "lambda_fn")
    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    environment = Environment(account=ACCOUNT, region=region) if region else None
    ModelRepackerStack(App(context=context), "S", settings=StackSettings(**settings), env=environment)


@pytest.mark.parametrize("region", ["us-gov-west-1", "ca-west-1"])
def test_where_there_are_no_pipes_one_sentence_says_so_and_what_to_give(
    monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    with pytest.raises(WrongSetting, match=f"^callback_steps must be false in {region}"):
        make(monkeypatch, region)
    make(monkeypatch, region, callback_steps=False)
    make(monkeypatch, "cn-north-1")


def test_the_command_lines_region_is_that_of_a_stack_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CDK_DEFAULT_REGION", raising=False)
    make(monkeypatch, None)
    monkeypatch.setenv("CDK_DEFAULT_REGION", "il-central-1")
    with pytest.raises(WrongSetting, match="il-central-1"):
        make(monkeypatch, None)


@pytest.mark.parametrize(("partition", "traced"), [("aws", True), ("aws-us-gov", True), ("aws-cn", False)])
def test_a_function_is_traced_where_that_is_possible(template: Json, partition: str, traced: bool) -> None:
    (deployed,) = Concrete(template, partition).resources("AWS::Lambda::Function").values()
    assert deployed.get("TracingConfig") == ({"Mode": "Active"} if traced else None)


def test_the_page_names_the_regions() -> None:
    page = Path(PROJECT, "docs", "deploy.md").read_text()
    assert [region for region in WITHOUT_PIPES if f"`{region}`" not in page] == []
