"""The Lambda. It answers by what it is given:

    {"action": "plan", "request" or "event"}    where the work belongs (`planner`); nothing is written
    {"action": "callback", "body"}              what a pipeline's message asks the state machine to plan
    {"action": "batch", "batch", …}             what the batch machine goes on with (`batches`)
    {"action": "place", "execution", …}         nothing, when the execution may start a task (`semaphore`)
    a Request                                   the Result, flat
    an S3 event (EventBridge, notification)     {"outcomes": […]}, one for each repack or reason for none
    messages of an SQS queue with either        the messages to be delivered again
    a task of an S3 Batch Operations job        its result code

An error leaves as the exception of its name, so that a state machine's Retry and Catch can tell errors apart. Where
nobody looks at the answer but the sender would try again (events, queues), a caller's mistake is told and answered;
but a message that cannot be understood never counts as done: it is delivered again, and ends with the dead letters.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Mapping
from urllib.parse import unquote_plus

from aws_lambda_powertools import Tracer
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from . import deployed, semaphore
from .batches import Tolerance, checked
from .contract import CALLER, PASSING, InvalidRequest, OutOfTime, RepackError, Request, Result, SourceNotFound
from .core.store import Progress
from .events import Arrival, arrivals, is_archive, is_s3_event, requests, unwrapped
from .planner import Plan, each, plan
from .repacker import run
from .settings import Settings
from .stores import open_source
from .stores.s3.failures import code
from .stores.s3.listing import exists, objects_below
from .telemetry import SERVICE, begin, finish, logger, tell

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

Json = dict[str, Any]

LAST_SECONDS = 10
"""Kept back from the function's time to abort what is under way."""
RESULT_STRING = 1024
"""Characters that S3 Batch Operations takes."""
THROUGH_THE_MACHINE = 192 << 10
"""Bytes of a Request: Step Functions hands 256 KiB from state to state, and an error's cause of 32 KiB comes on top."""
INTO_THE_TASK = 6000
"""Bytes of a Request: the overrides of an ECS task are 8192 with the state machine's token."""

settings = Settings.from_environment(os.environ)
s3 = settings.s3()
# The SDK's calls are not traced one by one: there are thousands, from many threads.
tracer = Tracer(service=SERVICE, auto_patch=False)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: Any, context: LambdaContext) -> Json:
    """The function's entry point."""
    progress = until_time_runs_out(context)
    try:
        match event:
            case {"action": "plan"}:
                return planned(event).to_json()
            case {"action": "callback"}:
                return callback(event.get("body"))
            case {"action": "batch"}:
                tolerance = Tolerance(event["tolerated_percent"], event["tolerated_least"])
                return batch(event["batch"], event["bucket"], tolerance)
            case {"action": "place"}:
                semaphore.take(event["execution"], event["of"], event["semaphore"], s3, runs)
                return {}
            case {"invocationSchemaVersion": _, "tasks": _}:
                return batch_operation(event, progress)
            case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
                return queue(event, context, progress)
            case _:
                return done(event, progress)
    except RepackError as error:
        tell(error)
        raise


def until_time_runs_out(context: LambdaContext) -> Progress:
    """A Progress that raises OutOfTime while there still is time to leave nothing behind."""

    def check(done: int, total: int) -> None:
        if context.get_remaining_time_in_millis() < LAST_SECONDS * 1000:
            raise OutOfTime(f"the function's time ended at {done} of {total} bytes; run this request on Fargate")

    return check


def planned(event: Mapping[str, Any]) -> Plan:
    """Where a Request, or what an S3 event asks for, belongs."""
    if "event" not in event:
        given = event.get("request")
        return refused(given, THROUGH_THE_MACHINE) or for_the_task(
            plan(deployed.request(given), s3, settings.lambda_limit_bytes)
        )
    wanted: list[Request] = []
    why = "nothing was written"
    for arrival in arrivals(event["event"]):
        found, why = asked(arrival)
        wanted += found
    if not wanted:
        return Plan("nowhere", why)
    if len(wanted) > 1:
        return each(wanted)
    try:
        return plan(wanted[0], s3, settings.lambda_limit_bytes)
    except SourceNotFound as error:
        return Plan("nowhere", f"{error}: it is gone again")


def for_the_task(found: Plan) -> Plan:
    """The plan, if a task can be started with its request."""
    if found.where != "fargate" or found.request is None:
        return found
    return refused(found.request.to_json(), INTO_THE_TASK) or found


def refused(request: Any, room: int) -> Plan | None:
    """A plan that refuses a request which has no room on its way through the state machine or into the task.

    It is no error that is raised: what was asked must not stay in the machine's state, to be told with the error.
    """
    size = size_of(request)
    if size <= room:
        return None
    return Plan(
        "refused",
        f"the request has {size} bytes of JSON and at most {room} can be handed on: "
        "put the hyperparameters into S3 and name them by hyperparameters_uri",
    )


