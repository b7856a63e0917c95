"""One version of an object, read in order and pinned, in bounded memory."""

from __future__ import annotations

import threading
from itertools import islice
from typing import Any

import pytest

from lambda_fn.core.errors import InvalidRequest, SourceChanged, SourceNotFound, StoreUnavailable
from lambda_fn.stores.s3 import S3Access, S3Source, source
from tests.stand_ins.faults import FAULTS, LOST, TRUNCATED, Proxy, Seen, at

KEYS = ["model.tar.gz", "a b+c%2Fd/%41.gz", "ä/ö//ü ✓", "k?v=1#f&=", "x" * 1024, "quo'te\"<>~*(!)"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:20])
def test_any_key_is_found_and_read(s3: Any, bucket: str, access: S3Access, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"here")
    opened = S3Source(f"s3://{bucket}/{key}", access)
    assert b"".join(opened.stream()) == b"here"
    assert (opened.size, opened.note, opened.version_id) == (4, {}, None)


def test_a_stream_is_the_object_in_small_chunks_read_once(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, noise: bytes
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=noise, ContentEncoding="gzip")
    opened = S3Source(f"s3://{bucket}/k", proxied)
    chunks = list(opened.stream())
    assert b"".join(chunks) == noise
    assert max(map(len, chunks)) <= 256 << 10
    assert opened.bytes_read == proxy.received == len(noise)
    assert opened.read(10, 700) == noise[10:700]
    assert opened.read(len(noise) - 9, len(noise)) == noise[-9:]
    assert opened.bytes_read == len(noise)  # both ends are still at hand
    assert opened.read(9 << 20, (9 << 20) + 5) == noise[9 << 20 : (9 << 20) + 5]
    assert opened.bytes_read == len(noise) + 5


def test_what_is_only_read_is_the_same_without_checksums(s3: Any, bucket: str, access: S3Access, noise: bytes) -> None:
    for body in (noise, b"small", b""):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        opened = S3Source(f"s3://{bucket}/k", access, only_read=True)
        told = opened.checksums
        chunks = list(opened.stream())
        assert b"".join(chunks) == body
        assert max(map(len, chunks), default=0) <= 256 << 10
        assert opened.checksums is told


def test_no_more_is_read_ahead_than_allowed(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, noise: bytes
) -> None:
    monkeypatch.setattr(source, "BLOCK", 1 << 20)
    s3.put_object(Bucket=bucket, Key="k", Body=noise)
    stream = S3Source(f"s3://{bucket}/k", proxied).stream()
    next(stream)
    stream.close()
    assert proxy.operations.count("GetObject") <= source.AHEAD
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("s3-read")]


def test_an_empty_object_has_no_bytes(s3: Any, bucket: str, access: S3Access) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    opened = S3Source(f"s3://{bucket}/k", access)
    assert list(opened.stream()) == []
    assert opened.read(0, 0) == b""


def test_what_is_not_there_is_not_found(bucket: str, access: S3Access) -> None:
    with pytest.raises(SourceNotFound, match=f"s3://{bucket}/nothing"):
        S3Source(f"s3://{bucket}/nothing", access)
    with pytest.raises(SourceNotFound):
        S3Source("s3://there-is-no-such-bucket/k", access)
    with pytest.raises(InvalidRequest):
        S3Source("s3://not a bucket/k", access)


@pytest.mark.parametrize("change", ["overwritten", "deleted"])
def test_a_source_that_changes_while_it_is_read_is_noticed(
    s3: Any, bucket: str, access: S3Access, monkeypatch: pytest.MonkeyPatch, noise: bytes, change: str
) -> None:
    monkeypatch.setattr(source, "BLOCK", 1 << 20)
    s3.put_object(Bucket=bucket, Key="k", Body=noise)
    opened = S3Source(f"s3://{bucket}/k", access)
    stream = opened.stream()
    next(stream)
    if change == "deleted":
        s3.delete_object(Bucket=bucket, Key="k")
    else:
        s3.put_object(Bucket=bucket, Key="k", Body=noise[::-1])
    with pytest.raises(SourceChanged):
        list(stream)
    with pytest.raises(SourceChanged):
        opened.read(9 << 20, 10 << 20)


def test_a_version_is_read_to_its_end(s3: Any, bucket: str, access: S3Access, noise: bytes) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=noise)["VersionId"]
    opened = S3Source(f"s3://{bucket}/k", access)
    s3.put_object(Bucket=bucket, Key="k", Body=b"newer")
    assert b"".join(opened.stream()) == noise
    assert opened.version_id == version
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    with pytest.raises(SourceChanged):
        opened.read(9 << 20, 10 << 20)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_scan_goes_on_through_any_single_fault(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, noise: bytes, fault: str
) -> None:
    monkeypatch.setattr(source, "BLOCK", 1 << 20)
    body = noise[: (4 << 20) - 7]
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    for number in range(5):  # HEAD and four ranges
        proxy.reset()
        proxy.fault = at(number, fault)
        assert b"".join(S3Source(f"s3://{bucket}/k", proxied).stream()) == body
        assert len(proxy.seen) >= 5


@pytest.mark.parametrize("fault", [LOST, TRUNCATED])
def test_a_range_that_always_breaks_ends_the_scan(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, noise: bytes, fault: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=noise)
    opened = S3Source(f"s3://{bucket}/k", proxied)
    last = len(noise) // source.BLOCK * source.BLOCK

    def last_range(seen: Seen) -> str | None:
        return fault if seen.headers.get("Range", "").startswith(f"bytes={last}-") else None

    proxy.fault = last_range
    chunks = opened.stream()
    assert b"".join(islice(chunks, last // source.CHUNK)) == noise[:last]
    with pytest.raises(StoreUnavailable):
        next(chunks)


def test_tags_are_seen_only_where_permitted(s3: Any, bucket: str, proxied: S3Access, proxy: Proxy) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=%2B%20")
    opened = S3Source(f"s3://{bucket}/k", proxied)
    assert opened.tags() == {"a": "1", "b": "+ "}
    proxy.fault = lambda seen: "403"
    assert opened.tags() == {}
