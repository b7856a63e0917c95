"""What is put in keeps what it replaces had, and the plan says what it does and why."""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping

import pytest

from lambda_fn.core import plan as planning
from lambda_fn.core import relay, survey
from lambda_fn.core.deflate import MOST_LARGER, PACKERS
from lambda_fn.core.edit import Content, Edit, IfPresent, Merge
from lambda_fn.core.errors import EntryConflict, EntryExists, SourceChanged
from lambda_fn.core.header import Attributes
from lambda_fn.core.header import entry as written
from lambda_fn.core.plan import SMALL_FILE, SMALL_FILES, Front
from lambda_fn.core.prefix import PREFIX_LIMIT, read_head
from lambda_fn.core.recipe import Copy, Literal, Made
from lambda_fn.core.repack import Job
from tests.archives import WANTED, Tar, entry, gunzip, infos, member, noise, shared
from tests.core.contents import skewed, words
from tests.core.forgeries import forgery
from tests.core.memory import MemorySource, MemoryTarget, repacked


def owned(name: str, mode: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid, info.uname, info.gname = mode, 1000, 100, "me", "users"
    return info.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize(("given", "mode"), [(None, 0o750), (0o755, 0o755), (0o600, 0o600)])
def test_what_replaces_an_entry_keeps_its_owner_and_unless_it_has_one_its_mode(given: int | None, mode: int) -> None:
    source = member(owned("code/serve", 0o750) + entry("w").blocks + bytes(1024))
    output, _ = repacked(source, Edit({"code/serve": Content.of(b"#!", given)}))
    info = infos(output)["code/serve"]
    assert (info.mode, info.uid, info.gid, info.uname, info.gname) == (mode, 1000, 100, "me", "users")
    again, _ = repacked(output, {"code/serve": b"#!!"}, verify="never")
    assert infos(again)["code/serve"].mode == mode, "as our own entry has it"


def test_what_is_new_is_roots_and_readable() -> None:
    output, _ = repacked(member(Tar([entry("w")]).data), Edit({"a": Content.of(b""), "d": Content.empty_directory()}))
    assert [(infos(output)[name].mode, infos(output)[name].uid) for name in ("a", "d")] == [(0o644, 0), (0o755, 0)]
    assert infos(output)["d"].isdir() and infos(output)["a"].isreg()


def test_the_same_bytes_with_another_mode_are_put_in() -> None:
    source = member(Tar([entry("code/serve", b"#!", mode=0o644), entry("w")]).data)
    output, plan = repacked(source, Edit({"code/serve": Content.of(b"#!", 0o755)}))
    assert (plan.put, infos(output)["code/serve"].mode) == (("code/serve",), 0o755)
    assert repacked(source, {"code/serve": b"#!"})[1].method == "unchanged"


@pytest.mark.parametrize("dialect", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_new_entries_are_dated_like_the_first_entry_not_like_a_header_before_it(dialect: int) -> None:
    parts = [shared({"comment": "x"})] * (dialect == tarfile.PAX_FORMAT) + [
        entry("n" * 120, dialect=dialect, mtime=1_600_000_000.5)
    ]
    output, _ = repacked(member(Tar(parts).data), {WANTED: b"{}"})
    assert infos(output)[WANTED].mtime == 1_600_000_000


def test_files_of_any_size_are_streamed_behind_the_small_ones() -> None:
    large = noise(SMALL_FILE + 1)
    source = member(Tar([entry("w", words(300_000, 1))]).data)
    output, plan = repacked(source, {"z": b"small", "a": large})
    assert plan.method == "graft"
    assert [piece.size for piece in plan.recipe if isinstance(piece, Made)] == [None]
    assert list(infos(output)) == ["z", "a", "w"]
    again, second = repacked(output, {"z": b"other", "a": large}, verify="always")
    assert second.put == ("z",)
    assert again == repacked(source, {"z": b"other", "a": large})[0]


def test_more_small_files_than_the_prefix_holds_are_streamed_too() -> None:
    files = {f"f{number:02}": noise(900_000, number) for number in range(12)}
    output, _ = repacked(member(Tar([entry("w")]).data), files)
    with tarfile.open(fileobj=io.BytesIO(gunzip(output))) as tar:
        assert {info.name: tar.extractfile(info).read() for info in tar} == {**files, "w": b""}  # type: ignore[union-attr]
    assert sum(map(len, files.values())) > SMALL_FILES
    assert read_head(MemorySource(output)).prefix.size <= SMALL_FILES


def test_headers_and_padding_of_small_files_take_room_in_the_prefix_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SMALL_FILES", 64 << 10)
    put = {f"f{number:03}": Content.of(b"") for number in range(100)}
    put |= {f"d{number:03}": Content.empty_directory() for number in range(100)}
    output, plan = repacked(member(Tar([entry("w")]).data), Edit(put))
    assert {name: info.isdir() for name, info in infos(output).items()} == {
        **{name: content.directory for name, content in put.items()},
        "w": False,
    }
    head = read_head(MemorySource(output))
    assert 0 < head.prefix.size <= 64 << 10
    assert any(isinstance(piece, Made) for piece in plan.recipe), "some do not fit"


@pytest.mark.parametrize("large", [False, True])
def test_what_comes_in_chunks_is_put_in_as_one(large: bool) -> None:
    chunks = [b"first ", b"", b"second ", noise(SMALL_FILE) if large else b"third"]
    data = b"".join(chunks)
    put = {"a": Content(len(data), lambda: iter(chunks), Content.of(data).identify)}
    output, _ = repacked(member(Tar([entry("w")]).data), Edit(put))
    assert held(output) == {"a": data, "w": b""}


@pytest.mark.parametrize("size", [3, 2 << 20])
@pytest.mark.parametrize("more", [-1, 1])
def test_what_changes_while_it_is_read_is_not_published(size: int, more: int) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        yield b"x" * (size - 1 + more)

    with pytest.raises(SourceChanged, match="what is put in as a was written to"):
        repacked(member(Tar([entry("w")]).data), Edit({"a": Content(size, chunks, lambda: "")}))


def test_a_plan_says_what_it_does_and_why() -> None:
    source = member(Tar([entry("a", words(300_000, 1)), entry("b"), entry("c", words(300_000, 2))]).data)
    _, plan = repacked(source, Edit({"new": Content.of(b"1")}, drop=("b", "nothing")))
    assert (plan.method, plan.put, plan.removed, plan.removed_count) == ("splice", ("new",), ("b",), 1)
    assert plan.why.startswith("one place in it changes, and ")
    assert plan.warnings == ("nothing in the archive matches nothing, which was to be removed",)
    assert plan.size == plan.uploaded + plan.copied
    _, plan = repacked(source, {"new": b"1"})
    assert plan.why == "all that is new lies in front of the rest"


def test_what_is_merged_follows_from_what_is_held() -> None:
    merge = Merge.by(lambda held: (held or b"none") + b"!")
    source = member(Tar([entry("a", b"1"), entry("w")]).data)
    output, _ = repacked(source, Edit({"a": merge, "b": merge}))
    with tarfile.open(fileobj=io.BytesIO(gunzip(output))) as tar:
        assert [tar.extractfile(name).read() for name in ("a", "b")] == [b"1!", b"none!"]  # type: ignore[union-attr]
    again, _ = repacked(output, Edit({"a": merge}), verify="never")
    with tarfile.open(fileobj=io.BytesIO(gunzip(again))) as tar:
        assert tar.extractfile("a").read() == b"1!!"  # type: ignore[union-attr]
    beside, plan = repacked(source, Edit({"a": merge, "b": Content.of(b"as it is")}))
    assert held(beside) == {"a": b"1!", "b": b"as it is", "w": b""}
    assert bytes_of(plan.content) == {"a": b"1!", "b": b"as it is"}


def test_a_removal_comes_before_what_is_put_in() -> None:
    source = member(Tar([entry("a", b"old"), entry("w")]).data)
    for if_present in ("keep", "error"):
        output, _ = repacked(source, Edit({"a": Content.of(b"new")}, drop=("a",), if_present=if_present))
        assert infos(output)["a"].size == 3
    with pytest.raises(EntryExists):
        repacked(source, Edit({"a": Content.of(b"new")}, drop=("w",), if_present="error"))


def test_a_shared_header_goes_with_the_last_entry_that_it_spoke_for() -> None:
    parts = [entry("a"), shared({"comment": "of b"}), entry("b")]
    output, _ = repacked(member(Tar(parts).data), Edit(drop=("b",)))
    assert gunzip(output) == Tar(parts[:1]).data
    output, _ = repacked(member(Tar([*parts, entry("c")]).data), Edit(drop=("b",)))
    assert gunzip(output) == Tar([*parts[:2], entry("c")]).data


def test_what_is_removed_is_not_merged_with() -> None:
    merge = Merge.by(lambda held: (held or b"none") + b"!")
    source = member(Tar([entry("a", b"1"), entry("w")]).data)
    ours, _ = repacked(member(Tar([entry("w")]).data), {"a": b"1"})
    for archive in (source, ours):
        output, _ = repacked(archive, Edit({"a": merge}, drop=("a",)))
        with tarfile.open(fileobj=io.BytesIO(gunzip(output))) as tar:
            assert tar.extractfile("a").read() == b"none!"  # type: ignore[union-attr]


@pytest.mark.parametrize("end", [b"", bytes(1024)])
@pytest.mark.parametrize("edit", [Edit(drop=("*",)), Edit(drop=("a", "c"), strip_root=True)])
def test_an_archive_is_not_emptied(end: bytes, edit: Edit) -> None:
    with pytest.raises(EntryConflict, match=r"^nothing would be left in the archive; remove less of it$"):
        repacked(member(Tar([entry("b/", kind=b"5"), entry("b/a"), entry("b/c")], end).data), edit)
    ours, _ = repacked(member(Tar([entry("a")], end).data), {"b": b"1"})
    assert list(infos(repacked(ours, Edit(drop=("a",)))[0])) == ["b"]
    with pytest.raises(EntryConflict):
        repacked(ours, Edit(drop=("?",)))


def test_what_is_kept_is_said_to_be() -> None:
    _, plan = repacked(member(Tar([entry("a", b"1")]).data), {"a": b"2"}, if_present="keep")
    assert (plan.method, plan.why) == ("unchanged", "what is there already is kept")


def held(output: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gunzip(output))) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}  # type: ignore[union-attr]


