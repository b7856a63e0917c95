"""Models in a bucket, large enough for parts or not, and what a repack of them may cost."""

from __future__ import annotations

import io
import random
import tarfile
from typing import Any

from isal import igzip

from lambda_fn import Result
from tests.stand_ins.faults import Proxy

MiB = 1 << 20
NEW, OLD = b'{"depth": 7}', b'{"depth": 6}'


def archive(size: int, *old: str) -> bytes:
    """A tar.gz of so many bytes that do not compress, and the old hyperparameters under some names."""
    packed = io.BytesIO()
    compressed = igzip.IGzipFile(mode="wb", fileobj=packed, mtime=0)  # type: ignore[no-untyped-call]
    with compressed, tarfile.open(fileobj=compressed, mode="w") as tar:
        for name, data in [("weights.bin", random.Random(size).randbytes(size)), *((name, OLD) for name in old)]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def hyperparameters_in(packed: bytes) -> list[bytes]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        found = [tar.extractfile(member) for member in tar if member.name.endswith("hyperparameters.json")]
        return [file.read() for file in found if file]


ONCE = ("hyperparameters.json",)
MANY = ONCE * 3  # more than a splice is worth, as these tests have it
LARGE, LARGE_ONCE, LARGE_MANY = (archive(12 * MiB, *old) for old in ((), ONCE, MANY))
SMALL, SMALL_ONCE, SMALL_MANY = (archive(1000, *old) for old in ((), ONCE, MANY))
SCALE = 8
MEDIUM, MEDIUM_ONCE, MEDIUM_MANY = (archive(12 * MiB // SCALE, *old) for old in ((), ONCE, MANY))
"""To S3 at this scale, what the large ones are to a life-size one."""


def object_of(s3: Any, bucket: str, key: str) -> bytes:
    data: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def check_cheap(result: Result, proxy: Proxy) -> None:
    """No more was read than heads and fronts."""
    assert result.method == "graft"
    assert result.output.proof == "CRC64NVME"
    assert len(proxy.seen) <= 20
    assert proxy.received <= 16 * MiB
    assert result.bytes.read < 16 * MiB
    assert result.bytes.read < len(LARGE)
    assert result.bytes.uploaded <= 16 * MiB
