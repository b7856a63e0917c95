"""How S3 is reached: the client, and the options every request carries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, Mapping, Optional

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from botocore.session import Session

from ...core.errors import InvalidRequest
from .failures import CHANGED, code, named_errors, status
from .place import Place

CONNECTIONS = 16
CONNECT_TIMEOUT = 10
READ_TIMEOUT = 20
"""Seconds until a silent S3 is asked again; most answers begin within one."""
ATTEMPTS = 6
THINKING_TIMEOUT = 90
"""Seconds for what S3 thinks over before it answers: a copy, a completion."""
THINKING_ATTEMPTS = 4
ASK_AGAIN = "needs-retry.s3."
"""botocore's event after an answer, by the operation: what a handler of it raises ends the asking."""
REASONLESS = (400, 401, 403, 405, 501)
"""What HEAD answers without saying why."""
R2 = ".r2.cloudflarestorage.com"


def config(read_timeout: int = READ_TIMEOUT, attempts: int = ATTEMPTS) -> Config:
    """How a client of ours asks."""
    return Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=CONNECTIONS,
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        tcp_keepalive=True,
        # We state the checksum of every byte sent; botocore's own would be a second one of another kind.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


@dataclass(frozen=True)
class S3Access:
    """A botocore (or boto3) S3 client and what is asked of S3 with every request."""

    client: Any
    expected_bucket_owner: Optional[str] = None
    """The account that must own every bucket used."""
    sse_kms_key_id: Optional[str] = None
    """Encrypt outputs with this key; None keeps the source's where it has one, and else the bucket's default."""
    sse_kms: bool = False
    """Encrypt outputs by KMS in any case: without a key of one's own, with the account's."""
    storage_class: Optional[str] = None
    """Of outputs; None keeps the source's."""
    acl: Optional[str] = None
    """A canned ACL of outputs, where a bucket's policy wants one ("bucket-owner-full-control")."""
    request_payer: bool = False
    """Pay for requests to requester-pays buckets."""
    known_sources: Optional[str] = None
    """`s3://bucket/prefix/` of the pointers to outputs of scanned sources (see `known`); None keeps none."""
    equal_parts: Optional[bool] = None
    """Whether the store wants parts of one size, but for the last; None: Cloudflare R2 does, others do not."""
    more_patient: Optional[Callable[[], Any]] = None
    """Makes a client that waits longer for answers; None: `client` is patient enough."""

    def __post_init__(self) -> None:
        """Raises InvalidRequest, before there is an output that could not be remembered."""
        if self.known_sources is not None:
            try:
                Place.parse(f"{self.known_sources}pointer")
            except InvalidRequest:
                raise InvalidRequest(
                    f"known sources lie under a prefix such as s3://bucket/known/, not {self.known_sources!r}"
                ) from None

    @classmethod
    def default(
        cls,
        *,
        profile: Optional[str] = None,
        region: Optional[str] = None,
        endpoint_url: Optional[str] = None,
        **options: Any,
    ) -> S3Access:
        """With clients of our own, by the environment's credentials, region and endpoint unless others are given.

        Raises AccessDenied, InvalidRequest.
        """

        def make(read_timeout: int, attempts: int) -> Any:
            asking = config(read_timeout, attempts)
            return session.create_client("s3", region_name=region, endpoint_url=endpoint_url, config=asking)

        with named_errors("S3"):
            try:
                session = Session(profile=profile)
                client = make(READ_TIMEOUT, ATTEMPTS)
            except BotoCoreError:
                raise
            except ValueError as error:
                raise InvalidRequest(
                    f"{error}; see AWS_ENDPOINT_URL, which is written like https://host:port"
                ) from error
        return cls(client, more_patient=lambda: make(THINKING_TIMEOUT, THINKING_ATTEMPTS), **options)

    @cached_property
    def patient(self) -> Any:
        """The client for what S3 thinks over. It repeats no copy that took too long, and no completion refused."""
        client = self.more_patient() if self.more_patient else self.client
        for operation, stop in (("UploadPartCopy", _took_too_long), ("CompleteMultipartUpload", _refused)):
            client.meta.events.register_first(f"{ASK_AGAIN}{operation}", stop, unique_id=f"{__name__}.{operation}")
        return client

    @property
    def is_aws(self) -> bool:
        """Whether it is AWS's own S3, which does as it is documented."""
        return ".amazonaws." in str(self.client.meta.endpoint_url)

    @property
    def parts_are_equal(self) -> bool:
        """Whether the store refuses parts of different sizes."""
        if self.equal_parts is None:
            return R2 in str(self.client.meta.endpoint_url)
        return self.equal_parts

    def on(self, place: Place) -> dict[str, Any]:
        """The arguments of every request for this object."""
        return {**self.on_bucket(place), "Key": place.key, **self._payer}

    def on_bucket(self, place: Place) -> dict[str, Any]:
        """The arguments of a request for its bucket."""
        owner = {"ExpectedBucketOwner": self.expected_bucket_owner} if self.expected_bucket_owner else {}
        return {"Bucket": place.bucket, **owner}

    def copying(self, place: Place, version_id: Optional[str], etag: Optional[str]) -> dict[str, Any]:
        """The arguments of a request that copies from this object, if it still is what it was."""
        version = {"VersionId": version_id} if version_id else {}
        arguments = {"CopySource": {"Bucket": place.bucket, "Key": place.key, **version}, "CopySourceIfMatch": etag}
        if self.expected_bucket_owner:
            arguments["ExpectedSourceBucketOwner"] = self.expected_bucket_owner
        return arguments

    @property
    def ownership(self) -> dict[str, Any]:
        """The arguments of a request that begins an output: by which key and for whom."""
        acl = {"ACL": self.acl} if self.acl else {}
        if self.sse_kms_key_id is None:
            return {**acl, "ServerSideEncryption": "aws:kms"} if self.sse_kms else acl
        return {**acl, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.sse_kms_key_id}

    def head(self, place: Place, version_id: Optional[str] = None) -> Mapping[str, Any]:
        """What HEAD says of an object; empty if there is none. Raises botocore's errors, with their reasons."""
        asked = {**self.on(place), **({"VersionId": version_id} if version_id else {})}
        try:
            head: Mapping[str, Any] = self.client.head_object(**asked, ChecksumMode="ENABLED")
        except ClientError as refused:
            if status(refused) == 404:
                return {}
            if status(refused) not in REASONLESS:
                raise
            reason = self._reason(asked)
            if reason is None:  # the object is there for us, so it was the checksum that was refused
                head = self.client.head_object(**asked)
            elif status(reason) == 404 or "s3:ListBucket" in str(reason):
                return {}  # who may read but not list is told "denied" of what is not there
            else:
                raise reason from refused
        return head

    def _reason(self, asked: Mapping[str, Any]) -> Optional[ClientError]:
        """Why an object cannot be asked for: HEAD's refusals carry no words, so a byte of it is read."""
        try:
            self.client.get_object(**asked, Range="bytes=0-0")["Body"].close()
        except ClientError as error:
            return None if code(error) == "InvalidRange" else error
        return None

    @property
    def _payer(self) -> dict[str, Any]:
        return {"RequestPayer": "requester"} if self.request_payer else {}


def _took_too_long(caught_exception: Optional[Exception], **_: Any) -> None:
    """S3 goes on with the first copy, and a second one of the same size would take as long."""
    if isinstance(caught_exception, ReadTimeoutError):
        raise caught_exception


def _refused(response: Optional[tuple[Any, Mapping[str, Any]]], **_: Any) -> None:
    """The refusal of a completion may come inside of a 200, which botocore takes for a failure that passes."""
    if response and response[1].get("Error", {}).get("Code") in CHANGED:
        answer: Any = response[1]
        raise ClientError(answer, "CompleteMultipartUpload")
