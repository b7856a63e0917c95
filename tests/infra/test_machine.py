"""The synthesized machine, executed: moto's Step Functions, our handler and our task behind it."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from typing import Any

import pytest
from moto.core.exceptions import JsonRESTError
from moto.events.models import EventsBackend
from moto.sagemaker.responses import SageMakerResponse
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_ecs import (
    StateTaskServiceEcs,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import HeartbeatEndpoint

from docs.cost import TRANSITIONS
from infra.machine import FARGATE_FULL, HEARTBEAT_SECONDS, LAMBDA_BUSY, LAMBDA_DIED, LAMBDA_SECONDS
from lambda_fn.deployed import PARENT
from lambda_fn.handler import THROUGH_THE_MACHINE
from lambda_fn.task import DONE, STOPPED
from tests.infra.concrete import Concrete, states
from tests.infra.requests import archive, hyperparameters_in, request_for, without_waiting
from tests.stand_ins.stack import Deployment, Json, received


def test_a_request_is_repacked_in_lambda_and_its_result_is_the_output(deployment: Deployment) -> None:
    request = request_for(deployment, "request")
    done = deployment.execute(request)
    assert done["status"] == "SUCCEEDED", done
    assert done["states"][-4:] == ["Repack in Lambda", "Tell: repacked", "Does a pipeline wait?", "Repacked"]
    assert done["output"]["output_uri"] == request["output_uri"]
    assert hyperparameters_in(deployment.get(request["output_uri"])) == {"name": "request"}


def test_the_same_request_again_is_unchanged_and_still_gives_a_result(deployment: Deployment) -> None:
    request = request_for(deployment, "again")
    first = deployment.execute(request)
    second = deployment.execute(request)
    assert first["output"]["method"] == "graft"
    assert second["output"]["method"] == "unchanged"
    assert second["output"]["output_uri"] == request["output_uri"]


def test_an_upload_waits_for_its_hyperparameters_which_then_trigger_the_repack(deployment: Deployment) -> None:
    deployment.put("models/upload/model.tar.gz", archive(weights=b"w" * 5000))
    waits = deployment.execute(delivered(deployment))
    assert waits["status"] == "SUCCEEDED"
    assert waits["states"][-1] == "Nothing to do"
    assert "waiting" in waits["output"]["why"]
    deployment.put("models/upload/hyperparameters.json", b'{"rounds": 3}')
    done = deployment.execute(delivered(deployment))
    assert done["states"][-1] == "Repacked"
    assert len(done["states"]) == TRANSITIONS
    assert hyperparameters_in(deployment.get(deployment.output_uri("upload/model.tar.gz"))) == {"rounds": 3}
    deployment.put("models/upload/hyperparameters.json", b'{"rounds": 3}')
    assert deployment.execute(delivered(deployment))["states"][-1] == "Nothing to do"


def test_hyperparameters_beside_several_models_start_a_repack_of_each(deployment: Deployment) -> None:
    received(deployment, "Told")
    for name in ("a", "b"):
        deployment.put(f"models/several/{name}.tar.gz", archive(weights=name.encode() * 5000))
    deployment.put("models/several/hyperparameters.json", b'{"rounds": 4}')
    done = deployment.execute(delivered(deployment))
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    client = deployment.client("stepfunctions")
    for started in done["output"]:
        while (one := client.describe_execution(executionArn=started["execution"]))["status"] == "RUNNING":
            time.sleep(0.05)
        assert one["status"] == "SUCCEEDED"
    uris = {deployment.output_uri(f"several/{name}.tar.gz") for name in ("a", "b")}
    assert {told["detail"]["output_uri"] for told in received(deployment, "Told")} == uris
    assert [hyperparameters_in(deployment.get(uri)) for uri in uris] == [{"rounds": 4}] * 2


@pytest.mark.parametrize("key", ["models/notes.txt", "other/model.tar.gz"])
def test_other_uploads_start_nothing(deployment: Deployment, key: str) -> None:
    received(deployment, "Spy")
    deployment.put(key, b"")
    assert delivered(deployment) is None


def delivered(deployment: Deployment) -> Any:
    """The newest event that the deployed rule lets through; moto delivers it to a queue, not to a state machine."""
    events = received(deployment, "Spy")
    return events[-1] if events else None


@pytest.fixture
def big_for_lambda(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is."""
    limited = replace(deployment.handler.settings, lambda_limit_bytes=10)
    monkeypatch.setattr(deployment.handler, "settings", limited)