def bytes_of(contents: Mapping[str, Content]) -> dict[str, bytes]:
    return {name: b"".join(content.open()) for name, content in contents.items()}


def test_a_plan_that_changes_nothing_copies_all_and_knows_what_is_there() -> None:
    source = member(Tar([entry("a", b"1"), entry("w")]).data)
    output, plan = repacked(source, {"a": b"1"})
    assert (plan.method, plan.why) == ("unchanged", "the archive is as wanted already")
    assert (output, plan.recipe) == (source, [Copy(0, len(source))])
    assert (plan.put, plan.removed, plan.removed_count, plan.warnings) == ((), (), 0, ())
    assert (plan.size, plan.uploaded, plan.copied) == (len(source), 0, len(source))
    assert bytes_of(plan.content) == {"a": b"1"}
    assert plan.survey is not None and plan.survey.entries == 2


def test_a_plan_knows_what_the_archive_then_holds() -> None:
    source = member(Tar([entry("a", b"1"), entry("b", b"2"), entry("w")]).data)
    for if_present, expected in (("replace", b"3"), ("keep", b"1")):
        output, plan = repacked(source, {"a": b"3", "new": b"4"}, if_present=if_present)
        assert bytes_of(plan.content) == {"a": expected, "new": b"4"}
        assert plan.put == (("a", "new") if if_present == "replace" else ("new",))
        assert held(output) == {"a": expected, "b": b"2", "w": b"", "new": b"4"}
        again, kept = repacked(output, {"a": b"5", "new": b"6"}, if_present="keep")
        assert (again, bytes_of(kept.content)) == (output, {"a": expected, "new": b"4"})
    _, plan = repacked(output, {"new": b"7"})
    assert bytes_of(plan.content) == {"new": b"7"}


