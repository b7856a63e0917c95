"""Roles that lack a right, and stores that answer a little differently: what works without, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from lambda_fn.core import errors
from lambda_fn.core.recipe import Copy, Literal, Recipe
from lambda_fn.core.store import Published
from lambda_fn.stores.s3 import S3Access, S3Source, S3Target, multipart
from tests.stand_ins.faults import DENIED, Changed, Fails, Proxy, Refused, Seen
from tests.stores.s3.models import SCALE

SMALL: Recipe = [Literal(b"small")]
DENIED_LIST = Refused(403, "AccessDenied", "User: x is not authorized to perform: s3:ListBucket on resource: y")
MiB = (1 << 20) // SCALE


@pytest.fixture(scope="module")
def scale() -> int:
    return SCALE


def quiet(done: int, total: int) -> None:
    pass


def graft(size: int) -> Recipe:
    return [Literal(b"head"), Copy(10, size - 8), Literal(b"trailer!")]


@pytest.fixture
def model(s3: Any, bucket: str, noise: bytes) -> str:
    s3.put_object(Bucket=bucket, Key="in", Body=noise)
    return f"s3://{bucket}/in"


def publish(access: S3Access, model: str, output: str = "", recipe: Recipe | None = None) -> Published:
    source = S3Source(model, access)
    target = S3Target(output or model.replace("/in", "/out"), access)
    return target.publish(source, recipe or graft(source.size), {}, quiet)


def content(s3: Any, bucket: str, key: str = "out") -> bytes:
    data: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def open_uploads(s3: Any, bucket: str) -> bool:
    return "Uploads" in s3.list_multipart_uploads(Bucket=bucket)


def of(operation: str, part: str, fault: Fails) -> Callable[[Seen], Fails | None]:
    """What goes wrong with requests of a kind whose path or headers hold a text."""

    def fails(seen: Seen) -> Fails | None:
        said = seen.path + str({name.lower(): value for name, value in seen.headers.items()})
        return fault if operation in (seen.operation, "any") and part in said else None

    return fails


def test_without_the_right_to_name_versions_the_newest_is_read(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, noise: bytes
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="in", Body=noise, Tagging="a=1")
    proxy.fault = of("any", "versionId=", DENIED)
    source = S3Source(model, proxied)
    assert b"".join(source.stream()) == noise
    published = S3Target(f"s3://{bucket}/out", proxied).publish(source, graft(len(noise)), {}, quiet)
    assert content(s3, bucket) == b"head" + noise[10:-8] + b"trailer!"
    assert published.proof
    [warning] = published.warnings
    assert "s3:GetObjectVersion" in warning
    s3.put_object(Bucket=bucket, Key="in", Body=noise[::-1])
    with pytest.raises(errors.SourceChanged):
        source.read(7 * MiB, 8 * MiB)


@pytest.mark.parametrize("newer", [False, True])
def test_without_the_right_to_the_tags_of_a_version_no_others_are_taken_and_it_is_read_to_its_end(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, noise: bytes, newer: bool
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="in", Body=noise, Tagging="a=1")
    source = S3Source(model, proxied)
    if newer:
        s3.put_object(Bucket=bucket, Key="in", Body=noise[::-1], Tagging="a=2")
    refused = Refused(403, "AccessDenied", "User: x is not authorized to perform: s3:GetObjectVersionTagging")
    proxy.fault = of("GetObjectTagging", "versionId=", refused)
    published = S3Target(f"s3://{bucket}/out", proxied).publish(source, graft(len(noise)), {}, quiet)
    assert content(s3, bucket) == b"head" + noise[10:-8] + b"trailer!"
    assert [tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key="out")["TagSet"]] == (
        [] if newer else ["1"]
    )
    assert ["s3:GetObjectVersionTagging" in warning for warning in published.warnings] == ([True] if newer else [])


def test_a_version_that_was_asked_for_is_never_another(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, noise: bytes
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="in", Body=noise)["VersionId"]
    s3.put_object(Bucket=bucket, Key="in", Body=b"newer")
    asked = f"{model}?versionId={version}"
    publish(proxied, asked, f"s3://{bucket}/out")
    assert content(s3, bucket) == b"head" + noise[10:-8] + b"trailer!"
    proxy.fault = of("GetObject", "versionId=", DENIED)
    with pytest.raises(errors.AccessDenied):
        S3Source(asked, proxied).read(0, 5)


@pytest.mark.parametrize(
    ("head", "get", "expected", "said"),
    [
        (400, Refused(400, "ExpiredToken"), errors.AccessDenied, "log in again"),
        (400, Refused(400, "InvalidRequest", "stored using SSE-C"), errors.InvalidRequest, "SSE-C"),
        (403, Refused(403, "RequestTimeTooSkewed"), errors.StoreUnavailable, "clock"),
        (403, Refused(403, "SignatureDoesNotMatch"), errors.AccessDenied, "secret key"),
        (403, Refused(403, "AccessDenied", "Requester pays"), errors.AccessDenied, "Requester pays"),
        (403, DENIED_LIST, errors.SourceNotFound, "s3:ListBucket"),
    ],
)
def test_why_a_head_is_refused_is_told(
    proxied: S3Access, proxy: Proxy, model: str, head: int, get: Refused, expected: type[Exception], said: str
) -> None:
    proxy.fault = lambda seen: Refused(head, "") if seen.operation == "HeadObject" else get
    with pytest.raises(expected, match=said):
        S3Source(model, proxied)


def test_a_store_that_refuses_to_tell_checksums_is_not_asked_for_them(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str
) -> None:
    proxy.fault = of("any", "x-amz-checksum", Refused(400, "InvalidRequest", "no such header: x-amz-checksum"))
    published = publish(proxied, model)
    assert published.proof is None
    assert content(s3, bucket).startswith(b"head")
    publish(proxied, model, recipe=SMALL)
    assert content(s3, bucket) == b"small"
    assert not open_uploads(s3, bucket)


@pytest.mark.parametrize("recipe", [SMALL, None])
@pytest.mark.parametrize("refused", [DENIED_LIST, DENIED])
def test_an_output_that_may_only_be_written_is_written(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, refused: Fails, recipe: Recipe | None
) -> None:
    def blind(seen: Seen) -> Fails | None:
        looking = seen.operation in ("HeadObject", "GetObject", "HeadBucket")
        return refused if looking and "/out" in seen.path else None

    proxy.fault = blind
    published = publish(proxied, model, recipe=recipe)
    assert content(s3, bucket).startswith(b"small" if recipe else b"head")
    assert published.proof
    s3.put_object(Bucket=bucket, Key="out", Body=b"old")
    if refused is DENIED:
        with pytest.raises(errors.AccessDenied, match="s3:GetObject"):
            publish(proxied, model, recipe=recipe)
        assert content(s3, bucket) == b"old"
    assert not open_uploads(s3, bucket)


def test_the_right_that_hides_an_output_is_named(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str
) -> None:
    s3.put_object(Bucket=bucket, Key="out", Body=b"old")
    denied = Refused(403, "AccessDenied", "User: x is not authorized to perform: kms:Decrypt on this ciphertext")
    proxy.fault = lambda seen: denied if seen.operation in ("HeadObject", "GetObject") and "/out" in seen.path else None
    with pytest.raises(errors.AccessDenied, match=r"something lies at .* kms:Decrypt"):
        publish(proxied, model)
    assert content(s3, bucket) == b"old"


def test_an_output_that_may_not_be_written_is_told_before_anything_is_read(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy
) -> None:
    proxy.fault = lambda seen: DENIED
    with pytest.raises(errors.AccessDenied):
        S3Target(f"s3://{bucket}/out", proxied)


@pytest.mark.parametrize(
    ("answer", "warned"),
    [
        (DENIED, True),
        (Refused(404, "NoSuchTagSet"), False),
        (Refused(400, "InvalidRequest"), True),
        (Refused(405, "MethodNotAllowed"), True),
        (Refused(501, "NotImplemented"), True),
        (Refused(404, "404"), True),
        (Changed(b"<Tagging></Tagging>"), True),
        (Refused(404, "NoSuchKey"), None),
    ],
    ids=str,
)
def test_tags_that_cannot_be_seen_are_told(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, answer: Fails, warned: bool | None
) -> None:
    proxy.fault = of("GetObjectTagging", "", answer)
    if warned is None:
        with pytest.raises(errors.SourceChanged):
            publish(proxied, model, recipe=SMALL)
        return
    published = publish(proxied, model, recipe=SMALL)
    assert ("tags" in " ".join(published.warnings)) == warned
    assert content(s3, bucket) == b"small"


@pytest.mark.parametrize("recipe", [SMALL, None])
@pytest.mark.parametrize("answer", [DENIED, Refused(501, "NotImplemented")], ids=str)
def test_tags_that_may_not_be_given_are_told(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, answer: Fails, recipe: Recipe | None
) -> None:
    s3.put_object_tagging(Bucket=bucket, Key="in", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    proxy.fault = of("any", "'x-amz-tagging'", answer)
    [warning] = publish(proxied, model, recipe=recipe).warnings
    assert "s3:PutObjectTagging" in warning
    assert s3.get_object_tagging(Bucket=bucket, Key="out")["TagSet"] == []


KEY = "arn:aws:kms:us-east-1:000000000000:key/4a8d"


@pytest.mark.parametrize("recipe", [SMALL, None])
def test_the_sources_key_is_kept_where_it_may_be_used(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, recipe: Recipe | None
) -> None:
    def published() -> Published:
        source = S3Source(model, proxied)
        source.head = {**source.head, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}
        target = S3Target(f"s3://{bucket}/out", proxied)
        return target.publish(source, recipe or graft(source.size), {}, quiet)

    proxy.fault = of("any", KEY, Refused(400, "KMS.NotFoundException", "Invalid keyId"))
    [warning] = published().warnings
    assert "encryption key is not carried over" in warning
    assert "Invalid keyId" in warning
    assert any(KEY in seen.headers.values() for seen in proxy.seen)
    proxy.reset()
    proxied = replace(proxied, sse_kms_key_id="another")
    proxy.fault = of("any", "another", DENIED)
    with pytest.raises(errors.AccessDenied):  # what was asked for is done or refused
        published()
    assert not any(KEY in seen.headers.values() for seen in proxy.seen)
    assert not open_uploads(s3, bucket)


@pytest.mark.parametrize("refused", [DENIED, Refused(400, "InvalidRequest")], ids=str)
def test_what_s3_does_not_copy_from_another_bucket_is_uploaded(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, noise: bytes, refused: Fails
) -> None:
    other = f"other-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=other)
    proxy.fault = of("UploadPartCopy", "", refused)
    published = publish(proxied, model, f"s3://{other}/out")
    assert content(s3, other) == b"head" + noise[10:-8] + b"trailer!"
    assert (published.copied, published.uploaded) == (0, published.size)
    assert published.proof
    assert "uploaded from here" in " ".join(published.warnings)
    assert proxy.operations.count("UploadPartCopy") == 1
    proxy.reset()
    published = publish(proxied, model, f"s3://{other}/out")
    assert published.copied > 0
    assert not open_uploads(s3, other)


def test_a_key_that_the_store_does_not_find_when_it_copies_is_uploaded(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, noise: bytes
) -> None:
    """As Ceph, which decodes a copy's source twice."""
    s3.put_object(Bucket=bucket, Key="50%41", Body=noise)
    proxy.fault = of("UploadPartCopy", "", Refused(404, "NoSuchKey"))
    published = publish(proxied, f"s3://{bucket}/50%41", f"s3://{bucket}/out")
    assert content(s3, bucket) == b"head" + noise[10:-8] + b"trailer!"
    assert (published.copied, bool(published.proof)) == (0, True)
    source = S3Source(f"s3://{bucket}/50%41", proxied)
    s3.delete_object(Bucket=bucket, Key="50%41")
    with pytest.raises(errors.SourceChanged):
        S3Target(f"s3://{bucket}/out", proxied).publish(source, [Copy(0, len(noise))], {}, quiet)
    assert not open_uploads(s3, bucket)


