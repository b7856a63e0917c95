"""A recipe carried out inside S3: the right bytes, what belongs beside them, all or nothing, proved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from lambda_fn.core.errors import (
    AccessDenied,
    InvalidRequest,
    OutOfTime,
    OutputChanged,
    OutputNotProved,
    SourceChanged,
)
from lambda_fn.core.recipe import Copy, Late, Literal, Made, Recipe
from lambda_fn.core.store import Published
from lambda_fn.stores.local import LocalSource
from lambda_fn.stores.s3 import Place, S3Access, S3Source, S3Target, checksum
from tests.stand_ins.faults import Proxy
from tests.stores.s3.models import SCALE

HEAD, TAIL = b"head" * 200, b"trailer!"
MiB = (1 << 20) // SCALE
life_size = pytest.mark.parametrize("scale", [1], indirect=True, ids=["life-size"])


@pytest.fixture(scope="module")
def scale(request: pytest.FixtureRequest) -> int:
    return getattr(request, "param", SCALE)


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


def graft(size: int) -> Recipe:
    return [Literal(HEAD), Copy(10, size - 8), Literal(TAIL)]


def grafted(data: bytes) -> bytes:
    return HEAD + data[10:-8] + TAIL


def content(s3: Any, bucket: str, key: str = "out") -> bytes:
    data: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def open_uploads(s3: Any, bucket: str) -> list[Any]:
    uploads: list[Any] = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return uploads


@pytest.fixture
def source(s3: Any, bucket: str, access: S3Access, noise: bytes) -> S3Source:
    """An object without a checksum of its own that could help."""
    s3.put_object(Bucket=bucket, Key="in", Body=noise, ChecksumAlgorithm="SHA256")
    return S3Source(f"s3://{bucket}/in", access)


def scanned(source: S3Source) -> S3Source:
    for _ in source.stream():
        pass
    return source


def publish(target: S3Target, source: Any, **changes: Any) -> Published:
    return target.publish(source, **{"recipe": graft(source.size), "note": {}, "progress": quiet, **changes})


@life_size
def test_a_graft_is_copied_inside_s3_and_proved(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, source: S3Source, noise: bytes
) -> None:
    inside = scanned(replace_access(source, proxied))
    proxy.reset()
    published = publish(S3Target(f"s3://{bucket}/out", proxied), inside)
    assert content(s3, bucket) == grafted(noise)
    assert published.proof == "CRC64NVME"
    assert published.size == len(grafted(noise)) == published.uploaded + published.copied
    assert published.uploaded <= (5 << 20) + len(HEAD) + len(TAIL)
    assert sum(seen.sent for seen in proxy.seen if seen.operation == "UploadPart") == published.uploaded
    assert "GetObject" not in proxy.operations  # the scan has read all that is needed
    assert published.etag == s3.head_object(Bucket=bucket, Key="out")["ETag"]
    assert open_uploads(s3, bucket) == []


def replace_access(source: S3Source, access: S3Access) -> S3Source:
    return S3Source(str(source.place), access)


def test_one_thread_makes_the_client_that_copies(bucket: str, s3: Any, access: S3Access, source: S3Source) -> None:
    """A session makes no two clients at once."""
    makers: list[threading.Thread] = []

    def make() -> Any:
        makers.append(threading.current_thread())
        return s3

    publish(S3Target(f"s3://{bucket}/out", replace(access, more_patient=make)), scanned(source))
    assert makers == [threading.current_thread()]


@pytest.mark.parametrize("start", [0, 10, 5_000_000 // SCALE, 12_345_678 // SCALE])
def test_any_range_of_a_scanned_source_is_proved(
    s3: Any, bucket: str, access: S3Access, source: S3Source, noise: bytes, start: int
) -> None:
    recipe = [Copy(0, 6 * MiB), Literal(b"new"), Copy(start, source.size - 8 * MiB - 1), Literal(TAIL)]
    published = publish(S3Target(f"s3://{bucket}/out", access), scanned(source), recipe=recipe)
    assert content(s3, bucket) == noise[: 6 * MiB] + b"new" + noise[start : -8 * MiB - 1] + TAIL
    assert published.proof == "CRC64NVME"


def test_an_unscanned_source_is_proved_by_its_own_checksum(
    s3: Any, bucket: str, access: S3Access, noise: bytes
) -> None:
    for algorithm in ("CRC64NVME", "CRC32"):
        s3.put_object(Bucket=bucket, Key="in", Body=noise, ChecksumAlgorithm=algorithm)
        source = S3Source(f"s3://{bucket}/in", access)
        published = publish(S3Target(f"s3://{bucket}/out", access), source)
        assert content(s3, bucket) == grafted(noise)
        assert published.proof == algorithm
        assert source.bytes_read < 6 * MiB


def test_without_any_checksum_the_output_is_said_to_be_unproved(
    s3: Any, bucket: str, access: S3Access, source: S3Source, noise: bytes
) -> None:
    assert source.checksums is None
    assert publish(S3Target(f"s3://{bucket}/out", access), source).proof is None
    assert content(s3, bucket) == grafted(noise)


def test_without_awscrt_crc32_proves_it(
    s3: Any, bucket: str, access: S3Access, source: S3Source, noise: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum, "known", lambda: (checksum.CRC32,))
    assert publish(S3Target(f"s3://{bucket}/out", access), scanned(source)).proof == "CRC32"
    assert content(s3, bucket) == grafted(noise)


def test_a_small_output_is_one_request(s3: Any, bucket: str, proxied: S3Access, proxy: Proxy) -> None:
    s3.put_object(Bucket=bucket, Key="in", Body=b"0123456789middle12345678")
    source = S3Source(f"s3://{bucket}/in", proxied)
    target = S3Target(f"s3://{bucket}/out", proxied)
    proxy.reset()
    published = publish(target, source)
    assert content(s3, bucket) == HEAD + b"middle" + TAIL
    assert (published.proof, published.uploaded, published.copied) == ("CRC64NVME", published.size, 0)
    assert "CreateMultipartUpload" not in proxy.operations


def test_a_local_archive_is_streamed_up(s3: Any, bucket: str, access: S3Access, noise: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(noise)
    published = publish(S3Target(f"s3://{bucket}/out", access), LocalSource(str(tmp_path / "model")))
    assert content(s3, bucket) == grafted(noise)
    assert (published.proof, published.copied) == ("CRC64NVME", 0)
    assert s3.head_object(Bucket=bucket, Key="out")["ContentType"] == "application/gzip"


def test_a_local_archive_written_to_meanwhile_is_noticed(
    s3: Any, bucket: str, access: S3Access, noise: bytes, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.write_bytes(noise)
    source = LocalSource(str(model))
    model.write_bytes(noise[::-1] + b"x")
    with pytest.raises(SourceChanged):
        publish(S3Target(f"s3://{bucket}/out", access), source)
    assert open_uploads(s3, bucket) == []


def rewriting(body: bytes, head: bytes = HEAD, tail: bytes = TAIL, chunk: int = 60_000) -> Recipe:
    """New bytes of unknown size; what frames them is known when they have ended."""
    ended = False

    def chunks() -> Iterator[bytes]:
        nonlocal ended
        assert not ended
        for start in range(0, len(body), chunk):
            yield body[start : start + chunk]
        ended = True

    def late(data: bytes) -> bytes:
        assert ended
        return data

    return [Late(len(head), lambda: late(head)), Made(chunks), Late(len(tail), lambda: late(tail))]


@life_size
@pytest.mark.parametrize("size", [0, 100, 9 << 20, (10 << 20) - len(HEAD), 10 << 20, 41 << 20])
def test_new_bytes_are_streamed_up_and_what_is_late_goes_last(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, source: S3Source, noise: bytes, size: int
) -> None:
    body = (noise * 2)[:size]
    published = publish(S3Target(f"s3://{bucket}/out", proxied), source, recipe=rewriting(body))
    assert content(s3, bucket) == HEAD + body + TAIL
    assert (published.proof, published.uploaded, published.copied) == ("CRC64NVME", published.size, 0)
    assert published.size == len(HEAD) + size + len(TAIL)
    sent = [parse_qs(urlsplit(seen.path).query) for seen in proxy.seen if seen.operation == "UploadPart"]
    assert not sent or sent[-1]["partNumber"] == ["1"]


def patched(noise: bytes, stream: bool) -> tuple[Recipe, bytes]:
    """A graft with a file put in and two places made anew further in, and what it makes of the noise."""
    ends: list[str] = []

    def made(name: str, data: bytes) -> Made:
        def chunks() -> Iterator[bytes]:
            yield from (data[start : start + 50_000] for start in range(0, len(data), 50_000))
            ends.append(name)

        return Made(chunks, None if stream else len(data))

    def late(data: bytes) -> Late:
        def ask() -> bytes:
            assert ends[-1] == "second"
            return data

        return Late(len(data), ask)

    file, first, second = noise[:6_000_000], b"first" * 9000, b"second" * 9
    size = len(noise)
    recipe: Recipe = [
        late(HEAD),
        made("file", file),
        Copy(10, 8_000_000),
        made("first", first),
        Copy(8_100_000, 8_100_500),
        Literal(b"between"),
        Copy(8_200_000, size - 7_000_000),
        made("second", second),
        Copy(size - 6_900_000, size - 8),
        late(TAIL),
    ]
    wanted = HEAD + file + noise[10:8_000_000] + first + noise[8_100_000:8_100_500] + b"between"
    return recipe, wanted + noise[8_200_000:-7_000_000] + second + noise[-6_900_000:-8] + TAIL


@life_size
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_every_piece_of_a_recipe_is_carried_out_in_its_place(
    s3: Any, bucket: str, access: S3Access, source: S3Source, noise: bytes, tmp_path: Path, stream: bool, inside: bool
) -> None:
    (tmp_path / "model").write_bytes(noise)
    recipe, wanted = patched(noise, stream)
    model = scanned(source) if inside else LocalSource(str(tmp_path / "model"))
    published = publish(S3Target(f"s3://{bucket}/out", access), model, recipe=recipe, note={"n": "1"})
    assert content(s3, bucket) == wanted
    assert (published.proof, published.size) == ("CRC64NVME", len(wanted))
    assert (published.copied > 8 << 20) == inside
    known = inside and not stream
    assert S3Source(f"s3://{bucket}/out", access).note == ({"n": "1"} if known else {})


def test_a_hundred_patches_are_made_one_after_the_other(
    s3: Any, bucket: str, access: S3Access, source: S3Source, noise: bytes
) -> None:
    held = most = 0

    def patch(number: int) -> Iterator[bytes]:
        nonlocal held, most
        held += 1
        most = max(most, held)
        yield b"%3d" % number
        held -= 1

    step = len(noise) // 100
    pieces = [
        (Copy(number * step, (number + 1) * step - 3), Made(lambda number=number: patch(number), 3))  # type: ignore[misc]
        for number in range(100)
    ]
    recipe: Recipe = [piece for pair in pieces for piece in pair]
    publish(S3Target(f"s3://{bucket}/out", access), scanned(source), recipe=recipe)
    output = content(s3, bucket)
    assert output == b"".join(noise[n * step : (n + 1) * step - 3] + b"%3d" % n for n in range(100))
    assert most == 1


def test_the_sources_own_metadata_is_kept_and_ours_added(s3: Any, bucket: str, access: S3Access, noise: bytes) -> None:
    s3.put_object(
        Bucket=bucket,
        Key="in",
        Body=noise,
        ContentType="application/x-model",
        CacheControl="max-age=7",
        ContentDisposition="attachment",
        Metadata={"run": "42"},
        StorageClass="STANDARD_IA",
        Tagging="team=a%2Bb",
    )
    for make in (publish, write_anew):
        target = S3Target(f"s3://{bucket}/out", access)
        make(target, S3Source(f"s3://{bucket}/in", access), note={"made": "from this"})
        head = s3.head_object(Bucket=bucket, Key="out")
        assert (head["ContentType"], head["CacheControl"], head["ContentDisposition"], head["StorageClass"]) == (
            "application/x-model",
            "max-age=7",
            "attachment",
            "STANDARD_IA",
        )
        assert head["Metadata"]["run"] == "42"
        output = S3Source(f"s3://{bucket}/out", access)
        assert output.note == ({"made": "from this"} if make is publish else {})
        assert output.tags() == {"team": "a+b"}
    publish(S3Target(f"s3://{bucket}/out", replace(access, storage_class="ONEZONE_IA")), output)
    assert s3.head_object(Bucket=bucket, Key="out")["StorageClass"] == "ONEZONE_IA"


def test_a_lock_of_the_source_is_told(s3: Any, access: S3Access) -> None:
    bucket = f"locked-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=bucket, Key="in", Body=b"model", ObjectLockLegalHoldStatus="ON", ChecksumAlgorithm="CRC32")
    target = S3Target(f"s3://{bucket}/out", access)
    [warning] = publish(target, S3Source(f"s3://{bucket}/in", access), recipe=[Literal(b"small")]).warnings
    assert "object lock (a legal hold) is not carried over" in warning
    assert "ObjectLockLegalHoldStatus" not in s3.head_object(Bucket=bucket, Key="out")


def test_tags_are_told_of_where_the_output_can_have_none(
    s3: Any, bucket: str, access: S3Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket=bucket, Key="in", Body=b"model", Tagging="team=a")
    monkeypatch.setattr(Place, "express", property(lambda place: place.key == "out"))
    target = S3Target(f"s3://{bucket}/out", access)
    [warning] = publish(target, S3Source(f"s3://{bucket}/in", access), recipe=[Literal(b"small")]).warnings
    assert "tags are not carried over" in warning


def write_anew(target: S3Target, source: Any, **changes: Any) -> Published:
    return publish(target, source, **{"recipe": rewriting(b"z" * (18 * MiB)), **changes})


@pytest.mark.parametrize("key", ["a b+c%2Fd/%41.gz", "ä/ö//ü ✓", "k?v=1#f&=", "x" * 1024])
def test_any_key_can_be_copied_from_and_to(s3: Any, bucket: str, access: S3Access, noise: bytes, key: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key=key, Body=noise)
    source = S3Source(f"s3://{bucket}/{key}", access)
    published = publish(S3Target(f"s3://{bucket}/{key}", access), source)
    assert content(s3, bucket, key) == grafted(noise)
    assert published.version_id == s3.head_object(Bucket=bucket, Key=key)["VersionId"]


def test_a_copy_onto_itself_is_nothing_to_do(proxied: S3Access, proxy: Proxy, source: S3Source) -> None:
    source = replace_access(source, proxied)
    target = S3Target(str(source.place), proxied)
    proxy.reset()
    published = publish(target, source, recipe=[Copy(0, source.size)])
    assert (published.etag, published.uploaded, published.copied) == (source.etag, 0, 0)
    assert proxy.seen == []


def test_a_missing_bucket_is_told_before_anything_is_read(access: S3Access) -> None:
    with pytest.raises(InvalidRequest, match="bucket"):
        S3Target("s3://there-is-no-such-bucket/out", access)


@pytest.mark.parametrize("make", [publish, write_anew])
@pytest.mark.parametrize("there", [None, b"old"])
def test_of_two_that_race_one_wins_and_the_other_is_told(
    s3: Any, bucket: str, access: S3Access, source: S3Source, noise: bytes, there: bytes | None, make: Any
) -> None:
    if there is not None:
        s3.put_object(Bucket=bucket, Key="out", Body=there)
    first, second = (S3Target(f"s3://{bucket}/out", access) for _ in range(2))
    publish(first, source)
    with pytest.raises(OutputChanged):
        make(second, source)
    assert content(s3, bucket) == grafted(noise)
    assert open_uploads(s3, bucket) == []


def test_an_output_that_vanished_is_an_output_that_changed(
    s3: Any, bucket: str, access: S3Access, source: S3Source
) -> None:
    s3.put_object(Bucket=bucket, Key="out", Body=b"old")
    target = S3Target(f"s3://{bucket}/out", access)
    s3.delete_object(Bucket=bucket, Key="out")
    with pytest.raises(OutputChanged):
        publish(target, source)
    assert open_uploads(s3, bucket) == []


@pytest.mark.parametrize("change", ["overwritten", "deleted"])
def test_a_source_that_changes_between_scan_and_copy_is_noticed(
    s3: Any, bucket: str, access: S3Access, source: S3Source, noise: bytes, change: str
) -> None:
    s3.put_object(Bucket=bucket, Key="out", Body=b"old")
    target = S3Target(f"s3://{bucket}/out", access)
    scanned(source)
    if change == "deleted":
        s3.delete_object(Bucket=bucket, Key="in")
    else:
        s3.put_object(Bucket=bucket, Key="in", Body=noise[::-1])
    with pytest.raises(SourceChanged):
        publish(target, source)
    assert content(s3, bucket) == b"old"
    assert open_uploads(s3, bucket) == []


@pytest.mark.parametrize("error", [OutOfTime("late"), KeyboardInterrupt(), SystemExit(143)], ids=repr)
def test_whatever_ends_it_aborts_the_upload(
    s3: Any, bucket: str, access: S3Access, source: S3Source, error: BaseException
) -> None:
    s3.put_object(Bucket=bucket, Key="out", Body=b"old")

    def ending(*_: Any) -> Any:
        raise error

    def broken_off() -> Iterator[bytes]:
        yield b"x" * (25 * MiB)
        ending()

    attempts: list[Callable[[S3Target], Any]] = [
        lambda target: publish(target, source, progress=ending),
        lambda target: publish(target, source, recipe=[Late(1, lambda: b"h"), Made(broken_off)]),
        lambda target: publish(target, source, recipe=[Late(1, ending), Made(lambda: iter([b"x" * (25 * MiB)] * 2))]),
    ]
    for attempt in attempts:
        with pytest.raises(type(error)):
            attempt(S3Target(f"s3://{bucket}/out", access))
        assert content(s3, bucket) == b"old"
        assert open_uploads(s3, bucket) == []


def test_a_part_s3_got_wrong_never_becomes_an_output(s3: Any, bucket: str, access: S3Access, source: S3Source) -> None:
    def shifted(params: dict[str, Any], **_: Any) -> None:
        start, stop = params["headers"]["x-amz-copy-source-range"].removeprefix("bytes=").split("-")
        params["headers"]["x-amz-copy-source-range"] = f"bytes={int(start) - 1}-{int(stop) - 1}"

    target = S3Target(f"s3://{bucket}/out", access)
    scanned(source)
    s3.meta.events.register("before-call.s3.UploadPartCopy", shifted, unique_id="shifted")
    try:
        with pytest.raises(OutputNotProved):
            publish(target, source)
    finally:
        s3.meta.events.unregister("before-call.s3.UploadPartCopy", unique_id="shifted")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="out")
    assert open_uploads(s3, bucket) == []


def lying(parsed: dict[str, Any], **_: Any) -> None:
    parsed["ChecksumCRC64NVME"] = "AAAAAAAAAAA="


def unconditional(params: dict[str, Any], **_: Any) -> None:
    params["headers"].pop("If-Match", None)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("can", ["by version", "by ETag", "not at all"])
def test_an_output_that_is_not_what_was_sent_is_deleted(
    s3: Any, bucket: str, access: S3Access, source: S3Source, can: str, small: bool
) -> None:
    """LocalStack refuses a DELETE with a condition; it never becomes one without."""
    if can == "by version":
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=bucket, Key="out", Body=b"old")
    events: dict[str, Callable[..., None]] = {
        f"after-call.s3.{'PutObject' if small else 'CompleteMultipartUpload'}": lying
    }
    if can == "by ETag":
        events["before-call.s3.DeleteObject"] = unconditional
    target = S3Target(f"s3://{bucket}/out", access)
    for event, handler in events.items():
        s3.meta.events.register(event, handler, unique_id=event)
    try:
        with pytest.raises(OutputNotProved, match="so delete it" if can == "not at all" else "it was deleted"):
            publish(target, scanned(source), **({"recipe": [Literal(b"small")]} if small else {}))
    finally:
        for event in events:
            s3.meta.events.unregister(event, unique_id=event)
    if can == "by version":
        assert content(s3, bucket) == b"old"
    else:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="out")
        assert ("Contents" in listed) == (can == "not at all")


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("told", [{"ChecksumType": "COMPOSITE"}, {"ChecksumCRC64NVME": "AAAAAAAAAAA=-3"}])
def test_a_checksum_of_another_kind_proves_nothing_and_costs_nothing(
    s3: Any, bucket: str, access: S3Access, source: S3Source, told: dict[str, str], small: bool
) -> None:
    operation = "PutObject" if small else "CompleteMultipartUpload"

    def otherwise(parsed: dict[str, Any], **_: Any) -> None:
        parsed.update(told)

    target = S3Target(f"s3://{bucket}/out", access)
    s3.meta.events.register(f"after-call.s3.{operation}", otherwise, unique_id="otherwise")
    try:
        published = publish(target, scanned(source), **({"recipe": [Literal(b"small")]} if small else {}))
    finally:
        s3.meta.events.unregister(f"after-call.s3.{operation}", unique_id="otherwise")
    assert published.proof is None
    assert content(s3, bucket) == (b"small" if small else grafted(content(s3, bucket, "in")))


def test_an_output_whose_etag_is_not_in_the_answer_is_asked_for_it(
    s3: Any, bucket: str, access: S3Access, source: S3Source
) -> None:
    """As Ceph answers CompleteMultipartUpload."""

    def silent(parsed: dict[str, Any], **_: Any) -> None:
        parsed["ETag"] = ""

    s3.meta.events.register("after-call.s3.CompleteMultipartUpload", silent, unique_id="silent")
    try:
        published = publish(S3Target(f"s3://{bucket}/out", access), scanned(source))
    finally:
        s3.meta.events.unregister("after-call.s3.CompleteMultipartUpload", unique_id="silent")
    assert published.etag == s3.head_object(Bucket=bucket, Key="out")["ETag"]
    assert published.proof == "CRC64NVME"


def test_a_denied_output_is_told_at_once(bucket: str, proxied: S3Access, proxy: Proxy) -> None:
    proxy.fault = lambda seen: "403"
    with pytest.raises(AccessDenied):
        S3Target(f"s3://{bucket}/out", proxied)


def test_every_request_carries_the_options(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, source: S3Source
) -> None:
    access = replace(proxied, expected_bucket_owner="000000000000", request_payer=True)
    publish(S3Target(f"s3://{bucket}/out", access), replace_access(source, access))
    for seen in proxy.seen:
        headers = {name.lower(): value for name, value in seen.headers.items()}
        assert headers["x-amz-expected-bucket-owner"] == "000000000000", seen.operation
        if seen.operation == "UploadPartCopy":
            assert headers["x-amz-source-expected-bucket-owner"] == "000000000000"
        assert headers.get("x-amz-request-payer") == "requester" or seen.operation == "HeadBucket", seen.operation