def test_a_plan_counts_what_is_removed_and_what_makes_room() -> None:
    parts = [entry(f"old{number:03}") for number in range(120)] + [entry("a", b"1"), entry("w")]
    output, plan = repacked(member(Tar(parts).data), Edit({"a": Content.of(b"2"), "z": Content.of(b"")}, ("old*",)))
    assert plan.removed_count == 121
    assert plan.removed == tuple(f"old{number:03}" for number in range(100))
    assert list(infos(output)) == ["a", "z", "w"]
    _, plan = repacked(member(Tar(parts[-2:]).data), {"a": b"2", "z": b""})
    assert (plan.removed, plan.removed_count, plan.put) == (("a",), 1, ("a", "z"))


def test_a_plan_says_in_how_many_places_it_splices() -> None:
    large = [entry(f"w{number}", words(2_000_000, number)) for number in range(3)]
    parts = [large[0], entry("x", b"1"), large[1], entry("y", b"1"), large[2]]
    source = member(Tar(parts).data, 1)
    _, plan = repacked(source, Edit(drop=("x", "y")))
    assert plan.method == "splice"
    assert re.fullmatch(r"2 places in it change, and [0-9,]+ bytes around are encoded anew", plan.why)
    _, plan = repacked(source, Edit(drop=("y",)))
    assert re.fullmatch(r"one place in it changes, and [0-9,]+ bytes around are encoded anew", plan.why)


