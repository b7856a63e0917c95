"""The repack's promise, over generated archives: one entry of the name, first; all others as the bytes they were."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.crc import combine_crc32
from lambda_fn.core.edit import Content
from lambda_fn.core.errors import EntryConflict, EntryExists, InvalidArchive, InvalidRequest
from tests import archives, readers
from tests.archives import ENCODERS, PROGRAMS, SINGLE, SPELLINGS, WANTED, Tar, entry, gunzip, member
from tests.core.memory import repacked
from tests.programs import asking, at_hand

FIRST = b'{"depth": 6}\n'
SECOND = b'{"depth": 7, "note": "' + b"longer " * 30 + b'"}\n'
none, one, several = st.just(0), st.just(1), st.integers(2, 4)


def split(tar: bytes) -> tuple[str, bytes, bytes]:
    """The first entry's name and content, and all that follows it, by Python's reader."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        info = opened.next()
        assert info is not None
        assert info.isreg()
        at = info.offset_data
    return info.name, tar[at : at + info.size], tar[at + -(-info.size // 512) * 512 :]


def assert_promise(output: bytes, tar: Tar, overlay: bytes) -> None:
    assert split(gunzip(output)) == (WANTED, overlay, tar.without_old)


@given(archives.tars(none), archives.encoders, st.integers(1, 3000))
def test_a_new_name_is_grafted(tar: Tar, encode: archives.Encoder, chunk: int) -> None:
    output, outcome = repacked(encode(tar.data), {WANTED: FIRST}, chunk)
    assert outcome.method == "graft"
    assert_promise(output, tar, FIRST)


@given(archives.tars(one), archives.encoders, st.integers(1, 3000))
def test_an_old_entry_is_replaced(tar: Tar, encode: archives.Encoder, chunk: int) -> None:
    output, outcome = repacked(encode(tar.data), {WANTED: FIRST}, chunk)
    assert outcome.method in ("splice", "rewrite")
    assert_promise(output, tar, FIRST)


def test_an_old_entry_may_go_on_in_the_second_member() -> None:
    tar = Tar([entry("a", archives.noise(3000)), entry(WANTED, archives.noise(9000), old=True), entry("b")])
    output, _ = repacked(archives.members(tar.data, 7000), {WANTED: FIRST})
    assert_promise(output, tar, FIRST)


@given(archives.tars(several), archives.encoders)
def test_all_old_entries_go(tar: Tar, encode: archives.Encoder) -> None:
    output, _ = repacked(encode(tar.data), {WANTED: FIRST})
    assert_promise(output, tar, FIRST)


@given(archives.tars(st.integers(0, 2)), archives.encoders)
def test_a_repack_of_our_own_output_is_as_if_it_were_the_first(tar: Tar, encode: archives.Encoder) -> None:
    source = encode(tar.data)
    first, _ = repacked(source, {WANTED: FIRST})
    direct, _ = repacked(source, {WANTED: SECOND})
    for verify in ("always", "once", "never"):
        again, second = repacked(first, {WANTED: SECOND}, verify=verify)
        assert second.method == "graft"
        assert again == direct
    unchanged, third = repacked(first, {WANTED: FIRST})
    assert third.method == "unchanged"
    assert unchanged == first


@pytest.mark.slow
@given(archives.tars(st.integers(0, 2)), archives.encoders)
def test_the_same_inputs_give_the_same_bytes(tar: Tar, encode: archives.Encoder) -> None:
    source = encode(tar.data)
    assert repacked(source, {WANTED: FIRST})[0] == repacked(source, {WANTED: FIRST})[0]


@pytest.mark.slow
@given(archives.tars(none), archives.encoders, st.integers(1, 100))
def test_a_graft_does_not_depend_on_how_the_source_comes(tar: Tar, encode: archives.Encoder, chunk: int) -> None:
    source = encode(tar.data)
    assert repacked(source, {WANTED: FIRST})[0] == repacked(source, {WANTED: FIRST}, chunk)[0]


@given(archives.tars(none), st.sampled_from(sorted(SINGLE)))
def test_a_graft_keeps_the_sources_deflate_data_as_it_is(tar: Tar, encoder: str) -> None:
    source = SINGLE[encoder](tar.data)
    output, _ = repacked(source, {WANTED: FIRST})
    assert len(output) < len(source) + 600
    if source[3] == 0 and encoder != "zero padding":  # a bare header
        assert output[:-8].endswith(source[10:-8])


@given(archives.tars(none), archives.encoders)
def test_a_graft_adds_no_member(tar: Tar, encode: archives.Encoder) -> None:
    source = encode(tar.data)
    output, _ = repacked(source, {WANTED: FIRST})
    d_in, d_out = (zlib.decompressobj(31) for _ in range(2))
    first_in, first_out = d_in.decompress(source), d_out.decompress(output)
    assert first_out.endswith(first_in)
    assert d_in.unused_data == d_out.unused_data
    assert split(first_out)[:2] == (WANTED, FIRST)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("if_present", ["replace", "keep"])
def test_the_output_has_the_one_right_spelling(spelling: str, if_present: str) -> None:
    old = b'{"old": true}'
    source = member(Tar([entry("a"), entry(spelling, old), entry("b")]).data)
    output, outcome = repacked(source, {WANTED: FIRST}, if_present=if_present)
    assert [name for name in readers.names(gunzip(output)) if name.endswith(WANTED)] == [WANTED]
    content = FIRST if if_present == "replace" else old
    assert gunzip(output).count(content) == 1
    assert outcome.content[WANTED].identity == Content.of(content).identity


def test_the_right_entry_alone_is_left_where_it_is() -> None:
    source = member(Tar([entry("a"), entry(WANTED, FIRST), entry("b")]).data)
    for if_present in ("replace", "keep"):
        output, outcome = repacked(source, {WANTED: FIRST}, if_present=if_present)
        assert (outcome.method, output) == ("unchanged", source)
    kept = repacked(source, {WANTED: SECOND}, if_present="keep")[1].content[WANTED]
    assert kept.identity == Content.of(FIRST).identity


def test_keep_leaves_what_extracting_leaves() -> None:
    source = member(Tar([entry(WANTED, b"1"), entry(f"./{WANTED}", b"2"), entry("b")]).data)
    output, _ = repacked(source, {WANTED: FIRST}, if_present="keep")
    assert split(gunzip(output))[:2] == (WANTED, b"2")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_error_refuses_an_old_entry(spelling: str) -> None:
    with pytest.raises(EntryExists):
        repacked(member(Tar([entry(spelling)]).data), {WANTED: FIRST}, if_present="error")


def test_error_refuses_our_own_entry_without_a_scan() -> None:
    first, _ = repacked(member(archives.small().data), {WANTED: FIRST})
    with pytest.raises(EntryExists):
        repacked(first, {WANTED: FIRST}, if_present="error", verify="never")


def test_several_files_go_in_together() -> None:
    overlay = {WANTED: FIRST, "code/inference.py": b"new", "code/naïve ☃": b"", "n" * 300: b"long"}
    source = member(Tar([entry("code/inference.py", b"old"), entry("code/other.py", b"other")]).data)
    output, _ = repacked(source, overlay)
    with tarfile.open(fileobj=io.BytesIO(gunzip(output))) as tar:
        assert {info.name: tar.extractfile(info).read() for info in tar} == {  # type: ignore[union-attr]
            **overlay,
            "code/other.py": b"other",
        }
        assert tar.getnames() == [*sorted(overlay), "code/other.py"]


def test_files_put_in_before_stay_when_others_follow() -> None:
    source = member(archives.small().data)
    first, _ = repacked(source, {WANTED: FIRST, "extra": b"x"})
    second, outcome = repacked(first, {WANTED: SECOND})
    assert outcome.method == "graft"
    assert second == repacked(source, {WANTED: SECOND, "extra": b"x"})[0]
    third, outcome = repacked(first, {"new": b"n"}, verify="never")
    assert third == repacked(source, {WANTED: FIRST, "extra": b"x", "new": b"n"})[0]
    assert outcome.survey
    assert outcome.survey.entries == 4, "a name that is new to a prefix needs a scan"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/x", "a/", "./a", "a//b", "a/../b", "a\0b", "../", "a/./b"])
def test_a_name_that_is_no_path_inside_the_archive_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        repacked(member(archives.small().data), {name: b""})


def test_a_file_cannot_lie_below_another() -> None:
    with pytest.raises(InvalidRequest):
        repacked(member(archives.small().data), {"a": b"", "a/b/c": b""})


# What stands in the way

CONFLICTS = {
    "a directory of the name": ([entry(WANTED, kind=tarfile.DIRTYPE)], WANTED),
    "a directory of the name in v7": ([entry(WANTED, kind=tarfile.DIRTYPE, dialect="v7")], WANTED),
    "a file below the name": ([entry(f"{WANTED}/x")], WANTED),
    "a hard link to the old entry": ([entry(WANTED), entry("b", kind=b"1", link=WANTED)], WANTED),
    "a hard link, otherwise spelled": ([entry(f"./{WANTED}"), entry("b", kind=b"1", link=f".//{WANTED}")], WANTED),
    "a hard link before a new old entry": ([entry("b", kind=b"1", link=f"/{WANTED}"), entry(WANTED)], WANTED),
    "a symbolic link above the name": ([entry("code", kind=b"2", link="/etc"), entry("x")], "code/x"),
    "a file far above the name": ([entry("a")], "a/b/c/d"),
}


@pytest.mark.parametrize("case", CONFLICTS)
@pytest.mark.parametrize("encode", [member, ENCODERS["members of 300 bytes"]])
def test_what_stands_in_the_way_is_named(case: str, encode: archives.Encoder) -> None:
    parts, name = CONFLICTS[case]
    with pytest.raises(EntryConflict, match=name.split("/")[0]):
        repacked(encode(Tar([entry("first"), *parts]).data), {name: FIRST})


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"6"])
def test_an_old_entry_of_any_kind_goes(kind: bytes) -> None:
    tar = Tar([entry("a"), entry(WANTED, kind=kind, link="a" if kind in b"12" else "", old=True), entry("b")])
    output, _ = repacked(member(tar.data), {WANTED: FIRST})
    assert_promise(output, tar, FIRST)


