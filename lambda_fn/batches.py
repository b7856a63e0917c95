"""What the input of the batch machine asks for, checked before it starts thousands of executions.

A batch is `{"manifest": key}`, a CSV whose header names fields of a Request, or `{"prefix": prefix}`, the models that
lie there. How many failures it tolerates follows from its size: a share of a large one, a few of a small one.
"""

from __future__ import annotations

import csv
import io
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, Mapping

from .contract import InvalidRequest, Request, SourceNotFound
from .deployed import PARENT
from .stores.s3 import S3Access, S3Source
from .stores.s3.failures import named_errors

MANIFESTS = "batches/"
"""Where they lie in the input bucket; elsewhere the batch machine may not read."""
COLUMNS = Request._fields
NEEDED = ("model_uri", "output_uri")
HEAD = 256 << 10
"""Bytes of a manifest that are read; a larger one is no small one."""
ANY_NUMBER = 100_000_000
"""More items than a Distributed Map takes."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Tolerance:
    """What the deployment tolerates: `percent` of the items, or `least` of them where that is more."""

    percent: int
    least: int

    def of(self, items: int | None) -> Json:
        """The two limits of a Distributed Map, each of which stops it when exceeded; None stands for many items."""
        if items is not None and items * self.percent < self.least * 100:
            return {"count": self.least, "percent": 100}
        return {"count": ANY_NUMBER, "percent": self.percent}


def checked(batch: Any, bucket: str, watched: str, tolerance: Tolerance, s3: S3Access) -> Json:
    """What the batch machine goes on with; models lie under the `watched` prefix of the bucket.

    Raises InvalidRequest in one sentence, and what reading raises.
    """
    given = {name: value for name, value in batch.items() if name != PARENT} if isinstance(batch, Mapping) else {}
    match given:
        case {"manifest": str(key), **rest} if key and not rest:
            if not key.startswith(MANIFESTS):
                raise InvalidRequest(
                    f"a manifest is the key of a CSV under {MANIFESTS} in the input bucket, not {key!r}"
                )
            items = lines(f"s3://{bucket}/{key}", s3)
            return _batch("lines", "manifest", key, items, tolerance)
        case {"prefix": str(prefix), **rest} if not rest:
            if not prefix.startswith(watched):
                raise InvalidRequest(
                    f"a batch takes models under the input prefix {watched!r}, and none under {prefix!r}"
                )
            items = objects(bucket, prefix, s3)
            return _batch("objects", "prefix", prefix, items, tolerance)
    raise InvalidRequest(
        'a batch is {"manifest": "batches/name.csv"} or {"prefix": "models/old/"}, and nothing else; '
        f"this one has {', '.join(map(repr, given)) or 'neither'}"
    )


def _batch(kind: Literal["lines", "objects"], name: str, value: str, items: int | None, tolerance: Tolerance) -> Json:
    return {"where": kind, name: value, "tolerated": tolerance.of(items)}


def lines(uri: str, s3: S3Access) -> int | None:
    """How many lines a manifest has below its header, None for many. Raises InvalidRequest for a wrong header."""
    try:
        with closing(S3Source(uri, s3)) as source:
            head, whole = source.read(0, min(source.size, HEAD)) if source.size else b"", source.size <= HEAD
    except SourceNotFound as error:
        raise InvalidRequest(f"{error}; give the key of a CSV in the input bucket") from None
    text = head.decode("utf-8", "replace")
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    header = rows[0] if rows else []
    wrong = [name for name in header if name not in COLUMNS]
    missing = [name for name in NEEDED if name not in header]
    if wrong or missing:
        raise InvalidRequest(
            f"{uri} must begin with a line that names {' and '.join(NEEDED)} and may name "
            f"{', '.join(name for name in COLUMNS if name not in NEEDED)}, without blanks or a byte order mark; "
            f"it begins with {(text.splitlines() or [''])[0][:200]!r}"
        )
    if len(rows) < 2:
        raise InvalidRequest(f"{uri} has a header and no line below it")
    return len(rows) - 1 if whole else None


def objects(bucket: str, prefix: str, s3: S3Access) -> int | None:
    """How many objects lie under a prefix, None for many. Raises InvalidRequest for none."""
    owner = {"ExpectedBucketOwner": s3.expected_bucket_owner} if s3.expected_bucket_owner else {}
    with named_errors(f"s3://{bucket}/{prefix}", missing=SourceNotFound):
        page = s3.client.list_objects_v2(Bucket=bucket, Prefix=prefix, **owner)
    if not page.get("KeyCount"):
        raise InvalidRequest(f"nothing lies under s3://{bucket}/{prefix}")
    return None if page.get("IsTruncated") else int(page["KeyCount"])
