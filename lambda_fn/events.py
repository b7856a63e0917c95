"""What S3 says has happened, in the two dialects it speaks, and what that asks of us.

EventBridge brings keys as they are; the classic notification (`Records`) brings them URL-encoded. Both may
arrive wrapped in a queue's message, and in a topic's. A model and the `hyperparameters.json` beside it, in the same
folder, make a request: whichever arrives last finds the other there, and the first one waits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Mapping
from urllib.parse import unquote_plus

from .contract import InvalidRequest, Request
from .settings import Settings

HYPERPARAMETERS = "hyperparameters.json"
ARCHIVES = (".tar.gz", ".tgz")
"""How the names of models end, in small letters or capitals."""
APPLE_DOUBLE = "._"
"""How the names of files begin that macOS makes beside others where it cannot keep their attributes."""

Exists = Callable[[str, str], bool]
"""Whether bucket holds key."""
Archives = Callable[[str, str], list[str]]
"""The keys of the archives in one folder of a bucket; the folder is empty or ends with a slash."""


@dataclass(frozen=True)
class Arrival:
    """An object that was just written. Its newest version counts: a later one has an event of its own."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def is_archive(key: str) -> bool:
    """Whether an object is a model, by its name."""
    name = key[key.rfind("/") + 1 :]
    return name.lower().endswith(ARCHIVES) and not name.startswith(APPLE_DOUBLE)


def unwrapped(event: Any) -> Any:
    """What SNS carried: its envelope in a queue, or its record to a function. Anything else as it is."""
    match event:
        case {"Type": "Notification", "Message": str(message)} | {"Records": [{"Sns": {"Message": str(message)}}]}:
            try:
                return json.loads(message)
            except ValueError as error:
                raise InvalidRequest(f"the topic's message is not JSON: {error}") from None
    return event


def is_s3_event(event: Any) -> bool:
    """Whether S3 sent it: through EventBridge, as a notification, or to test where those go."""
    match event:
        case {"source": "aws.s3"} | {"Records": _} | {"Event": "s3:TestEvent"}:
            return True
    return False


def arrivals(event: Mapping[str, Any]) -> list[Arrival]:
    """The objects that the event says were written: none of a deletion or a test message. Raises InvalidRequest."""
    if event.get("Event") == "s3:TestEvent":
        return []
    try:
        if "detail-type" in event:
            detail = event["detail"]
            arrival = Arrival(detail["bucket"]["name"], detail["object"]["key"])
            return [arrival] if event["detail-type"] == "Object Created" else []
        records = [(record["eventName"], record["s3"]) for record in event["Records"]]
        return [
            Arrival(of["bucket"]["name"], unquote_plus(of["object"]["key"]))
            for name, of in records
            if name.startswith("ObjectCreated:")
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"this is not an S3 event as AWS documents it: {error!r} is not there") from error


def requests(arrival: Arrival, settings: Settings, exists: Exists, archives: Archives) -> tuple[list[Request], str]:
    """What an arrival asks for, and, where that is nothing, one sentence why. Raises InvalidRequest."""
    if settings.output_bucket is None:
        raise InvalidRequest("set REPACK_OUTPUT_BUCKET: without it there is no place for the outputs of S3 events")
    bucket, key = arrival.bucket, arrival.key
    folder, name = key[: key.rfind("/") + 1], key[key.rfind("/") + 1 :]
    beside = f"{folder}{HYPERPARAMETERS}"

    def watched(key: str) -> bool:
        # Where outputs go nothing counts as a source: this keeps us from triggering ourselves.
        ours = bucket == settings.output_bucket and key.startswith(settings.output_prefix)
        return key.startswith(settings.input_prefix) and not ours

    def request(model: str, hyperparameters_uri: str) -> Request:
        output = settings.output_prefix + model.removeprefix(settings.input_prefix)
        return Request(f"s3://{bucket}/{model}", f"s3://{settings.output_bucket}/{output}", None, hyperparameters_uri)

    if not watched(key):
        return [], f"{arrival.uri} is not under the watched prefix {settings.input_prefix!r}, or is an output"
    if name == HYPERPARAMETERS:
        models = [model for model in archives(bucket, folder) if watched(model)]
        return [request(model, arrival.uri) for model in models], f"waiting for a model beside {arrival.uri}"
    if not is_archive(key):
        return [], f"{arrival.uri} is neither a {' or '.join(ARCHIVES)} nor a {HYPERPARAMETERS}"
    if exists(bucket, beside):
        return [request(key, f"s3://{bucket}/{beside}")], ""
    if settings.hyperparameters_uri:
        return [request(key, settings.hyperparameters_uri)], ""
    return [], f"waiting for s3://{bucket}/{beside}"
