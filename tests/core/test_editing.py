"""Any edit of any archive gives what extracting, editing and packing by hand would give, by Python's own reader."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from lambda_fn.core.edit import Content, Edit, matcher
from lambda_fn.core.errors import EntryConflict
from tests import archives
from tests.archives import Encoder, Part, Tar, entry, gunzip, members
from tests.core.contents import content
from tests.core.memory import repacked


@dataclass(frozen=True)
class Seen:
    """An entry as Python's tarfile sees it."""

    name: str
    type: bytes
    mode: int
    owner: tuple[int, int, str, str]
    link: str
    data: bytes | None

    @property
    def path(self) -> str:
        return self.name.strip("/")


def seen(tar: bytes) -> list[Seen]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return [
            Seen(
                info.name,
                info.type,
                info.mode,
                (info.uid, info.gid, info.uname, info.gname),
                info.linkname,
                opened.extractfile(info).read() if info.isreg() else None,  # type: ignore[union-attr]
            )
            for info in opened
        ]


def goes(path: str, directory: bool, edit: Edit) -> bool:
    patterns = any(matcher(pattern).match(path + "/" * directory) for pattern in edit.drop)
    return patterns or any(path.startswith(f"{folder}/") for folder in edit.folders)


def by_hand(before: Iterable[Seen], edit: Edit) -> list[Seen]:
    """What an edit makes of entries, by the sentences of its documentation."""
    kept: list[Seen] = []
    replaced: dict[str, Seen] = {}
    there: set[str] = set()
    root = next((one.path.split("/")[0] for one in before), "") if edit.strip_root else ""
    for one in before:
        if root and one.path == root:
            continue
        path = one.path.removeprefix(f"{root}/") if root else one.path
        link = one.link.removeprefix(f"{root}/") if root and one.type == tarfile.LNKTYPE else one.link
        directory = one.type == tarfile.DIRTYPE
        content = edit.put.get(path)
        if content and not directory:
            held = one.data == b"".join(content.open()) and content.mode in (None, one.mode)
            if not held or one.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                replaced[path] = one
                continue
            there.add(path)
        elif goes(path, directory, edit):
            continue
        kept.append(replace(one, name=path, link=link))
    new = []
    for name, content in sorted(edit.put.items()):
        if name in there or (content.directory and any(one.path == name for one in kept)):
            continue
        old = replaced.get(name)
        mode = content.mode if content.mode is not None else old.mode if old else 0o755 if content.directory else 0o644
        data = None if content.directory else b"".join(content.open())
        kind = tarfile.DIRTYPE if content.directory else tarfile.REGTYPE
        new.append(Seen(name, kind, mode, old.owner if old else (0, 0, "", ""), "", data))
    return sorted(new, key=lambda one: one.path) + kept


KINDS = ["noise", "skewed", "words", "zeros"]
SIZES = [0, 3, 600, 5000, 70_000, 300_000]
ENCODERS: Mapping[str, Encoder] = {
    **archives.SINGLE,
    "members of 64 KiB": lambda data: members(data, 64 << 10),
    "members of 1 MB": lambda data: members(data, 1_000_000),
}
PATHS = ["a", "b.bin", "code/x.py", "code/lib/y.py", "code/._x", "ckpt/1", "ckpt/2/w", "d/e/f", "z"]

sizes = st.sampled_from(SIZES)
data = st.builds(content, st.sampled_from(KINDS), sizes, st.integers(0, 5))
modes = st.sampled_from([0o644, 0o600, 0o755, 0o444])


@st.composite
def trees(draw: st.DrawFn, root: str) -> Tar:
    """Files below a root, in any order, with their folders or without, in one of tar's formats."""
    dialect = draw(st.sampled_from(archives.DIALECTS))
    paths = draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=len(PATHS), unique=True))
    parts: list[Part] = []
    if draw(st.booleans()):
        folders = {path[:at] for path in paths for at in range(len(path)) if path[at] == "/"}
        for folder in sorted({root.rstrip("/")} - {""} | {root + folder for folder in folders}):
            parts += [entry(f"{folder}/", kind=tarfile.DIRTYPE, dialect=dialect, mode=0o750)]
    parts += [entry(root + path, draw(data), dialect=dialect, mode=draw(modes)) for path in paths]
    return Tar(parts, draw(st.sampled_from(archives.ENDS)))


@st.composite
def edits(draw: st.DrawFn, strip_root: bool) -> Edit:
    names = draw(st.lists(st.sampled_from([*PATHS, "new", "code/new"]), max_size=5, unique=True))
    put = {name: Content.of(draw(data), draw(st.none() | modes)) for name in names}
    drop = tuple(
        draw(st.lists(st.sampled_from(["._*", "ckpt", "*.py", "code/lib/", "/z", "**/w"]), max_size=3, unique=True))
    )
    return Edit(put, drop, draw(st.sampled_from([frozenset(), frozenset({"code"})])), strip_root)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tar, Edit]:
    strip_root = draw(st.booleans())
    return draw(trees("model/" if strip_root else "")), draw(edits(strip_root))


@given(cases(), st.sampled_from(sorted(ENCODERS)))
def test_an_edit_gives_what_editing_by_hand_gives(case: tuple[Tar, Edit], encoder: str) -> None:
    tar, edit = case
    source = ENCODERS[encoder](tar.data)
    if not by_hand(seen(tar.data), edit):
        with pytest.raises(EntryConflict, match="nothing would be left"):
            repacked(source, edit)
        return
    output, plan = repacked(source, edit)
    event(plan.method)
    assert seen(gunzip(output)) == by_hand(seen(tar.data), edit)
    if not edit.strip_root:
        names = {one.path for one in by_hand(seen(tar.data), edit)[len(plan.put) :]}
        kept = [part for part in tar.parts if part.name.strip("/") in names]
        assert gunzip(output).endswith(b"".join(part.blocks for part in kept) + tar.end)
    again, second = repacked(output, edit._replace(strip_root=False))
    assert (second.method, again) == ("unchanged", output)


@given(cases(), st.sampled_from(["zlib 6", "isal 1", "members of 64 KiB"]))
def test_the_same_edit_gives_the_same_bytes_however_the_source_comes(case: tuple[Tar, Edit], encoder: str) -> None:
    tar, edit = case
    assume(by_hand(seen(tar.data), edit))
    source = ENCODERS[encoder](tar.data)
    outputs = {repacked(source, edit, chunk)[0] for chunk in (64 << 10, 1000)}
    assert len(outputs) == 1
