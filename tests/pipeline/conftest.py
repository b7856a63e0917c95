"""What the step's tests share: archives, a stand-in S3 with a session on it, and a stand-in for SageMaker itself."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.programs import SEALED as UNSHARED
from tests.programs import pytest_runtest_setup
from tests.pythons import installed

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


@pytest.fixture(scope="session")
def boto_session() -> Any:
    """One for all, because what a session has read of AWS's models it keeps."""
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


def resolve(value: Any, known: Mapping[str, Any]) -> Any:
    """A definition's value as it is at run time: variables looked up, joins joined."""
    if isinstance(value, list):
        return [resolve(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Get"}:
        return known[value["Get"]]
    if set(value) == {"Std:Join"}:
        return value["Std:Join"]["On"].join(resolve(value["Std:Join"]["Values"], known))
    return {key: resolve(item, known) for key, item in value.items()}


@dataclass
class Ended:
    """A job that ran."""

    status: int
    log: str
    exit_message: str


@dataclass
class SageMaker:
    """Runs processing jobs the way SageMaker does, on this machine, without a network and with nothing installed."""

    s3: Any
    place: Path
    python: str
    sealed: list[str]
    """A command that starts others in namespaces of their own."""
    known: dict[str, Any] = field(default_factory=lambda: {"Execution.PipelineExecutionId": "execution"})

    def run_pipeline(self, definition: Mapping[str, Any]) -> dict[str, Ended]:
        """Run all steps in the order in which they are defined; stop after one that fails."""
        for parameter in definition["Parameters"]:
            self.known.setdefault(f"Parameters.{parameter['Name']}", parameter.get("DefaultValue"))
        ended = {}
        for step in definition["Steps"]:
            ended[step["Name"]] = self.run_job(resolve(step["Arguments"], self.known))
            if ended[step["Name"]].status:
                break
            for output in resolve(step["Arguments"], self.known)["ProcessingOutputConfig"]["Outputs"]:
                path = f"Steps.{step['Name']}.ProcessingOutputConfig.Outputs['{output['OutputName']}'].S3Output.S3Uri"
                self.known[path] = output["S3Output"]["S3Uri"]
        return ended

    def run_job(self, job: Mapping[str, Any], tamper: Callable[[Path], object] = lambda ml: None) -> Ended:
        """Download the inputs, run the entry point, upload the outputs. `tamper` gets the job's /opt/ml in between."""
        ml = self.place / "ml"
        shutil.rmtree(ml, ignore_errors=True)
        for wanted in job["ProcessingInputs"]:
            self._download(wanted["S3Input"]["S3Uri"], ml / Path(wanted["S3Input"]["LocalPath"]).relative_to("/opt/ml"))
        for made in job["ProcessingOutputConfig"]["Outputs"]:
            self._local(ml, made).mkdir(parents=True)
        tamper(ml)
        application = job["AppSpecification"]
        command = [*application["ContainerEntrypoint"], *application.get("ContainerArguments", [])]
        environment = [f"{name}={value}" for name, value in job.get("Environment", {}).items()]
        path = f"PATH={Path(self.python).parent}:/usr/bin:/bin"
        run = subprocess.run(
            [*self.sealed, "bash", "-c", SEALED, "sealed", str(self.place), path, *environment, *command],
            capture_output=True,
            text=True,
        )
        message = ml / "output/message"
        if run.returncode == 0:
            for made in job["ProcessingOutputConfig"]["Outputs"]:
                self._upload(self._local(ml, made), made["S3Output"]["S3Uri"])
        return Ended(run.returncode, run.stdout + run.stderr, message.read_text() if message.exists() else "")

    @staticmethod
    def _local(ml: Path, output: Mapping[str, Any]) -> Path:
        return ml / Path(output["S3Output"]["LocalPath"]).relative_to("/opt/ml")

    def _download(self, uri: str, folder: Path) -> None:
        """Everything whose key begins like the URI, as S3DataType S3Prefix says."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        keys = [item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
        is_folder = any(key.startswith(prefix.rstrip("/") + "/") for key in keys)
        root = prefix.rstrip("/") + "/" if is_folder else prefix[: prefix.rfind("/") + 1]
        folder.mkdir(parents=True, exist_ok=True)
        for key in keys:
            file = folder / key.removeprefix(root)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def _upload(self, folder: Path, uri: str) -> None:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        for file in folder.rglob("*"):
            if file.is_file():
                key = f"{prefix}/{file.relative_to(folder)}"
                self.s3.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())


SEALED = """
set -e
place=$1; shift
mkdir -p "$place/opt"
mount --rbind /opt "$place/opt"
mount -t tmpfs none /opt
for entry in "$place"/opt/*; do [ -e "$entry" ] && ln -s "$entry" /opt/; done
mkdir /opt/ml
mount --bind "$place/ml" /opt/ml
# root without the right to overlook file permissions
exec setpriv --bounding-set=-dac_override,-dac_read_search env -i "$@"
"""
"""Makes /opt/ml the job's own, then starts it with only the environment that it was given."""


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A virtual environment with nothing in it, of Python 3.9 if there is one."""
    place = tmp_path_factory.mktemp("bare")
    subprocess.run([installed().get("3.9", sys.executable), "-m", "venv", "--without-pip", str(place)], check=True)
    return str(place / "bin/python3")


@pytest.fixture
def sagemaker(s3: Any, bare_python: str, tmp_path: Path) -> SageMaker:
    """The stand-in for SageMaker on the stand-in S3."""
    place = tmp_path / "sagemaker"
    place.mkdir()
    return SageMaker(s3, place, bare_python, [*UNSHARED])


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
