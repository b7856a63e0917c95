"""How thorough the tests are, who judges them, and one S3 for all tests that need one.

Hypothesis tries few examples by default, so that all tests run in minutes; HYPOTHESIS_PROFILE=thorough tries forty
times as many, HYPOTHESIS_PROFILE=hunt four hundred times.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from botocore.config import Config
from botocore.session import get_session
from hypothesis import HealthCheck, settings

from tests import archives, readers
from tests.deployment import ANYBODY, Deployment
from tests.stand_ins.localstack import CannotStart, localstack

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
settings.register_profile("hunt", parent=settings.get_profile("default"), max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_report_header() -> list[str]:
    return [
        f"readers that judge: {readers.report()}",
        f"tars: Python's in four formats, {', '.join(archives.TREE_TARS)}",
        f"encoders: {len(archives.ENCODERS)} in Python, {', '.join(archives.PROGRAMS) or 'no others'}",
    ]


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The URL of a running S3."""
    try:
        with localstack() as url:
            yield url
    except CannotStart as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def deployment(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Empty buckets."""
    for name, value in ANYBODY.items():
        monkeypatch.setenv(name, value)
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    client: Any = get_session().create_client("s3", region_name="eu-west-1", endpoint_url=s3_url, config=config)
    models, outputs = f"models-{uuid4().hex[:8]}", f"outputs-{uuid4().hex[:8]}"
    for bucket in (models, outputs):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    environment = {
        **ANYBODY,
        "AWS_ENDPOINT_URL_S3": s3_url,
        "REPACK_INPUT_PREFIX": "in/",
        "REPACK_OUTPUT_BUCKET": outputs,
        "REPACK_OUTPUT_PREFIX": "out/",
    }
    return Deployment(client, models, outputs, environment)
