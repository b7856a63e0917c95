"""What the step's tests share: archives, and a stand-in S3 with a session on it."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.programs import pytest_runtest_setup
from tests.pythons import installed
from tests.stand_ins.aws_models import read_once
from tests.stand_ins.sagemaker import SageMaker, bare_environment, resolve

__all__ = ["pytest_runtest_setup"]

BUCKET = "models"

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # SDK v3 asks for it as soon as it is imported


def archive(entries: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def make_archive() -> Callable[[Mapping[str, bytes]], bytes]:
    return archive


@pytest.fixture(scope="session", autouse=True)
def models_are_read_once() -> Iterator[None]:
    with read_once():
        yield


@pytest.fixture(scope="session")
def boto_session() -> Any:
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("moto")  # before the session, which takes over its hooks
    return boto3.Session(aws_access_key_id="stand-in", aws_secret_access_key="stand-in")


@pytest.fixture
def s3(boto_session: Any) -> Iterator[Any]:
    """A stand-in S3 that holds one empty bucket."""
    from moto import mock_aws

    with mock_aws():
        client = boto_session.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def session(s3: Any, boto_session: Any) -> Any:
    """A pipeline session on the stand-in."""
    pytest.importorskip("sagemaker", reason="the SageMaker SDK is in environments of its own")
    from lambda_fn.pipeline import sdk

    return sdk.PipelineSession(boto_session=boto_session, default_bucket=BUCKET)


@pytest.fixture
def define(session: Any) -> Callable[..., dict[str, Any]]:
    """The definition of a pipeline of the given steps and parameters, as SageMaker would get it."""
    from lambda_fn.pipeline import sdk

    def definition(*steps: Any, parameters: Any = ()) -> dict[str, Any]:
        pipeline = sdk.Pipeline(name="p", steps=list(steps), parameters=list(parameters), sagemaker_session=session)
        document: dict[str, Any] = json.loads(pipeline.definition())
        return document

    return definition


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of Python 3.9 if there is one."""
    return bare_environment(tmp_path_factory.mktemp("bare"), installed().get("3.9", sys.executable))


@pytest.fixture
def sagemaker(s3: Any, bare_python: str, tmp_path: Path) -> SageMaker:
    """The stand-in for SageMaker on the stand-in S3."""
    place = tmp_path / "sagemaker"
    place.mkdir()
    return SageMaker(s3, place, bare_python)


@pytest.fixture
def resolved() -> Callable[[Any, Mapping[str, Any]], Any]:
    return resolve


@pytest.fixture
def entries_of() -> Callable[[bytes], dict[str, bytes]]:
    """Name → bytes of an archive, as Python reads it; fails if a name is there twice."""

    def entries(data: bytes) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            for member in tar:
                assert member.name not in found
                file = tar.extractfile(member)
                found[member.name] = file.read() if file else b""
        return found

    return entries
