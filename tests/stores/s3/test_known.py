"""A source that was scanned once is known: its next output, under any key, is the same bytes without a scan."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lambda_fn.contract import Request, Result
from lambda_fn.core.edit import Content
from lambda_fn.core.errors import RepackError
from lambda_fn.planner import plan
from lambda_fn.repacker import repack
from lambda_fn.stores.s3 import S3Access
from tests.stand_ins.faults import DENIED, FAULTS, LOST, TRUNCATED, Proxy, at
from tests.stores.s3.models import (
    LARGE,
    LARGE_MANY,
    LARGE_ONCE,
    MEDIUM,
    MEDIUM_ONCE,
    NEW,
    OLD,
    SCALE,
    SMALL_MANY,
    check_cheap,
    hyperparameters_in,
    object_of,
)

NAME = "hyperparameters.json"
KNOWN = "known/"


@pytest.fixture(scope="module")
def scale(request: pytest.FixtureRequest) -> int:
    return getattr(request, "param", SCALE)


@pytest.fixture
def remembering(proxied: S3Access, bucket: str) -> S3Access:
    return replace(proxied, known_sources=f"s3://{bucket}/{KNOWN}")


@pytest.fixture
def put(s3: Any, bucket: str, remembering: S3Access) -> Callable[..., Result]:
    """Puts hyperparameters into an archive that lies at `in`."""

    def put(key: str, content: bytes = NEW, **options: Any) -> Result:
        overlay = {NAME: content, **options.pop("others", {})}
        return repack(f"s3://{bucket}/in", f"s3://{bucket}/{key}", overlay, **{"s3": remembering, **options})

    return put


def upload(s3: Any, bucket: str, archive: bytes, **attributes: Any) -> None:
    s3.put_object(Bucket=bucket, Key="in", Body=archive, **attributes)


def pointers(s3: Any, bucket: str) -> list[str]:
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=KNOWN).get("Contents", [])
    return [item["Key"] for item in listed]


@pytest.mark.parametrize("scale", [1], indirect=True, ids=["life-size"])
@pytest.mark.parametrize(
    ("archive", "method"),
    [(LARGE, "graft"), (LARGE_ONCE, "splice"), (LARGE_MANY, "rewrite"), (SMALL_MANY, "rewrite")],
    ids=["graft", "splice", "rewrite", "small"],
)
def test_another_output_of_a_known_source_is_what_a_scan_would_make(
    s3: Any, bucket: str, put: Callable[..., Result], proxy: Proxy, archive: bytes, method: str
) -> None:
    upload(s3, bucket, archive)
    assert put("first", b'{"depth": 1}').method == method
    proxy.reset()
    result = put("second")
    if archive is not SMALL_MANY:
        check_cheap(result, proxy)
    assert result.method == "graft"
    assert put("scanned", verify="always").method == method
    assert object_of(s3, bucket, "second") == object_of(s3, bucket, "scanned")
    assert hyperparameters_in(object_of(s3, bucket, "second")) == [NEW]
    named = [json.loads(object_of(s3, bucket, pointer))["uri"] for pointer in pointers(s3, bucket)]
    assert sorted(named) == [f"s3://{bucket}/{key}" for key in ("first", "scanned", "scanned", "second")]
    assert put("second").method == "unchanged"


def test_a_plan_foresees_what_a_run_does_and_writes_nothing(
    s3: Any, bucket: str, put: Callable[..., Result], remembering: S3Access
) -> None:
    upload(s3, bucket, MEDIUM)

    def planned(key: str, content: bytes, **given: Any) -> tuple[str, str]:
        hyperparameters = json.loads(content)
        request = Request(f"s3://{bucket}/in", f"s3://{bucket}/{key}", hyperparameters=hyperparameters, **given)
        foreseen = plan(request, remembering, lambda_limit=1)
        return foreseen.where, foreseen.method

    assert planned("first", NEW) == ("fargate", "unknown")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="first")
    put("first")
    assert planned("second", OLD) == ("lambda", "graft")
    assert planned("second", OLD, verify="always") == ("fargate", "unknown")
    assert put("second", OLD).bytes.read < len(MEDIUM)


def test_what_stands_beside_the_output_is_the_sources(
    s3: Any, bucket: str, put: Callable[..., Result], access: S3Access
) -> None:
    upload(s3, bucket, MEDIUM, ContentType="application/x-model", Tagging="team=a", Metadata={"run": "7"})
    put("first", OLD)
    s3.put_object_tagging(Bucket=bucket, Key="first", Tagging={"TagSet": [{"Key": "deployed", "Value": "yes"}]})
    assert put("second").method == "graft"
    assert s3.get_object_tagging(Bucket=bucket, Key="second")["TagSet"] == [{"Key": "team", "Value": "a"}]
    head = s3.head_object(Bucket=bucket, Key="second")
    assert (head["ContentType"], head["Metadata"]["run"]) == ("application/x-model", "7")


def test_content_that_the_source_holds_stays_where_it_is(s3: Any, bucket: str, put: Callable[..., Result]) -> None:
    upload(s3, bucket, MEDIUM_ONCE)
    for key in ("first", "first-again"):
        put("first")
        assert put(key, OLD).method == "unchanged"
        assert object_of(s3, bucket, key) == MEDIUM_ONCE
    upload(s3, bucket, MEDIUM)
    put("one", others={"x": b"1"})
    assert put("two", OLD, others={"x": b"1"}).bytes.read < len(MEDIUM)


@pytest.mark.parametrize(("before", "now"), [(0o600, None), (None, 0o600), (0o755, 0o700)])
@pytest.mark.parametrize("archive", [MEDIUM, MEDIUM_ONCE], ids=["new", "old"])
def test_a_mode_that_an_earlier_output_was_given_is_not_another_ones(
    s3: Any, bucket: str, put: Callable[..., Result], archive: bytes, before: int | None, now: int | None
) -> None:
    upload(s3, bucket, archive)
    put("first", others={NAME: Content.of(b"{}", before)})
    second = put("second", others={NAME: Content.of(NEW, now)})
    assert (second.bytes.read < len(MEDIUM)) == (now is not None)
    put("scanned", others={NAME: Content.of(NEW, now)}, verify="always")
    assert object_of(s3, bucket, "second") == object_of(s3, bucket, "scanned")


@pytest.mark.parametrize("change", ["source", "names", "bucket", "if_present", "verify"])
def test_what_is_not_the_same_is_scanned(
    s3: Any, bucket: str, put: Callable[..., Result], remembering: S3Access, change: str
) -> None:
    upload(s3, bucket, MEDIUM)
    put("first", OLD)
    if change == "source":
        upload(s3, bucket, MEDIUM_ONCE)
        result = put("second")
    elif change == "names":
        result = put("second", others={"x": b"1"})
    elif change == "bucket":
        s3.create_bucket(Bucket=f"{bucket}-2")
        result = repack(f"s3://{bucket}/in", f"s3://{bucket}-2/second", {NAME: NEW}, s3=remembering)
    else:
        result = put("second", **{change: {"if_present": "keep", "verify": "always"}[change]})
    assert result.bytes.read >= len(MEDIUM)


LIES: dict[str, bytes | dict[str, Any]] = {
    "nothing": b"",
    "no JSON": b"\xff\xfe",
    "no output": b"[1]",
    "another bucket": {"uri": "s3://elsewhere/first"},
    "no object": {"uri": "s3://BUCKET/nowhere"},
    "no URI": {"uri": "nowhere"},
    "another archive": {"uri": "s3://BUCKET/in"},
    "an output of another source": {"uri": "s3://BUCKET/other"},
    "other bytes": {"checksum": "CRC64NVME:AAAAAAAAAAA="},
    "another size": {"size": 1},
    "no text": {"uri": 1},
    "no note": {"note": "source"},
    "a note of no texts": {"note": {"held": 1}},
    "something deep": b"[" * 9000,
    "something endless": {"uri": "s3://BUCKET/" + "x" * 100_000},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_pointer_that_leads_nowhere_costs_a_scan_and_is_put_right(
    s3: Any, bucket: str, put: Callable[..., Result], access: S3Access, lie: str
) -> None:
    upload(s3, bucket, MEDIUM_ONCE)
    repack(f"s3://{bucket}/in", f"s3://{bucket}/other", {NAME: b"{}"}, s3=access)
    upload(s3, bucket, MEDIUM)
    put("first", OLD)
    lied = LIES[lie]
    for pointer in pointers(s3, bucket):
        true = json.loads(object_of(s3, bucket, pointer))
        body = lied if isinstance(lied, bytes) else json.dumps({**true, **lied}).encode()
        s3.put_object(Bucket=bucket, Key=pointer, Body=body.replace(b"BUCKET", bucket.encode()))
    assert put("second").bytes.read >= len(MEDIUM)
    assert hyperparameters_in(object_of(s3, bucket, "second")) == [NEW]
    assert put("third", b"{}").bytes.read < len(MEDIUM)


@pytest.mark.parametrize("change", ["deleted", "overwritten", "damaged"])
def test_an_output_that_is_gone_costs_a_scan(s3: Any, bucket: str, put: Callable[..., Result], change: str) -> None:
    upload(s3, bucket, MEDIUM)
    put("first", OLD)
    if change == "deleted":
        s3.delete_object(Bucket=bucket, Key="first")
    elif change == "overwritten":
        s3.put_object(Bucket=bucket, Key="first", Body=MEDIUM_ONCE)
    else:  # its note goes with it
        note = s3.head_object(Bucket=bucket, Key="first")["Metadata"]
        s3.put_object(Bucket=bucket, Key="first", Body=b"no archive", Metadata=note)
    assert put("second").bytes.read >= len(MEDIUM)
    assert put("third", OLD).bytes.read < len(MEDIUM)


def test_a_version_is_known_by_its_id(s3: Any, bucket: str, put: Callable[..., Result]) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):  # the same bytes again are another version
        upload(s3, bucket, MEDIUM)
        assert put("out", OLD).bytes.read >= len(MEDIUM)
    assert put("out", NEW).bytes.read < len(MEDIUM)


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
def test_a_pointer_that_is_denied_costs_a_scan(
    s3: Any, bucket: str, put: Callable[..., Result], proxy: Proxy, operation: str
) -> None:
    upload(s3, bucket, MEDIUM)
    proxy.fault = lambda seen: DENIED if (seen.operation, KNOWN in seen.path) == (operation, True) else None
    for key in ("first", "second"):
        result = put(key)
        assert result.bytes.read >= len(MEDIUM)
        assert hyperparameters_in(object_of(s3, bucket, key)) == [NEW]
        assert ("not remembered" in " ".join(result.warnings)) == (operation == "PutObject")


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault in (LOST, TRUNCATED)])
def test_one_fault_at_any_request_is_got_over(
    s3: Any, bucket: str, put: Callable[..., Result], proxy: Proxy, fault: str
) -> None:
    upload(s3, bucket, MEDIUM)
    for name, first in (("scanned", True), ("known", False)):
        proxy.reset()
        put(f"{name}-{fault}", OLD)
        for number in range(len(proxy.seen)):
            if first:
                for pointer in pointers(s3, bucket):
                    s3.delete_object(Bucket=bucket, Key=pointer)
            proxy.reset()
            proxy.fault = at(number, fault)
            put(f"{name}-{fault}-{number}", json.dumps({"number": number}).encode())
            proxy.reset()
            output = object_of(s3, bucket, f"{name}-{fault}-{number}")
            assert hyperparameters_in(output) == [json.dumps({"number": number}).encode()]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_prefix_that_is_none_is_told(bucket: str, s3: Any, put: Callable[..., Result], access: S3Access) -> None:
    upload(s3, bucket, MEDIUM)
    for none in ("known/", "s3://bucket", "s3:///known/"):
        with pytest.raises(RepackError, match="known sources lie under a prefix"):
            put("out", s3=replace(access, known_sources=none), verify="always")
    assert "out" not in [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]]