def test_keep_cannot_keep_a_link() -> None:
    tar = Tar([entry("a"), entry(f"./{WANTED}", kind=b"2", link="a")])
    with pytest.raises(EntryConflict):
        repacked(member(tar.data), {WANTED: FIRST}, if_present="keep")


# The mark


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


def forged(mark: dict[str, int], deflated: bytes, rest: bytes, whole: bytes) -> bytes:
    """An archive with a mark that says so, a prefix and a rest; `whole` is what it holds."""
    comment = b"model-repacker 1 prefix=%(prefix)08x rest=%(rest)016x crc=%(crc)08x length=%(length)016x" % {
        key.encode(): value for key, value in mark.items()
    }
    head = member(b"", comment=comment)[:-10]
    return head + deflated + rest + struct.pack("<II", zlib.crc32(whole), len(whole))


def deflated(data: bytes, flush: int) -> bytes:
    compressor = zlib.compressobj(6, wbits=-15)
    return compressor.compress(data) + compressor.flush(flush)


def forgery(ours: bytes, theirs: bytes, **lies: int) -> bytes:
    first, second = deflated(ours, zlib.Z_FULL_FLUSH), deflated(theirs, zlib.Z_FINISH)
    crc = zlib.crc32(theirs)
    figures = {"prefix": len(first), "rest": len(second), "crc": crc, "length": len(theirs)}
    return forged({**figures, **lies}, first, second, ours + theirs)


