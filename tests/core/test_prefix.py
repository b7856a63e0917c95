"""What we put in front is believed where it is ours to the byte, and a mark that lies does no harm."""

from __future__ import annotations

import zlib

import pytest

from tests import archives, readers
from tests.archives import WANTED, Tar, entry, gunzip, member, split
from tests.core.forgeries import FORGERIES, OURS, forged
from tests.core.memory import repacked

FIRST = b'{"depth": 6}\n'
SECOND = b'{"depth": 7, "note": "' + b"longer " * 30 + b'"}\n'


def test_the_way_without_a_scan_reads_next_to_nothing() -> None:
    tar = Tar([entry(f"weights{at}", archives.noise(300_000, at)) for at in range(4)])
    source, _ = repacked(member(tar.data, 1), {WANTED: FIRST})
    scanned, whole = repacked(source, {WANTED: SECOND})
    trusted, little = repacked(source, {WANTED: SECOND}, verify="never")
    assert trusted == scanned
    assert whole.source.bytes_read > len(source)
    assert little.source.bytes_read <= (64 << 10) + 8


def test_a_large_prefix_is_read_whole_and_believed() -> None:
    source, _ = repacked(member(archives.small().data), {"big": archives.noise(300_000), WANTED: FIRST})
    again, outcome = repacked(source, {WANTED: SECOND}, verify="never")
    assert outcome.survey
    assert outcome.survey.entries is None
    assert again == repacked(source, {WANTED: SECOND})[0]


@pytest.mark.parametrize(
    ("case", "verify"),
    [
        (case, verify)
        for case in FORGERIES
        for verify in ("once", "always", "never")
        if (case, verify) != ("a length beyond the truth", "never")  # the request asks to believe it
    ],
)
def test_a_forged_mark_does_no_harm(case: str, verify: str) -> None:
    source = FORGERIES[case]
    assert gunzip(source)
    output, _ = repacked(source, {WANTED: SECOND}, verify=verify)
    name, data, _ = split(gunzip(output))
    assert (name, data) == (WANTED, SECOND)
    if verify != "never" or case != "an old entry in the rest":
        assert [name for name in readers.names(gunzip(output)) if name.endswith(WANTED)] == [WANTED]


def test_a_mark_copied_to_another_archive_is_not_believed() -> None:
    ours, _ = repacked(member(archives.small().data), {WANTED: FIRST})
    other = member(Tar([entry("other", b"other" * 50), entry(WANTED, b"old")]).data)
    comment_end = ours.index(b"\0", 10) + 1
    copied = ours[:comment_end] + other[10:]
    for verify in ("once", "never"):
        output, _ = repacked(copied, {WANTED: SECOND}, verify=verify)
        assert output == repacked(other[:4] + ours[4:10] + other[10:], {WANTED: SECOND})[0]


def test_a_reference_from_the_rest_into_the_prefix_is_found_out() -> None:
    whole = OURS + entry("copy", OURS).blocks + bytes(1024)
    compressor = zlib.compressobj(9, wbits=-15)
    first = compressor.compress(OURS) + compressor.flush(zlib.Z_SYNC_FLUSH)
    second = compressor.compress(whole[len(OURS) :]) + compressor.flush()
    rest = whole[len(OURS) :]
    crc = zlib.crc32(rest)
    mark = {"prefix": len(first), "rest": len(second), "crc": crc, "length": len(rest)}
    source = forged(mark, first, second, whole)
    assert gunzip(source) == whole
    output, _ = repacked(source, {WANTED: SECOND})
    assert split(gunzip(output)) == (WANTED, SECOND, rest)


def test_an_old_comment_is_cut_where_gos_reader_would_refuse_it() -> None:
    source = member(Tar([entry("a")]).data, comment=b"c" * 500)
    output, plan = repacked(source, {WANTED: b"{}"})
    assert output.index(b"\0", 10) - 10 <= 511
    assert any("comment" in warning for warning in plan.warnings)
