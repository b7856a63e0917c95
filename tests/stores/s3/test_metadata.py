"""What an output takes over from its source, and the note that must survive S3's headers."""

from __future__ import annotations

from email.header import decode_header, make_header
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.stores.s3 import checksum, metadata

CRC = checksum.CRC32


def told(note: dict[str, str], **told: object) -> dict[str, str] | None:
    """The note an object of five bytes comes back with."""
    kept = metadata.user_metadata({}, metadata.of_bytes(note, 5, CRC, 7), "p")
    head = {"ContentLength": 5, "ChecksumType": "FULL_OBJECT", CRC.field: CRC.encode(7)}
    return metadata.note_of({**head, "Metadata": kept, **told})


NOTE = {"source": '"ab-2"', "source-version": "", "é ": "100% +&=\n"}


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=4))
def test_a_note_comes_back_as_it_was(note: dict[str, str]) -> None:
    kept = metadata.user_metadata({}, note, "p")
    assert all(value.isascii() and value.isprintable() for value in kept.values())
    assert told(note) == note
    assert metadata.publication_of({"Metadata": kept}) == "p"


def may_be_misread(text: str) -> bool:
    """Whether it is what UTF-8 looks like that was read as Latin-1, as the bytes of a header are."""
    try:
        return text != text.encode("latin-1").decode()
    except UnicodeError:
        return False


texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=200)


@given(texts.filter(lambda text: not may_be_misread(text)))
def test_text_that_a_store_gives_raw_is_kept_as_s3_takes_it(text: str) -> None:
    for read in (text, text.encode().decode("latin-1")):
        kept = metadata.user_metadata({"Metadata": {"owner": read}}, {}, "p")["owner"]
        assert kept.isascii()
        assert kept == text if text.isascii() else str(make_header(decode_header(kept))) == text
    assert metadata.user_metadata({"Metadata": {"owner": kept}}, {}, "p")["owner"] == kept


def test_text_that_looks_misread_is_taken_for_it() -> None:
    assert may_be_misread("Â¡")
    kept = metadata.user_metadata({"Metadata": {"owner": "Â¡"}}, {}, "p")["owner"]
    assert str(make_header(decode_header(kept))) == "¡", "no header tells the one from the other"


def test_text_that_has_no_room_in_ascii_is_told() -> None:
    head = {"Metadata": {"run": "7", "about": "ä" * 1000}}
    assert metadata.user_metadata(head, {}, "p").keys() == {"run", metadata.NOTE, metadata.PUBLICATION}
    [sentence] = metadata.lost(head)
    assert "about" in sentence
    assert metadata.lost({"Metadata": {"run": "7", metadata.NOTE: "n", metadata.PUBLICATION: "p"}}) == ()


def test_the_sources_own_metadata_stays_and_an_older_note_goes() -> None:
    source = {
        "Metadata": {
            "owner": "Zoë",
            "run": "7",
            "repack-run": "8",
            **metadata.user_metadata({}, {"old": "1"}, "before"),
        }
    }
    kept = metadata.user_metadata(source, NOTE, "now")
    assert (kept["run"], kept["repack-run"]) == ("7", "8")
    assert kept["owner"] == "=?utf-8?q?Zo=C3=AB?="
    assert parse_qs(kept[metadata.NOTE], keep_blank_values=True) == {name: [value] for name, value in NOTE.items()}
    assert metadata.publication_of({"Metadata": kept}) == "now"


@pytest.mark.parametrize(("brought", "noted", "named"), [(1500, True, True), (1900, False, True), (2040, False, False)])
def test_a_note_without_room_is_left_out(brought: int, noted: bool, named: bool) -> None:
    own = {"k": "v" * brought}
    kept = metadata.user_metadata({"Metadata": own}, {"overlay": "a" * 200}, "f" * 32)
    assert sum(len(name) + len(value) for name, value in kept.items()) <= metadata.LIMIT
    assert own.items() <= kept.items()
    assert (metadata.NOTE in kept) == noted
    assert bool(metadata.publication_of({"Metadata": kept})) == named


@pytest.mark.parametrize(
    ("says", "believed"),
    [
        ({}, True),
        ({"ContentLength": 6}, False),
        ({CRC.field: CRC.encode(8)}, False),
        ({"ChecksumCRC64NVME": "AAAAAAAAAAA="}, False),  # of other bytes, as far as anybody can tell
        ({CRC.field: CRC.encode(7) + "-3", "ChecksumType": "COMPOSITE"}, False),
        ({"Metadata": {metadata.NOTE: "overlay=1"}}, False),  # an older one, or a made-up one
    ],
)
def test_a_note_is_believed_of_the_bytes_it_was_written_for(says: dict[str, object], believed: bool) -> None:
    assert told({"overlay": "1"}, **says) == ({"overlay": "1"} if believed else None)


def test_where_a_store_gives_no_checksum_the_size_must_do() -> None:
    kept = metadata.user_metadata({}, metadata.of_bytes({"overlay": "1"}, 5, CRC, 7), "p")
    assert metadata.note_of({"ContentLength": 5, "Metadata": kept}) == {"overlay": "1"}
    assert metadata.note_of({"ContentLength": 6, "Metadata": kept}) is None


def test_headers_tags_and_storage_class_are_kept() -> None:
    head = {"ContentType": "application/x-tar", "CacheControl": "no-store", "StorageClass": "INTELLIGENT_TIERING"}
    assert metadata.kept(head, {"a b": "1+1=2&", "é": ""}) == {**head, "Tagging": "a%20b=1%2B1%3D2%26&%C3%A9="}


@pytest.mark.parametrize("storage", ["GLACIER", "DEEP_ARCHIVE", "EXPRESS_ONEZONE", "OUTPOSTS"])
def test_an_output_is_not_born_in_an_archive(storage: str) -> None:
    assert "StorageClass" not in metadata.kept({"ContentType": "x", "StorageClass": storage}, {})


def test_what_comes_from_outside_is_gzip() -> None:
    assert metadata.kept({}, {}) == {"ContentType": "application/gzip"}


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ({"ExpiresString": "in three days"}, ["Expires", "in three days"]),
        ({"ExpiresString": "Thu, 26 Nov 2026 00:00:00 GMT", "Expires": "a date"}, []),
        ({"StorageClass": "DEEP_ARCHIVE"}, ["DEEP_ARCHIVE"]),
        ({"StorageClass": "GLACIER_IR"}, []),
        ({"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": "2030-01-01"}, ["GOVERNANCE until 2030-01-01"]),
        ({"ObjectLockLegalHoldStatus": "ON"}, ["a legal hold"]),
        ({"ObjectLockLegalHoldStatus": "OFF"}, []),
        ({}, []),
    ],
)
def test_what_cannot_be_carried_over_is_told(head: dict[str, Any], said: list[str]) -> None:
    told = " ".join(metadata.lost(head))
    assert bool(told) == bool(said)
    assert all(word in told for word in said)


VERDICTS = {
    "GuardDutyMalwareScanStatus": "NO_THREATS_FOUND",
    "av-status": "CLEAN",
    "fss-scan-result": "no issues found",
    "scan-status": "clean",
    "date-scanned": "today",
}


def test_a_class_that_is_asked_for_is_no_loss() -> None:
    assert metadata.lost({"StorageClass": "GLACIER"}, "STANDARD_IA") == ()


def test_verdicts_of_scanners_tell_of_other_bytes() -> None:
    assert metadata.kept({}, {**VERDICTS, "team": "a", "aws:cloudformation:stack-name": "s"})["Tagging"] == "team=a"
    assert "Tagging" not in metadata.kept({}, VERDICTS)