def size_of(request: Any) -> int:
    """Its bytes as JSON."""
    return len(json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def callback(body: Any) -> Json:
    """What a message of a SageMaker callback step becomes in the state machine. Raises InvalidRequest.

    A pipeline that is being stopped sends a second message, and goes on waiting until that is answered, too.
    """
    given = message(body) if isinstance(body, str) else body
    if not isinstance(given, dict):
        raise InvalidRequest("a callback step's message is a JSON object with token and arguments")
    token = given.get("token")
    return {
        "ask": {"action": "plan", "request": given.get("arguments")},
        "explicit": True,
        **({"callback": {"token": token}} if isinstance(token, str) else {}),
        **({"stopping": True} if given.get("status") == "Stopping" and isinstance(token, str) else {}),
    }


def runs(execution: str) -> bool:
    """Whether an execution has not ended. One of which that cannot be told keeps its place."""
    try:
        machines: Any = get_session().create_client("stepfunctions")
        described = machines.describe_execution(executionArn=execution)
    except (BotoCoreError, ClientError) as error:
        logger.warning(f"{execution}: {error}")
        return code(error) != "ExecutionDoesNotExist"
    return bool(described["status"] == "RUNNING")


def batch(asked: Any, bucket: str, tolerance: Tolerance) -> Json:
    """What the batch machine goes on with, or why it does not."""
    try:
        return checked(asked, bucket, settings.input_prefix, tolerance, s3)
    except InvalidRequest as error:
        tell(error)
        return {"where": "refused", "why": str(error)}


def done(event: Any, progress: Progress) -> Json:
    """The answer to a Request or an S3 event."""
    event = unwrapped(event)
    if not is_s3_event(event):
        return asked_for(deployed.request(event), progress)
    outcomes: list[Json] = []
    for arrival in arrivals(event):
        wanted, why = asked(arrival)
        outcomes += [outcome(request, progress) for request in wanted] or [{"status": "nothing to do", "why": why}]
    return {"outcomes": outcomes}


def asked_for(request: Request, progress: Progress) -> Json:
    """The Result of a Request. Out of time, one that no task can be started with is refused, not handed over."""
    try:
        return repacked(request, progress).flat()
    except OutOfTime as error:
        if size_of(request.to_json()) <= INTO_THE_TASK:
            raise
        raise InvalidRequest(
            f"{error}, but a request of more than {INTO_THE_TASK} bytes does not fit into a task: "
            "put the hyperparameters into S3 and name them by hyperparameters_uri"
        ) from None


def repacked(request: Request, progress: Progress) -> Result:
    """Carry a request out, and tell of it."""
    begin(request)
    result = run(request, s3=s3, limits=settings.limits, progress=progress)
    finish(result)
    return result


def outcome(request: Request, progress: Progress) -> Json:
    """How one repack of an event went; what trying again may mend is raised."""
    try:
        return {"status": "repacked", **repacked(request, progress).flat()}
    except RepackError as error:
        if error.category != CALLER:
            raise
        tell(error)
        return {"status": "refused", "error": error.name, "why": str(error), "model_uri": request.model_uri}


def queue(event: Json, context: LambdaContext, progress: Progress) -> Json:
    """Each message on its own; those that should be delivered again are named in the answer."""
    # Imported when the first message comes: other callers' cold starts need not pay for it.
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    def take(record: SQSRecord) -> None:
        try:
            done(message(record.body), progress)
        except RepackError as error:
            tell(error)
            if error.category != CALLER or isinstance(error, InvalidRequest):
                raise

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(event=event, record_handler=take, processor=processor, context=context)
    return dict(answer)


def message(body: str) -> Any:
    """What a queue's message holds. Raises InvalidRequest."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise InvalidRequest(f"the message is not JSON: {error}") from None


def batch_operation(event: Json, progress: Progress) -> Json:
    """Each task of an S3 Batch Operations job (one, at present) as succeeded, to be tried again, or failed for good."""
    results = []
    for task in event["tasks"]:
        try:
            code, text = "Succeeded", batch_task(task, progress)
        except RepackError as error:
            tell(error)
            code = "TemporaryFailure" if error.category == PASSING else "PermanentFailure"
            text = f"{error.name}: {error}"
        results.append({"taskId": task["taskId"], "resultCode": code, "resultString": text[:RESULT_STRING]})
    return {
        "invocationSchemaVersion": event["invocationSchemaVersion"],
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": event["invocationId"],
        "results": results,
    }


def batch_task(task: Mapping[str, Any], progress: Progress) -> str:
    """Repack one object of the manifest; what was done. Raises InvalidRequest if there is nothing to do."""
    bucket = task.get("s3Bucket") or task["s3BucketArn"].rpartition(":")[2]
    arrival = Arrival(bucket, unquote_plus(task["s3Key"]))
    wanted, why = asked(arrival)
    if not wanted:
        raise InvalidRequest(why)
    version = task.get("s3VersionId")
    if version:
        source = open_source(arrival.uri, s3)
        source.close()
        if source.version_id != version:
            raise InvalidRequest(f"version {version} of {arrival.uri} is not its newest; only that is repacked")
    results = [repacked(request, progress) for request in wanted]
    return ", ".join(f"{result.method}: {result.output_uri}" for result in results)


def asked(arrival: Arrival) -> tuple[list[Request], str]:
    """What an object that was written asks for, and why if for nothing."""

    def archives(bucket: str, folder: str) -> list[str]:
        keys = (item.uri[len(f"s3://{bucket}/") :] for item in objects_below(f"s3://{bucket}/{folder}", s3, deep=False))
        return list(filter(is_archive, keys))

    return requests(arrival, settings, lambda bucket, key: exists(f"s3://{bucket}/{key}", s3), archives)
