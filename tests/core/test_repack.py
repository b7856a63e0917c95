"""The repack's promise, over generated archives: one entry of the name, first; all others as the bytes they were."""

from __future__ import annotations

import io
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_fn.core.edit import Content
from lambda_fn.core.errors import EntryExists, InvalidRequest
from tests import archives, readers
from tests.archives import ENCODERS, PROGRAMS, SINGLE, SPELLINGS, WANTED, Tar, entry, gunzip, member, split
from tests.core.memory import repacked
from tests.programs import asking, at_hand

FIRST = b'{"depth": 6}\n'
SECOND = b'{"depth": 7, "note": "' + b"longer " * 30 + b'"}\n'
none, one, several = st.just(0), st.just(1), st.integers(2, 4)


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
