"""What an edit makes of each entry, and what of them stands in its way."""

from __future__ import annotations

import io
import tarfile

import pytest

from lambda_fn.core.edit import Content, Edit
from lambda_fn.core.errors import EntryConflict
from tests import archives
from tests.archives import ENCODERS, WANTED, Part, Tar, entry, gunzip, infos, member, split
from tests.core.memory import repacked

NEW = b'{"depth": 6}\n'
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
        repacked(encode(Tar([entry("first"), *parts]).data), {name: NEW})


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"6"])
def test_an_old_entry_of_any_kind_goes(kind: bytes) -> None:
    tar = Tar([entry("a"), entry(WANTED, kind=kind, link="a" if kind in b"12" else "", old=True), entry("b")])
    output, _ = repacked(member(tar.data), {WANTED: NEW})
    assert split(gunzip(output)) == (WANTED, NEW, tar.without_old)


def test_keep_cannot_keep_a_link() -> None:
    tar = Tar([entry("a"), entry(f"./{WANTED}", kind=b"2", link="a")])
    with pytest.raises(EntryConflict):
        repacked(member(tar.data), {WANTED: NEW}, if_present="keep")


@pytest.mark.parametrize(
    ("parts", "edit", "says"),
    [
        ([entry("a"), entry("b", kind=b"1", link="a")], Edit(drop=("a",)), "b is a hard link to a, which goes"),
        ([entry("m/a"), entry("n")], Edit(strip_root=True), "more than one entry at its top, m and n"),
        ([entry("m")], Edit(strip_root=True), "m is no folder at its top"),
        ([entry("m/a", kind=b"2", link="../x")], Edit(strip_root=True), "lies outside of m"),
        ([entry("m/a", kind=b"1", link="x")], Edit(strip_root=True), "lies outside of m"),
        ([entry("d/x")], Edit({"d": Content.of(b"")}), "the archive holds d/x, below it"),
        ([entry("d")], Edit({"d/x": Content.of(b"")}), "the archive holds d, which is no directory"),
    ],
)
def test_what_cannot_be_had_is_named(parts: list[Part], edit: Edit, says: str) -> None:
    with pytest.raises(EntryConflict, match=says):
        repacked(member(Tar(parts).data), edit)


def test_stripping_the_root_leaves_links_right() -> None:
    parts = [
        entry("m/", kind=b"5"),
        entry("m/a", b"1"),
        entry("m/hard", kind=b"1", link="m/a"),
        entry("m/soft", kind=b"2", link="a"),
        entry("m/out", kind=b"2", link="/opt/ml/x"),
    ]
    output, _ = repacked(member(Tar(parts).data), Edit(strip_root=True))
    assert [(info.name, info.linkname) for info in infos(output).values()] == [
        ("a", ""),
        ("hard", "a"),
        ("soft", "a"),
        ("out", "/opt/ml/x"),
    ]


def test_what_goes_does_not_keep_a_root_from_being_stripped() -> None:
    parts = [entry("._m"), entry("m/a"), entry("m/._b"), entry(WANTED, b"old")]
    output, _ = repacked(member(Tar(parts).data), Edit({WANTED: Content.of(b"{}")}, ("._*",), strip_root=True))
    assert list(infos(output)) == [WANTED, "a"]
    with pytest.raises(EntryConflict):
        repacked(member(Tar(parts).data), Edit({WANTED: Content.of(b"{}")}, strip_root=True))


def test_a_file_that_tar_was_given_twice_is_one() -> None:
    source = member(Tar([entry("a", b"1"), entry("a", kind=b"1", link="a"), entry("w")]).data)
    output, _ = repacked(source, {"a": b"2"}, if_present="keep")
    with tarfile.open(fileobj=io.BytesIO(gunzip(output))) as tar:
        assert tar.getnames() == ["a", "w"]
        assert tar.extractfile("a").read() == b"1"  # type: ignore[union-attr]


def test_a_symbolic_link_to_what_goes_is_told() -> None:
    parts = [entry("s/i.py"), entry("code", kind=b"2", link="s"), entry("w")]
    _, plan = repacked(member(Tar(parts).data), Edit(drop=("s",)))
    assert plan.warnings == ("code is a symbolic link to s, which goes; it leads nowhere then",)
