"""An object is ours by a word that only we could have left; whoever may write a source cannot make one up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lambda_fn.core.recipe import Late, Literal, Made, Recipe
from lambda_fn.core.store import Published
from lambda_fn.stores.s3 import S3Access, S3Source, S3Target
from tests.stand_ins.faults import DENIED, Proxy

NOTE = {"source": "x", "overlay": "1"}
STREAMED: Recipe = [Late(4, lambda: b"head"), Made(lambda: iter([b"x" * (11 << 20)]))]
RECIPES: dict[str, Recipe] = {"put": [Literal(b"small")], "parts": [Literal(b"x" * (11 << 20))], "streamed": STREAMED}


@pytest.fixture
def knowing(proxied: S3Access, bucket: str) -> S3Access:
    return replace(proxied, known_sources=f"s3://{bucket}/known/")


@pytest.fixture
def source(s3: Any, bucket: str, knowing: S3Access) -> S3Source:
    s3.put_object(Bucket=bucket, Key="in", Body=b"in")
    return S3Source(f"s3://{bucket}/in", knowing)


def publish(access: S3Access, source: S3Source, key: str = "out", recipe: Recipe = RECIPES["put"]) -> Published:
    target = S3Target(f"s3://{source.place.bucket}/{key}", access)
    return target.publish(source, recipe, NOTE, lambda done, total: None)


def opened(access: S3Access, source: S3Source, key: str = "out") -> S3Source:
    return S3Source(f"s3://{source.place.bucket}/{key}", access)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("versioned", [False, True])
def test_what_was_published_is_known_again(
    s3: Any, bucket: str, knowing: S3Access, source: S3Source, recipe: str, versioned: bool
) -> None:
    if versioned:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    published = publish(knowing, source, recipe=RECIPES[recipe])
    assert published.warnings == ()
    output = opened(knowing, source)
    assert (output.ours, output.note, output.etag) == (True, NOTE, published.etag)
    assert S3Target(str(output.place), knowing).present.note == NOTE  # type: ignore[union-attr]
    assert not source.ours


def test_metadata_that_anybody_can_write_is_no_word_of_ours(
    s3: Any, bucket: str, access: S3Access, knowing: S3Access, source: S3Source
) -> None:
    publish(access, source)
    assert opened(access, source).ours  # nobody else is asked where there are no known sources
    assert not opened(knowing, source).ours
    assert opened(knowing, source).note == {}
    target = S3Target(f"s3://{bucket}/out", knowing)
    assert target.present
    assert target.present.note == {}


@pytest.mark.parametrize("change", ["other bytes", "same metadata", "elsewhere", "another version"])
def test_other_bytes_are_not_ours(s3: Any, bucket: str, knowing: S3Access, source: S3Source, change: str) -> None:
    publish(knowing, source)
    metadata: Mapping[str, str] = s3.head_object(Bucket=bucket, Key="out")["Metadata"]
    if change == "elsewhere":
        s3.copy_object(Bucket=bucket, Key="moved", CopySource={"Bucket": bucket, "Key": "out"})
        assert not opened(knowing, source, "moved").ours
        return
    if change == "another version":
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    body = b"small" if change == "another version" else b"smalL"
    s3.put_object(Bucket=bucket, Key="out", Body=body, Metadata=metadata if change == "same metadata" else {})
    assert not opened(knowing, source).ours


LIES = [b"", b"\xff\xfe", b"[]", b"{}", b'{"uri": 1}', b"[" * 9000, b"s3://bucket/out", b"x" * 100_000]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: repr(lie[:10]))
def test_a_pointer_that_says_nothing_is_none(
    s3: Any, bucket: str, knowing: S3Access, source: S3Source, lie: bytes
) -> None:
    publish(knowing, source)
    [pointer] = s3.list_objects_v2(Bucket=bucket, Prefix="known/")["Contents"]
    s3.put_object(Bucket=bucket, Key=pointer["Key"], Body=lie)
    assert not opened(knowing, source).ours


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
def test_a_pointer_that_is_denied_is_none_and_told(
    bucket: str, knowing: S3Access, source: S3Source, proxy: Proxy, operation: str
) -> None:
    proxy.fault = lambda seen: DENIED if (seen.operation, "/known/" in seen.path) == (operation, True) else None
    warnings = publish(knowing, source).warnings
    assert ("not remembered" in " ".join(warnings)) == (operation == "PutObject")
    assert not opened(knowing, source).ours


def test_a_note_without_room_is_no_loss_where_sources_are_known(
    s3: Any, bucket: str, knowing: S3Access, source: S3Source
) -> None:
    s3.put_object(Bucket=bucket, Key="in", Body=b"in", Metadata={"k": "v" * 1900})
    assert publish(knowing, opened(knowing, source, "in")).warnings == ()
    assert opened(knowing, source).note == NOTE


def test_an_output_is_found_by_what_it_was_made_of(s3: Any, bucket: str, knowing: S3Access, source: S3Source) -> None:
    made_of = {"source": "x"}

    def found(key: str) -> S3Source | None:
        return S3Target(f"s3://{bucket}/{key}", knowing).memory.find(source, made_of)  # type: ignore[return-value]

    assert found("out") is None
    target = S3Target(f"s3://{bucket}/out", knowing)
    target.publish(source, RECIPES["parts"], NOTE, lambda done, total: None)
    here = found("out")
    assert here
    assert (str(here.place), here.model) == (f"s3://{bucket}/out", source)
    assert found("other") is None
    target.memory.remember(source, made_of)
    there = found("other")
    assert there
    assert (str(there.place), there.ours, there.model) == (f"s3://{bucket}/out", True, source)
    s3.put_object(Bucket=bucket, Key="out", Body=b"x" * (11 << 20))  # the very bytes, but not by us
    assert found("other") is None
    s3.delete_object(Bucket=bucket, Key="out")
    assert found("other") is None
