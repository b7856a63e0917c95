"""What the environment says."""

from __future__ import annotations

from dataclasses import fields

import pytest

from lambda_fn.contract import InvalidRequest
from lambda_fn.settings import Settings
from lambda_fn.stores.s3 import Place
from tests.deployment import ANYBODY


def test_every_setting_comes_from_the_variable_of_its_name() -> None:
    environ = {
        "REPACK_OUTPUT_BUCKET": "outputs",
        "REPACK_OUTPUT_PREFIX": "out/",
        "REPACK_INPUT_PREFIX": "in/",
        "REPACK_HYPERPARAMETERS_URI": "s3://defaults/hyperparameters.json",
        "REPACK_LAMBDA_LIMIT_BYTES": "1000",
        "REPACK_RATIO_LIMIT": "1032",
        "REPACK_KMS_KEY_ID": "alias/models",
        "REPACK_EXPECTED_BUCKET_OWNER": "111122223333",
        "REPACK_REQUEST_PAYER": "true",
        "REPACK_STORAGE_CLASS": "INTELLIGENT_TIERING",
        "REPACK_ACL": "bucket-owner-full-control",
        "REPACK_KNOWN_SOURCES": "s3://outputs/known/",
    }
    expected = Settings(
        "outputs",
        "out/",
        "in/",
        "s3://defaults/hyperparameters.json",
        1000,
        1032.0,
        "alias/models",
        "111122223333",
        True,
        "INTELLIGENT_TIERING",
        "bucket-owner-full-control",
        "s3://outputs/known/",
    )
    assert environ.keys() == {f"REPACK_{field.name.upper()}" for field in fields(Settings)}
    assert Settings.from_environment(environ) == expected
    assert expected.limits.ratio == 1032


def test_what_is_said_of_s3_reaches_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ANYBODY, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    s3 = Settings("outputs", "", "", None, 1, 1, "key", "111122223333", True, "STANDARD_IA", "private", "s3://k/").s3()
    place = Place("bucket", "key")
    assert s3.on(place)["ExpectedBucketOwner"] == "111122223333"
    assert s3.on(place)["RequestPayer"] == "requester"
    assert (s3.storage_class, s3.known_sources) == ("STANDARD_IA", "s3://k/")
    assert s3.ownership == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key", "ACL": "private"}
    assert s3.client.meta.endpoint_url == "http://127.0.0.1:9"


def test_who_pays_is_true_or_false() -> None:
    with pytest.raises(InvalidRequest, match="REPACK_REQUEST_PAYER must be true or false, not 'requester'"):
        Settings.from_environment({"REPACK_REQUEST_PAYER": "requester"})


def test_empty_is_as_good_as_not_set() -> None:
    assert Settings.from_environment({"REPACK_OUTPUT_BUCKET": "", "REPACK_LAMBDA_LIMIT_BYTES": ""}) == Settings()


@pytest.mark.parametrize("name", ["REPACK_HYPERPARAMETERS_URI", "REPACK_KNOWN_SOURCES"])
def test_a_place_that_is_not_in_s3_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name} must begin with s3://, not '/etc/passwd'$"):
        Settings.from_environment({name: "/etc/passwd"})


@pytest.mark.parametrize("limit", ["ten", "-1", "1.5", "²"])
def test_a_limit_that_is_no_number_is_refused(limit: str) -> None:
    with pytest.raises(InvalidRequest, match="REPACK_LAMBDA_LIMIT_BYTES"):
        Settings.from_environment({"REPACK_LAMBDA_LIMIT_BYTES": limit})


@pytest.mark.parametrize("limit", ["high", "0", "-1", "nan"])
def test_a_ratio_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(InvalidRequest, match="REPACK_RATIO_LIMIT"):
        Settings.from_environment({"REPACK_RATIO_LIMIT": limit})
