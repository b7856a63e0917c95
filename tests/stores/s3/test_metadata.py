"""What an output takes over from its source, and the note that must survive S3's headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.stores.s3 import metadata

NOTE = {"source": '"ab-2"', "source-version": "", "é ": "100% +&=\n"}


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=4))
def test_a_note_comes_back_as_it_was(note: dict[str, str]) -> None:
    kept = metadata.user_metadata({}, note, "p")
    assert all(value.isascii() and value.isprintable() for value in kept.values())
    assert metadata.note_of({"Metadata": kept}) == note
    assert metadata.publication_of({"Metadata": kept}) == "p"


def test_the_sources_own_metadata_stays_and_an_older_note_goes() -> None:
    source = {"Metadata": {"owner": "Zoë", "run": "7", **metadata.user_metadata({}, {"old": "1"}, "before")}}
    kept = metadata.user_metadata(source, NOTE, "now")
    assert kept["run"] == "7"
    assert kept["owner"] == "=?utf-8?q?Zo=C3=AB?="
    assert metadata.note_of({"Metadata": kept}) == NOTE
    assert metadata.publication_of({"Metadata": kept}) == "now"


@pytest.mark.parametrize(("brought", "noted", "named"), [(1500, True, True), (1900, False, True), (2040, False, False)])
def test_a_note_without_room_is_left_out(brought: int, noted: bool, named: bool) -> None:
    own = {"k": "v" * brought}
    kept = metadata.user_metadata({"Metadata": own}, {"overlay": "a" * 200}, "f" * 32)
    assert sum(len(name) + len(value) for name, value in kept.items()) <= metadata.LIMIT
    assert own.items() <= kept.items()
    assert bool(metadata.note_of({"Metadata": kept})) == noted
    assert bool(metadata.publication_of({"Metadata": kept})) == named


def test_headers_tags_and_storage_class_are_kept() -> None:
    head = {"ContentType": "application/x-tar", "CacheControl": "no-store", "StorageClass": "INTELLIGENT_TIERING"}
    assert metadata.kept(head, {"a b": "1+1=2&", "é": ""}) == {**head, "Tagging": "a%20b=1%2B1%3D2%26&%C3%A9="}


@pytest.mark.parametrize("storage", ["GLACIER", "DEEP_ARCHIVE", "EXPRESS_ONEZONE", "OUTPOSTS"])
def test_an_output_is_not_born_in_an_archive(storage: str) -> None:
    assert "StorageClass" not in metadata.kept({"ContentType": "x", "StorageClass": storage}, {})


def test_what_comes_from_outside_is_gzip() -> None:
    assert metadata.kept({}, {}) == {"ContentType": "application/gzip"}