def too_long() -> bytes:
    """A mark that agrees with the trailer and is wrong by 4 GiB."""
    theirs = archives.small().data
    length = len(theirs) + (1 << 32)
    shifted = combine_crc32(zlib.crc32(OURS), 0, length)
    return forgery(OURS, theirs, crc=shifted ^ zlib.crc32(OURS + theirs), length=length)


OURS = entry(WANTED, FIRST, dialect=tarfile.USTAR_FORMAT).blocks
FORGERIES = {
    "a true mark made by somebody else": forgery(OURS, archives.small().data),
    "a prefix of two like names": forgery(OURS + OURS, archives.small().data),
    "a prefix that ends the tar": forgery(OURS + bytes(1024), archives.small().data),
    "a prefix that ends within an entry": forgery(OURS[:600], OURS[600:] + archives.small().data),
    "a prefix that holds a link": forgery(entry("l", kind=b"2", link="x").blocks, archives.small().data),
    "a prefix with a shared header": forgery(archives.shared({"comment": "x"}).blocks + OURS, archives.small().data),
    "a prefix otherwise spelled": forgery(entry(f"./{WANTED}", b"x").blocks, archives.small().data),
    "an old entry in the rest": forgery(OURS, entry(f"./{WANTED}", b"x").blocks + archives.small().data),
    "a wrong CRC": forgery(OURS, archives.small().data, crc=7),
    "a wrong length": forgery(OURS, archives.small().data, length=7),
    "no prefix": forgery(OURS, archives.small().data, prefix=0),
    "a short prefix": forgery(OURS, archives.small().data, prefix=9),
    "a long prefix": forgery(OURS, archives.small().data, prefix=len(forgery(OURS, b"")) - 100),
    "a prefix beyond the end": forgery(OURS, archives.small().data, prefix=1 << 31),
    "a rest beyond the end": forgery(OURS, archives.small().data, rest=1 << 40),
    "a length beyond the truth": too_long(),
    "a short rest": forgery(OURS, archives.small().data, rest=3),
}


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


