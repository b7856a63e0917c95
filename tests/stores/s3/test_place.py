"""What a URI may name, and what it may not."""

from __future__ import annotations

import pytest

from lambda_fn.core.errors import InvalidRequest
from lambda_fn.stores.s3 import Place

POINT = "arn:aws:s3:eu-west-1:123456789012:accesspoint"


@pytest.mark.parametrize("key", ["a", "a b+c%2Fd", "ä/ö//ü", "/leading", "k?v=1#f", "x" * 1024, "../up"])
def test_a_key_is_taken_as_it_stands(key: str) -> None:
    place = Place.parse(f"s3://bucket/{key}")
    assert (place.bucket, place.key) == ("bucket", key)
    assert str(place) == f"s3://bucket/{key}"


@pytest.mark.parametrize("uri", ["", "s3://", "s3://bucket", "s3://bucket/", "s3:///key", "/path", "https://b/k"])
def test_what_names_no_object_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest, match="s3://bucket/key"):
        Place.parse(uri)


@pytest.mark.parametrize(("key", "said"), [("ü" * 513, "1024"), ("caf\udce9", "UTF-8")])
def test_a_key_that_s3_cannot_have_is_refused(key: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        Place.parse(f"s3://bucket/{key}")


@pytest.mark.parametrize(
    "point", [f"{POINT}/mine", f"{POINT}:mine", "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/a-b"]
)
@pytest.mark.parametrize("between", ["/", "/object/"])
def test_an_access_point_stands_for_its_bucket(point: str, between: str) -> None:
    place = Place.parse(f"s3://{point}{between}folder/key")
    assert (place.bucket, place.key) == (point, "folder/key")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap/key",
        "s3://arn:aws:s3:::bucket/key",
        f"s3://{POINT}/mine",
    ],
)
def test_other_arns_are_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest, match="access point of one bucket"):
        Place.parse(uri)


@pytest.mark.parametrize("bucket", ["bucket", f"{POINT}/mine", f"{POINT}:mine", f"{POINT}/mine/object"])
@pytest.mark.parametrize("prefix", ["", "src/", "a b+c%2F//", "k?versionId=1/"])
def test_a_folder_is_all_below_a_prefix(bucket: str, prefix: str) -> None:
    assert Place.of_folder(f"s3://{bucket}/{prefix}") == Place(bucket.removesuffix("/object"), prefix)


@pytest.mark.parametrize("uri", ["s3://", "s3:///src/", "s3://bucket", f"s3://{POINT}/", "src/"])
def test_what_is_no_folder_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest, match="s3://bucket/prefix/"):
        Place.of_folder(uri)


def test_a_version_of_a_source_can_be_asked_for() -> None:
    assert Place.of_source("s3://b/k?versionId=abc.123_x") == (Place("b", "k"), "abc.123_x")
    assert Place.of_source("s3://b/k?versionId=") == (Place("b", "k?versionId="), None)
    assert Place.of_source("s3://b/k?v=1") == (Place("b", "k?v=1"), None)


@pytest.mark.parametrize(
    ("key", "said"), [("k?versionId=1", "version"), ("folder/", "folder"), ("a\x07b", "control"), ("a\0", "control")]
)
def test_an_output_has_a_name_of_its_own(key: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        Place.of_output(f"s3://bucket/{key}")
