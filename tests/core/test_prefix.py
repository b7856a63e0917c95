"""The prefix and its mark: what is written is believed again, and what is not just so is as good as none."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib

import pytest

from lambda_fn.core.errors import InvalidArchive
from lambda_fn.core.gzip import Header, Run
from lambda_fn.core.header import Attributes
from lambda_fn.core.prefix import COMMENT_LIMIT, PEEK, PREFIX_LIMIT, Head, Prefix, Written, make_prefix, read_head
from tests import archives, readers
from tests.archives import WANTED, Part, Tar, entry, gunzip, member, noise, shared, split
from tests.core.contents import words
from tests.core.forgeries import FORGERIES, OURS, deflated, forged
from tests.core.memory import MemorySource, repacked

AT = Attributes(0o640, 1_700_000_000, 7, 8, "me", "us")
FILES = {
    "b/x.py": Written(words(3000, 1), AT),
    "a": Written(b"1", AT._replace(mode=0o755)),
    "d": Written(b"", AT, directory=True),
}
REST = Tar([entry("w", words(5000, 2), mtime=5)]).data


def rest_of(head: bytes, data: bytes = REST) -> Run:
    return Run(len(head), len(head) + len(deflated(data, zlib.Z_FINISH)), zlib.crc32(data), len(data))


def archive(prefix: Prefix, comment: bytes | None = None, **wrong: int) -> bytes:
    """A marked archive, in whose mark some figures are off by so much."""
    plain = Head(Header(10), comment=comment)
    run = rest_of(plain.grafted(prefix, Run(0)))
    told = Run(run.start, *(getattr(run, name) + wrong.get(name, 0) for name in ("stop", "crc", "size")))
    return plain.grafted(prefix, told) + deflated(REST, zlib.Z_FINISH) + Head.trailer(prefix, run)


def test_a_prefix_is_a_tar_of_its_files_in_order() -> None:
    prefix = make_prefix(FILES)
    inflate = zlib.decompressobj(-15)
    tar = inflate.decompress(prefix.deflated)
    assert (prefix.crc, prefix.size, inflate.unused_data) == (zlib.crc32(tar), len(tar), b"")
    with tarfile.open(fileobj=io.BytesIO(tar + bytes(1024))) as opened:
        found = {
            info.name: (info.isdir(), info.mode, info.mtime, info.uid, info.gid, info.uname, info.gname)
            for info in opened
        }
        assert opened.extractfile("b/x.py").read() == FILES["b/x.py"].data  # type: ignore[union-attr]
    owned = (1_700_000_000, 7, 8, "me", "us")
    assert list(found.items()) == [
        ("a", (False, 0o755, *owned)),
        ("b/x.py", (False, 0o640, *owned)),
        ("d", (True, 0o640, *owned)),
    ]


def test_the_same_files_give_the_same_prefix_as_small_as_models_are_packed() -> None:
    tar = b"".join(file.to_bytes(name) for name, file in sorted(FILES.items()))
    assert make_prefix(FILES).deflated == deflated(tar, zlib.Z_FULL_FLUSH)
    assert make_prefix(dict(reversed(FILES.items()))) == make_prefix(FILES)
    assert make_prefix({}) == Prefix(b"", 0, 0)


def test_nothing_behind_a_prefix_refers_into_it() -> None:
    prefix = make_prefix(FILES)
    whole = prefix.deflated + deflated(REST, zlib.Z_FINISH)
    assert zlib.decompressobj(-15).decompress(whole).endswith(REST)
    assert prefix.deflated.endswith(b"\0\0\xff\xff")


@pytest.mark.parametrize("comment", [None, b"", b"theirs"])
def test_what_is_grafted_is_read_again(comment: bytes | None) -> None:
    prefix = make_prefix(FILES)
    data = archive(prefix, comment)
    assert gzip.decompress(data).endswith(REST)
    head = read_head(MemorySource(data))
    assert (head.files, head.prefix, head.mtime, head.comment) == (
        dict(sorted(FILES.items())),
        prefix,
        AT.mtime,
        comment,
    )
    assert data[head.rest_start :] == deflated(REST, zlib.Z_FINISH) + data[-8:]
    assert head.rest and vars(head.rest) == vars(rest_of(data[: head.rest_start]))


def test_the_mark_is_the_headers_comment_and_all_else_in_the_header_stays() -> None:
    prefix, header = make_prefix(FILES), Header(0, 1_600_000_000, 2, 3, name=b"model.tar")
    run = Run(100, 400, 0xABCDEF, 9999)
    mark = f"model-repacker 1 prefix={len(prefix.deflated):08x} rest={300:016x} crc=00abcdef length={9999:016x}"
    start = b"\x1f\x8b\x08\x18" + (1_600_000_000).to_bytes(4, "little") + b"\2\3model.tar\0"
    assert Head(header).grafted(prefix, run) == start + mark.encode() + b"\0" + prefix.deflated
    theirs = Head(header, comment=b"theirs").grafted(prefix, run)
    assert theirs == start + mark.encode() + b" theirs\0" + prefix.deflated


def test_without_a_prefix_there_is_no_mark_and_the_comment_is_theirs() -> None:
    data = archive(make_prefix(FILES), b"theirs")
    head = read_head(MemorySource(data))
    assert head.grafted(Prefix(), Run(0)) == Header(0, comment=b"theirs").to_bytes()
    assert head._replace(comment=None).grafted(Prefix(), Run(0)) == Header(0).to_bytes()


def test_a_comment_has_511_bytes_at_most() -> None:
    prefix, mark = make_prefix(FILES), len(Head(Header(0)).grafted(make_prefix(FILES), Run(0)))
    mark -= 11 + len(prefix.deflated)
    room = COMMENT_LIMIT - mark - 1
    for size in (room, room + 1, room + 500):
        head = Head(Header(0), comment=b"c" * size)
        written = head.grafted(prefix, Run(0))[10:]
        assert written[: written.index(0)] == written[:mark] + b" " + b"c" * room
        assert head.comment_is_cut == (size > room)
    assert not Head(Header(0)).comment_is_cut


def test_a_trailer_is_that_of_prefix_and_rest() -> None:
    prefix = make_prefix(FILES)
    whole = zlib.decompressobj(-15).decompress(prefix.deflated) + REST
    sums = zlib.crc32(whole).to_bytes(4, "little") + len(whole).to_bytes(4, "little")
    assert Head.trailer(prefix, Run(3, 9, zlib.crc32(REST), len(REST))) == sums


def test_a_head_whose_mark_is_not_believed_is_one_without() -> None:
    prefix = make_prefix(FILES)
    head = read_head(MemorySource(archive(prefix, b"theirs")))
    plain = head.unmarked()
    assert (plain.files, plain.prefix, plain.rest, plain.rest_start) == ({}, Prefix(), None, plain.header.size)
    assert (plain.header, plain.mtime, plain.comment) == (head.header, head.mtime, b"theirs")


@pytest.mark.parametrize("wrong", ["stop", "crc", "size"])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_mark_with_a_wrong_figure_is_none(wrong: str, by: int) -> None:
    data = archive(make_prefix(FILES), b"theirs", **{wrong: by})
    head = read_head(MemorySource(data))
    assert (head.files, head.prefix, head.rest, head.comment) == ({}, Prefix(), None, b"theirs")
    assert head.mtime == AT.mtime, "as in the first entry, whoever wrote it"


@pytest.mark.parametrize("bit", range(64))
@pytest.mark.parametrize("wrong", ["stop", "size"])
def test_a_mark_with_any_flipped_bit_is_none(wrong: str, bit: int) -> None:
    """The highest ones tell of sizes for which no engine's arithmetic is made."""
    run = rest_of(Head(Header(10)).grafted(make_prefix(FILES), Run(0)))
    figure = run.stop - run.start if wrong == "stop" else run.size
    data = archive(make_prefix(FILES), None, **{wrong: (figure ^ 1 << bit) - figure})
    assert read_head(MemorySource(data)).rest is None