def test_too_big_for_lambda_goes_to_fargate_at_once(deployment: Deployment, big_for_lambda: None) -> None:
    request = request_for(deployment, "big")
    done = deployment.execute(request)
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert done["states"][1:4] == ["A request", "Plan", "Where?"]
    assert "Repack in Lambda" not in done["states"]
    assert done["output"]["output_uri"] == request["output_uri"]
    assert hyperparameters_in(deployment.get(request["output_uri"])) == {"name": "big"}
    assert deployment.tasks[-1].wait(10) == 0


def test_another_output_of_a_scanned_model_needs_no_scan_and_no_fargate(
    deployment: Deployment, big_for_lambda: None
) -> None:
    request = request_for(deployment, "known")
    assert deployment.execute(request)["status"] == "SUCCEEDED"
    another = {**request, "output_uri": deployment.output_uri("known/another.tar.gz"), "hyperparameters": {"n": 2}}
    done = deployment.execute(another)
    assert "Repack in Lambda" in done["states"]
    assert hyperparameters_in(deployment.get(another["output_uri"])) == {"n": 2}


def test_out_of_time_in_lambda_hands_over_to_fargate(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "seconds_left", 5)
    request = request_for(deployment, "slow")
    done = deployment.execute(request)
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert "Repack on Fargate" in done["states"]
    assert hyperparameters_in(deployment.get(request["output_uri"])) == {"name": "slow"}


@pytest.mark.parametrize("name", [name for name in LAMBDA_DIED if not name.startswith("States.")])
def test_a_function_that_died_hands_over_to_fargate(deployment: Deployment, name: str) -> None:
    request = request_for(deployment, f"died/{name}")
    deployment.answers += [None, fails_with(name)]
    done = deployment.execute(request)
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert done["states"].count("Repack in Lambda") == 1
    assert "Repack on Fargate" in done["states"]
    assert done["output"]["output_uri"] == request["output_uri"]


def test_a_function_whose_answer_is_lost_hands_over_to_fargate(deployment: Deployment) -> None:
    impatient = with_patience(deployment, 2)
    deployment.answers += [None, late]
    done = deployment.execute(request_for(deployment, "lost"), impatient)
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert done["states"].count("Repack in Lambda") == 1
    assert "Repack on Fargate" in done["states"]


def late(event: Any) -> dict[str, Any]:
    time.sleep(4)
    return {}


def with_patience(deployment: Deployment, seconds: int) -> str:
    """The output's name of a machine like the deployed one that waits for Lambda for seconds instead of minutes."""
    client = deployment.client("stepfunctions")
    deployed = client.describe_state_machine(stateMachineArn=deployment.outputs["StateMachineArn"])
    limit = f'"TimeoutSeconds":{LAMBDA_SECONDS}'
    assert limit in deployed["definition"]
    definition = deployed["definition"].replace(limit, f'"TimeoutSeconds":{seconds}')
    made = client.create_state_machine(name="Impatient", definition=definition, roleArn=deployed["roleArn"])
    deployment.outputs["Impatient"] = made["stateMachineArn"]
    return "Impatient"


def test_a_task_that_was_told_to_stop_is_started_again(deployment: Deployment, big_for_lambda: None) -> None:
    before = len(deployment.tasks)
    deployment.signals.append(signal.SIGTERM)
    done = deployment.execute(request_for(deployment, "stopped"))
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert [task.wait(10) for task in deployment.tasks[before:]] == [STOPPED, DONE]