CONDITIONS = ("If-Match", "If-None-Match", "x-amz-copy-source-if-match")


@pytest.fixture
def careless(proxied: S3Access) -> S3Access:
    """A store that ignores conditions."""

    def unconditional(params: dict[str, Any], **_: Any) -> None:
        for name in CONDITIONS:
            params["headers"].pop(name, None)

    proxied.client.meta.events.register("before-call.s3", unconditional)
    return proxied


def test_a_source_that_changes_is_noticed_where_conditions_are_ignored(
    s3: Any, bucket: str, careless: S3Access, model: str, noise: bytes
) -> None:
    source = S3Source(model, careless)
    target = S3Target(f"s3://{bucket}/out", careless)
    s3.put_object(Bucket=bucket, Key="in", Body=noise[::-1])
    with pytest.raises(errors.SourceChanged):
        source.read(7 * MiB, 8 * MiB)
    with pytest.raises(errors.SourceChanged):
        target.publish(source, [Copy(0, len(noise))], {}, quiet)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="out")
    assert not open_uploads(s3, bucket)


def test_an_output_that_changes_is_noticed_where_conditions_are_ignored(
    s3: Any, bucket: str, careless: S3Access, model: str
) -> None:
    source = S3Source(model, careless)
    target = S3Target(f"s3://{bucket}/out", careless)
    s3.put_object(Bucket=bucket, Key="out", Body=b"theirs")
    with pytest.raises(errors.OutputChanged):
        target.publish(source, graft(source.size), {}, quiet)
    assert content(s3, bucket) == b"theirs"
    assert not open_uploads(s3, bucket)