@pytest.mark.parametrize("by", [-1, 1, 4, 3 * PREFIX_LIMIT])
def test_a_mark_with_another_length_of_the_prefix_is_none(by: int) -> None:
    prefix = make_prefix(FILES)
    right, wrong = (b"prefix=%08x" % (len(prefix.deflated) + off) for off in (0, by))
    head = read_head(MemorySource(archive(prefix).replace(right, wrong)))
    assert (head.files, head.rest) == ({}, None)


@pytest.mark.parametrize("cut", [1, 8, 9, 1000])
def test_a_mark_in_an_archive_that_is_cut_off_is_none(cut: int) -> None:
    assert read_head(MemorySource(archive(make_prefix(FILES))[:-cut])).rest is None


def test_a_source_is_never_read_beyond_its_end() -> None:
    """MemorySource sees to it, where a mark promises more than there is."""
    for by in (1, 100, 1 << 40):
        assert read_head(MemorySource(archive(make_prefix(FILES), stop=by))).rest is None


FOREIGN = {
    "in another order": [FILES["b/x.py"].to_bytes("b"), FILES["b/x.py"].to_bytes("a")],
    "under a name spelled otherwise": [FILES["a"].to_bytes("./a")],
    "of one name twice": [FILES["a"].to_bytes("a")] * 2,
    "with another format's header": [entry("a", b"1", dialect=tarfile.GNU_FORMAT).blocks],
    "with a fraction of a second": [entry("a", b"1", mtime=5.5).blocks],
    "that is a link": [entry("a", kind=b"2", link="b").blocks],
    "behind records for all": [shared({"comment": "x"}).blocks, FILES["a"].to_bytes("a")],
    "before an end of its own": [FILES["a"].to_bytes("a"), bytes(1024)],
    "that are cut off": [FILES["a"].to_bytes("a")[:-1]],
    "before a zero block": [FILES["a"].to_bytes("a"), bytes(512)],
}


