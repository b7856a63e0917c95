"""A deployment's buckets, and the models that arrive in them."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANYBODY = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}
EVENTS = Path(__file__).parent / "events"
MODEL = "in/a+b%2Fc d/é.tar.gz"
"""The key in the event documents, as it is."""
BESIDE = "in/a+b%2Fc d/hyperparameters.json"
OUTPUT = "out/a+b%2Fc d/é.tar.gz"


@dataclass(frozen=True)
class Deployment:
    """Two buckets, and the environment of what is deployed over them."""

    client: Any
    models: str
    outputs: str
    environment: dict[str, str]

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.models, Key=key, Body=body)

    def request(self, **given: Any) -> dict[str, Any]:
        """A Request for the model of the event documents."""
        uris = {"model_uri": f"s3://{self.models}/{MODEL}", "output_uri": f"s3://{self.outputs}/{OUTPUT}"}
        return {**uris, "hyperparameters": {"depth": 6}, **given}

    def event(self, name: str) -> Any:
        """One of the event documents, of these buckets."""
        return json.loads((EVENTS / f"{name}.json").read_text().replace("models-in", self.models))

    def hyperparameters(self, key: str = OUTPUT) -> list[tuple[str, bytes]]:
        """Every entry of an output whose name is a spelling of ours."""
        body = self.client.get_object(Bucket=self.outputs, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return [(entry.name, tar.extractfile(entry).read()) for entry in tar if "hyperparameters" in entry.name]  # type: ignore[union-attr]

    @property
    def left(self) -> list[str]:
        """What lies in the outputs' bucket: the keys, and the uploads that are open."""
        objects = self.client.list_objects_v2(Bucket=self.outputs).get("Contents", [])
        return [item["Key"] for item in objects] + [f"open: {key}" for key in self.open_uploads]

    @property
    def open_uploads(self) -> list[str]:
        return [item["Key"] for item in self.client.list_multipart_uploads(Bucket=self.outputs).get("Uploads", [])]


def archive(weights: int = 1000, **files: bytes) -> bytes:
    """A model.tar.gz with so many bytes of weights that do not compress, and files under the given names."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w|") as tar,
    ):
        for name, data in {"weights.bin": random.Random(4).randbytes(weights), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
