"""The synthesized machine, executed: moto's Step Functions, our handler and our task behind it."""

from __future__ import annotations

import io
import json
import signal
import tarfile
import time
from dataclasses import replace
from typing import Any

import pytest

from docs.cost import TRANSITIONS
from infra.machine import HEARTBEAT_SECONDS, LAMBDA_DIED, LAMBDA_SECONDS
from lambda_fn.task import DONE, STOPPED
from tests.stand_ins.stack import Deployment, received


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def hyperparameters_in(packed: bytes) -> Any:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert tar.getnames().count("hyperparameters.json") == 1
        content = tar.extractfile("hyperparameters.json")
        assert content is not None
        return json.load(content)


def request_for(deployment: Deployment, name: str, **more: Any) -> dict[str, Any]:
    model = deployment.put(f"models/{name}/model.tar.gz", archive(weights=b"w" * 5000))
    output = deployment.output_uri(f"{name}/model.tar.gz")
    return {"model_uri": model, "output_uri": output, "hyperparameters": {"name": name}, **more}


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
    impatient = with_patience(deployment, TimeoutSeconds=(LAMBDA_SECONDS, 2))
    deployment.answers += [None, late]
    done = deployment.execute(request_for(deployment, "lost"), impatient)
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert done["states"].count("Repack in Lambda") == 1
    assert "Repack on Fargate" in done["states"]


def late(event: Any) -> dict[str, Any]:
    time.sleep(4)
    return {}


def with_patience(deployment: Deployment, **seconds: tuple[int, int]) -> str:
    """The output's name of a machine like the deployed one, where a limit is seconds instead of minutes."""
    client = deployment.client("stepfunctions")
    deployed = client.describe_state_machine(stateMachineArn=deployment.outputs["StateMachineArn"])
    [(limit, (minutes, fewer))] = seconds.items()
    assert f'"{limit}":{minutes}' in deployed["definition"]
    definition = deployed["definition"].replace(f'"{limit}":{minutes}', f'"{limit}":{fewer}')
    made = client.create_state_machine(name=f"Less{limit}", definition=definition, roleArn=deployed["roleArn"])
    deployment.outputs[f"Less{limit}"] = made["stateMachineArn"]
    return f"Less{limit}"


def test_a_task_that_was_told_to_stop_is_started_again(deployment: Deployment, big_for_lambda: None) -> None:
    before = len(deployment.tasks)
    deployment.signals.append(signal.SIGTERM)
    done = deployment.execute(request_for(deployment, "stopped"))
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    assert [task.wait(10) for task in deployment.tasks[before:]] == [STOPPED, DONE]


def test_a_task_whose_heart_stopped_is_started_again(deployment: Deployment, big_for_lambda: None) -> None:
    impatient = with_patience(deployment, HeartbeatSeconds=(HEARTBEAT_SECONDS, 4))
    before = len(deployment.tasks)
    deployment.signals.append(signal.SIGKILL)
    done = deployment.execute(request_for(deployment, "killed"), impatient)
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
    lines = [f"{model},{request['output_uri']},{uri}" for model in (request["model_uri"], nowhere, nowhere)]
    deployment.put("batches/bad.csv", "\n".join(["model_uri,output_uri,hyperparameters_uri", *lines]).encode())
    done = deployment.execute({"manifest": "batches/bad.csv"}, "BatchMachineArn", seconds=120)
    assert (done["status"], done["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")


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