@pytest.mark.parametrize("case", FOREIGN)
def test_entries_that_we_did_not_write_are_no_prefix(case: str) -> None:
    tar = b"".join(FOREIGN[case])
    prefix = Prefix(deflated(tar, zlib.Z_FULL_FLUSH), zlib.crc32(tar), len(tar))
    head = read_head(MemorySource(archive(prefix)))
    assert (head.files, head.prefix, head.rest) == ({}, Prefix(), None)


def test_a_mark_of_nothing_is_none() -> None:
    told = Prefix(deflated(b"", zlib.Z_FULL_FLUSH), 0, 1)
    data = archive(told)[:-8] + Head.trailer(Prefix(), rest_of(b""))
    assert gzip.decompress(data) == REST
    assert read_head(MemorySource(data)).rest is None


@pytest.mark.parametrize("flush", [zlib.Z_FINISH, zlib.Z_NO_FLUSH, zlib.Z_PARTIAL_FLUSH])
def test_a_prefix_that_does_not_end_on_a_blocks_end_and_a_byte_is_none(flush: int) -> None:
    tar = FILES["a"].to_bytes("a")
    prefix = Prefix(deflated(tar, flush), zlib.crc32(tar), len(tar))
    assert read_head(MemorySource(archive(prefix))).rest is None


def test_a_prefix_may_be_longer_than_what_is_read_at_first() -> None:
    prefix = make_prefix({"a": Written(noise(3 * PEEK), AT)})
    source = MemorySource(archive(prefix))
    assert read_head(source).prefix == prefix
    assert source.bytes_read == 10 + len(prefix.deflated) + source.data.index(0, 10) - 9 + 8


def test_an_archive_without_a_mark_is_asked_for_little() -> None:
    source = MemorySource(member(noise(3 * PEEK)))
    read_head(source)
    assert source.bytes_read == PEEK


DATED: list[tuple[list[Part], int]] = [
    ([entry("a", mtime=1_600_000_000)], 1_600_000_000),
    ([shared({"comment": "x"}), entry("a", mtime=9)], 9),
    ([shared({"mtime": "5"}), entry("a", mtime=9)], 5),
    ([entry("a", mtime=1_600_000_000.75)], 1_600_000_000),
    ([entry("a", mtime=0)], 0),
    ([entry("a", mtime=-5)], 0),
    ([entry("a", mtime=8**11 - 1)], 8**11 - 1),
    ([entry("a", mtime=8**11 + 7)], 8**11 - 1),
    ([entry("a", noise(100_000), mtime=7)], 7),
    ([], 0),
]


@pytest.mark.parametrize(("parts", "mtime"), DATED)
def test_a_head_is_dated_like_the_first_entry(parts: list[Part], mtime: int) -> None:
    assert read_head(MemorySource(member(Tar(parts).data))).mtime == mtime


def test_what_has_no_first_entry_has_no_date() -> None:
    for data in (member(b"no tar" * 100), member(b""), member(b"x" * 600)[:13] + b"\xff" * 30):
        assert read_head(MemorySource(data)).mtime == 0


@pytest.mark.parametrize("size", [0, 1, 9])
def test_what_is_too_short_for_a_header_is_no_gzip(size: int) -> None:
    with pytest.raises(InvalidArchive) as caught:
        read_head(MemorySource(member(b"")[:size]))
    assert str(caught.value) == f"this is not gzip but a file of {size} bytes; give a .tar.gz"


def test_a_header_without_end_is_said_to_be_damaged() -> None:
    with pytest.raises(InvalidArchive) as caught:
        read_head(MemorySource(member(b"x", name=b"n" * PEEK)))
    assert str(caught.value) == "the gzip header is damaged or has more than 65536 bytes; pack the model again"
    assert read_head(MemorySource(member(b"x", name=b"n" * (PEEK - 11)))).header.size == PEEK


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
        # the request asks to believe it
        if verify != "never" or case not in ("a length beyond the truth", "a rest that refers back")
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