def test_a_plan_says_why_all_is_encoded_anew() -> None:
    tar = Tar([entry("a", words(9_000_000, 1)), entry("x", b"1"), entry("b", words(100, 2))])
    packer = zlib.compressobj(wbits=31, strategy=zlib.Z_FIXED)
    output, plan = repacked(packer.compress(tar.data) + packer.flush(), Edit({"new": Content.of(b"1")}, ("x",)))
    assert plan.method == "rewrite"
    assert plan.why.startswith("all of it is encoded anew: ")
    assert (plan.put, plan.removed, plan.size) == (("new",), ("x",), None)
    assert list(infos(output)) == ["new", "a", "b"]
    assert held(output)["a"] == words(9_000_000, 1)
    assert read_head(MemorySource(output)).rest is not None, "its mark is true"


def test_when_half_of_an_archive_changes_it_is_all_encoded_anew() -> None:
    parts = [
        part for number in range(40) for part in (entry(f"w{number}", words(300_000, number)), entry(f"x{number}"))
    ]
    source = member(Tar(parts).data, 1)
    output, plan = repacked(source, Edit(drop=("x*",)))
    assert (plan.method, plan.why) == (
        "rewrite",
        "all of it is encoded anew: what changes is spread over so much of it that a splice would be no less work",
    )
    assert held(output) == {f"w{number}": words(300_000, number) for number in range(40)}
    _, plan = repacked(source, Edit(drop=("x1", "x2")))
    assert plan.method == "splice"


def test_when_very_many_entries_change_all_is_encoded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MANY", 10)
    parts = [entry(f"x{number}", b"%d" % number) for number in range(11)] + [entry("w", b"w")]
    output, plan = repacked(member(Tar(parts).data), Edit({"new": Content.of(b"1")}, ("x*",)))
    assert (plan.method, plan.why) == (
        "rewrite",
        "all of it is encoded anew: so many entries change that a splice would be no less work",
    )
    assert (held(output), plan.removed_count) == ({"new": b"1", "w": b"w"}, 11)
    _, plan = repacked(member(Tar(parts[1:]).data), Edit(drop=("x*",)))
    assert plan.method == "splice"


def test_what_is_kept_is_put_in_front_once_where_it_lies_twice() -> None:
    source = member(Tar([entry("a", b"1"), entry("./a", b"2"), entry("w")]).data)
    output, plan = repacked(source, {"a": b"3"}, if_present="keep")
    assert (held(output), plan.put) == ({"a": b"2", "w": b""}, ("a",))
    empty = member(Tar([entry("a", b"1"), entry("a"), entry("w")]).data)
    assert held(repacked(empty, {"a": b"3"}, if_present="keep")[0]) == {"a": b"", "w": b""}


