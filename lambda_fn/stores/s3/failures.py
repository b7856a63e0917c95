"""S3's refusals and botocore's failures, as errors under our own names.

What matters most is who can help: a caller's mistake is never retried, a passing failure is. So whatever time may mend
is passing, and whatever no time mends is not, whichever layer says it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Mapping, Optional

import urllib3.exceptions
from botocore import exceptions
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    RefreshWithMFAUnsupportedError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from ...core.errors import AccessDenied, InvalidRequest, RepackError, StoreFull, StoreUnavailable

UNIDENTIFIED = (
    CredentialRetrievalError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)
UNREACHABLE = (
    ChecksumError,
    exceptions.ConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    OSError,
    urllib3.exceptions.HTTPError,
)
LATER = {
    "BadDigest",  # bytes were damaged on their way
    "IncompleteBody",
    "InternalError",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
AT_ONCE = ("ConditionalRequestConflict", "OperationAborted")
CHANGED = ("PreconditionFailed", *AT_ONCE)
"""What was looked at is not what lies there now: asking again in the same words does not help."""
THROTTLED = ("Throttl", "KMS.Throttl", "TooManyRequests", "RequestLimitExceeded", "BandwidthLimitExceeded")
FULL = ("QuotaExceeded", "StorageFull", "StorageQuota", "InsufficientStorage", "EntityTooLarge")
SENTENCES: Mapping[str, tuple[type[RepackError], str]] = {
    "ExpiredToken": (AccessDenied, "the session has expired; log in again (ExpiredToken)"),
    "InvalidAccessKeyId": (AccessDenied, "the access key is unknown to S3 (InvalidAccessKeyId)"),
    "InvalidObjectState": (AccessDenied, "it is archived; restore it first (InvalidObjectState)"),
    "InvalidPart": (InvalidRequest, "a part is not as the store wants it; some want parts of one size (InvalidPart)"),
    "InvalidToken": (AccessDenied, "the session token is not valid; log in again (InvalidToken)"),
    "NoSuchUpload": (StoreUnavailable, "the upload was aborted by somebody else (NoSuchUpload)"),
    "RequestTimeTooSkewed": (StoreUnavailable, "the clock here differs from S3's; set it right (RequestTimeTooSkewed)"),
    "SignatureDoesNotMatch": (AccessDenied, "the secret key does not match the access key (SignatureDoesNotMatch)"),
    "TokenRefreshRequired": (AccessDenied, "the session has expired; log in again (TokenRefreshRequired)"),
}
"""Refusals that say more to the reader in our words."""


@contextmanager
def named_errors(
    what: object, missing: type[RepackError] = StoreUnavailable, changed: type[RepackError] = StoreUnavailable
) -> Iterator[None]:
    """Raises botocore's failures as ours; `missing` and `changed` name a 404 and a failed precondition here."""
    try:
        yield
    except ClientError as error:
        raise _named(error, what, missing, changed) from error
    except UNIDENTIFIED as error:
        raise AccessDenied(f"no AWS credentials for {what}: {_sentence(error)}") from error
    except UNREACHABLE as error:
        if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise InvalidRequest(f"{what}: the certificate cannot be verified, see AWS_CA_BUNDLE: {error}") from error
        raise StoreUnavailable(f"{what}: S3 cannot be reached: {_sentence(error)}") from error
    except BotoCoreError as error:  # a region, endpoint, configuration or parameter that cannot be
        raise InvalidRequest(f"{what} cannot be asked of S3: {_sentence(error)}") from error
    except ResponseParserError as error:
        raise StoreUnavailable(f"{what}: what answers is not S3: {_sentence(error)}") from error


def status(error: ClientError) -> int:
    """The HTTP status S3 answered with; 0 if there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code(error: Optional[BaseException]) -> str:
    """S3's own name for the error; empty if it is none of S3's."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def required(answer: Mapping[str, Any], name: str, what: object) -> str:
    """A field of an answer without which nothing can go on. Raises StoreUnavailable."""
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise StoreUnavailable(f"{what}: what answers is not S3: its answer has no {name}")
    return value


def retries(error: Optional[BaseException]) -> int:
    """How often the request was repeated before S3 refused it."""
    answered = error.response.get("ResponseMetadata", {}) if isinstance(error, ClientError) else {}
    return int(answered.get("RetryAttempts", 0))


def took_too_long(error: RepackError) -> bool:
    """Whether S3 began to answer later than the client waits."""
    return isinstance(error.__cause__, ReadTimeoutError)


def _named(error: ClientError, what: object, missing: type[RepackError], changed: type[RepackError]) -> RepackError:
    name, said = code(error), error.response.get("Error", {}).get("Message", "")
    why = f"{name}: {said}"
    if name in SENTENCES:
        raised, sentence = SENTENCES[name]
        return raised(f"{what}: {sentence}")
    if name in AT_ONCE:
        return changed(f"{what} was written by somebody else at the same moment")
    if name in CHANGED or status(error) == 412:  # Complete may say so inside of a 200
        return changed(f"{what} was overwritten meanwhile")
    if name in LATER or name.startswith(THROTTLED) or status(error) in (408, 429):
        return StoreUnavailable(f"{what}: S3 asks to try again later ({why})")
    if status(error) == 507 or any(full in name for full in FULL):
        return StoreFull(f"no room for {what} ({why})")
    return _by_status(error, what, missing, why)


def _by_status(error: ClientError, what: object, missing: type[RepackError], why: str) -> RepackError:
    number = status(error)
    if number in (401, 403):
        return AccessDenied(f"access to {what} is denied ({why})")
    if number == 404:
        return missing(f"{what} does not exist ({why})")
    if 300 <= number < 400:
        region = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
        return InvalidRequest(f"the bucket of {what} is in another region, {region or 'see its console'} ({why})")
    if number == 501:
        return InvalidRequest(f"this store cannot do what {what} asks for ({why})")
    if 400 <= number < 500:
        return InvalidRequest(f"S3 refuses {what} ({why})")
    return StoreUnavailable(f"{what}: S3 fails ({why})")


def _sentence(error: Exception) -> str:
    """What a failure says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
