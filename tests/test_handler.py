"""The handler as the Lambda service calls it, over an S3 server."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from lambda_fn import contract
from lambda_fn.handler import INTO_THE_TASK, THROUGH_THE_MACHINE, size_of
from lambda_fn.settings import Settings
from lambda_fn.stores.s3 import S3Access
from tests.deployment import BESIDE, MODEL, OUTPUT, Deployment, archive
from tests.stand_ins.faults import unreachable

HYPERPARAMETERS = b'{"depth": 6}'
NEW = [("hyperparameters.json", HYPERPARAMETERS)]
BIG = 12 << 20


@dataclass
class Context:
    """What the Lambda service tells of an invocation."""

    milliseconds: Callable[[], int] = lambda: 900_000
    function_name: str = "repacker"
    function_version: str = "7"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111122223333:function:repacker"
    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds()


@pytest.fixture
def module(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The handler's module, configured for the deployment."""
    module = importlib.import_module("lambda_fn.handler")
    monkeypatch.setattr(module, "settings", Settings.from_environment(deployment.environment))
    monkeypatch.setattr(module, "s3", S3Access(deployment.client))
    return module


@pytest.fixture
def invoke(module: ModuleType) -> Callable[..., Any]:
    def invoke(event: Any, context: Context | None = None) -> Any:
        answer = module.handler(event, context or Context())
        return json.loads(json.dumps(answer, allow_nan=False))

    return invoke


