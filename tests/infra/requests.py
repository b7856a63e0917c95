"""Requests for models that lie in a deployment's buckets."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from tests.stand_ins.stack import Deployment


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def request_for(deployment: Deployment, name: str, **more: Any) -> dict[str, Any]:
    model = deployment.put(f"models/{name}/model.tar.gz", archive(weights=b"w" * 5000))
    output = deployment.output_uri(f"{name}/model.tar.gz")
    return {"model_uri": model, "output_uri": output, "hyperparameters": {"name": name}, **more}


def hyperparameters_in(packed: bytes) -> Any:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert tar.getnames().count("hyperparameters.json") == 1
        content = tar.extractfile("hyperparameters.json")
        assert content is not None
        return json.load(content)


def without_waiting(deployment: Deployment) -> None:
    """A machine like the deployed one that tries again at once."""
    if "WithoutWaiting" not in deployment.outputs:
        client = deployment.client("stepfunctions")
        deployed = client.describe_state_machine(stateMachineArn=deployment.outputs["StateMachineArn"])
        definition = json.loads(deployed["definition"])
        for state in definition["States"].values():
            for retrier in state.get("Retry", []):
                retrier.update(IntervalSeconds=1, BackoffRate=1.0, MaxAttempts=min(2, retrier["MaxAttempts"]))
        made = client.create_state_machine(
            name="WithoutWaiting", definition=json.dumps(definition), roleArn=deployed["roleArn"]
        )
        deployment.outputs["WithoutWaiting"] = made["stateMachineArn"]
