"""Peak memory of whole processes, with parts as large as those of the largest rewrite."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from isal import igzip

from tests.deployment import ANYBODY

ROOT = Path(__file__).parents[3]
MiB = 1 << 20

# An archive of 300 GiB cannot be had here; what it does to memory can: its parts are as large as any.
LARGEST_PARTS = """
import sys
from lambda_fn import cli
from lambda_fn.core import survey
from lambda_fn.stores.s3 import parts
survey.MANY = 1
parts.upload_part = lambda total: parts.MEMORY
status = cli.main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that only a rewrite can repack."""
    folder = tmp_path_factory.mktemp("model")
    block = random.Random(0).randbytes(10 * MiB)  # again and again: no encoder looks back so far
    with (folder / "weights").open("wb") as weights:
        for _ in range(30):
            weights.write(block)
    (folder / "old").write_bytes(b"{}")
    packed = igzip.open(folder / "model.tar.gz", "wb")  # type: ignore[no-untyped-call]
    with packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for _ in range(9):
            tar.add(folder / "old", "hyperparameters.json")
        tar.add(folder / "weights", "weights")
    return folder / "model.tar.gz"


@pytest.fixture(scope="module")
def inside(s3: Any, rewritten: Path) -> str:
    """The same in a bucket."""
    s3.create_bucket(Bucket="large-models")
    with rewritten.open("rb") as body:
        s3.put_object(Bucket="large-models", Key="in", Body=body)
    return "s3://large-models/in"


@pytest.mark.parametrize("where", ["inside", "up"])
def test_the_largest_parts_stay_below_200_mib(
    s3_url: str, bucket: str, rewritten: Path, inside: str, where: str
) -> None:
    source = inside if where == "inside" else str(rewritten)
    run = subprocess.run(
        [sys.executable, "-c", LARGEST_PARTS, "repack", source, "--set", "a=1", "--output", f"s3://{bucket}/out"],
        env={**os.environ, **ANYBODY, "AWS_ENDPOINT_URL_S3": s3_url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert ": rewrite, " in run.stdout
    assert int(run.stdout.splitlines()[-1]) < 200 * 1024


PATCHES = """
import sys
from lambda_fn.core.recipe import Copy, Made
from lambda_fn.stores.s3 import S3Access, S3Source, S3Target
access = S3Access.default()
source = S3Source(sys.argv[1], access)
for _ in source.stream():
    pass
step, new = source.size // 250, 400_000
recipe = [
    piece
    for number in range(250)
    for piece in (Copy(number * step, (number + 1) * step - new), Made(lambda: iter([bytes(new)]), new))
]
published = S3Target(sys.argv[2], access).publish(source, recipe, {}, lambda done, total: None)
assert (published.size, published.proof) == (250 * step, "CRC64NVME")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_hundreds_of_patches_stay_below_200_mib(s3_url: str, bucket: str, inside: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PATCHES, inside, f"s3://{bucket}/out"],
        env={**os.environ, **ANYBODY, "AWS_ENDPOINT_URL_S3": s3_url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 200 * 1024