def measured(output: str) -> list[dict[str, Any]]:
    """The EMF documents among the lines of a log."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in lines if "_aws" in line]


# A Request


def test_a_request_is_answered_with_plain_values_that_a_lambda_step_can_take(
    deployment: Deployment, invoke: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.put(MODEL, archive())
    result = invoke(deployment.request())
    assert result["method"] == "graft"
    assert result["output_uri"] == f"s3://{deployment.outputs}/{OUTPUT}"
    head = deployment.client.head_object(Bucket=deployment.outputs, Key=OUTPUT)
    assert (result["output_etag"], result["output_size"]) == (head["ETag"], head["ContentLength"])
    assert result["source_entries"] == 1
    assert len(result) <= 50
    assert all(value is None or isinstance(value, (str, int, float)) for value in result.values())
    assert [(name, json.loads(data)) for name, data in deployment.hyperparameters()] == [(NEW[0][0], {"depth": 6})]

    [document] = measured(capsys.readouterr().out)
    assert document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"], ["service", "method"]]
    assert (document["service"], document["method"], document["Repacks"]) == ("model-repacker", "graft", [1.0])
    assert document["BytesRead"] == [result["bytes_read"]]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"model_uri": None}, "InvalidRequest"),
        ({"typo": 1}, "InvalidRequest"),
        ({"hyperparameters": None}, "MissingHyperparameters"),
        ({"hyperparameters_uri": "s3://{bucket}/nothing.json"}, "MissingHyperparameters"),
        ({"model_uri": "s3://{bucket}/nothing.tar.gz"}, "SourceNotFound"),
        ({"model_uri": "s3://{bucket}/in/notes.txt"}, "InvalidArchive"),
    ],
)
def test_errors_leave_under_their_contracts_names_and_are_counted(
    deployment: Deployment,
    invoke: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    given: dict[str, Any],
    name: str,
) -> None:
    deployment.put(MODEL, archive())
    deployment.put("in/notes.txt", b"no gzip at all")
    given = {
        key: value.format(bucket=deployment.models) if isinstance(value, str) else value for key, value in given.items()
    }
    with pytest.raises(getattr(contract, name)) as raised:
        invoke(deployment.request(**given))
    assert type(raised.value).__name__ == name
    [document] = measured(capsys.readouterr().out)
    assert (document["error"], document["Errors"]) == (name, [1.0])
    assert deployment.left == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"model_uri": "/etc/passwd"}, "model_uri"),
        ({"output_uri": "out/model.tar.gz"}, "output_uri"),
        ({"hyperparameters_uri": "S3://bucket/key"}, "hyperparameters_uri"),
        ({"files": {"x": "/etc/passwd"}}, r"files\['x'\]"),
    ],
)
def test_the_machines_own_files_are_out_of_reach(
    deployment: Deployment, invoke: Callable[..., Any], given: dict[str, Any], named: str
) -> None:
    deployment.put(MODEL, archive())
    for event in (deployment.request(**given), {"action": "plan", "request": deployment.request(**given)}):
        with pytest.raises(contract.InvalidRequest, match=rf"^{named} is .*; a deployment reads and writes s3://"):
            invoke(event)
    assert deployment.left == []


@pytest.mark.parametrize("event", [None, [], "text", 7, {}])
def test_what_is_no_event_at_all_is_an_invalid_request(invoke: Callable[..., Any], event: Any) -> None:
    with pytest.raises(contract.InvalidRequest):
        invoke(event)


def test_out_of_time_in_the_middle_of_an_upload_leaves_nothing(
    deployment: Deployment, invoke: Callable[..., Any]
) -> None:
    deployment.put(MODEL, archive(BIG))
    seen: list[str] = []

    def remaining() -> int:
        seen.extend(deployment.open_uploads)
        return 9_999 if seen else 900_000

    with pytest.raises(contract.OutOfTime, match="Fargate"):
        invoke(deployment.request(), Context(remaining))
    assert seen == [OUTPUT]
    assert deployment.left == []


def test_out_of_time_a_request_that_fits_into_no_task_is_refused(
    deployment: Deployment, invoke: Callable[..., Any]
) -> None:
    deployment.put(MODEL, archive())
    wide = deployment.request(hyperparameters={"w": "w" * INTO_THE_TASK})
    with pytest.raises(contract.InvalidRequest, match=r"time ended .* hyperparameters_uri$"):
        invoke(wide, Context(lambda: 0))
    assert deployment.left == []


# S3 events


@pytest.mark.parametrize("dialect", ["eventbridge_created", "notification_created"])
def test_the_first_of_two_objects_waits_and_the_second_is_repacked(
    deployment: Deployment, invoke: Callable[..., Any], dialect: str
) -> None:
    deployment.put(MODEL, archive())
    event = deployment.event(dialect)
    [waiting] = invoke(event)["outcomes"]
    assert waiting["status"] == "nothing to do"
    assert waiting["why"] == f"waiting for s3://{deployment.models}/{BESIDE}"

    deployment.put(BESIDE, HYPERPARAMETERS)
    [outcome] = invoke(event)["outcomes"]
    assert outcome["status"] == "repacked"
    assert deployment.hyperparameters() == NEW


def test_hyperparameters_that_come_last_find_their_model(deployment: Deployment, invoke: Callable[..., Any]) -> None:
    event = deployment.event("eventbridge_created")
    event["detail"]["object"]["key"] = BESIDE
    deployment.put(BESIDE, HYPERPARAMETERS)
    assert invoke(event)["outcomes"][0]["status"] == "nothing to do"
    deployment.put(MODEL, archive())
    assert invoke(event)["outcomes"][0]["status"] == "repacked"
    assert deployment.hyperparameters() == NEW


def test_a_duplicate_event_changes_nothing(deployment: Deployment, invoke: Callable[..., Any]) -> None:
    deployment.put(MODEL, archive())
    deployment.put(BESIDE, HYPERPARAMETERS)
    [first], [second] = (invoke(deployment.event("eventbridge_created"))["outcomes"] for _ in range(2))
    assert (first["method"], second["method"]) == ("graft", "unchanged")
    assert first["output_etag"] == second["output_etag"]
    assert second["bytes_uploaded"] == second["bytes_copied"] == 0


def test_two_events_at_once_make_one_right_output(deployment: Deployment, invoke: Callable[..., Any]) -> None:
    deployment.put(MODEL, archive(BIG))
    deployment.put(BESIDE, HYPERPARAMETERS)

    def one(dialect: str) -> str:
        try:
            return str(invoke(deployment.event(dialect))["outcomes"][0]["status"])
        except contract.OutputChanged as error:
            return error.name

    with ThreadPoolExecutor() as pool:
        ends = sorted(pool.map(one, ["eventbridge_created", "notification_created"]))
    assert ends in (["OutputChanged", "repacked"], ["repacked", "repacked"])
    assert deployment.left == [OUTPUT]
    assert deployment.hyperparameters() == NEW


def test_a_model_that_is_gone_again_is_refused_without_an_error(
    deployment: Deployment, invoke: Callable[..., Any]
) -> None:
    deployment.put(BESIDE, HYPERPARAMETERS)
    [outcome] = invoke(deployment.event("eventbridge_created"))["outcomes"]
    assert (outcome["status"], outcome["error"]) == ("refused", "SourceNotFound")


@pytest.mark.parametrize("name", ["eventbridge_deleted", "notification_removed", "notification_test"])
def test_events_of_other_kinds_are_answered(invoke: Callable[..., Any], deployment: Deployment, name: str) -> None:
    assert invoke(deployment.event(name)) == {"outcomes": []}


def test_what_trying_again_may_mend_is_raised(
    deployment: Deployment, invoke: Callable[..., Any], module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "s3", unreachable())
    with pytest.raises(contract.StoreUnavailable):
        invoke(deployment.event("eventbridge_created"))


# Queues


def test_messages_that_may_succeed_later_or_say_nothing_we_know_are_delivered_again(
    deployment: Deployment, invoke: Callable[..., Any]
) -> None:
    deployment.put(MODEL, archive())
    deployment.put(BESIDE, HYPERPARAMETERS)
    event = deployment.event("sqs")
    template = event["Records"][0]
    late = deployment.request(output_uri=f"s3://{deployment.outputs}/late.tar.gz")
    bodies = ["no JSON", json.dumps({"typo": 1}), json.dumps(late)]
    event["Records"] += [{**template, "messageId": f"extra-{n}", "body": body} for n, body in enumerate(bodies)]

    def remaining() -> int:
        return 0 if deployment.left else 900_000  # the time is over when the first two are done

    again = [{"itemIdentifier": f"extra-{n}"} for n in range(3)]
    assert invoke(event, Context(remaining)) == {"batchItemFailures": again}
    assert deployment.left == [OUTPUT]
    assert deployment.hyperparameters() == NEW


def test_a_message_whose_repack_is_refused_is_done(deployment: Deployment, invoke: Callable[..., Any]) -> None:
    event = deployment.event("sqs")
    event["Records"] = [{**event["Records"][0], "body": json.dumps(deployment.request())}]
    assert invoke(event) == {"batchItemFailures": []}  # there is no model


@pytest.mark.parametrize("dialect", ["eventbridge_created", "notification_created"])
@pytest.mark.parametrize("through_a_queue", [True, False])
def test_what_comes_through_a_topic_is_unwrapped(
    deployment: Deployment, invoke: Callable[..., Any], dialect: str, through_a_queue: bool
) -> None:
    deployment.put(MODEL, archive())
    deployment.put(BESIDE, HYPERPARAMETERS)
    said = json.dumps(deployment.event(dialect))
    if through_a_queue:
        event = deployment.event("sqs")
        body = {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:topic", "Message": said}
        event["Records"] = [{**event["Records"][0], "body": json.dumps(body)}]
        assert invoke(event) == {"batchItemFailures": []}
    else:
        event = {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {"Message": said}}]}
        assert [outcome["status"] for outcome in invoke(event)["outcomes"]] == ["repacked"]
    assert deployment.hyperparameters() == NEW


@pytest.mark.parametrize(
    "body",
    [
        {"Type": "SubscriptionConfirmation", "Message": "visit"},
        {"Type": "Notification", "Message": "hello"},
        {"Records": [{"eventName": "INSERT", "dynamodb": {}}]},
        {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}},
        [],
    ],
)
def test_a_message_of_unknown_shape_never_counts_as_done(
    deployment: Deployment, invoke: Callable[..., Any], body: Any
) -> None:
    event = deployment.event("sqs")
    event["Records"] = [{**event["Records"][0], "body": json.dumps(body)}]
    assert len(invoke(event)["batchItemFailures"]) == 1


# S3 Batch Operations


@pytest.mark.parametrize("schema", ["1", "2"])
def test_a_batch_task_succeeds(deployment: Deployment, invoke: Callable[..., Any], schema: str) -> None:
    deployment.put(MODEL, archive())
    deployment.put(BESIDE, HYPERPARAMETERS)
    event = deployment.event(f"batch_operations_{schema}")
    answer = invoke(event)
    [result] = answer.pop("results")
    assert answer == {
        "invocationSchemaVersion": f"{schema}.0",
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": event["invocationId"],
    }
    assert (result["taskId"], result["resultCode"]) == ("dGFza2lkZ29lc2hlcmUK", "Succeeded")
    assert result["resultString"] == f"graft: s3://{deployment.outputs}/{OUTPUT}"
    assert deployment.hyperparameters() == NEW


def test_a_batch_task_fails_for_good_when_trying_again_cannot_help(
    deployment: Deployment, invoke: Callable[..., Any]
) -> None:
    event = deployment.event("batch_operations_1")
    deployment.put(MODEL, archive())
    [waiting] = invoke(event)["results"]
    assert waiting["resultCode"] == "PermanentFailure"
    assert "waiting for" in waiting["resultString"]
    deployment.put(MODEL, b"no gzip at all")
    deployment.put(BESIDE, HYPERPARAMETERS)
    [broken] = invoke(event)["results"]
    assert broken["resultCode"] == "PermanentFailure"
    assert broken["resultString"].startswith("InvalidArchive: ")
    event["tasks"][0]["s3VersionId"] = "an-older-one"
    [old] = invoke(event)["results"]
    assert "not its newest" in old["resultString"]
    assert deployment.left == []


def test_a_batch_task_is_tried_again_when_s3_fails(
    deployment: Deployment, invoke: Callable[..., Any], module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "s3", unreachable())
    [result] = invoke(deployment.event("batch_operations_1"))["results"]
    assert result["resultCode"] == "TemporaryFailure"
    assert result["resultString"].startswith("StoreUnavailable: ")


# The plan


def test_a_plan_says_where_a_scan_belongs(
    deployment: Deployment, invoke: Callable[..., Any], module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = archive()
    deployment.put(MODEL, model)
    ask = {"action": "plan", "request": deployment.request()}
    plan = invoke(ask)
    assert (plan["where"], plan["method"], plan["known"]) == ("lambda", "unknown", False)
    assert plan["size"] == len(model)
    assert contract.Request.from_json(plan["request"]) == contract.Request.from_json(deployment.request())
    monkeypatch.setattr(module, "settings", Settings(lambda_limit_bytes=len(model) - 1))
    assert invoke(ask)["where"] == "fargate"
    assert deployment.left == []


def test_a_plan_knows_what_was_scanned_before(
    deployment: Deployment, invoke: Callable[..., Any], module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.put(MODEL, archive())
    invoke(deployment.request())
    monkeypatch.setattr(module, "settings", Settings(lambda_limit_bytes=0))

    def planned(**given: Any) -> tuple[str, str, bool]:
        plan = invoke({"action": "plan", "request": deployment.request(**given)})
        return plan["where"], plan["method"], plan["known"]

    own = {"model_uri": deployment.request()["output_uri"], "output_uri": f"s3://{deployment.outputs}/other.tar.gz"}
    assert planned() == ("nowhere", "unchanged", True)
    assert planned(hyperparameters={"depth": 7}) == ("lambda", "graft", True)
    assert planned(**own) == ("lambda", "unchanged", True)  # it holds these hyperparameters already
    assert planned(**own, verify="always") == ("fargate", "unknown", False)


def test_what_a_plan_calls_known_is_repacked_without_a_scan(deployment: Deployment, invoke: Callable[..., Any]) -> None:
    deployment.put(MODEL, archive(BIG))
    invoke(deployment.request())
    plan = invoke({"action": "plan", "request": deployment.request(hyperparameters={"depth": 7})})
    result = invoke(plan["request"])
    assert (plan["method"], plan["known"]) == (result["method"], True)
    assert result["bytes_read"] < BIG / 2  # the smallest part that S3 takes, 5 MiB, is read to be sent again


def test_a_plan_of_an_event_waits_or_makes_its_request(deployment: Deployment, invoke: Callable[..., Any]) -> None:
    ask = {"action": "plan", "event": deployment.event("eventbridge_created")}
    deployment.put(MODEL, archive())
    waiting = invoke(ask)
    assert (waiting["where"], waiting["request"]) == ("nowhere", None)
    assert waiting["why"].startswith("waiting for")
    deployment.put(BESIDE, HYPERPARAMETERS)
    ready = invoke(ask)
    assert ready["where"] == "lambda"
    assert invoke(ready["request"])["method"] == "graft"
    assert invoke(ask)["where"] == "nowhere"
    deployment.client.delete_object(Bucket=deployment.models, Key=MODEL)
    gone = invoke(ask)
    assert gone["where"] == "nowhere"
    assert "gone" in gone["why"]


def test_hyperparameters_beside_several_models_make_a_request_for_each(
    deployment: Deployment, invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = deployment.event("eventbridge_created")
    event["detail"]["object"]["key"] = BESIDE
    for key in (MODEL, MODEL.replace("é", "è")):
        deployment.put(key, archive())
    deployment.put(BESIDE, HYPERPARAMETERS)
    each = invoke({"action": "plan", "event": event})
    assert (each["where"], each["request"]) == ("each", None)
    assert [invoke(request)["method"] for request in each["requests"]] == ["graft", "graft"]
    assert deployment.hyperparameters(OUTPUT) == deployment.hyperparameters(OUTPUT.replace("é", "è")) == NEW
    monkeypatch.setattr("lambda_fn.planner.MANY", 1)
    with pytest.raises(contract.InvalidRequest, match=r"^2 models lie beside .* start the batch machine"):
        invoke({"action": "plan", "event": event})


@pytest.mark.parametrize(("where", "limit"), [("lambda", THROUGH_THE_MACHINE), ("fargate", INTO_THE_TASK)])
def test_a_plan_refuses_what_cannot_be_handed_on(
    deployment: Deployment,
    invoke: Callable[..., Any],
    module: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    limit: int,
) -> None:
    deployment.put(MODEL, archive())
    monkeypatch.setattr(module, "settings", Settings(lambda_limit_bytes=0 if where == "fargate" else 1 << 30))

    def planned(more: int) -> Any:
        asked = deployment.request(hyperparameters={"w": ""})
        asked["hyperparameters"]["w"] = "w" * (limit + more - length(asked, where))
        return invoke({"action": "plan", "request": asked})

    assert planned(0)["where"] == where
    refused = planned(1)
    assert (refused["where"], refused["request"]) == ("refused", None)
    assert "hyperparameters_uri" in refused["why"]


def length(request: Any, where: str) -> int:
    """As it comes in, or as the plan hands it on."""
    return size_of(request if where == "lambda" else contract.Request.from_json(request).to_json())


def test_what_is_too_wide_is_refused_before_anything_else_is_wrong_with_it(invoke: Callable[..., Any]) -> None:
    # Its error would be told with the whole request, which the machine's state has no room for.
    wide = {"model_uri": "s3://nowhere/m.tar.gz", "typo": "é" * (THROUGH_THE_MACHINE // 2)}
    assert invoke({"action": "plan", "request": wide})["where"] == "refused"


def test_a_plan_needs_a_request(invoke: Callable[..., Any]) -> None:
    with pytest.raises(contract.InvalidRequest, match="a request"):
        invoke({"action": "plan"})


def test_an_empty_text_counts_as_not_given(deployment: Deployment, invoke: Callable[..., Any]) -> None:
    deployment.put(MODEL, archive())
    empty = {"hyperparameters_uri": "", "if_present": "", "verify": "", "files": ""}
    assert invoke(deployment.request(**empty))["method"] == "graft"
    with pytest.raises(contract.InvalidRequest, match=r"^a request needs model_uri$"):
        invoke(deployment.request(model_uri=""))