def test_a_task_whose_heart_stopped_is_started_again(
    deployment: Deployment, big_for_lambda: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto's clock is stopped: that no heart beats any more is known as soon as the task is dead."""
    before = len(deployment.tasks)
    watched: list[HeartbeatEndpoint] = []

    def beats(heart: HeartbeatEndpoint) -> bool:
        assert heart._heartbeat_seconds == HEARTBEAT_SECONDS
        if heart not in watched:
            watched.append(heart)
        number = before + watched.index(heart)
        while not heart._next_heartbeat_event.wait(0.05):
            if len(deployment.tasks) > number and deployment.tasks[number].poll() == -signal.SIGKILL:
                return False
        heart._next_heartbeat_event.clear()
        return True

    monkeypatch.setattr(HeartbeatEndpoint, "clear_and_wait", beats)
    deployment.signals.append(signal.SIGKILL)
    done = deployment.execute(request_for(deployment, "killed"))
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert [task.wait(10) for task in deployment.tasks[before:]] == [-signal.SIGKILL, DONE]


def test_a_passing_error_is_retried(deployment: Deployment) -> None:
    request = request_for(deployment, "passing")
    before = len(deployment.invocations)
    deployment.answers += [None, fails_with("StoreUnavailable")]
    done = deployment.execute(request)
    assert done["status"] == "SUCCEEDED", done
    assert [invocation.get("action") for invocation in deployment.invocations[before:]] == ["plan", None, None]


def fails_with(name: str) -> Any:
    def fail(event: Any) -> Any:
        raise type(name, (Exception,), {})("S3 asks to slow down")

    return fail


def test_a_callers_mistake_fails_without_retry_and_says_its_sentence(deployment: Deployment) -> None:
    request = request_for(deployment, "mistake")
    deployment.put("models/mistake/model.tar.gz", archive(weights=b"w" * 5000)[:-40])
    before = len(deployment.invocations)
    done = deployment.execute(request)
    assert done["status"] == "FAILED"
    assert done["error"] == "InvalidArchive"
    assert "errorMessage" not in done["cause"]
    assert "Tell: failed" in done["states"]
    assert len(deployment.invocations) - before == 2
    told = received(deployment, "Told")[-1]
    assert told["detail-type"] == "Model Repack Failed"
    assert told["detail"]["error"] == "InvalidArchive"
    assert told["detail"]["asked"]["request"]["model_uri"] == request["model_uri"]


def test_a_success_is_told_with_its_result(deployment: Deployment) -> None:
    received(deployment, "Told")
    request = request_for(deployment, "told")
    deployment.execute(request)
    (told,) = received(deployment, "Told")
    assert (told["source"], told["detail-type"]) == ("model-repacker", "Model Repacked")
    assert told["detail"]["output_uri"] == request["output_uri"]


@pytest.mark.parametrize("good", [True, False])
def test_a_pipelines_callback_is_answered(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, good: bool) -> None:
    request = request_for(deployment, f"callback-{good}")
    if not good:
        deployment.put(f"models/callback-{good}/model.tar.gz", b"no archive")
    request["hyperparameters_uri"] = deployment.put(f"models/callback-{good}/h.json", b"{}")
    del request["hyperparameters"]
    message = {"token": "abcdefghij", "pipelineExecutionArn": "arn", "arguments": request, "status": "Executing"}
    before = len(deployment.calls)
    done = deployment.execute([{"messageId": "1", "body": json.dumps(message), "eventSource": "aws:sqs"}])
    asked = {action for _, action, _ in deployment.calls[before:]}
    if good:
        assert done["output"]["output_uri"] == request["output_uri"]
        assert "sagemaker:SendPipelineExecutionStepSuccess" in asked
    else:
        assert done["error"] == "InvalidArchive"
        assert "sagemaker:SendPipelineExecutionStepFailure" in asked


def callback(**message: Any) -> list[dict[str, Any]]:
    """A message of a callback step as the pipe hands it over."""
    return [{"messageId": "1", "body": json.dumps(message), "eventSource": "aws:sqs"}]


def answered(deployment: Deployment, given: Any) -> tuple[dict[str, Any], set[str]]:
    """How an execution ended, and what it asked of SageMaker."""
    before = len(deployment.calls)
    done = deployment.execute(given)
    asked = {action for _, action, _ in deployment.calls[before:]}
    return done, {
        action.removeprefix("sagemaker:SendPipelineExecutionStep") for action in asked if "Pipeline" in action
    }


def test_a_callback_that_asks_for_nothing_fails_its_step_at_once(deployment: Deployment) -> None:
    done, told = answered(deployment, callback(token="abcdefghij", status="Executing"))
    assert (done["error"], told) == ("InvalidRequest", {"Failure"})


@pytest.mark.parametrize("body", ["no JSON", "[]", "7"])
def test_a_message_that_is_no_callback_fails_and_is_told(deployment: Deployment, body: str) -> None:
    received(deployment, "Told")
    done, told = answered(deployment, [{"messageId": "1", "body": body, "eventSource": "aws:sqs"}])
    assert (done["status"], done["error"], told) == ("FAILED", "InvalidRequest", set())
    assert [event["detail"]["error"] for event in received(deployment, "Told")] == ["InvalidRequest"]


def test_a_pipeline_that_is_being_stopped_is_let_go_and_nothing_is_repacked(deployment: Deployment) -> None:
    request = request_for(deployment, "stopping")
    done, told = answered(deployment, callback(token="abcdefghij", arguments=request, status="Stopping"))
    assert (done["status"], told) == ("SUCCEEDED", {"Failure"})
    assert not any(state.startswith("Repack in") for state in done["states"])


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        ("Pipeline step callback token has expired or was already used", "SUCCEEDED"),
        ("User: role is not authorized to perform: sagemaker:SendPipelineExecutionStepSuccess", "FAILED"),
    ],
)
def test_an_answer_that_nobody_takes_fails_no_repack_but_a_missing_right_does(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, cause: str, status: str
) -> None:
    without_waiting(deployment)

    def refuse(self: Any) -> Any:
        raise JsonRESTError("ValidationException", cause)

    monkeypatch.setattr(SageMakerResponse, "send_pipeline_execution_step_success", refuse)
    request = request_for(deployment, f"refused-{status}")
    done = deployment.execute(callback(token="abcdefghij", arguments=request), "WithoutWaiting")
    assert done["status"] == status, done
    if status == "SUCCEEDED":
        assert cause in done["output"]["unanswered"]["Cause"]
        assert done["output"]["output_uri"] == request["output_uri"]
    else:
        assert done["error"] == "PipelineUnanswered"
    assert hyperparameters_in(deployment.get(request["output_uri"])) == {"name": f"refused-{status}"}