def test_tags_that_a_store_forgets_are_told(s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str) -> None:
    """As Ceph does with those of multipart uploads."""
    s3.put_object_tagging(Bucket=bucket, Key="in", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    assert publish(proxied, model).warnings == ()
    forgotten = Changed(b"<Tagging><TagSet></TagSet></Tagging>")
    proxy.fault = lambda seen: forgotten if seen.operation == "GetObjectTagging" and "/out" in seen.path else None
    [warning] = publish(proxied, model).warnings
    assert "did not keep the tags" in warning


def test_what_another_store_or_a_scanner_says_of_a_source_is_kept_as_it_can_be_or_told(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str
) -> None:
    tags = {"GuardDutyMalwareScanStatus": "NO_THREATS_FOUND", "team": "a"}
    tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
    s3.put_object_tagging(Bucket=bucket, Key="in", Tagging={"TagSet": tag_set})
    raw = "Zoë".encode().decode("latin-1")  # the bytes themselves, as a header is read
    told = Changed(headers=(("Expires", "in three days"), ("x-amz-meta-owner", raw)))
    proxy.fault = lambda seen: told if seen.operation == "HeadObject" and "/in" in seen.path else None
    [warning] = publish(proxied, model).warnings
    assert "Expires is not carried over: 'in three days' is no date" in warning
    output = s3.head_object(Bucket=bucket, Key="out")
    assert output["Metadata"]["owner"] == "=?utf-8?q?Zo=C3=AB?="
    assert S3Source(f"s3://{bucket}/out", proxied).tags() == {"team": "a"}


def test_a_store_that_wants_equal_parts_gets_them(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, noise: bytes
) -> None:
    recipe: Recipe = [Literal(b"head"), Copy(10, 12 * MiB), Literal(b"new"), Copy(13 * MiB, len(noise) - 8)]
    publish(replace(proxied, equal_parts=True), model, recipe=recipe)
    assert content(s3, bucket) == b"head" + noise[10 : 12 * MiB] + b"new" + noise[13 * MiB : -8]
    uploaded = [seen.sent for seen in proxy.seen if seen.operation == "UploadPart"]
    ranges = [
        value.removeprefix("bytes=").split("-")
        for seen in proxy.seen
        for name, value in seen.headers.items()
        if name.lower() == "x-amz-copy-source-range"
    ]
    sizes = sorted([*uploaded, *(int(stop) - int(start) + 1 for start, stop in ranges)])
    assert set(sizes[1:]) == {10 * MiB}


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict"])
def test_a_condition_that_fails_inside_of_an_answer_is_a_changed_output(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, code: str
) -> None:
    proxy.fault = of("CompleteMultipartUpload", "", Refused(200, code))
    with pytest.raises(errors.OutputChanged):
        publish(proxied, model)
    assert proxy.operations.count("CompleteMultipartUpload") == 1
    assert not open_uploads(s3, bucket)


@pytest.mark.parametrize(("aws", "expected"), [(True, errors.StoreUnavailable), (False, errors.InvalidRequest)])
def test_a_part_that_is_refused_in_the_end_is_nobodys_mistake_where_sizes_do_not_matter(
    bucket: str,
    proxied: S3Access,
    proxy: Proxy,
    model: str,
    aws: bool,
    expected: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A copy that took too long may be done after its repetition, and changes the part's ETag if that is encrypted."""
    monkeypatch.setattr(S3Access, "is_aws", aws)
    proxy.fault = of("CompleteMultipartUpload", "", Refused(400, "InvalidPart"))
    with pytest.raises(expected):
        publish(proxied, model)


def test_a_completion_that_fails_for_now_is_asked_for_again(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str
) -> None:
    refusals = [Refused(200, "InternalError"), Refused(503, "SlowDown")]
    proxy.fault = lambda seen: refusals.pop() if refusals and seen.operation == "CompleteMultipartUpload" else None
    assert publish(proxied, model).proof
    assert proxy.operations.count("CompleteMultipartUpload") == 3


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("CreateMultipartUpload", b"<InitiateMultipartUploadResult></InitiateMultipartUploadResult>"),
        ("CreateMultipartUpload", b"<html>log in</html>"),
        ("CreateMultipartUpload", b"no XML"),
        ("UploadPartCopy", b"<CopyPartResult></CopyPartResult>"),
        ("UploadPartCopy", b"no XML"),
    ],
)
def test_an_answer_without_what_is_needed_is_told_and_leaves_nothing(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, operation: str, body: bytes
) -> None:
    proxy.fault = of(operation, "", Changed(body))
    with pytest.raises(errors.StoreUnavailable, match=r"not S3|S3 fails"):
        publish(proxied, model)
    assert not open_uploads(s3, bucket)