def test_a_directory_that_is_there_is_left_as_it_is() -> None:
    source = member(Tar([entry("d/", kind=b"5", mode=0o700), entry("w")]).data)
    for if_present in ("replace", "keep"):
        output, plan = repacked(source, Edit({"d": Content.empty_directory()}, if_present=if_present))
        assert (output, plan.method) == (source, "unchanged")
    twice = member(Tar([entry("d/", kind=b"5"), entry("./d/", kind=b"5"), entry("w")]).data)
    assert repacked(twice, Edit({"d": Content.empty_directory()}, if_present="keep"))[1].method == "unchanged"


def test_the_smallest_files_lie_in_the_prefix_and_the_others_behind() -> None:
    files = {"a": noise(SMALL_FILE, 1), "b": noise(SMALL_FILE + 1, 2), "c": b"small", "d": noise(SMALL_FILE, 3)}
    output, plan = repacked(member(Tar([entry("w")]).data), files)
    assert list(infos(output)) == ["a", "c", "d", "b", "w"]
    assert held(output) == {**files, "w": b""}
    assert len([piece for piece in plan.recipe if isinstance(piece, Made)]) == 1


def test_what_earlier_repacks_put_in_counts_against_no_limit_of_this_one() -> None:
    archive, files = member(Tar([entry("w", b"w")]).data), {"w": b"w"}
    for number in range(3):
        more = {f"{number}/{name}": noise(900_000, 10 * number + name) for name in range(6)}
        archive, plan = repacked(archive, more)
        files |= more
        assert plan.method == "graft"
        assert held(archive) == files
        assert read_head(MemorySource(archive)).prefix.size <= PREFIX_LIMIT
    assert sum(map(len, files.values())) > 10 << 20


def test_what_a_new_entry_is_dated_may_be_said() -> None:
    source = member(Tar([entry("w", mtime=1_600_000_000)]).data)
    output, _ = repacked(source, Edit({"a": Content.of(b"1"), "d": Content.empty_directory()}, mtime=5))
    assert {name: info.mtime for name, info in infos(output).items()} == {"a": 5, "d": 5, "w": 1_600_000_000}
    again, _ = repacked(output, Edit({"a": Content.of(b"2")}, mtime=9), verify="never")
    assert {name: info.mtime for name, info in infos(again).items()} == {"a": 9, "d": 5, "w": 1_600_000_000}


def test_what_cannot_be_kept_or_replaced_is_said() -> None:
    source = member(Tar([entry("./a", kind=b"2", link="b"), entry("w")]).data)
    with pytest.raises(EntryConflict) as conflict:
        repacked(source, {"a": b"1"}, if_present="keep")
    kept = "only plain files are kept, of at most 10485760 bytes together"
    assert str(conflict.value) == f"cannot keep a: {kept}; give all that it shall hold, to replace it"
    with pytest.raises(EntryExists) as exists:
        repacked(source, {"a": b"1"}, if_present="error")
    assert str(exists.value) == "the archive already holds a; say if_present=replace to replace it"


def test_of_what_is_there_several_times_the_last_alone_is_kept() -> None:
    parts = [entry("a", noise(4 << 20, seed)) for seed in range(4)]
    output, _ = repacked(member(Tar(parts).data, 1), {"a": b"1"}, if_present="keep")
    assert gunzip(output) == Tar(parts[3:]).data


