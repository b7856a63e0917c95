"""Requests for models that lie in a deployment's buckets."""

from __future__ import annotations

import io
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
