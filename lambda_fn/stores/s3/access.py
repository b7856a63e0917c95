"""How S3 is reached: the client, the options every request carries, and failures under our own names."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Iterator, Optional

import urllib3.exceptions
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    TokenRetrievalError,
)
from botocore.session import get_session

from ...core.errors import AccessDenied, InvalidRequest, RepackError, StoreUnavailable

KEY_BYTES = 1024
CLIENT = Config(
    retries={"mode": "standard", "max_attempts": 6},
    max_pool_connections=16,
    connect_timeout=10,
    read_timeout=120,  # S3 may think for a minute over a copy of 5 GiB
    tcp_keepalive=True,
    # We state the checksum of every byte sent; botocore's own would be a second one of another kind.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
"""How a client of ours asks."""


@dataclass(frozen=True)
class Place:
    """Where one object lies. The key is taken as it stands in the URI: S3 URIs are not percent-encoded."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Place:
        """From `s3://bucket/key`. Raises InvalidRequest."""
        scheme, _, path = uri.partition("://")
        bucket, _, key = path.partition("/")
        if scheme != "s3" or not bucket or not key:
            raise InvalidRequest(f"{uri!r} is not the URI of an object: s3://bucket/key")
        if len(key.encode("utf-8", "surrogatepass")) > KEY_BYTES:
            raise InvalidRequest(f"the key of {uri!r} is longer than the {KEY_BYTES} bytes S3 allows")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class S3Access:
    """A botocore (or boto3) S3 client and what is asked of S3 with every request."""

    client: Any
    expected_bucket_owner: Optional[str] = None
    """The account that must own every bucket used."""
    sse_kms_key_id: Optional[str] = None
    """Encrypt outputs with this key; None leaves it to the bucket's default."""
    sse_kms: bool = False
    """Encrypt outputs by KMS in any case: without a key of one's own, with the account's."""
    storage_class: Optional[str] = None
    """Of outputs; None keeps the source's."""
    request_payer: bool = False
    """Pay for requests to requester-pays buckets."""
    known_sources: Optional[str] = None
    """`s3://bucket/prefix/` of the pointers to outputs of scanned sources (see `known`); None keeps none."""

    @classmethod
    def default(cls, **options: Any) -> S3Access:
        """With a client of our own, by the environment's credentials, region and endpoint. Raises AccessDenied."""
        with named_errors("S3"):
            return cls(get_session().create_client("s3", config=CLIENT), **options)

    def on(self, place: Place) -> dict[str, Any]:
        """The arguments of every request for this object."""
        arguments: dict[str, Any] = {"Bucket": place.bucket, "Key": place.key, **self._payer}
        if self.expected_bucket_owner:
            arguments["ExpectedBucketOwner"] = self.expected_bucket_owner
        return arguments

    def copying(self, place: Place, version_id: Optional[str], etag: Optional[str]) -> dict[str, Any]:
        """The arguments of a request that copies from this object, if it still is what it was."""
        version = {"VersionId": version_id} if version_id else {}
        arguments = {"CopySource": {"Bucket": place.bucket, "Key": place.key, **version}, "CopySourceIfMatch": etag}
        if self.expected_bucket_owner:
            arguments["ExpectedSourceBucketOwner"] = self.expected_bucket_owner
        return arguments

    @property
    def encryption(self) -> dict[str, Any]:
        """The arguments of a request that begins an output."""
        if self.sse_kms_key_id is not None:
            return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.sse_kms_key_id}
        return {"ServerSideEncryption": "aws:kms"} if self.sse_kms else {}

    @property
    def _payer(self) -> dict[str, Any]:
        return {"RequestPayer": "requester"} if self.request_payer else {}


@contextmanager
def named_errors(
    what: object, missing: type[RepackError] = StoreUnavailable, changed: type[RepackError] = StoreUnavailable
) -> Iterator[None]:
    """Raises botocore's failures as ours; `missing` and `changed` name a 404 and a failed precondition here."""
    try:
        yield
    except ClientError as error:
        raise _named(error, what, missing, changed) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, TokenRetrievalError) as error:
        raise AccessDenied(f"no AWS credentials for {what}: {error}") from error
    except (ParamValidationError, NoRegionError) as error:
        raise InvalidRequest(f"{what} cannot be asked of S3: {error}") from error
    except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailable(f"{what}: S3 cannot be reached: {error}") from error


def status(error: ClientError) -> int:
    """The HTTP status S3 answered with; 0 if there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code(error: ClientError) -> str:
    """S3's own name for the error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _named(error: ClientError, what: object, missing: type[RepackError], changed: type[RepackError]) -> RepackError:
    name, said = code(error), error.response.get("Error", {}).get("Message", "")
    if name == "InvalidObjectState":
        return AccessDenied(f"{what} is archived; restore it first")
    if name == "NoSuchUpload":
        return StoreUnavailable(f"the upload of {what} was aborted by somebody else")
    if name in ("ConditionalRequestConflict", "OperationAborted"):
        return changed(f"{what} was written by somebody else at the same moment")
    if name in ("RequestTimeout", "RequestTimeTooSkewed", "Throttling", "SlowDown", "TooManyRequests"):
        return StoreUnavailable(f"{what}: S3 asks to try again later ({name})")
    if status(error) in (401, 403) or name in ("ExpiredToken", "InvalidToken", "TokenRefreshRequired"):
        return AccessDenied(f"access to {what} is denied ({name}: {said})")
    if status(error) == 404:
        return missing(f"{what} does not exist ({name})")
    if status(error) == 412:
        return changed(f"{what} was overwritten meanwhile")
    if 400 <= status(error) < 500:
        return InvalidRequest(f"S3 refuses {what} ({name}: {said})")
    return StoreUnavailable(f"{what}: S3 fails ({name}: {said})")
