"""Where a request belongs, from HEADs and a few small reads: nowhere if it is done, the Lambda, or Fargate."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from .contract import Request
from .core.repack import Job
from .repacker import gather
from .stores import open_source, open_target
from .stores.s3 import S3Access


@dataclass(frozen=True)
class Plan:
    """What to do next, and why."""

    where: str
    """nowhere, lambda or fargate."""
    why: str
    method: str = "unknown"
    """The likely one: unchanged, graft, or unknown before a scan."""
    known: bool = False
    """The archive was scanned before and need not be read again."""
    size: int | None = None
    request: Request | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same shape."""
        return {**asdict(self), "request": self.request.to_json() if self.request else None}


def plan(request: Request, s3: S3Access, lambda_limit: int) -> Plan:
    """Raises what is wrong with the request, its model's first bytes or its hyperparameters."""
    overlay = gather(request, s3)
    with (
        closing(open_source(request.model_uri, s3)) as source,
        closing(open_target(request.output_uri, s3)) as target,
    ):
        method = Job(source, target, overlay, request.if_present, request.verify).forecast()
        size = source.size
    if method == "unchanged":
        return Plan("nowhere", f"{request.output_uri} is made of just this already", method, True, size, request)
    if method:
        return Plan("lambda", "the archive was scanned before: only its front changes", method, True, size, request)
    if size <= lambda_limit:
        return Plan("lambda", f"a scan of {size} bytes fits the function", size=size, request=request)
    return Plan("fargate", f"{size} bytes are more than the {lambda_limit} set for Lambda", size=size, request=request)
