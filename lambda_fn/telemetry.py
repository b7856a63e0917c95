"""What the outside is told of every repack, the same from the Lambda and the Fargate task: log lines and metrics.

One EMF document a repack, in the namespace `ModelRepacker` unless the environment names another:

| metric                                              | dimensions                        |
|-----------------------------------------------------|-----------------------------------|
| Repacks, BytesRead, BytesUploaded, BytesCopied, Seconds | service; service and method   |
| Errors                                              | service; service and error (its name) |
"""

from __future__ import annotations

import os

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from .contract import CALLER, RepackError, Request, Result

SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "model-repacker")
NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "ModelRepacker")
KEYS = ("model_uri", "output_uri")
"""In every log line while a repack goes on, and in that of the error that ends it."""

logger = Logger(service=SERVICE)
_metrics = Metrics(service=SERVICE, namespace=NAMESPACE)


def begin(request: Request) -> None:
    """Have every log line say what is repacked, until it is finished or an error is told."""
    logger.append_keys(model_uri=request.model_uri, output_uri=request.output_uri)


def finish(result: Result) -> None:
    """Log and count a repack."""
    logger.info("repacked", result=result.flat())
    logger.remove_keys(KEYS)
    _metrics.add_metric("Repacks", MetricUnit.Count, 1)
    _metrics.add_metric("BytesRead", MetricUnit.Bytes, result.bytes.read)
    _metrics.add_metric("BytesUploaded", MetricUnit.Bytes, result.bytes.uploaded)
    _metrics.add_metric("BytesCopied", MetricUnit.Bytes, result.bytes.copied)
    _metrics.add_metric("Seconds", MetricUnit.Seconds, result.seconds)
    _publish(method=result.method)


def tell(error: RepackError) -> None:
    """Log and count an error, once, where it leaves us."""
    level = logger.error if error.category == CALLER else logger.warning
    level(str(error), error=error.name, category=error.category)
    logger.remove_keys(KEYS)
    _metrics.add_metric("Errors", MetricUnit.Count, 1)
    _publish(error=error.name)


def _publish(**dimension: str) -> None:
    _metrics.add_dimensions(service=SERVICE, **dimension)
    _metrics.flush_metrics()
