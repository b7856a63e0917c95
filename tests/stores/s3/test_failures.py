"""Who can help: a caller's mistake is never retried, a passing failure is."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from lambda_fn.core import errors
from lambda_fn.stores.s3.failures import named_errors, required


def refusal(status: int, code: str, **headers: str) -> ClientError:
    about = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    answer: Any = {"Error": {"Code": code, "Message": "so"}, "ResponseMetadata": about}
    return ClientError(answer, "GetObject")


REFUSALS: dict[type[errors.RepackError], list[tuple[int, str]]] = {
    errors.SourceNotFound: [(404, "NoSuchKey"), (404, "NoSuchBucket"), (404, "404")],
    errors.AccessDenied: [
        (403, "AccessDenied"),
        (403, "InvalidObjectState"),
        (400, "ExpiredToken"),
        (403, "SignatureDoesNotMatch"),
        (403, "InvalidAccessKeyId"),
        (400, "InvalidToken"),
        (401, "Unauthorized"),
    ],
    errors.SourceChanged: [
        (412, "PreconditionFailed"),
        (500, "PreconditionFailed"),  # a 200 with that in its body, as botocore tells it
        (200, "PreconditionFailed"),
        (409, "ConditionalRequestConflict"),
        (409, "OperationAborted"),
    ],
    errors.StoreUnavailable: [
        (404, "NoSuchUpload"),
        (400, "RequestTimeout"),
        (408, "RequestTimeout"),
        (403, "RequestTimeTooSkewed"),
        (429, "TooManyRequests"),
        (429, "429"),
        (400, "Throttling"),
        (400, "ThrottlingException"),
        (400, "ThrottledException"),
        (400, "KMS.ThrottlingException"),
        (400, "IncompleteBody"),
        (400, "BadDigest"),
        (400, "XAmzContentSHA256Mismatch"),
        (503, "SlowDown"),
        (500, "InternalError"),
        (502, "Bad Gateway"),
    ],
    errors.StoreFull: [
        (507, "InsufficientStorage"),
        (507, "XMinioStorageFull"),
        (403, "QuotaExceeded"),
        (400, "XMinioAdminBucketQuotaExceeded"),
        (400, "EntityTooLarge"),
    ],
    errors.InvalidRequest: [
        (400, "MetadataTooLarge"),
        (501, "NotImplemented"),
        (405, "MethodNotAllowed"),
        (400, "InvalidPart"),
        (400, "KMS.DisabledException"),
    ],
}


@pytest.mark.parametrize(
    ("expected", "status", "code"), [(expected, *refused) for expected in REFUSALS for refused in REFUSALS[expected]]
)
def test_each_refusal_of_s3_has_its_name(expected: type[errors.RepackError], status: int, code: str) -> None:
    check(refusal(status, code), expected)


LOCAL: dict[type[errors.RepackError], list[Exception]] = {
    errors.AccessDenied: [
        exceptions.NoCredentialsError(),
        exceptions.PartialCredentialsError(provider="env", cred_var="x"),
        exceptions.ProfileNotFound(profile="x"),
        exceptions.UnauthorizedSSOTokenError(),
        exceptions.SSOTokenLoadError(error_msg="gone"),
        exceptions.TokenRetrievalError(provider="sso", error_msg="gone"),
        exceptions.LoginRefreshRequired(),
        exceptions.RefreshWithMFAUnsupportedError(),
    ],
    errors.InvalidRequest: [
        exceptions.ParamValidationError(report="bad bucket"),
        exceptions.ConfigParseError(path="config", error="x"),
        exceptions.ConfigNotFound(path="config"),
        exceptions.InvalidRegionError(region_name="no region"),
        exceptions.NoRegionError(),
        exceptions.MissingDependencyException(msg="install awscrt"),
        exceptions.InvalidRetryModeError(provided_retry_mode="x", valid_modes=""),
        exceptions.InfiniteLoopConfigError(source_profile="x", visited_profiles=""),
        exceptions.SSLError(endpoint_url="x", error=OSError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")),
        BotoCoreError(),
    ],
    errors.StoreUnavailable: [
        exceptions.EndpointConnectionError(endpoint_url="http://x"),
        exceptions.ReadTimeoutError(endpoint_url="http://x"),
        exceptions.SSLError(endpoint_url="x", error=OSError("EOF")),
        exceptions.MetadataRetrievalError(error_msg="x"),
        ResponseParserError("no\nXML"),
        ConnectionResetError(),
    ],
}


@pytest.mark.parametrize(
    ("expected", "error"),
    [(expected, error) for expected in LOCAL for error in LOCAL[expected]],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_of_botocore_has_its_name(expected: type[errors.RepackError], error: Exception) -> None:
    check(error, expected)


def check(error: Exception, expected: type[errors.RepackError]) -> None:
    with (
        pytest.raises(expected, match="s3://b/k") as raised,
        named_errors("s3://b/k", missing=errors.SourceNotFound, changed=errors.SourceChanged),
    ):
        raise error
    assert type(raised.value) is expected
    assert "\n" not in str(raised.value)


def test_another_region_is_named() -> None:
    with pytest.raises(errors.InvalidRequest, match="eu-north-1"), named_errors("x"):
        raise refusal(301, "PermanentRedirect", **{"x-amz-bucket-region": "eu-north-1"})


@pytest.mark.parametrize("answer", [{}, {"ETag": None}, {"ETag": ""}, {"ETag": 5}])
def test_an_answer_without_what_is_needed_is_not_s3s(answer: dict[str, Any]) -> None:
    with pytest.raises(errors.StoreUnavailable, match="ETag"):
        required(answer, "ETag", "x")


def test_our_own_errors_pass() -> None:
    with pytest.raises(errors.OutOfTime), named_errors("x"):
        raise errors.OutOfTime("late")
