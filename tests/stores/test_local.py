"""The local disk: outputs appear whole or not at all, and nothing else is left, whatever goes wrong."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from isal import isal_zlib

from lambda_fn import repack
from lambda_fn.contract import (
    AccessDenied,
    InvalidArchive,
    InvalidRequest,
    SourceChanged,
    SourceNotFound,
    StoreFull,
)
from lambda_fn.core import survey
from lambda_fn.core.edit import Content, Merge
from lambda_fn.core.recipe import Copy, Literal, Recipe
from lambda_fn.stores import local
from lambda_fn.stores.local import LocalSource, LocalTarget
from tests import archives
from tests.archives import WANTED, Tar, entry, gunzip, member

ROOT = Path(__file__).parents[2]
OVERLAY = {WANTED: b"{}"}


def everything(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "model.tar.gz"
    file.write_bytes(member(Tar([entry("w", archives.noise(300_000)), *archives.small().parts]).data))
    return file


@pytest.fixture
def old_model(tmp_path: Path) -> Path:
    """One that must be spliced, in several places."""
    file = tmp_path / "old.tar.gz"
    parts = [entry(WANTED, b"1"), entry("w", archives.noise(300_000)), *[entry(WANTED, b"2")] * 8]
    file.write_bytes(member(Tar(parts).data))
    return file


def test_folders_are_made_for_the_output(model: Path, tmp_path: Path) -> None:
    result = repack(str(model), str(tmp_path / "a/b/c/out.tar.gz"), OVERLAY)
    assert os.listdir(tmp_path / "a/b/c") == ["out.tar.gz"]
    assert result.output.size == (tmp_path / "a/b/c/out.tar.gz").stat().st_size


@pytest.mark.parametrize("which", ["model", "old_model"])
def test_the_output_may_be_the_source(which: str, request: pytest.FixtureRequest) -> None:
    file: Path = request.getfixturevalue(which)
    before = os.open(file, os.O_RDONLY)
    content = file.read_bytes()
    file.chmod(0o640)
    repack(str(file), str(file), OVERLAY)
    assert b"{}" in gunzip(file.read_bytes())
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.pread(before, len(content) + 1, 0) == content, "who had it open still reads the old one"
    assert os.listdir(file.parent) == [file.name]


def test_a_link_to_the_output_stays_a_link(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real.tar.gz")
    repack(str(model), str(tmp_path / "link"), OVERLAY)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.tar.gz").is_file()


def test_a_new_output_has_the_mode_of_any_new_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    repack(str(model), str(tmp_path / "out"), OVERLAY)
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.parametrize(("mode", "becomes"), [(0o600, 0o600), (0o640, 0o640), (0o444, 0o644)])
def test_who_may_not_read_a_model_may_not_read_what_is_made_of_it(
    mode: int, becomes: int, model: Path, tmp_path: Path
) -> None:
    model.chmod(mode)
    before = os.umask(0o022)
    try:
        repack(str(model), str(tmp_path / "out"), OVERLAY)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == becomes


def test_an_output_that_is_there_keeps_its_owner_and_its_group(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fchown(fd: int, user: int, group: int) -> None:
        asked.append((user, group))
        raise PermissionError

    monkeypatch.setattr(os, "fchown", fchown)
    about = model.stat()
    repack(str(model), str(model), OVERLAY)
    assert asked == [(-1, about.st_gid), (about.st_uid, -1)]


def test_unchanged_and_in_place_touches_nothing(model: Path) -> None:
    repack(str(model), str(model), OVERLAY)
    before = model.stat()
    assert repack(str(model), str(model), OVERLAY).method == "unchanged"
    assert model.stat() == before


# What goes wrong

BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "damaged": lambda data: data[:-20] + b"x" + data[-19:],
    "cut off": lambda data: data[:-1],
    "not gzip": lambda data: b"PK" + data,
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("damage", BROKEN)
@pytest.mark.parametrize("which", ["model", "old_model"])
@pytest.mark.parametrize("there", [False, True])
def test_a_bad_source_leaves_nothing(damage: str, which: str, there: bool, request: pytest.FixtureRequest) -> None:
    file: Path = request.getfixturevalue(which)
    file.write_bytes(BROKEN[damage](file.read_bytes()))
    output = file.parent / "new/folder/out.tar.gz"
    if there:
        output.parent.mkdir(parents=True)
        output.write_bytes(b"the old output")
    before = everything(file.parent)
    with pytest.raises(InvalidArchive):
        repack(str(file), str(output), OVERLAY)
    assert everything(file.parent) == before


@pytest.mark.parametrize("which", ["model", "old_model"])
def test_a_progress_that_raises_stops_cleanly(which: str, request: pytest.FixtureRequest) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise Enough

    file: Path = request.getfixturevalue(which)
    before = everything(file.parent)
    with pytest.raises(Enough):
        repack(str(file), str(file.parent / "a/b/out"), OVERLAY, progress=stop)
    assert everything(file.parent) == before


@pytest.mark.parametrize("which", ["model", "old_model"])
@pytest.mark.parametrize("how", ["appended", "overwritten", "cut short"])
def test_a_source_that_changes_meanwhile_is_refused(which: str, how: str, request: pytest.FixtureRequest) -> None:
    file: Path = request.getfixturevalue(which)

    def change(done: int, total: int) -> None:
        if how == "appended":
            file.open("ab").write(b"more")
        elif how == "overwritten":
            with file.open("r+b") as opened:
                opened.seek(total - 1000)
                opened.write(b"x")
        else:
            os.truncate(file, total // 2)

    with pytest.raises((SourceChanged, InvalidArchive)):
        repack(str(file), str(file.parent / "out/out"), OVERLAY, progress=change)
    assert everything(file.parent).keys() == {file.name}


def test_a_source_that_is_replaced_meanwhile_is_read_to_its_end(model: Path, tmp_path: Path) -> None:
    content = gunzip(model.read_bytes())

    def replace(done: int, total: int) -> None:
        (tmp_path / "other").write_bytes(b"other")
        os.replace(tmp_path / "other", model)

    repack(str(model), str(tmp_path / "out"), OVERLAY, progress=replace)
    assert gunzip((tmp_path / "out").read_bytes()).endswith(content)


@pytest.mark.parametrize("path", ["missing", "missing/too", "folder", "fifo", "loop", "n" * 300, ""])
def test_a_source_that_is_no_file_is_named(path: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises((SourceNotFound, InvalidRequest)) as caught:
        LocalSource(f"{tmp_path}/{path}" if path else "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "folder",
        "folder/",
        "new/",
        "file/out",
        "file/a/out",
        "new/" + "n" * 300,
        "new/" + "n" * 300 + "/out",
        "fifo",
        "nul\0",
    ],
)
def test_an_output_that_cannot_be_is_named_and_leaves_nothing(path: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((AccessDenied, InvalidRequest)):
        repack(str(model), f"{tmp_path}/{path}", OVERLAY)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_device_is_not_replaced_by_a_file(model: Path) -> None:
    with pytest.raises(InvalidRequest):
        repack(str(model), os.devnull, OVERLAY)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.parametrize("where", ["source", "output"])
def test_what_is_not_permitted_is_named(where: str, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    source = folder / "model.tar.gz"
    source.write_bytes(model.read_bytes())
    source.chmod(0o644 if where == "output" else 0)
    folder.chmod(0o555)
    output = folder / "out.tar.gz" if where == "output" else "/tmp/never-there.tar.gz"
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from lambda_fn import repack
from lambda_fn.contract import AccessDenied
if os.getuid() == 0: os.setgid(65534); os.setuid(65534)
try: repack({str(source)!r}, {str(output)!r}, {OVERLAY!r})
except AccessDenied as error: print(error)
"""
    for parent in [tmp_path, *tmp_path.parents][:-2]:  # pytest's own folders are closed to others
        if parent.owner() == model.owner():
            parent.chmod(parent.stat().st_mode | 0o011)
    try:
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    finally:
        folder.chmod(0o755)
    assert "permission denied" in run.stdout or "permits no new files" in run.stdout, run.stderr
    assert str(source if where == "source" else folder) in run.stdout
    assert os.listdir(folder) == ["model.tar.gz"]


LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from lambda_fn import repack
from lambda_fn.contract import RepackError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try: repack(sys.argv[2], sys.argv[3], {"hyperparameters.json": b"{}"})
except RepackError as error: print(error.name, error)
"""


@pytest.mark.parametrize("which", ["model", "old_model"])
def test_a_file_that_may_not_grow_leaves_nothing(which: str, request: pytest.FixtureRequest) -> None:
    file: Path = request.getfixturevalue(which)
    before = everything(file.parent)
    command = [sys.executable, "-c", LIMITED, str(ROOT), str(file), str(file.parent / "a/out")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stdout.startswith("StoreFull no room for"), run.stderr
    assert everything(file.parent) == before


@pytest.fixture
def mounted(tmp_path: Path) -> list[str]:
    """The start of a command that runs a shell line with 200 KiB of disk mounted on tmp_path/disk."""
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=200k none {tmp_path}/disk && "
    return ["unshare", "-rm", "sh", "-c", mount + '"$@"; ls -A ' + f"{tmp_path}/disk", "sh"]


@pytest.mark.needs("unshare")
@pytest.mark.parametrize("which", ["model", "old_model"])
def test_a_full_disk_leaves_nothing(which: str, mounted: list[str], request: pytest.FixtureRequest) -> None:
    file: Path = request.getfixturevalue(which)
    (file.parent / "hp.json").write_text("{}")
    given = ["--hyperparameters", str(file.parent / "hp.json"), "--quiet"]
    repacking = [sys.executable, "-m", "lambda_fn", "repack", str(file), *given]
    command = [*mounted, *repacking, "--output", str(file.parent / "disk/new/out")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.stderr.startswith("error: StoreFull: no room for"), run.stderr
    assert run.stderr.count("\n") == 1
    assert run.stdout == "", "nothing lies on the disk"


# Being stopped


SIGNALLED = """
import os, signal, sys
from lambda_fn.cli import main