@pytest.mark.parametrize("good", [True, False])
def test_an_event_that_cannot_be_sent_keeps_no_pipeline_waiting(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    without_waiting(deployment)

    def refuse(self: Any, *given: Any) -> Any:
        raise JsonRESTError("InternalException", "the bus is down")

    monkeypatch.setattr(EventsBackend, "put_events", refuse)
    request = request_for(deployment, f"untold-{good}", **({} if good else {"if_present": "never"}))
    before = len(deployment.calls)
    done = deployment.execute(callback(token="abcdefghij", arguments=request), "WithoutWaiting")
    asked = {action for _, action, _ in deployment.calls[before:]}
    if good:
        assert done["status"] == "SUCCEEDED", done
        assert done["output"]["untold"]["Cause"]
        assert "sagemaker:SendPipelineExecutionStepSuccess" in asked
    else:
        assert done["error"] == "InvalidRequest"
        assert "sagemaker:SendPipelineExecutionStepFailure" in asked


def test_more_than_fits_through_the_machine_is_refused_with_an_event_that_holds_none_of_it(
    deployment: Deployment,
) -> None:
    received(deployment, "Told")
    request = request_for(deployment, "wide", hyperparameters={"wide": "w" * THROUGH_THE_MACHINE})
    done = deployment.execute(request)
    assert (done["status"], done["error"]) == ("FAILED", "InvalidRequest")
    assert "hyperparameters_uri" in done["cause"]
    [told] = received(deployment, "Told")
    assert len(json.dumps(told)) < 4096


def test_a_wide_request_that_fits_lies_in_no_state_twice(deployment: Deployment) -> None:
    request = request_for(deployment, "fits", hyperparameters={"wide": "w" * (140 << 10)})
    done = deployment.execute(request)
    assert done["status"] == "SUCCEEDED", done
    history = deployment.client("stepfunctions").get_execution_history(
        executionArn=done["executionArn"], maxResults=1000
    )
    sizes = [
        len(details[side])
        for event in history["events"]
        for details in event.values()
        if isinstance(details, dict)
        for side in ("input", "output", "parameters")
        if side in details
    ]
    assert max(sizes) < 256 << 10


def test_a_parents_name_in_the_input_is_taken(deployment: Deployment) -> None:
    request = request_for(deployment, "child", **{PARENT: "arn:aws:states:eu-west-1:1:execution:theirs:1"})
    done = deployment.execute(request)
    assert done["status"] == "SUCCEEDED", done


@pytest.mark.parametrize(
    "change",
    [{"files": {"x": "/etc/passwd"}}, {"output_uri": "/tmp/x"}, {"hyperparameters_uri": "https://host/h.json"}],
)
def test_only_s3_is_read_and_written(deployment: Deployment, change: dict[str, Any]) -> None:
    done = deployment.execute(request_for(deployment, "elsewhere", **change))
    assert (done["status"], done["error"]) == ("FAILED", "InvalidRequest")
    assert "s3://bucket/key only" in done["cause"]


@pytest.mark.parametrize("errors", [LAMBDA_BUSY, FARGATE_FULL], ids=["lambda", "fargate"])
def test_whoever_waits_for_room_waits_for_a_day(template: Json, errors: list[str]) -> None:
    retriers = [
        retrier
        for definition in Concrete(template).machines().values()
        for _, state in states(definition)
        for retrier in state.get("Retry", [])
        if set(retrier["ErrorEquals"]) == set(errors)
    ]
    assert retriers
    for retrier in retriers:
        waits, longest = retrier["IntervalSeconds"], 0.0
        for _ in range(retrier["MaxAttempts"]):
            longest += min(waits, retrier["MaxDelaySeconds"])
            waits *= retrier["BackoffRate"]
        assert retrier["JitterStrategy"] == "FULL"
        assert longest / 2 >= 24 * 3600, "full jitter waits for half of that on average"
        assert retrier["MaxAttempts"] * 5 < 20_000, "an execution has 25,000 events"


@pytest.mark.parametrize("name", ["AmazonECS.Unknown", "ECS.InvalidParameterException"])
def test_a_task_without_room_is_started_when_there_is_some(
    deployment: Deployment, big_for_lambda: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    without_waiting(deployment)
    start, refusals = StateTaskServiceEcs._eval_service_task, [name, name]

    def full(self: Any, env: Any, *given: Any, **more: Any) -> Any:
        if refusals:
            error = CustomErrorName(error_name=refusals.pop())
            details: Any = {"taskFailedEventDetails": {"error": error.error_name, "cause": "no capacity"}}
            raise FailureEventException(FailureEvent(env, error, HistoryEventType.TaskFailed, details))
        return start(self, env, *given, **more)

    monkeypatch.setattr(StateTaskServiceEcs, "_eval_service_task", full)
    done = deployment.execute(request_for(deployment, f"no-room/{name}"), "WithoutWaiting")
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert refusals == []


def test_a_batch_runs_every_line_and_tolerates_a_bad_one(deployment: Deployment) -> None:
    requests = [request_for(deployment, f"batch-{number}") for number in range(20)]
    deployment.put("models/defaults.json", b'{"a": 1}')
    uri = f"s3://{deployment.outputs['InputBucket']}/models/defaults.json"
    lines = [f"{request['model_uri']},{request['output_uri']},{uri}" for request in requests]
    lines[7] = f"s3://{deployment.outputs['InputBucket']}/models/nowhere.tar.gz,{requests[7]['output_uri']},{uri}"
    deployment.put("batches/b.csv", "\n".join(["model_uri,output_uri,hyperparameters_uri", *lines]).encode())
    done = deployment.execute({"manifest": "batches/b.csv"}, "BatchMachineArn", seconds=120)
    assert done["status"] == "SUCCEEDED", done
    for number, request in enumerate(requests):
        if number != 7:
            assert hyperparameters_in(deployment.get(request["output_uri"])) == {"a": 1}
    results = done["output"]["ResultWriterDetails"]
    manifest = json.loads(deployment.get(f"s3://{results['Bucket']}/{results['Key']}"))
    assert manifest["ResultFiles"]


def test_a_batch_with_more_bad_lines_than_it_tolerates_fails(deployment: Deployment) -> None:
    request = request_for(deployment, "untolerated")
    nowhere = f"s3://{deployment.outputs['InputBucket']}/models/nowhere.tar.gz"
    uri = deployment.put("models/untolerated/hyperparameters.json", b"{}")
    lines = [f"{model},{request['output_uri']},{uri}" for model in (request["model_uri"], *[nowhere] * 4)]
    deployment.put("batches/bad.csv", "\n".join(["model_uri,output_uri,hyperparameters_uri", *lines]).encode())
    done = deployment.execute({"manifest": "batches/bad.csv"}, "BatchMachineArn", seconds=120)
    assert (done["status"], done["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, 'a batch is {"manifest": "batches/name.csv"} or {"prefix": "models/old/"}, and nothing else'),
        ({"manifest": "batches/semicolons.csv"}, "must begin with a line that names model_uri and output_uri"),
        ({"manifest": "batches/none.csv"}, "does not exist"),
        ({"prefix": "models/nothing-here/"}, "nothing lies under s3://"),
    ],
)
def test_a_wrong_batch_starts_nothing_and_says_so_in_one_sentence(
    deployment: Deployment, asked: dict[str, Any], sentence: str
) -> None:
    deployment.put("batches/semicolons.csv", b"model_uri;output_uri\na;b")
    done = deployment.execute(asked, "BatchMachineArn")
    assert (done["status"], done["error"]) == ("FAILED", "InvalidRequest")
    assert sentence in done["cause"]
    assert done["states"] == ["What to repack", "Check it", "Lines or objects?", "Refused"]


def test_what_a_batch_starts_is_linked_to_it(deployment: Deployment) -> None:
    deployment.put("models/linked/model.tar.gz", archive(weights=b"w" * 5000))
    deployment.put("models/linked/hyperparameters.json", b"{}")
    done = deployment.execute({"prefix": "models/linked/"}, "BatchMachineArn")
    assert done["status"] == "SUCCEEDED"
    parents = [given.get(PARENT) for given in inputs(deployment) if "models/linked/model.tar.gz" in json.dumps(given)]
    assert parents == [done["executionArn"]]


def inputs(deployment: Deployment) -> list[dict[str, Any]]:
    """What the executions of the repack machine were started with."""
    client = deployment.client("stepfunctions")
    executions = client.list_executions(stateMachineArn=deployment.outputs["StateMachineArn"])["executions"]
    return [json.loads(client.describe_execution(executionArn=of["executionArn"])["input"]) for of in executions]


def test_an_empty_cell_of_a_batch_counts_as_not_given(deployment: Deployment) -> None:
    request = request_for(deployment, "empty-cell")
    uri = deployment.put("models/empty-cell/hyperparameters.json", b"{}")
    line = f"{request['model_uri']},{request['output_uri']},{uri},,"
    header = "model_uri,output_uri,hyperparameters_uri,if_present,files"
    deployment.put("batches/empty.csv", f"{header}\n{line}".encode())
    assert deployment.execute({"manifest": "batches/empty.csv"}, "BatchMachineArn")["status"] == "SUCCEEDED"
    assert hyperparameters_in(deployment.get(request["output_uri"])) == {}


def test_a_batch_takes_the_models_that_lie_under_a_prefix(deployment: Deployment) -> None:
    for number in range(3):
        deployment.put(f"models/old/{number}/model.tar.gz", archive(weights=b"w" * 5000))
        deployment.put(f"models/old/{number}/hyperparameters.json", json.dumps({"number": number}).encode())
    done = deployment.execute({"prefix": "models/old/"}, "BatchMachineArn", seconds=120)
    assert done["status"] == "SUCCEEDED", done
    for number in range(3):
        packed = deployment.get(deployment.output_uri(f"old/{number}/model.tar.gz"))
        assert hyperparameters_in(packed) == {"number": number}