def test_an_older_upload_of_the_same_key_is_somebody_elses(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = s3.create_multipart_upload(Bucket=bucket, Key="out")["UploadId"]
    [upload] = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    monkeypatch.setattr(multipart, "parsedate_to_datetime", lambda date: upload["Initiated"] + timedelta(hours=1))
    proxy.fault = of("CreateMultipartUpload", "", Changed(b"<html>log in</html>"))
    with pytest.raises(errors.StoreUnavailable):
        publish(proxied, model)
    assert theirs in [upload["UploadId"] for upload in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]]


@pytest.mark.parametrize(("status", "code"), [(507, "InsufficientStorage"), (403, "QuotaExceeded")])
def test_a_store_without_room_is_full(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str, status: int, code: str
) -> None:
    proxy.fault = of("UploadPart", "", Refused(status, code))
    with pytest.raises(errors.StoreFull):
        publish(proxied, model)
    assert not open_uploads(s3, bucket)


def test_pointers_in_a_locked_bucket_carry_their_checksum(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, model: str
) -> None:
    publish(replace(proxied, known_sources=f"s3://{bucket}/known/"), model, recipe=SMALL)
    [pointer] = [seen for seen in proxy.seen if seen.operation == "PutObject" and "/known/" in seen.path]
    assert "x-amz-checksum-crc32" in {name.lower() for name in pointer.headers}
