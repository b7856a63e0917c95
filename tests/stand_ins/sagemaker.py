"""SageMaker as a processing job sees it: /opt/ml laid out from S3, the job's entry point, /opt/ml carried back to S3.

A job runs in namespaces of its own, without a network, in a bare Python: what it was not given it does not have.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.programs import SEALED as NAMESPACES


def bare_environment(place: Path, python: str = sys.executable) -> str:
    """A virtual environment with nothing in it, of a given Python: its interpreter."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(place)], check=True)
    return str(place / "bin/python3")


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
    seconds: float


@dataclass
class SageMaker:
    """Runs processing jobs the way SageMaker does, on this machine, without a network and with nothing installed."""

    s3: Any
    place: Path
    python: str
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
        began = time.monotonic()
        run = subprocess.run(
            [*NAMESPACES, "bash", "-c", SEALED, "sealed", str(self.place), path, *environment, *command],
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - began
        message = ml / "output/message"
        if run.returncode == 0:
            for made in job["ProcessingOutputConfig"]["Outputs"]:
                self._upload(self._local(ml, made), made["S3Output"]["S3Uri"])
        said = message.read_text() if message.exists() else ""
        return Ended(run.returncode, run.stdout + run.stderr, said, seconds)

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
