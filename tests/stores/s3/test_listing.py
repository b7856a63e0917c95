"""What lies below a prefix is named as it was asked for, by whatever name its bucket goes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.session import get_session

from lambda_fn.stores.s3 import S3Access
from lambda_fn.stores.s3.listing import objects_below

POINT = "arn:aws:s3:us-east-1:123456789012:accesspoint"


@pytest.mark.parametrize("bucket", ["bucket", f"{POINT}/mine", f"{POINT}:mine", f"{POINT}/mine/object"])
@pytest.mark.parametrize(("prefix", "names"), [("src/", ["a", "b/c"]), ("", ["other", "src/a", "src/b/c"])])
def test_a_folder_may_be_asked_for_by_an_access_point(
    bucket: str, prefix: str, names: list[str], moto: S3Access
) -> None:
    points: Any = get_session().create_client("s3control")
    points.create_access_point(AccountId="123456789012", Name="mine", Bucket="bucket")
    for key in ("src/a", "src/b/c", "other"):
        moto.client.put_object(Bucket="bucket", Key=key, Body=b"x")
    uri = f"s3://{bucket}/{prefix}"
    assert [found.uri for found in objects_below(uri, moto)] == [uri + name for name in names]
