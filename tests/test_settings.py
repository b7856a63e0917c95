"""What the environment says."""

from __future__ import annotations

import pytest

from lambda_fn.contract import InvalidRequest
from lambda_fn.settings import Settings


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
        "s3://outputs/known/",
    )
    assert Settings.from_environment(environ) == expected
    assert expected.limits.ratio == 1032


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
