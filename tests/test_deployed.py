"""A Request between S3 and S3."""

from __future__ import annotations

from typing import Any

import pytest

from lambda_fn.contract import InvalidRequest, Request
from lambda_fn.deployed import PARENT, request

GOOD = {"model_uri": "s3://in/m.tar.gz", "output_uri": "s3://out/m.tar.gz", "hyperparameters_uri": "s3://in/h.json"}


def test_what_a_parent_execution_adds_is_no_field_of_the_request() -> None:
    assert request({**GOOD, PARENT: "arn:aws:states:eu-west-1:1:execution:theirs:1"}) == Request(**GOOD)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", GOOD)
@pytest.mark.parametrize("uri", ["/tmp/x", "x", "S3://in/x", "https://in/x", "file:///x", "../x"])
def test_every_uri_is_of_s3(field: str, uri: str) -> None:
    with pytest.raises(
        InvalidRequest, match=rf"^{field} is '{uri}'; a deployment reads and writes s3://bucket/key only$"
    ):
        request({**GOOD, field: uri})


@pytest.mark.parametrize("field", ["files", "folders"])
def test_all_that_is_put_in_is_of_s3(field: str) -> None:
    assert getattr(request({**GOOD, field: {"x": "s3://in/x/"}}), field) == {"x": "s3://in/x/"}
    with pytest.raises(InvalidRequest, match=rf"^{field}\['x'\] is '/etc/'"):
        request({**GOOD, field: {"y": "s3://in/y/", "x": "/etc/"}})


def test_every_field_that_holds_a_uri_is_looked_at() -> None:
    # A new one that is forgotten here would let a request read the machine's own files.
    of_uris = {"model_uri", "output_uri", "hyperparameters_uri", "files", "folders"}
    plain = {"hyperparameters", "merge_hyperparameters", "everything", "if_present", "verify", "remove", "strip_root"}
    assert set(Request._fields) == of_uris | plain


@pytest.mark.parametrize("document", [None, [], "text", {}, {**GOOD, "typo": 1}])
def test_what_is_no_request_is_refused_as_such(document: Any) -> None:
    with pytest.raises(InvalidRequest):
        request(document)
