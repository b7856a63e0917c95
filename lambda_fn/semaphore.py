"""A semaphore for Fargate tasks: at most so many executions of the state machine have one at the same time.

It is one object in S3, the list of the executions that hold a place, and is replaced only as it was read. Nobody gives
a place back: it is free once its execution has ended, which Step Functions is asked where all seem taken. So none is
ever lost, whatever becomes of an execution.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import Callable, Mapping

from .core.errors import OutputChanged, SourceNotFound
from .stores.s3 import Place, S3Access, pointer
from .stores.s3.failures import named_errors

Runs = Callable[[str], bool]
"""Whether an execution, named by its ARN, has not ended."""


class NoPlace(Exception):
    """All places are taken; the state machine asks again later."""


def take(execution: str, most: int, uri: str, access: S3Access, runs: Runs) -> None:
    """Give the execution one of so many places, unless it has one. Raises NoPlace, and what S3 refuses."""
    place = Place.of_output(uri)
    holders, unchanged = _read(place, access)
    if execution in holders:
        return
    if len(holders) >= most:
        holders = [holder for holder in holders if runs(holder)]
    if len(holders) >= most:
        raise NoPlace(f"{len(holders)} executions have a task, and there may be {most}")
    try:
        with named_errors(place, changed=OutputChanged):
            pointer.put(place, access, [*holders, execution], **unchanged)
    except OutputChanged:
        raise NoPlace("another execution took a place at the same moment") from None


def _read(place: Place, access: S3Access) -> tuple[list[str], Mapping[str, str]]:
    """Who holds a place, and the condition that this is still so."""
    try:
        with named_errors(place, missing=SourceNotFound):
            answer = access.client.get_object(**access.on(place))
            with closing(answer["Body"]) as body:
                said, unchanged = body.read(), {"IfMatch": answer["ETag"]}
    except SourceNotFound:
        return [], {"IfNoneMatch": "*"}
    return _holders(said), unchanged


def _holders(said: bytes) -> list[str]:
    """Who is in the list; nobody if it is none, since no task could start any more."""
    try:
        holders = json.loads(said)
    except (ValueError, RecursionError):
        return []
    return [holder for holder in holders if isinstance(holder, str)] if isinstance(holders, list) else []
