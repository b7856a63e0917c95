"""At most so many executions hold a place, whatever happens at the same time and whatever became of the others."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lambda_fn.contract import RepackError
from lambda_fn.semaphore import NoPlace, take
from lambda_fn.stores.s3 import S3Access
from tests.deployment import Deployment

KEY = "semaphores/tasks.json"


@pytest.fixture
def access(deployment: Deployment) -> S3Access:
    return S3Access(deployment.client)


@pytest.fixture
def uri(deployment: Deployment) -> str:
    return f"s3://{deployment.outputs}/{KEY}"


def all_run(execution: str) -> bool:
    return True


def holders(deployment: Deployment) -> Any:
    return json.loads(deployment.client.get_object(Bucket=deployment.outputs, Key=KEY)["Body"].read())


def test_there_are_so_many_places_and_no_more(deployment: Deployment, access: S3Access, uri: str) -> None:
    for execution in ("a", "b"):
        take(execution, 2, uri, access, all_run)
    with pytest.raises(NoPlace, match="2 executions"):
        take("c", 2, uri, access, all_run)
    assert holders(deployment) == ["a", "b"]


@pytest.mark.parametrize("said", [b"", b"\x1f\x8b", b"{}", b"[1]", b"[" * 9000], ids=lambda said: repr(said[:5]))
def test_a_list_that_is_none_stops_no_task(deployment: Deployment, access: S3Access, uri: str, said: bytes) -> None:
    deployment.client.put_object(Bucket=deployment.outputs, Key=KEY, Body=said)
    take("a", 1, uri, access, all_run)
    assert holders(deployment) == ["a"]


def test_who_asks_again_has_one_place_still(deployment: Deployment, access: S3Access, uri: str) -> None:
    for _ in range(2):
        take("a", 1, uri, access, all_run)
    assert holders(deployment) == ["a"]


def test_the_place_of_an_execution_that_has_ended_is_free(deployment: Deployment, access: S3Access, uri: str) -> None:
    for execution in ("a", "b", "c"):
        take(execution, 3, uri, access, all_run)
    take("d", 3, uri, access, lambda execution: execution == "b")
    assert holders(deployment) == ["b", "d"]


def test_fewer_places_than_before_are_kept_to(deployment: Deployment, access: S3Access, uri: str) -> None:
    for execution in ("a", "b", "c"):
        take(execution, 3, uri, access, all_run)
    with pytest.raises(NoPlace):
        take("d", 2, uri, access, lambda execution: execution != "a")
    take("d", 2, uri, access, lambda execution: execution == "c")
    assert holders(deployment) == ["c", "d"]


def test_who_is_overtaken_asks_again(deployment: Deployment, access: S3Access, uri: str) -> None:
    take("a", 1, uri, access, all_run)

    def overtaken(execution: str) -> bool:
        take("b", 1, uri, access, lambda execution: False)
        return False

    with pytest.raises(NoPlace, match="same moment"):
        take("c", 1, uri, access, overtaken)
    assert holders(deployment) == ["b"]


def test_of_many_at_once_no_more_than_may_get_a_place(deployment: Deployment, access: S3Access, uri: str) -> None:
    def ask(execution: str) -> bool:
        try:
            take(execution, 3, uri, access, all_run)
        except NoPlace:
            return False
        return True

    executions = [f"execution-{number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        got = [execution for execution, place in zip(executions, pool.map(ask, executions), strict=True) if place]
    assert 1 <= len(got) <= 3
    assert sorted(holders(deployment)) == sorted(got)


def test_what_s3_refuses_has_its_name(access: S3Access) -> None:
    with pytest.raises(RepackError):
        take("a", 1, f"s3://nowhere-at-all/{KEY}", access, all_run)
