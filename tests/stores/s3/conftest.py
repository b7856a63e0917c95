"""An S3 to test against: LocalStack, alone or behind a proxy that fails on purpose, life-size or to scale."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from botocore.config import Config
from botocore.retries import standard
from botocore.session import Session
from moto import mock_aws

from lambda_fn.core import survey
from lambda_fn.stores.s3 import S3Access, checksum, multipart, parts, sending, source, witness
from tests.stand_ins.faults import Proxy, impatient
from tests.stand_ins.localstack import LEAST_PART

SIZES: dict[ModuleType, tuple[str, ...]] = {
    checksum: ("GAP",),
    multipart: ("CHUNK",),
    parts: ("MIN_PART", "LARGE_COPY", "UPLOAD_PART", "MEMORY", "MOST_UPLOADED", "COPY_PART"),
    sending: ("MEMORY",),
    source: ("BLOCK", "CHUNK", "CHECKSUM_EVERY"),
    witness: ("MADE_TWICE",),
}
"""All by which the code decides how many requests there are, and of how many bytes."""


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one change is more than a splice is worth, so that archives of a rewrite are small."""
    monkeypatch.setattr(survey, "MANY", 1)


@pytest.fixture(scope="module")
def scale() -> int:
    """By what all sizes are divided, S3's own as well: the requests are the same, of fewer bytes.

    A module says so by a fixture of this name, if it is about neither sizes nor what S3 says of them.
    """
    return 1


@pytest.fixture(autouse=True)
def sizes(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in SIZES.items():
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name) // scale)


@pytest.fixture(scope="module")
def s3_url(servers: Callable[[int], str], scale: int) -> str:
    return servers(LEAST_PART // scale)


@pytest.fixture(scope="module")
def proxy(s3_url: str) -> Iterator[Proxy]:
    with Proxy(s3_url) as proxy:
        yield proxy


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Access]:
    """Another S3 with a bucket called `bucket`: it knows access points, and gives no checksums."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        access = S3Access.default()
        access.client.create_bucket(Bucket="bucket")
        yield access


def client(url: str, **options: Any) -> Any:
    config = Config(
        retries={"mode": "standard", "max_attempts": 4},
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **options,
    )
    session = Session()
    session.set_credentials("test", "test")
    return session.create_client("s3", region_name="us-east-1", endpoint_url=url, config=config)


@pytest.fixture(scope="module")
def s3(s3_url: str) -> Any:
    """A client that nothing stands in the way of."""
    return client(s3_url)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"bucket-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def access(s3: Any) -> S3Access:
    return S3Access(s3)


@pytest.fixture
def proxied(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Access]:
    """Access through the proxy, without pauses between attempts."""
    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda self, context: 0.0)
    monkeypatch.setattr(source, "PAUSE", 0.0)
    proxy.reset()
    yield S3Access(impatient(client(proxy.url, max_pool_connections=16)))
    proxy.reset()


@pytest.fixture(scope="module")
def noise(scale: int) -> bytes:
    """Bytes that no range of repeats, enough for three copied parts."""
    return random.Random(3).randbytes((23 << 20) // scale)
