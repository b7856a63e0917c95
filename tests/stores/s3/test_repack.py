"""Whole repacks from, to and inside S3: what they cost, and that the second time is free."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lambda_fn.contract import Request, Result
from lambda_fn.core.errors import OutputChanged, SourceChanged
from lambda_fn.repacker import repack, run
from lambda_fn.stores.s3 import S3Access, checksum
from tests.stand_ins.faults import Proxy, Seen
from tests.stores.s3.models import (
    LARGE,
    LARGE_MANY,
    LARGE_ONCE,
    NEW,
    OLD,
    SMALL,
    MiB,
    check_cheap,
    hyperparameters_in,
    object_of,
)


@pytest.fixture
def model(s3: Any, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="in", Body=LARGE, ChecksumAlgorithm="SHA256")
    return f"s3://{bucket}/in"


def test_the_first_time_reads_the_model_once_and_uploads_one_part(
    s3: Any, bucket: str, model: str, proxied: S3Access, proxy: Proxy
) -> None:
    result = repack(model, f"s3://{bucket}/out", {"hyperparameters.json": NEW}, s3=proxied)
    assert hyperparameters_in(object_of(s3, bucket, "out")) == [NEW]
    assert (result.method, result.output.proof) == ("graft", "CRC64NVME")
    assert len(LARGE) <= result.bytes.read <= len(LARGE) + MiB
    assert result.bytes.uploaded <= 6 * MiB
    assert sum(seen.sent for seen in proxy.seen if seen.operation == "UploadPart") == result.bytes.uploaded


def test_the_same_again_is_two_heads(bucket: str, model: str, proxied: S3Access, proxy: Proxy) -> None:
    document = {"model_uri": model, "output_uri": f"s3://{bucket}/out", "hyperparameters": {"depth": 7}}
    first = run(Request.from_json(document), s3=proxied)
    proxy.reset()
    second = run(Request.from_json(document), s3=proxied)
    assert second.method == "unchanged"
    assert second.output.etag == first.output.etag
    assert proxy.operations == ["HeadObject", "HeadObject"]
    assert (second.bytes.read, second.bytes.uploaded, second.bytes.copied) == (0, 0, 0)


def test_whoever_read_older_inputs_cannot_overtake_whoever_read_newer_ones(
    s3: Any, bucket: str, model: str, access: S3Access, proxied: S3Access, proxy: Proxy
) -> None:
    """The output is looked at before the inputs are read: who is slow in between is told."""
    s3.put_object(Bucket=bucket, Key="h.json", Body=OLD)
    request = Request(model, f"s3://{bucket}/out", None, f"s3://{bucket}/h.json")
    newer: list[Result] = []

    def meanwhile(seen: Seen) -> None:
        if seen.operation == "HeadObject" and seen.path.endswith("/in") and not newer:  # the inputs have been read
            s3.put_object(Bucket=bucket, Key="h.json", Body=NEW)
            newer.append(run(request, s3=access))

    proxy.before = meanwhile
    with pytest.raises(OutputChanged):
        run(request, s3=proxied)
    assert len(newer) == 1
    assert hyperparameters_in(object_of(s3, bucket, "out")) == [NEW]


@pytest.mark.parametrize("where", ["elsewhere", "in-place", "same-model-again"])
def test_the_second_time_scans_nothing(
    s3: Any, bucket: str, model: str, proxied: S3Access, proxy: Proxy, where: str
) -> None:
    own = f"s3://{bucket}/own"
    repack(model, own, {"hyperparameters.json": OLD}, s3=proxied)
    source, output = {
        "elsewhere": (own, f"s3://{bucket}/out"),
        "in-place": (own, own),
        "same-model-again": (model, own),
    }[where]
    proxy.reset()
    result = repack(source, output, {"hyperparameters.json": NEW}, s3=proxied)
    assert hyperparameters_in(object_of(s3, bucket, output.rpartition("/")[2])) == [NEW]
    check_cheap(result, proxy)


@pytest.mark.parametrize(("archive", "brought"), [(LARGE, 1800), (LARGE_MANY, 1800), (SMALL, 1800), (LARGE, 1000)])
def test_a_note_that_finds_no_room_is_told(
    s3: Any, bucket: str, access: S3Access, archive: bytes, brought: int
) -> None:
    s3.put_object(Bucket=bucket, Key="in", Body=archive, Metadata={"k": "v" * brought})
    result = repack(f"s3://{bucket}/in", f"s3://{bucket}/out", {"hyperparameters.json": NEW}, s3=access)
    again = repack(f"s3://{bucket}/out", f"s3://{bucket}/out", {"hyperparameters.json": OLD}, s3=access)
    assert ("no room" in " ".join(result.warnings)) == (again.bytes.read >= len(archive)) == (brought > 1000)


@pytest.mark.parametrize("source", ["in", "out"])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"storage_class": "STANDARD_IA"}, {"StorageClass": "STANDARD_IA"}),
        ({"sse_kms_key_id": "0c8d-1"}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "0c8d-1"}),
        ({"sse_kms_key_id": "alias/own"}, {"ServerSideEncryption": "aws:kms"}),
    ],
    ids=str,
)
def test_what_is_made_already_is_made_again_as_it_is_asked_for_now(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, source: str, asked: dict[str, Any], said: dict[str, str]
) -> None:
    s3.put_object(Bucket=bucket, Key="in", Body=SMALL)
    repack(f"s3://{bucket}/in", f"s3://{bucket}/out", {"hyperparameters.json": NEW}, s3=proxied)

    def again() -> int:
        proxy.reset()
        access = replace(proxied, **asked)
        repack(f"s3://{bucket}/{source}", f"s3://{bucket}/out", {"hyperparameters.json": NEW}, s3=access)
        return proxy.operations.count("PutObject")

    assert again() == 1
    head = s3.head_object(Bucket=bucket, Key="out")
    assert said.items() <= {**head, "SSEKMSKeyId": head.get("SSEKMSKeyId", "").rpartition("/")[2]}.items()
    assert hyperparameters_in(object_of(s3, bucket, "out")) == [NEW]
    assert again() == 0


def tell(told: list[tuple[int, int]], done: int, total: int) -> None:
    told.append((done, total))


@pytest.mark.parametrize("archive", [LARGE, LARGE_ONCE, LARGE_MANY], ids=["graft", "splice", "rewrite"])
def test_progress_goes_on_from_scan_to_copy_and_never_back(
    s3: Any, bucket: str, access: S3Access, archive: bytes
) -> None:
    s3.put_object(Bucket=bucket, Key="in", Body=archive)
    for content in (OLD + b" ", NEW):  # the second time only copies
        told: list[tuple[int, int]] = []
        overlay = {"hyperparameters.json": content}
        repack(f"s3://{bucket}/in", f"s3://{bucket}/out", overlay, s3=access, progress=partial(tell, told))
        done = [done for done, _ in told]
        assert done == sorted(done)
        assert told[-1][0] == told[-1][1] > 12 << 20
        if archive is not LARGE_MANY:  # a rewrite is work that nobody foresaw
            assert max(total for _, total in told) - min(total for _, total in told) < MiB


def test_without_awscrt_as_in_the_lambda_crc32_proves_what_s3_holds(
    s3: Any, bucket: str, model: str, access: S3Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum, "known", lambda: (checksum.CRC32,))
    for source, key, read in ((model, "own", len(LARGE)), (f"s3://{bucket}/own", "out", 0)):
        result = repack(
            source, f"s3://{bucket}/{key}", {"hyperparameters.json": b'{"key": "%s"}' % key.encode()}, s3=access
        )
        assert result.output.proof == "CRC32"
        assert (result.bytes.read >= len(LARGE)) == bool(read)
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert head["ChecksumType"] == "FULL_OBJECT"
        assert checksum.CRC32.decode(head["ChecksumCRC32"]) == zlib.crc32(object_of(s3, bucket, key))


def test_always_scans_when_asked_to(bucket: str, model: str, access: S3Access) -> None:
    own = f"s3://{bucket}/own"
    for _ in range(2):
        result = repack(model, own, {"hyperparameters.json": NEW}, verify="always", s3=access)
        assert result.bytes.read >= len(LARGE)


def test_from_disk_to_s3_and_back(s3: Any, bucket: str, access: S3Access, tmp_path: Path) -> None:
    local, back = tmp_path / "in", tmp_path / "back"
    for data, method in ((LARGE, "graft"), (LARGE_ONCE, "splice"), (LARGE_MANY, "rewrite")):
        local.write_bytes(data)
        up = repack(str(local), f"s3://{bucket}/{method}", {"hyperparameters.json": NEW}, s3=access)
        assert (up.method, up.output.proof) == (method, "CRC64NVME")
        assert hyperparameters_in(object_of(s3, bucket, method)) == [NEW]
        repack(f"s3://{bucket}/{method}", str(back), {"hyperparameters.json": OLD}, s3=access)
        assert hyperparameters_in(back.read_bytes()) == [OLD]


@pytest.mark.parametrize("when", ["GetObject", "UploadPartCopy"])
def test_a_model_overwritten_meanwhile_is_told(
    s3: Any, bucket: str, model: str, proxied: S3Access, proxy: Proxy, when: str
) -> None:
    s3.put_object(Bucket=bucket, Key="out", Body=b"old")

    def overwritten(seen: Seen) -> None:
        if seen.operation == when:
            s3.put_object(Bucket=bucket, Key="in", Body=LARGE_ONCE)

    proxy.before = overwritten
    with pytest.raises(SourceChanged):
        repack(model, f"s3://{bucket}/out", {"hyperparameters.json": NEW}, s3=proxied)
    assert object_of(s3, bucket, "out") == b"old"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_the_same_request_twice_gives_the_same_bytes(s3: Any, bucket: str, model: str, access: S3Access) -> None:
    digests = set()
    for key in ("one", "two"):
        repack(model, f"s3://{bucket}/{key}", {"hyperparameters.json": NEW}, s3=access)
        digests.add(hashlib.sha256(object_of(s3, bucket, key)).digest())
    assert len(digests) == 1


def test_a_store_that_gives_no_checksum_is_said_to_prove_nothing(moto: S3Access) -> None:
    moto.client.put_object(Bucket="bucket", Key="in", Body=SMALL)
    result = repack("s3://bucket/in", "s3://bucket/out", {"hyperparameters.json": NEW}, s3=moto)
    assert hyperparameters_in(object_of(moto.client, "bucket", "out")) == [NEW]
    assert (result.method, result.output.proof) == ("graft", None)