@pytest.mark.parametrize("spanning", [False, True])
def test_from_where_an_entry_that_stays_was_reached_the_next_is(
    spanning: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is replaced by itself, but for its last file: what lies before it is not read again."""
    monkeypatch.setattr(relay, "EVERY", 1 << 20)
    files = {f"code/{at}": words(30_000, at) for at in range(4)}
    parts = [
        entry("w", skewed(12 << 20, 1)),
        *[entry(name, data) for name, data in files.items()],
        entry("z", skewed(1 << 20, 2)),
    ]
    put = {name: Content.of(data) for name, data in files.items()} | {"code/3": Content.of(b"new")}
    tar = Tar(parts).data
    within = tar.index(b"code/3") + 10_000 if spanning else len(tar)
    source = MemorySource(member(tar[:within]) + (member(tar[within:]) if spanning else b""))
    plan = Job(source, MemoryTarget(), Edit(put, folders=frozenset(["code"]))).plan(copying=False)
    assert (plan.method, plan.put) == ("splice", ("code/3",))
    assert source.bytes_read < source.size + (2 << 20)


@pytest.mark.parametrize("if_present", ["replace", "keep"])
@pytest.mark.parametrize("content", [b"1", b"2", b"3"])
def test_what_lies_in_our_prefix_and_behind_it_is_left_once(content: bytes, if_present: IfPresent) -> None:
    """No repack of ours makes such an archive, but whoever adds to its rest does."""
    ours = written("a", b"1", Attributes(mtime=7))
    theirs = Tar([entry("a", b"2"), entry("w")]).data
    output, _ = repacked(
        forgery(ours, theirs), Edit({"a": Content.of(content)}, if_present=if_present), verify="always"
    )
    with tarfile.open(fileobj=io.BytesIO(gunzip(output))) as tar:
        assert tar.getnames() == ["a", "w"]
        assert tar.extractfile("a").read() == (content if if_present == "replace" else b"2")  # type: ignore[union-attr]


def test_what_an_earlier_repack_put_in_with_another_mode_is_put_in_again() -> None:
    ours, _ = repacked(member(Tar([entry("w")]).data), Edit({"a": Content.of(b"1", 0o755)}))
    for mode, method in ((None, "unchanged"), (0o755, "unchanged"), (0o644, "graft")):
        output, plan = repacked(ours, Edit({"a": Content.of(b"1", mode)}))
        assert (plan.method, infos(output)["a"].mode) == (method, mode or 0o755)


def test_records_for_all_that_nothing_follows_stay() -> None:
    parts = [entry("x"), entry("y"), shared({"comment": "of nothing"})]
    output, _ = repacked(member(Tar(parts).data), Edit(drop=("x",)))
    assert gunzip(output) == Tar(parts[1:]).data


def test_of_what_was_surveyed_little_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "EVERY", 1 << 20)
    source, read = read_to_drop(skewed)
    assert read < source.size + (3 << 20)


def test_of_what_is_stored_all_is_read_again_once() -> None:
    """Where blocks begin in it, could be told of no header."""
    source, read = read_to_drop(noise)
    assert read < 2 * source.size


def read_to_drop(content: Callable[[int, int], bytes]) -> tuple[MemorySource, int]:
    """An archive of such content, and how much of it was read to drop the largest file, which is in the middle."""
    parts = [entry("a", content(6 << 20, 1)), entry("x", content(9 << 20, 2)), entry("b", content(6 << 20, 3))]
    source = MemorySource(member(Tar(parts).data))
    plan = Job(source, MemoryTarget(), Edit(drop=("x",))).plan(copying=False)
    assert plan.method == "splice"
    return source, source.bytes_read


def test_of_what_lies_between_entries_that_are_spelled_anew_little_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "EVERY", 1 << 20)
    parts = [entry("m/", kind=b"5"), *[entry(f"m/{name}", skewed(4 << 20, name)) for name in range(3)]]
    source = MemorySource(member(Tar(parts).data))
    plan = Job(source, MemoryTarget(), Edit(strip_root=True)).plan(copying=False)
    assert plan.method == "splice"
    assert source.bytes_read < 1.5 * source.size


def test_what_is_spelled_anew_may_begin_in_one_member_and_end_in_another() -> None:
    files = {f"{name}{'n' * 120}": words(100_000, number) for number, name in enumerate("abc")}
    tar = Tar([entry("m/", kind=b"5"), *[entry(f"m/{name}", data) for name, data in files.items()]]).data
    within = [tar.index(f"m/{name}".encode()) + 10 for name in files]
    source = b"".join(member(tar[start:stop]) for start, stop in zip([0, *within], [*within, len(tar)], strict=True))
    output, plan = repacked(source, Edit(strip_root=True))
    assert (plan.method, held(output)) == ("splice", files)


def test_what_changes_in_several_members_leaves_each_of_them_intact() -> None:
    large = [entry(f"w{number}", words(100_000, number)) for number in range(6)]
    source = b"".join(
        member(part.blocks + entry(f"x{number}").blocks + other.blocks)
        for number, (part, other) in enumerate(zip(large[::2], large[1::2], strict=True))
    )
    output, plan = repacked(source + member(bytes(1024)), Edit({"new": Content.of(b"1")}, drop=("x0", "x2")))
    assert plan.why.startswith("2 places in it change, ")
    assert list(infos(output)) == ["new", "w0", "w1", "w2", "x1", "w3", "w4", "w5"]
    assert gunzip(output).endswith(b"".join(part.blocks for part in large[4:]) + bytes(1024))


def test_boundaries_are_looked_for_in_all_that_an_honest_archive_holds() -> None:
    """What unpacks to a thousand times its size has to be decoded once more as a whole."""
    tar = Tar([entry("zeros", bytes(80 << 20)), entry("x"), entry("w", bytes(1 << 20))])
    _, plan = repacked(member(tar.data), Edit(drop=("x",)))
    assert plan.method == "splice"


def test_a_rewrite_packs_about_as_well_as_the_source_was_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MANY", 0)
    tar = Tar([entry("w", words(2_000_000, 1)), entry("x")])
    loose, tight = (repacked(member(tar.data, level), Edit(drop=("x",)))[0] for level in (0, 9))
    assert len(tight) < MOST_LARGER * len(member(tar.data, 9))
    if len(PACKERS) > 1:
        assert len(tight) < len(loose) < len(tar.data) / 2, "the fastest engine does it"


def test_a_comment_that_is_cut_by_our_mark_is_warned_of() -> None:
    source = member(Tar([entry("w", b"1")]).data, comment=b"c" * 500)
    _, plan = repacked(source, {"new": b"1"})
    (warning,) = plan.warnings
    assert warning == "the comment in its gzip header is too long for some readers beside our mark; it was cut"
    assert repacked(source, {"w": b"1"})[1].warnings == (), "where nothing changes it is not cut"


@pytest.mark.parametrize(
    "edit",
    [
        Edit({"new": Content.of(b"1", 0o600), "d": Content.empty_directory()}),
        Edit({"a": Content.of(b"another")}),
        Edit({"a": Merge.by(lambda held: (held or b"") + b" and more")}),
        Edit({"new": Content.of(b"1")}, drop=("a",)),
        Edit({"new": Content.of(b"1")}, mtime=5),
    ],
)
def test_a_front_is_foreseen_as_it_will_be(edit: Edit) -> None:
    plain = member(Tar([entry("w", mtime=1_600_000_000)]).data)
    ours, _ = repacked(plain, {"a": words(5000, 1), "b": b"2"})
    for archive in (plain, ours):
        foreseen = Front.foreseen(read_head(MemorySource(archive)), edit)
        output, plan = repacked(archive, edit._replace(drop=() if archive is plain else edit.drop))
        assert isinstance(plan.recipe[0], Literal) and plan.recipe[0].size == foreseen.size
        prefix = read_head(MemorySource(output)).files
        assert {*foreseen.carried, *foreseen.put} == {*prefix}
        assert {name: attributes for name, (_, attributes) in foreseen.put.items()} == {
            name: prefix[name].attributes for name in edit.put
        }


def test_the_size_of_a_front_with_large_files_is_not_foreseen() -> None:
    head = read_head(MemorySource(member(Tar([entry("w")]).data)))
    assert Front.foreseen(head, Edit({"a": Content.of(bytes(SMALL_FILE + 1))})).size is None
    assert Front.foreseen(head, Edit({"a": Content.of(bytes(SMALL_FILE))})).size is not None