# Damage


def outcome_of(damaged: bytes) -> bytes | None:
    """What the output holds, None if the archive was refused."""
    try:
        return gunzip(repacked(damaged, {WANTED: FIRST})[0])
    except InvalidArchive:
        return None


def damageable() -> list[bytes]:
    plain = archives.small().data
    ours, _ = repacked(member(plain), {WANTED: b"{}"})
    old = Tar([*archives.small().parts, entry(f"./{WANTED}", b"old", mtime=1)]).data
    return [
        member(plain, name=b"n", comment=b"c", extra=b"ab", checked=True),
        ENCODERS["halves"](plain),
        member(old),
        ours,
    ]


@pytest.mark.parametrize("which", range(4))
def test_an_archive_cut_off_anywhere_is_refused(which: int) -> None:
    whole = damageable()[which]
    boundary = len(member(archives.small().data[: -(-len(archives.small().data) // 2)]))
    for damaged in archives.truncations(whole):
        if which != 1 or len(damaged) != boundary:
            assert outcome_of(damaged) is None, len(damaged)


@pytest.mark.slow
@pytest.mark.parametrize("which", range(4))
def test_any_flipped_bit_is_noticed_or_means_nothing(which: int) -> None:
    whole = damageable()[which]
    content = outcome_of(whole)
    for bit, damaged in archives.flips(whole):
        assert outcome_of(damaged) in (None, content), bit


@pytest.mark.slow
def test_every_flipped_bit_is_noticed_where_data_is_stored() -> None:
    whole = member(archives.small().data, 0)
    padding = range(8 * 10 + 3, 8 * 11)  # between the block's type and its length
    unnoticed = {bit for bit, damaged in archives.flips(whole) if bit >= 80 and outcome_of(damaged) is not None}
    assert unnoticed <= set(padding)


@pytest.mark.parametrize("garbage", [b"x", b"\0x", bytes(600) + b"x", b"\x1f\x8b", b"\x1f", bytes(70_000) + b"x"])
@pytest.mark.parametrize("chunk", [1, 7, 64 << 10])
def test_trailing_garbage_is_refused(garbage: bytes, chunk: int) -> None:
    with pytest.raises(InvalidArchive):
        repacked(member(archives.small().data) + garbage, {WANTED: FIRST}, chunk)


def test_zeros_between_members_are_refused_since_readers_stop_there() -> None:
    half = member(archives.small().data)
    with pytest.raises(InvalidArchive):
        repacked(half + bytes(10) + half, {WANTED: FIRST})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f",
        b"\x1f\x8b",
        b"PK\x03\x04 a zip",
        b"{}",
        bytes(1024),
        member(b""),
        member(b"not a tar"),
        member(b"x" * 600),
        member(bytes(100)),
        member(member(archives.small().data)),
        archives.small().data,
    ],
)
def test_what_is_no_tar_gz_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArchive):
        repacked(data, {WANTED: FIRST})


def test_a_header_that_does_not_end_is_refused() -> None:
    for data in (
        b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (100 << 10),
        member(b"") + b"\x1f\x8b\x08\x08" + b"n" * (3 << 20),
    ):
        with pytest.raises(InvalidArchive):
            repacked(data, {WANTED: FIRST})


# Every tool


@pytest.mark.parametrize("tool", asking(archives.TREE_TARS))
def test_everything_that_a_tar_holds_stays(tool: str, tmp_path: Path) -> None:
    data = archives.pack_tree(tool, tmp_path / "tree")
    output, outcome = repacked(member(data, 1), {WANTED: FIRST})
    assert outcome.method == "graft"
    assert split(gunzip(output)) == (WANTED, FIRST, data)
    file = tmp_path / "source.tar.gz"
    file.write_bytes(member(data, 1))
    (tmp_path / "output.tar.gz").write_bytes(output)
    for extractor in at_hand(readers.EXTRACTORS):
        before = readers.extract(extractor, file, tmp_path / f"{extractor} before")
        after = readers.extract(extractor, tmp_path / "output.tar.gz", tmp_path / f"{extractor} after")
        assert after.pop(WANTED)[-1] == FIRST
        assert after == before
        assert before or "v7" in tool  # which busybox does not know


@pytest.mark.parametrize("tool", asking(archives.TREE_TARS))
def test_an_old_entry_goes_from_any_tar_and_the_rest_stays(tool: str, tmp_path: Path) -> None:
    data = archives.pack_tree(tool, tmp_path / "tree")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        old = next(info for info in tar if info.isreg() and info.name.endswith("inference.py"))
        following = tar.next()
    stop = following.offset if following else old.offset_data + -(-old.size // 512) * 512
    name = old.name.lstrip("./").replace("//", "/")
    output, outcome = repacked(member(data, 1), {name: b"new"})
    assert outcome.method in ("splice", "rewrite")
    first, content, rest = split(gunzip(output))
    assert (first, content) == (name, b"new")
    assert rest == data[: old.offset] + data[stop:]


@pytest.mark.parametrize("program", asking(PROGRAMS))
def test_every_program_that_gzips_will_do(program: str) -> None:
    data = Tar([entry("w", archives.noise(150_000)), entry("zeros", bytes(150_000)), *archives.small().parts]).data
    source = PROGRAMS[program](data)
    output, outcome = repacked(source, {WANTED: FIRST})
    assert outcome.method == "graft"
    assert split(gunzip(output)) == (WANTED, FIRST, data)
    assert gunzip(repacked(output, {WANTED: SECOND}, verify="never")[0]) == gunzip(
        repacked(source, {WANTED: SECOND})[0]
    )


# Everybody's readers


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file for each method, of one member and of several."""
    folder = tmp_path_factory.mktemp("outputs")
    plain = Tar([entry("w", archives.noise(100_000)), entry("zeros", bytes(100_000))])
    old = Tar([*plain.parts, entry(WANTED, b"old", old=True), *archives.small().parts])
    made = {}
    for shape, encode in {"single": SINGLE["all header fields"], "several": ENCODERS["halves"]}.items():
        made[f"graft {shape}"] = repacked(encode(plain.data), {WANTED: FIRST})[0]
        made[f"replacement {shape}"] = repacked(encode(old.data), {WANTED: FIRST})[0]
        made[f"second {shape}"] = repacked(made[f"graft {shape}"], {WANTED: SECOND}, verify="never")[0]
    for name, data in made.items():
        (folder / f"{name}.tar.gz").write_bytes(data)
    return {name: folder / f"{name}.tar.gz" for name in made}


OUTPUTS = [f"{method} {shape}" for method in ("graft", "replacement", "second") for shape in ("single", "several")]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("reader", asking(readers.GUNZIPS))
def test_other_readers_read_it_whole(reader: str, output: str, outputs: dict[str, Path]) -> None:
    assert readers.GUNZIPS[reader](outputs[output]) == gunzip(outputs[output].read_bytes())


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("reader", asking(readers.FIRST_MEMBER))
def test_readers_that_stop_after_the_first_member_find_it(reader: str, output: str, outputs: dict[str, Path]) -> None:
    read = readers.FIRST_MEMBER[reader](outputs[output])
    whole = gunzip(outputs[output].read_bytes())
    assert whole.startswith(read)
    assert split(read)[:2] == (WANTED, SECOND if "second" in output else FIRST)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("finder", readers.FINDERS)
def test_scripts_find_it(finder: str, output: str, outputs: dict[str, Path]) -> None:
    content = SECOND if "second" in output else FIRST
    assert readers.first_found(outputs[output], finder, WANTED) == content


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("tool", asking(readers.EXTRACTORS))
def test_extracting_gives_it(tool: str, output: str, outputs: dict[str, Path], tmp_path: Path) -> None:
    extracted = readers.extract(tool, outputs[output], tmp_path / "x")
    assert extracted[WANTED][-1] == (SECOND if "second" in output else FIRST)
    assert extracted["zeros"][-1] == bytes(100_000)
