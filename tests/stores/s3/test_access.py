"""URIs, the options of every request, and S3's refusals under our names."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from lambda_fn.core import errors
from lambda_fn.stores.s3 import Place, S3Access
from lambda_fn.stores.s3.access import named_errors


@pytest.mark.parametrize("key", ["a", "a b+c%2Fd", "ä/ö//ü", "/leading", "k?v=1#f", "x" * 1024, "../up"])
def test_a_key_is_taken_as_it_stands(key: str) -> None:
    place = Place.parse(f"s3://bucket/{key}")
    assert (place.bucket, place.key) == ("bucket", key)
    assert str(place) == f"s3://bucket/{key}"


@pytest.mark.parametrize("uri", ["", "s3://", "s3://bucket", "s3://bucket/", "s3:///key", "/path", "https://b/k"])
def test_what_names_no_object_is_refused(uri: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="s3://bucket/key"):
        Place.parse(uri)


def test_a_key_has_at_most_1024_bytes() -> None:
    with pytest.raises(errors.InvalidRequest, match="1024"):
        Place.parse("s3://bucket/" + "ü" * 513)


def test_every_option_reaches_the_requests() -> None:
    access = S3Access(None, expected_bucket_owner="123456789012", sse_kms_key_id="key", request_payer=True)
    place = Place("b", "k")
    assert access.on(place) == {
        "Bucket": "b",
        "Key": "k",
        "ExpectedBucketOwner": "123456789012",
        "RequestPayer": "requester",
    }
    assert access.copying(place, "v1", '"e"') == {
        "CopySource": {"Bucket": "b", "Key": "k", "VersionId": "v1"},
        "CopySourceIfMatch": '"e"',
        "ExpectedSourceBucketOwner": "123456789012",
    }
    assert access.encryption == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key"}
    assert S3Access(None).encryption == {}


def refusal(status: int, code: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetObject")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refusal(404, "NoSuchKey"), errors.SourceNotFound),
        (refusal(404, "NoSuchUpload"), errors.StoreUnavailable),
        (refusal(403, "AccessDenied"), errors.AccessDenied),
        (refusal(403, "InvalidObjectState"), errors.AccessDenied),
        (refusal(400, "ExpiredToken"), errors.AccessDenied),
        (refusal(412, "PreconditionFailed"), errors.SourceChanged),
        (refusal(409, "ConditionalRequestConflict"), errors.SourceChanged),
        (refusal(400, "RequestTimeout"), errors.StoreUnavailable),
        (refusal(503, "SlowDown"), errors.StoreUnavailable),
        (refusal(500, "InternalError"), errors.StoreUnavailable),
        (refusal(400, "MetadataTooLarge"), errors.InvalidRequest),
        (NoCredentialsError(), errors.AccessDenied),
        (ParamValidationError(report="bad bucket"), errors.InvalidRequest),
        (EndpointConnectionError(endpoint_url="http://x"), errors.StoreUnavailable),
        (BotoCoreError(), errors.StoreUnavailable),
        (ConnectionResetError(), errors.StoreUnavailable),
    ],
    ids=str,
)
def test_each_refusal_has_its_name(error: Exception, expected: type[errors.RepackError]) -> None:
    with (
        pytest.raises(expected, match="s3://b/k"),
        named_errors("s3://b/k", missing=errors.SourceNotFound, changed=errors.SourceChanged),
    ):
        raise error


def test_our_own_errors_pass() -> None:
    with pytest.raises(errors.OutOfTime), named_errors("x"):
        raise errors.OutOfTime("late")
