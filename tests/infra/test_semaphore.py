"""A cap on Fargate tasks, in the synthesized machine as it is executed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Iterator
from unittest.mock import patch

import pytest

from infra.machine import A_PLACE, NO_PLACE
from infra.settings import SEMAPHORE
from lambda_fn.semaphore import NoPlace
from tests.infra.concrete import Concrete, states
from tests.infra.requests import hyperparameters_in, request_for, without_waiting
from tests.infra.roles import ROLES, allowed
from tests.stand_ins.stack import ACCOUNT, LAMBDA_KEY, REGION, Deployment, Json, deploy, synthesize


@pytest.fixture(scope="module")
def capped(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return synthesize(tmp_path_factory.mktemp("capped"), task_concurrency=1)


@pytest.fixture(scope="module")
def deployment(capped: Json) -> Iterator[Deployment]:
    with deploy(capped) as stack:
        small = replace(stack.handler.settings, lambda_limit_bytes=10)
        with patch.object(stack.handler, "settings", small):  # every model is a task's
            yield stack


def semaphore(deployment: Deployment) -> str:
    return f"s3://{deployment.outputs['OutputBucket']}/{SEMAPHORE}"


def test_every_way_to_a_task_leads_past_the_semaphore(template: Json, capped: Json) -> None:
    def before(template: Json) -> set[str]:
        machines = Concrete(template).machines().values()
        found = [(name, json.dumps(state)) for definition in machines for name, state in states(definition)]
        return {name for name, text in found if '"Next": "Repack on Fargate"' in text}

    assert before(capped) == {A_PLACE}
    assert before(template) == {"Where?", "Repack in Lambda"}
    assert A_PLACE not in json.dumps(template)
    assert [NoPlace.__name__] == NO_PLACE


def test_whoever_waits_for_a_place_waits_for_a_day(capped: Json) -> None:
    every = [item for definition in Concrete(capped).machines().values() for item in states(definition)]
    [retrier] = [
        of for name, state in every if name == A_PLACE for of in state["Retry"] if of["ErrorEquals"] == NO_PLACE
    ]
    assert retrier["JitterStrategy"] == "FULL"
    assert retrier["MaxAttempts"] * retrier["MaxDelaySeconds"] / 2 > 24 * 3600


def test_a_task_has_the_place_of_its_execution_which_is_free_when_that_has_ended(deployment: Deployment) -> None:
    for name in ("first", "second"):
        request = request_for(deployment, name)
        done = deployment.execute(request)
        assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
        assert done["states"].count(A_PLACE) == 1
        assert json.loads(deployment.get(semaphore(deployment))) == [done["executionArn"]]
        assert hyperparameters_in(deployment.get(request["output_uri"])) == {"name": name}


def test_without_a_place_an_execution_waits(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    without_waiting(deployment)
    bucket = deployment.outputs["OutputBucket"]
    deployment.client("s3").put_object(Bucket=bucket, Key=SEMAPHORE, Body=b'["another"]')
    answers = [True, False]
    monkeypatch.setattr(deployment.handler, "runs", lambda execution: answers.pop(0))
    done = deployment.execute(request_for(deployment, "waits"), "WithoutWaiting")
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert answers == []
    assert json.loads(deployment.get(semaphore(deployment))) == [done["executionArn"]]


def test_an_execution_that_never_was_does_not_run(deployment: Deployment) -> None:
    arn = deployment.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
    assert not deployment.handler.runs(f"{arn}:never")
    assert f":{REGION}:{ACCOUNT}:" in arn


def test_the_function_may_do_what_the_semaphore_needs_and_no_more(deployment: Deployment, capped: Json) -> None:
    object_arn = f"arn:aws:s3:::{deployment.outputs['OutputBucket']}/{SEMAPHORE}"
    for action in ("s3:GetObject", "s3:PutObject"):
        assert allowed(deployment, ROLES[LAMBDA_KEY], action, object_arn)
    [policy] = [
        of["PolicyDocument"]["Statement"]
        for of in Concrete(capped).resources("AWS::IAM::Policy").values()
        if "semaphores" in json.dumps(of)
    ]
    [asking] = [statement for statement in policy if statement["Action"] == "states:DescribeExecution"]
    assert ":execution:" in asking["Resource"]
    assert asking["Resource"].endswith(":*")
