"""The options of every request, and clients that cannot be made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lambda_fn.core import errors
from lambda_fn.stores.s3 import Place, S3Access, S3Source


def test_every_option_reaches_the_requests() -> None:
    access = S3Access(
        None, expected_bucket_owner="123456789012", sse_kms_key_id="key", request_payer=True, acl="private"
    )
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
    assert access.ownership == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key", "ACL": "private"}
    assert S3Access(None).ownership == {}


@pytest.mark.parametrize(
    ("url", "given", "equal"),
    [
        ("https://s3.eu-west-1.amazonaws.com", None, False),
        ("https://0a1b.eu.r2.cloudflarestorage.com", None, True),
        ("https://0a1b.eu.r2.cloudflarestorage.com", False, False),
        ("http://127.0.0.1:9000", True, True),
    ],
)
def test_stores_that_want_equal_parts_are_known(url: str, given: bool | None, equal: bool) -> None:
    client: Any = SimpleNamespace(meta=SimpleNamespace(endpoint_url=url))
    assert S3Access(client, equal_parts=given).parts_are_equal == equal


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No configuration, credentials or metadata service of this machine."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


def test_options_of_a_client_of_our_own(nobody: pytest.MonkeyPatch) -> None:
    access = S3Access.default(region="eu-north-1", endpoint_url="http://127.0.0.1:9", storage_class="STANDARD_IA")
    assert (access.client.meta.region_name, access.client.meta.endpoint_url) == ("eu-north-1", "http://127.0.0.1:9")
    assert access.storage_class == "STANDARD_IA"
    assert access.patient is access.patient
    silence, thought = (client.meta.config.read_timeout for client in (access.client, access.patient))
    attempts = access.client.meta.config.retries["total_max_attempts"]
    assert silence * attempts < 200  # a server that says nothing ends a repack well within a function's time
    assert thought * access.patient.meta.config.retries["total_max_attempts"] < 400


@pytest.mark.parametrize("options", [{"endpoint_url": "localhost:9000"}, {"region": "no region"}])
def test_a_client_that_cannot_be_is_told(nobody: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidRequest, match=next(iter(options.values()))):
        S3Access.default(**options)


def test_an_endpoint_without_a_scheme_is_told(nobody: pytest.MonkeyPatch) -> None:
    nobody.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    with pytest.raises(errors.InvalidRequest, match="AWS_ENDPOINT_URL"):
        S3Access.default()


SSO = """
[profile sso]
sso_session = mine
sso_account_id = 123456789012
sso_role_name = reader
[sso-session mine]
sso_region = eu-west-1
sso_start_url = https://example.com/start
"""


@pytest.mark.parametrize(
    ("config", "profile", "expected"),
    [
        ("", "nobody", errors.AccessDenied),
        (SSO, "sso", errors.AccessDenied),
        ("[profile half]\naws_access_key_id = x\n", "half", errors.AccessDenied),
        ("[broken\n", None, errors.InvalidRequest),
        ("", None, errors.AccessDenied),
    ],
)
def test_whoever_is_not_logged_in_is_told(
    nobody: pytest.MonkeyPatch, tmp_path: Path, config: str, profile: str | None, expected: type[errors.RepackError]
) -> None:
    (tmp_path / "config").write_text(config)
    with pytest.raises(expected):
        S3Source("s3://bucket/key", S3Access.default(profile=profile, region="eu-west-1"))
