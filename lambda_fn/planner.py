"""Where a request belongs, from HEADs and a few small reads: nowhere if it is done, the Lambda, or Fargate.

Several requests of one event belong to executions of their own, one each.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Sequence

from .contract import InvalidRequest, Request
from .repacker import likely
from .stores.s3 import S3Access

MANY = 50
"""Requests in one plan: Step Functions hands 256 KiB from state to state, and three long URIs take 3 KiB."""


@dataclass(frozen=True)
class Plan:
    """What to do next, and why."""

    where: str
    """nowhere, lambda, fargate, refused, or each: an execution for each of `requests`."""
    why: str
    method: str = "unknown"
    """The likely one: unchanged, graft, or unknown before a scan."""
    known: bool = False
    """The archive was scanned before and need not be read again."""
    size: int | None = None
    request: Request | None = None
    requests: tuple[Request, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same shape."""
        one = self.request.to_json() if self.request else None
        return {**asdict(self), "request": one, "requests": [request.to_json() for request in self.requests]}


def each(requests: Sequence[Request]) -> Plan:
    """For the models that lie beside one `hyperparameters.json`. Raises InvalidRequest for too many."""
    if len(requests) > MANY:
        raise InvalidRequest(
            f"{len(requests)} models lie beside one hyperparameters.json, more than the {MANY} of one plan; "
            "start the batch machine with their prefix"
        )
    return Plan("each", f"{len(requests)} models lie beside these hyperparameters", requests=tuple(requests))


def plan(request: Request, s3: S3Access, lambda_limit: int) -> Plan:
    """Raises what is wrong with the request, its model's first bytes or its hyperparameters."""
    known, size = likely(request, s3)
    if known and known.there:
        why = f"{request.output_uri} is made of just this already"
        return Plan("nowhere", why, known.method, True, size, request)
    if known:
        return Plan("lambda", known.why, known.method, True, size, request)
    if size <= lambda_limit:
        return Plan("lambda", f"a scan of {size} bytes fits the function", size=size, request=request)
    return Plan("fargate", f"{size} bytes are more than the {lambda_limit} set for Lambda", size=size, request=request)
