"""What is put in keeps what it replaces had, and the plan says what it does and why."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from lambda_fn.core.edit import Content, Edit, Merge
from lambda_fn.core.errors import EntryConflict, EntryExists, SourceChanged
from lambda_fn.core.plan import SMALL_FILE, SMALL_FILES
from lambda_fn.core.recipe import Made
from tests.archives import WANTED, Tar, entry, gunzip, infos, member, noise, shared
from tests.core.contents import words
from tests.core.memory import repacked


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


@pytest.mark.parametrize("size", [3, 2 << 20])
@pytest.mark.parametrize("more", [-1, 1])
def test_what_changes_while_it_is_read_is_not_published(size: int, more: int) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * (size + more)

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
    with pytest.raises(EntryConflict, match="nothing would be left in the archive"):
        repacked(member(Tar([entry("b/", kind=b"5"), entry("b/a"), entry("b/c")], end).data), edit)
    ours, _ = repacked(member(Tar([entry("a")], end).data), {"b": b"1"})
    assert list(infos(repacked(ours, Edit(drop=("a",)))[0])) == ["b"]
    with pytest.raises(EntryConflict):
        repacked(ours, Edit(drop=("?",)))


def test_what_is_kept_is_said_to_be() -> None:
    _, plan = repacked(member(Tar([entry("a", b"1")]).data), {"a": b"2"}, if_present="keep")
    assert (plan.method, plan.why) == ("unchanged", "what is there already is kept")
