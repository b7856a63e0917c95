"""The events as AWS documents them, with a key that every dialect writes in another way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambda_fn.contract import InvalidRequest, Request
from lambda_fn.events import Arrival, arrivals, is_archive, requests
from lambda_fn.settings import Settings
from tests.deployment import BESIDE, EVENTS, MODEL, OUTPUT

SETTINGS = Settings(output_bucket="models-out", output_prefix="out/", input_prefix="in/")
DEFAULT = "s3://defaults/hyperparameters.json"


def document(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def asked(key: str, there: tuple[str, ...] = (), settings: Settings = SETTINGS, bucket: str = "models-in") -> Any:
    """What a key's arrival asks for in a bucket that holds `there`."""

    def archives(bucket: str, folder: str) -> list[str]:
        return [key for key in there if is_archive(key) and key.rpartition("/")[0] == folder.rstrip("/")]

    return requests(Arrival(bucket, key), settings, lambda bucket, key: key in there, archives)


@pytest.mark.parametrize("name", ["eventbridge_created", "notification_created"])
def test_both_dialects_name_the_same_object(name: str) -> None:
    assert arrivals(document(name)) == [Arrival("models-in", MODEL)]


@pytest.mark.parametrize("name", ["eventbridge_deleted", "notification_removed", "notification_test"])
def test_nothing_has_arrived_when_something_was_deleted_or_a_queue_is_tested(name: str) -> None:
    assert arrivals(document(name)) == []


@pytest.mark.parametrize(
    "event",
    [
        {"source": "aws.s3", "detail-type": "Object Created", "detail": {}},
        {"Records": [{"eventName": "ObjectCreated:Put"}]},
        {"Records": ["?"]},
        {"Records": None},
    ],
)
def test_what_only_looks_like_an_event_is_refused(event: Any) -> None:
    with pytest.raises(InvalidRequest, match="not an S3 event"):
        arrivals(event)


def test_a_model_and_the_hyperparameters_beside_it_make_one_request_whichever_came_last() -> None:
    expected = [
        Request(f"s3://models-in/{MODEL}", f"s3://models-out/{OUTPUT}", hyperparameters_uri=f"s3://models-in/{BESIDE}")
    ]
    assert asked(MODEL, (MODEL, BESIDE))[0] == expected
    assert asked(BESIDE, (MODEL, BESIDE))[0] == expected


@pytest.mark.parametrize(("first", "second"), [(MODEL, BESIDE), (BESIDE, "a model beside")])
def test_the_first_of_two_waits_for_the_other(first: str, second: str) -> None:
    found, why = asked(first, (first,))
    assert found == []
    assert why.startswith("waiting for")
    assert second in why


def test_the_configured_hyperparameters_serve_models_without_their_own() -> None:
    settings = Settings("models-out", "out/", "in/", DEFAULT)
    assert asked(MODEL, (MODEL,), settings)[0][0].hyperparameters_uri == DEFAULT
    assert asked(MODEL, (MODEL, BESIDE), settings)[0][0].hyperparameters_uri == f"s3://models-in/{BESIDE}"


def test_hyperparameters_are_for_every_model_in_their_folder_and_none_below() -> None:
    there = ("in/x/a.tar.gz", "in/x/b.tar.gz", "in/x/deeper/c.tar.gz", "in/x/notes.txt")
    found, _ = asked("in/x/hyperparameters.json", there)
    assert [request.output_uri for request in found] == [
        "s3://models-out/out/x/a.tar.gz",
        "s3://models-out/out/x/b.tar.gz",
    ]


@pytest.mark.parametrize("name", ["model.tgz", "MODEL.TAR.GZ", "model.TGZ", "model.Tar.Gz", "x._y.tar.gz"])
def test_every_spelling_of_a_packed_tar_is_a_model(name: str) -> None:
    there = (f"in/x/{name}", "in/x/hyperparameters.json")
    for arrived in there:
        assert [request.output_uri for request in asked(arrived, there)[0]] == [f"s3://models-out/out/x/{name}"]


def test_what_macos_leaves_beside_a_model_is_none() -> None:
    there = ("in/x/._model.tar.gz", "in/x/model.tar.gz", "in/x/._model.tgz", "in/x/hyperparameters.json")
    found, _ = asked("in/x/hyperparameters.json", there)
    assert [request.model_uri for request in found] == ["s3://models-in/in/x/model.tar.gz"]
    assert asked("in/x/._model.tar.gz", there)[0] == []


@pytest.mark.parametrize("key", ["elsewhere/model.tar.gz", "in/x/notes.txt", "in/x/my-hyperparameters.json", "in/x/"])
def test_other_objects_ask_for_nothing(key: str) -> None:
    found, why = asked(key, (key, "in/x/hyperparameters.json", "elsewhere/hyperparameters.json"))
    assert found == []
    assert key in why


@pytest.mark.parametrize("prefixes", [("in/", "in/out/"), ("", "out/"), ("", ""), ("in/", "in/")])
def test_an_output_never_is_a_source_where_both_share_a_bucket(prefixes: tuple[str, str]) -> None:
    watched, outputs = prefixes
    settings = Settings("models-in", outputs, watched)
    output, beside = f"{outputs}x.tar.gz", f"{outputs}hyperparameters.json"
    assert asked(output, (output, beside), settings)[0] == []
    assert asked(beside, (output, beside), settings)[0] == []


def test_outputs_in_the_folder_of_the_sources_are_no_models() -> None:
    settings = Settings("models-in", "in/repacked-", "in/")
    found, _ = asked("in/hyperparameters.json", ("in/a.tar.gz", "in/repacked-a.tar.gz"), settings)
    assert [request.model_uri for request in found] == ["s3://models-in/in/a.tar.gz"]


def test_without_a_place_for_outputs_events_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="REPACK_OUTPUT_BUCKET"):
        asked(MODEL, (MODEL,), Settings())