number, write = int(sys.argv[1]), os.pwrite
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started without one
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and one of nohup without this

def signalled(*arguments):
    os.pwrite = write
    done = write(*arguments)
    os.kill(os.getpid(), number)
    return done

os.pwrite = signalled
sys.exit(main(sys.argv[2:]))
"""
"""A command line that gets a signal when it has written the first bytes of its output."""
INTERRUPTED = "error: Interrupted: it was stopped before its end; no output is half written\n"
ENDED = {
    signal.SIGTERM: (128 + signal.SIGTERM, ""),
    signal.SIGHUP: (128 + signal.SIGHUP, ""),
    signal.SIGINT: (-signal.SIGINT, INTERRUPTED),  # by the signal itself, which a shell's loop looks for
}
"""Its exit status, and what it says."""


@pytest.mark.parametrize("number", ENDED)
@pytest.mark.parametrize("which", ["graft", "splice"])
def test_a_signal_in_the_middle_leaves_nothing(number: signal.Signals, which: str, tmp_path: Path) -> None:
    old = [entry(WANTED, b"{}")] * 8 if which == "splice" else []
    source = tmp_path / "model.tar.gz"
    source.write_bytes(isal_zlib.compress(Tar([*old, entry("w", archives.noise(4 << 20)), *old]).data, 0, wbits=31))
    command = [sys.executable, "-c", SIGNALLED, str(int(number)), "repack", str(source), "--set", "a=1"]
    command += ["--output", str(tmp_path / "new/out.tar.gz")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stderr, run.stdout) == (*ENDED[number], "")
    assert os.listdir(tmp_path) == ["model.tar.gz"]


# Recipes and ranges


@pytest.fixture
def no_kernel_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "copy_file_range", raising=False)


def carried_out(recipe: Recipe, folder: Path, shift: int | None, ahead: int = 1 << 20) -> bytes:
    """What comes of the recipe if `ahead` bytes of the source were copied before, moved by `shift`."""
    source, target = LocalSource(str(folder / "source")), LocalTarget(str(folder / "target"))
    if shift is not None:
        for chunk in target.anticipate(source, shift):
            ahead -= len(chunk)
            if ahead <= 0:
                target.leave_off()
    published = target.publish(source, recipe, {}, lambda done, total: None)
    target.close()
    source.close()
    data = (folder / "target").read_bytes()
    assert (published.size, published.uploaded + published.copied) == (len(data), len(data))
    return data


RECIPES: list[list[Literal | Copy]] = [
    [Copy(0, 100_000)],
    [Literal(b"head"), Copy(10, 99_992), Literal(b"trailer!")],
    [Literal(b"h" * 50_000), Copy(10, 50_000), Literal(b"x" * 10), Copy(60_000, 100_000)],
    [Copy(99_999, 100_000), Copy(0, 1), Copy(0, 1)],
    [Literal(b"all new")],
]


@pytest.mark.parametrize("shift", [None, 0, 4, -6, 49_990, -99_999, 200_000])
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("ahead", [0, 55_000, 1 << 20])
@pytest.mark.parametrize("kernel", [True, False])
def test_a_recipe_is_carried_out_whatever_was_anticipated(
    recipe: list[Literal | Copy],
    shift: int | None,
    ahead: int,
    kernel: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "READ_SIZE", 5_000)
    if not kernel:
        request.getfixturevalue("no_kernel_copies")
    source = archives.noise(100_000)
    (tmp_path / "source").write_bytes(source)
    expected = b"".join(one.data if isinstance(one, Literal) else source[one.start : one.stop] for one in recipe)
    assert carried_out(recipe, tmp_path, shift, ahead) == expected
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]


def _its_own(held: bytes | None) -> bytes:
    if held is None:
        raise FileNotFoundError("the model holds none")
    return held


@pytest.fixture
def kernel_copied(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """The ranges of the source that are copied when it is known what to do."""
    ranges: list[range] = []
    copy_range = local.copy_range

    def watched(source: int, target: int, start: int, stop: int, at: int) -> None:
        if start < stop:
            ranges.append(range(start, stop))
        copy_range(source, target, start, stop, at)

    monkeypatch.setattr(local, "copy_range", watched)
    monkeypatch.setattr(survey, "HELPERS", 0)
    return ranges


@pytest.mark.parametrize("content", [Content.of(b"{}"), Merge.by(lambda held: held or b"{}")])
def test_a_graft_is_copied_during_its_survey(
    content: Content, model: Path, tmp_path: Path, kernel_copied: list[range]
) -> None:
    repack(model, tmp_path / "out.tar.gz", {WANTED: content})
    assert kernel_copied == []


def test_what_cannot_be_foreseen_is_copied_after_the_survey(tmp_path: Path, kernel_copied: list[range]) -> None:
    model = tmp_path / "model.tar.gz"
    model.write_bytes(member(Tar([entry("w", archives.noise(300_000)), entry(WANTED, b"{}")]).data))
    repack(model, tmp_path / "out.tar.gz", {WANTED: Merge.by(_its_own)})
    assert kernel_copied[0].start == 0


def test_up_to_what_goes_a_model_is_copied_during_its_survey(tmp_path: Path, kernel_copied: list[range]) -> None:
    model = tmp_path / "model.tar.gz"
    model.write_bytes(member(Tar([entry(name, archives.noise(3 << 20)) for name in ("a", "gone", "z")]).data))
    repack(model, tmp_path / "out.tar.gz", {WANTED: b"{}"}, remove=["gone"])
    (copied,) = kernel_copied
    assert copied.start > 6 << 20


def test_a_source_cut_short_while_it_is_copied_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(1000))
    fds = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("source", "target")]
    with pytest.raises(SourceChanged):
        local.copy_range(fds[0], fds[1], 0, 2000, 0)


@pytest.mark.parametrize("answer", [errno.EPERM, errno.EIO, errno.EBADF, errno.EACCES, errno.ETXTBSY, errno.EXDEV, 0])
@pytest.mark.parametrize("after", [0, 30_000])
def test_a_kernel_that_does_not_copy_is_helped_by_reading_and_writing(
    answer: int, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = os.copy_file_range

    def no_copy(source: int, target: int, count: int, start: int, at: int) -> int:
        if start < after:
            return copy(source, target, after - start, start, at)
        if answer:
            raise OSError(answer, os.strerror(answer))
        return 0

    monkeypatch.setattr(os, "copy_file_range", no_copy)
    source = archives.noise(100_000)
    (tmp_path / "source").write_bytes(source)
    for shift in (None, 4):
        assert carried_out([Literal(b"head"), Copy(0, 100_000)], tmp_path, shift) == b"head" + source


def test_a_disk_that_takes_no_writes_at_an_offset_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_kernel_copies: None
) -> None:
    write, ends = os.pwrite, dict[int, int]()

    def in_order(fd: int, data: bytes, at: int) -> int:
        if at != ends.get(fd, 0):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        ends[fd] = at + write(fd, data, at)
        return ends[fd] - at

    monkeypatch.setattr(os, "pwrite", in_order)
    with pytest.raises(InvalidRequest, match=r"out/model\.tar\.gz lies on a disk that is written from front to back"):
        repack(str(model), f"{tmp_path}/out/model.tar.gz", OVERLAY)
    assert os.listdir(tmp_path) == [model.name]


def test_a_folder_that_somebody_uses_meanwhile_stays(model: Path, tmp_path: Path) -> None:
    def use(done: int, total: int) -> None:
        (tmp_path / "new/theirs").touch()
        raise StoreFull("stop here")

    with pytest.raises(StoreFull):
        repack(str(model), str(tmp_path / "new/out"), OVERLAY, progress=use)
    assert os.listdir(tmp_path / "new") == ["theirs"]


PEAK = """
import sys
sys.path.insert(0, sys.argv[1])
from lambda_fn import repack
print(repack(sys.argv[2], sys.argv[3], {"hyperparameters.json": b"{}"}).method)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is asked of Linux")
@pytest.mark.parametrize("size", [3, 5 << 20])
def test_memory_stays_small_when_many_files_are_replaced(size: int, tmp_path: Path) -> None:
    names = [f"code/{at}" for at in range(20)]
    parts = [(entry(f"w{at}", archives.noise(3 << 20, at)), entry(name, bytes(size))) for at, name in enumerate(names)]
    source = tmp_path / "model.tar.gz"
    tar = Tar([part for pair in parts for part in pair])
    source.write_bytes(isal_zlib.compress(tar.data, 0, wbits=31))
    many = PEAK.replace('{"hyperparameters.json": b"{}"}', f"dict.fromkeys({names}, b'the new content')")
    command = [sys.executable, "-c", many, str(ROOT), str(source), str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert int(run.stdout.split()[1]) < 100 << 10, run.stderr
    assert gunzip((tmp_path / "out").read_bytes()).count(b"the new content") == len(names)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is asked of Linux")
@pytest.mark.parametrize("method", ["graft", "splice", "rewrite"])
def test_memory_stays_small(method: str, tmp_path: Path) -> None:
    unit = b"".join(archives.noise(100, at) * 20 for at in range(200))
    zeros = Tar([entry("w", unit * 375)])  # 150 MB
    old = [] if method == "graft" else [entry(WANTED, b"x")]
    level = 0 if method == "rewrite" else 1  # fixed codes alone leave no way in
    source = tmp_path / "model.tar.gz"
    source.write_bytes(isal_zlib.compress(Tar([*zeros.parts, *old, *zeros.parts]).data, level, wbits=31))
    command = [sys.executable, "-c", PEAK, str(ROOT), str(source), str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True)
    done, peak = run.stdout.split()
    assert done == method, run.stderr
    assert int(peak) < 100 << 10
