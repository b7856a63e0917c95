"""The task as Fargate runs it: the image's command in a process of its own, over an S3 server and a state machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import asset
from lambda_fn import task
from lambda_fn.stores.s3 import S3Access
from tests.deployment import MODEL, OUTPUT, Deployment, archive
from tests.stand_ins.faults import HUNG, Proxy, Seen, unreachable
from tests.stand_ins.step_functions import FAILURE, HEARTBEAT, SUCCESS, StateMachine

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def large() -> bytes:
    """A model of several parts."""
    return archive(12 << 20)


@pytest.fixture
def machine() -> Iterator[StateMachine]:
    with StateMachine() as machine:
        yield machine


@pytest.fixture
def environment(deployment: Deployment, machine: StateMachine) -> dict[str, str]:
    """Of a task that a state machine has started."""
    request = json.dumps(deployment.request())
    waiting = {"AWS_ENDPOINT_URL_SFN": machine.url, "TASK_TOKEN": "AAAAKgAAAAI", "REPACK_REQUEST": request}
    return {**deployment.environment, **waiting, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def run(environment: dict[str, str], *arguments: str) -> int:
    return subprocess.run((sys.executable, "-m", "lambda_fn.task", *arguments), env=environment, cwd="/").returncode


def test_the_state_machine_gets_the_flat_result(
    deployment: Deployment, large: bytes, machine: StateMachine, environment: dict[str, str]
) -> None:
    deployment.put(MODEL, large)
    assert run(environment) == task.DONE
    [(call, told)] = machine.told
    assert (call, told["taskToken"]) == (SUCCESS, "AAAAKgAAAAI")
    result = json.loads(told["output"])
    assert (result["method"], result["output_uri"]) == ("graft", f"s3://{deployment.outputs}/{OUTPUT}")
    assert deployment.left == [OUTPUT]


def test_without_a_state_machine_the_request_is_an_argument(
    deployment: Deployment, machine: StateMachine, environment: dict[str, str]
) -> None:
    deployment.put(MODEL, archive())
    alone = {name: value for name, value in environment.items() if name not in ("TASK_TOKEN", "REPACK_REQUEST")}
    assert run(alone, json.dumps(deployment.request())) == task.DONE
    assert run(alone) == task.USAGE
    assert machine.told == []


@pytest.mark.parametrize(
    ("request_json", "name"),
    [("no JSON", "InvalidRequest"), ("[]", "InvalidRequest"), (None, "SourceNotFound")],
    ids=["no-json", "no-request", "no-source"],
)
def test_a_callers_mistake_is_named_to_the_state_machine(
    machine: StateMachine, environment: dict[str, str], request_json: str | None, name: str
) -> None:
    assert run({**environment, "REPACK_REQUEST": request_json or environment["REPACK_REQUEST"]}) == task.REFUSED
    [(call, told)] = machine.told
    assert (call, told["error"]) == (FAILURE, name)
    assert told["cause"]


def test_a_task_without_a_request_is_a_failed_one(machine: StateMachine, environment: dict[str, str]) -> None:
    del environment["REPACK_REQUEST"]
    assert run(environment) == task.USAGE
    assert [(call, told["error"]) for call, told in machine.told] == [(FAILURE, "InvalidRequest")]


@pytest.fixture
def in_process(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """For `task.main` in this process: its environment, and signal handlers that do not stay."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    yield environment
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_failing_store_is_worth_another_try(
    machine: StateMachine, in_process: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = unreachable()
    monkeypatch.setattr(S3Access, "default", lambda **options: nobody)
    assert task.main([], in_process) == task.TRY_AGAIN
    assert [(call, told["error"]) for call, told in machine.told] == [(FAILURE, "StoreUnavailable")]


def test_an_error_of_our_own_fails_the_task_under_its_name(
    machine: StateMachine, in_process: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "run", lambda *given, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        task.main([], in_process)
    assert [(call, told["error"]) for call, told in machine.told] == [(FAILURE, "ZeroDivisionError")]


def test_heartbeats_go_on_while_the_work_does(
    deployment: Deployment,
    large: bytes,
    machine: StateMachine,
    in_process: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment.put(MODEL, large)
    monkeypatch.setattr(task, "SECONDS_BETWEEN_BEATS", 0.02)
    assert task.main([], in_process) == task.DONE
    calls = [call for call, _ in machine.told]
    assert calls[0] == HEARTBEAT
    assert calls[-1] == SUCCESS


def test_a_task_that_nobody_waits_for_stops_and_leaves_nothing(
    deployment: Deployment,
    large: bytes,
    machine: StateMachine,
    in_process: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment.put(MODEL, large)
    monkeypatch.setattr(task, "SECONDS_BETWEEN_BEATS", 0.0)
    machine.waits = False
    assert task.main([], in_process) == task.STOPPED
    assert deployment.left == []


def test_a_state_machine_that_cannot_be_reached_does_not_stop_the_work(
    deployment: Deployment, in_process: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.put(MODEL, archive())
    monkeypatch.setenv("AWS_ENDPOINT_URL_SFN", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(task, "SECONDS_BETWEEN_BEATS", 0.0)
    assert task.main([], in_process) == task.DONE
    assert deployment.left == [OUTPUT]


@pytest.mark.parametrize("moment", ["HeadObject", "GetObject", "CreateMultipartUpload", "UploadPartCopy"])
def test_sigterm_stops_cleanly_at_any_moment(
    deployment: Deployment, large: bytes, machine: StateMachine, environment: dict[str, str], moment: str
) -> None:
    deployment.put(MODEL, large)
    with Proxy(deployment.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
        running = subprocess.Popen(
            (sys.executable, "-m", "lambda_fn.task"),
            env={**environment, "AWS_ENDPOINT_URL_S3": proxy.url},
            cwd="/",
        )

        def terminate(seen: Seen) -> None:
            if seen.operation == moment:
                running.send_signal(signal.SIGTERM)

        proxy.before = terminate
        assert running.wait(timeout=60) == task.STOPPED
    assert [(call, told["error"]) for call, told in machine.told] == [(FAILURE, "OutOfTime")]
    assert deployment.left == []


def test_sigterm_stops_by_force_what_does_not_move(
    deployment: Deployment,
    large: bytes,
    machine: StateMachine,
    in_process: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment.put(MODEL, large)
    monkeypatch.setattr(task, "SECONDS_TO_STOP", 1)
    with Proxy(deployment.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)

        def terminate(seen: Seen) -> str | None:
            if seen.operation != "CompleteMultipartUpload":
                return None
            os.kill(os.getpid(), signal.SIGTERM)
            return HUNG

        proxy.fault = terminate
        assert task.main([], in_process) == task.STOPPED, "though the answer does not come"
    assert [(call, told["error"]) for call, told in machine.told] == [(FAILURE, "OutOfTime")]
    assert deployment.open_uploads == []


@pytest.mark.needs("unshare")
def test_the_images_command_needs_nothing_but_the_images_folder_and_writes_nothing(
    deployment: Deployment, machine: StateMachine, environment: dict[str, str]
) -> None:
    """The asset's folder is the image's: the same requirements, the same package. Here all disks are read-only."""
    deployment.put(MODEL, archive())
    python = asset.interpreter() or sys.executable
    folder = asset.build_asset({"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine])
    command = f"mount -o remount,ro,bind / && exec {python} -m lambda_fn.task"
    done = subprocess.run(
        ("unshare", "--map-root-user", "--mount", "sh", "-c", command),
        env={**environment, "PYTHONPATH": str(folder), "PYTHONNOUSERSITE": "1", "PATH": os.environ["PATH"]},
        cwd="/",
    )
    assert done.returncode == task.DONE
    assert [call for call, _ in machine.told] == [SUCCESS]


def test_the_dockerfile_has_no_findings() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run((hadolint, ROOT / "lambda_fn" / "Dockerfile"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_tasks_own_files_are_out_of_reach(
    deployment: Deployment, machine: StateMachine, environment: dict[str, str]
) -> None:
    deployment.put(MODEL, archive())
    environment["REPACK_REQUEST"] = json.dumps(deployment.request(files={"x": "/etc/passwd"}))
    assert run(environment) == task.REFUSED
    [(call, told)] = machine.told
    assert (call, told["error"]) == (FAILURE, "InvalidRequest")
    assert deployment.left == []
