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
    with (folder / "weights").open("wb") as weights:
        for seed in range(30):
            weights.write(random.Random(seed).randbytes(10 * MiB))
    (folder / "old").write_bytes(b"{}")
    packed = igzip.open(folder / "model.tar.gz", "wb")  # type: ignore[no-untyped-call]
    with packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for _ in range(9):
            tar.add(folder / "old", "hyperparameters.json")
        tar.add(folder / "weights", "weights")
    return folder / "model.tar.gz"


@pytest.mark.parametrize("where", ["inside", "up"])
def test_the_largest_parts_stay_below_200_mib(s3: Any, s3_url: str, bucket: str, rewritten: Path, where: str) -> None:
    source = str(rewritten)
    if where == "inside":
        with rewritten.open("rb") as body:
            s3.put_object(Bucket=bucket, Key="in", Body=body)
        source = f"s3://{bucket}/in"
    run = subprocess.run(
        [sys.executable, "-c", LARGEST_PARTS, "repack", source, "--set", "a=1", "--output", f"s3://{bucket}/out"],
        env={**os.environ, **ANYBODY, "AWS_ENDPOINT_URL_S3": s3_url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert ": rewrite, " in run.stdout
    assert int(run.stdout.splitlines()[-1]) < 200 * 1024


THOUSAND_PATCHES = """
import sys
from lambda_fn.core.recipe import Copy, Made
from lambda_fn.stores.s3 import S3Access, S3Source, S3Target
access = S3Access.default()
source = S3Source(sys.argv[1], access)
for _ in source.stream():
    pass
step, new = source.size // 1000, 100_000
recipe = [
    piece
    for number in range(1000)
    for piece in (Copy(number * step, (number + 1) * step - new), Made(lambda: iter([bytes(new)]), new))
]
published = S3Target(sys.argv[2], access).publish(source, recipe, {}, lambda done, total: None)
assert (published.size, published.proof) == (1000 * step, "CRC64NVME")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_a_thousand_patches_stay_below_200_mib(s3: Any, s3_url: str, bucket: str, rewritten: Path) -> None:
    with rewritten.open("rb") as body:
        s3.put_object(Bucket=bucket, Key="in", Body=body)
    run = subprocess.run(
        [sys.executable, "-c", THOUSAND_PATCHES, f"s3://{bucket}/in", f"s3://{bucket}/out"],
        env={**os.environ, **ANYBODY, "AWS_ENDPOINT_URL_S3": s3_url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 200 * 1024
