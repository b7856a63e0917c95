"""A batch's input, checked before anything starts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.batches import ANY_NUMBER, HEAD, Tolerance, checked
from lambda_fn.contract import InvalidRequest
from lambda_fn.deployed import PARENT
from lambda_fn.stores.s3 import S3Access
from tests.deployment import Deployment

TOLERANCE = Tolerance(percent=5, least=3)
HEADER = b"model_uri,output_uri,hyperparameters_uri\n"


def check(deployment: Deployment, batch: Any) -> Any:
    return checked(batch, deployment.models, "old/", TOLERANCE, S3Access(deployment.client))


@given(items=st.integers(0, 10_000), percent=st.integers(0, 100), least=st.integers(0, 100))
def test_a_batch_tolerates_the_larger_of_both(items: int, percent: int, least: int) -> None:
    limits = Tolerance(percent, least).of(items)

    def stops(failed: int) -> bool:
        return bool(failed > limits["count"] or failed * 100 > items * limits["percent"])

    tolerated = min(items, max(least, items * percent // 100))
    assert not stops(tolerated)
    assert stops(tolerated + 1) or tolerated == items


def test_of_many_items_the_percentage_counts() -> None:
    assert TOLERANCE.of(None) == {"count": ANY_NUMBER, "percent": 5}


def test_a_manifest_of_ten_lines_tolerates_three(deployment: Deployment) -> None:
    deployment.put("batches/ten.csv", HEADER + b"a,b,c\n" * 10)
    assert check(deployment, {"manifest": "batches/ten.csv", PARENT: "arn"}) == {
        "where": "lines",
        "manifest": "batches/ten.csv",
        "tolerated": {"count": 3, "percent": 100},
    }


def test_of_a_long_manifest_only_the_beginning_is_read(deployment: Deployment) -> None:
    deployment.put("batches/long.csv", HEADER + b"a,b,c\n" * (HEAD // 6 + 1))
    assert check(deployment, {"manifest": "batches/long.csv"})["tolerated"]["percent"] == 5


def test_what_lies_under_a_prefix_is_counted(deployment: Deployment) -> None:
    deployment.put("old/model.tar.gz", b"")
    assert check(deployment, {"prefix": "old/"})["tolerated"] == {"count": 3, "percent": 100}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it begins with ''"),
        (b"model_uri;output_uri\na;b\n", "it begins with 'model_uri;output_uri'"),
        (b"\xef\xbb\xbf" + HEADER + b"a,b,c\n", "without blanks or a byte order mark"),
        (b"model_uri, output_uri\na,b\n", "without blanks"),
        (b"model_uri,hyperparameters_uri\na,b\n", "names model_uri and output_uri"),
        (HEADER, "has a header and no line below it"),
    ],
)
def test_a_manifest_that_cannot_be_one_is_said_in_one_sentence(
    deployment: Deployment, content: bytes, sentence: str
) -> None:
    deployment.put("batches/wrong.csv", content)
    with pytest.raises(InvalidRequest) as refused:
        check(deployment, {"manifest": "batches/wrong.csv"})
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "batch", [None, [], {}, {"manifest": ""}, {"manifest": 7}, {"manifest": "a", "prefix": "b"}, {"manifests": "a"}]
)
def test_what_is_no_batch_is_said_in_one_sentence(deployment: Deployment, batch: Any) -> None:
    with pytest.raises(InvalidRequest, match=r'^a batch is \{"manifest": '):
        check(deployment, batch)


@pytest.mark.parametrize(
    "batch", [{"manifest": "old/ten.csv"}, {"manifest": "s3://b/batches/x.csv"}, {"prefix": "new/"}]
)
def test_a_batch_stays_where_its_machine_may_read(deployment: Deployment, batch: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"under batches/|under the input prefix 'old/'"):
        check(deployment, batch)


@pytest.mark.parametrize("batch", [{"manifest": "batches/nothing.csv"}, {"prefix": "old/nothing/"}])
def test_a_batch_of_nothing_is_refused(deployment: Deployment, batch: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"does not exist|nothing lies under"):
        check(deployment, batch)
