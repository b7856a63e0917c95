"""What a deployment sets once for all requests, from the environment: the same in the Lambda and the Fargate task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Mapping

from .contract import InvalidRequest
from .core.gzip import Limits
from .stores.s3 import S3Access


@dataclass(frozen=True)
class Settings:
    """Each from the variable of its name (`output_bucket`: `REPACK_OUTPUT_BUCKET`); an empty one counts as not set."""

    output_bucket: str | None = None
    """Where the outputs of S3 events go; without it such events are refused."""
    output_prefix: str = ""
    """What an output's key begins with, in place of the input prefix."""
    input_prefix: str = ""
    """Only objects under it are repacked by an S3 event."""
    hyperparameters_uri: str | None = None
    """For models without a `hyperparameters.json` beside them; without it they wait for one."""
    lambda_limit_bytes: int = 10 << 30
    """A larger archive, if it has to be scanned, goes to Fargate."""
    ratio_limit: float = Limits.ratio
    """An archive that is packed more densely than 1 to so many is refused as a bomb."""
    kms_key_id: str | None = None
    """Outputs are encrypted with it, instead of as the bucket says."""
    expected_bucket_owner: str | None = None
    """The account that must own every bucket we touch."""
    request_payer: bool = False
    """Pay for requests to buckets where the requester does: `true`."""
    storage_class: str | None = None
    """Of outputs, instead of their sources'."""
    acl: str | None = None
    """A canned ACL of outputs, where a bucket's policy wants one."""
    known_sources: str | None = None
    """`s3://bucket/prefix/` where scanned sources are remembered; without it a new output of one is a new scan."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Raises InvalidRequest for what is no number, no true or false, and for a place that is not in S3."""
        given = {
            name.removeprefix("REPACK_").lower(): value
            for name, value in environ.items()
            if name.startswith("REPACK_") and value
        }
        limit = given.get("lambda_limit_bytes", str(cls.lambda_limit_bytes))
        if not limit.isascii() or not limit.isdigit():
            raise InvalidRequest(f"REPACK_LAMBDA_LIMIT_BYTES must be a number of bytes, not {limit!r}")
        payer = given.get("request_payer", "false")
        if payer not in ("true", "false"):
            raise InvalidRequest(f"REPACK_REQUEST_PAYER must be true or false, not {payer!r}")
        for name in ("hyperparameters_uri", "known_sources"):
            if not given.get(name, "s3://").startswith("s3://"):
                raise InvalidRequest(f"REPACK_{name.upper()} must begin with s3://, not {given[name]!r}")
        return cls(
            output_bucket=given.get("output_bucket"),
            output_prefix=given.get("output_prefix", ""),
            input_prefix=given.get("input_prefix", ""),
            hyperparameters_uri=given.get("hyperparameters_uri"),
            lambda_limit_bytes=int(limit),
            ratio_limit=_ratio(given.get("ratio_limit", str(cls.ratio_limit))),
            kms_key_id=given.get("kms_key_id"),
            expected_bucket_owner=given.get("expected_bucket_owner"),
            request_payer=payer == "true",
            storage_class=given.get("storage_class"),
            acl=given.get("acl"),
            known_sources=given.get("known_sources"),
        )

    @property
    def limits(self) -> Limits:
        """What counts as a bomb."""
        return Limits(ratio=self.ratio_limit)

    def s3(self) -> S3Access:
        """How S3 is reached, with a client of our own. Raises AccessDenied."""
        return S3Access.default(
            expected_bucket_owner=self.expected_bucket_owner,
            sse_kms_key_id=self.kms_key_id,
            request_payer=self.request_payer,
            storage_class=self.storage_class,
            acl=self.acl,
            known_sources=self.known_sources,
        )


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = math.nan
    if not ratio >= 1:
        raise InvalidRequest(f"REPACK_RATIO_LIMIT must be a number from 1, not {text!r}")
    return ratio
