"""The command line as people use it: whole processes, their exit status, stdout and stderr."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lambda_fn import cli
from tests import archives
from tests.archives import WANTED, Part, Tar, entry, gunzip, member, noise
from tests.core.forgeries import FORGERIES
from tests.deployment import Deployment
from tests.hunt import streams

ROOT = Path(__file__).parents[1]
MODULES_OF_A_START = 115
"""Fewer than so many, the standard library's among them."""


def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, "-m", "lambda_fn", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, errors="surrogateescape", cwd=folder, env=environment
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all that the help's examples speak of."""
    (tmp_path / "model.tar.gz").write_bytes(member(archives.small().data))
    (tmp_path / "hyperparameters.json").write_bytes(b'{"depth": 5,  "a": [1]}')
    (tmp_path / "src/lib").mkdir(parents=True)
    (tmp_path / "src/inference.py").write_text("pass")
    (tmp_path / "src/lib/x.py").write_text("x = 1")
    return tmp_path


def put_in(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}  # type: ignore[union-attr]


def test_the_helps_examples_work_as_they_are_written(folder: Path) -> None:
    examples = re.findall(
        r"^ +python -m lambda_fn (repack .*)", run("repack", "--help", folder=folder).stdout, re.MULTILINE
    )
    assert len(examples) >= 2
    for example in examples:
        if "s3://" not in example:
            done = run(*shlex.split(example), folder=folder)
            assert done.returncode == 0, done.stderr
            assert done.stderr in ("", "warning: nothing in the archive matches *.ckpt, which was to be removed\n")
            assert re.search(r": (graft|splice), ", done.stdout)
    files = put_in(folder / "out/model.tar.gz")
    assert json.loads(files[WANTED]) == {"depth": 6, "objective": "reg"}
    assert files["code/inference.py"] == b"pass"
    assert files["code/lib/x.py"] == b"x = 1"
    assert (folder / "model.tar.gz").read_bytes() == member(archives.small().data), "a dry run writes nothing"


def test_given_bytes_are_kept_and_settings_merged_over_them(folder: Path) -> None:
    given = (folder / "hyperparameters.json").read_bytes()
    arguments = ["repack", "model.tar.gz", "--hyperparameters", "hyperparameters.json", "--output", "out"]
    assert run(*arguments, folder=folder).returncode == 0
    assert put_in(folder / "out")[WANTED] == given
    assert run(*arguments, "--set", "depth=7", "--set", "new=null", folder=folder).returncode == 0
    assert json.loads(put_in(folder / "out")[WANTED]) == {"depth": 7, "a": [1], "new": None}


def test_settings_alone_go_over_what_the_archive_holds_and_the_result_says_so(folder: Path) -> None:
    old = b'{"depth": 5, "eta": 0.1}'
    (folder / "old").write_bytes(member(Tar([entry("w"), entry(WANTED, old)]).data))
    done = run("repack", "old", "--set", "depth=6", "--set", "new=[1]", "--output", "out", "--json", folder=folder)
    assert json.loads(put_in(folder / "out")[WANTED]) == {"depth": 6, "eta": 0.1, "new": [1]}
    result = json.loads(done.stdout)
    assert (result["hyperparameters_changed"], result["hyperparameters_kept"]) == (["depth", "new"], ["eta"])
    text = run("repack", "old", "--set", "depth=6", "--output", "out", folder=folder).stdout
    assert "hyperparameters changed: depth\n" in text
    assert "hyperparameters kept: eta\n" in text
    foreseen = run("repack", "old", "--set", "depth=6", "--output", "new", "--dry-run", folder=folder).stdout
    assert "hyperparameters changed: depth\n  hyperparameters kept: eta\n" in foreseen
    assert not (folder / "new").exists()
    kept = run("repack", "old", "--set", "depth=6", "--if-present", "keep", "--output", "out", folder=folder)
    assert put_in(folder / "out")[WANTED] == old
    assert "hyperparameters" not in kept.stdout


def test_settings_over_hyperparameters_that_are_none_are_refused(folder: Path) -> None:
    (folder / "old").write_bytes(member(Tar([entry(WANTED, b"{'depth': 5}")]).data))
    done = run("repack", "old", "--set", "depth=6", "--output", "out", folder=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: InvalidHyperparameters: the archive's hyperparameters.json cannot be read")


def test_a_dry_run_says_what_a_run_would_do_and_writes_nothing(folder: Path) -> None:
    arguments = ["repack", "model.tar.gz", "--add", "extra=src", "--remove", "code", "--output", "new/out"]
    before = sorted(folder.rglob("*"))
    text = run(*arguments, "--dry-run", folder=folder)
    assert (text.returncode, text.stderr) == (0, "")
    assert "new/out would be: " in text.stdout
    assert "  in: extra/inference.py, extra/lib/x.py\n" in text.stdout
    assert "  out: code/x.py\n" in text.stdout
    plan = json.loads(run(*arguments, "--dry-run", "--json", folder=folder).stdout)
    assert sorted(folder.rglob("*")) == before
    result = json.loads(run(*arguments, "--json", folder=folder).stdout)
    assert {name: plan[name] for name in ("method", "why", "put", "put_count", "removed", "removed_count")} == {
        name: result[name] for name in ("method", "why", "put", "put_count", "removed", "removed_count")
    }
    assert plan["output_size"] == result["output"]["size"]


def test_folders_are_replaced_entries_removed_and_the_root_taken_away(folder: Path) -> None:
    parts = [entry(f"model/{name}", name.encode()) for name in ("w.bin", "code/stale.py", "x.ckpt", "deep/y.ckpt")]
    (folder / "old").write_bytes(member(Tar(parts).data))
    (folder / "src/lib/x.py").chmod(0o755)
    arguments = ["repack", "old", "--output", "out", "--strip-root"]
    done = run(*arguments, "--replace-folder", "code=src", "--remove", "*.ckpt", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert put_in(folder / "out") == {"code/inference.py": b"pass", "code/lib/x.py": b"x = 1", "w.bin": b"w.bin"}
    with tarfile.open(folder / "out") as tar:
        assert tar.getmember("code/lib/x.py").mode == 0o755


def test_what_is_left_out_of_folders_is_told_and_can_be_had(folder: Path) -> None:
    (folder / "src/.git").mkdir()
    (folder / "src/.git/config").write_text("secret")
    done = run("repack", "model.tar.gz", "--add", "s=src", "--output", "out", folder=folder)
    assert done.stderr.startswith("warning: left out of folders: 1 ")
    assert "--everything" in done.stderr
    assert "s/.git/config" not in put_in(folder / "out")
    done = run("repack", "model.tar.gz", "--add", "s=src", "--everything", "--output", "out", folder=folder)
    assert (done.stderr, put_in(folder / "out")["s/.git/config"]) == ("", b"secret")


@pytest.mark.parametrize("name", ["model.txt", "code/x.py"])
def test_cat_prints_one_file_and_nothing_else(name: str, folder: Path) -> None:
    command = [sys.executable, "-m", "lambda_fn", "cat", "model.tar.gz", name]
    done = subprocess.run(command, capture_output=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == put_in(folder / "model.tar.gz")[name]


def test_a_directory_that_was_put_in_is_no_file_to_print(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert run("repack", "model.tar.gz", "--add", "logs=empty", "--output", "out", folder=folder).returncode == 0
    done = run("cat", "out", "logs", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: EntryConflict: out: logs is a directory")


def test_what_is_not_known_before_is_said_so(folder: Path) -> None:
    (folder / "adapter").write_bytes(archives.noise(2 << 20))
    done = run("repack", "model.tar.gz", "--add", "a=adapter", "--output", "out", "--dry-run", folder=folder)
    assert "of a size that is known when all is packed" in done.stdout
    assert "to write more than " in done.stdout


SLOW_TO_IMPORT = {"asyncio", "concurrent.futures", "email", "hashlib", "importlib.metadata", "logging", "shutil"} | {
    *(
        "ast",
        "dataclasses",
        "inspect",
        "pathlib",
        "random",
        "socket",
        "ssl",
        "subprocess",
        "tarfile",
        "tempfile",
        "unittest",
        "urllib.request",
    )
}


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], {"shutil"}),  # for the width of the terminal
        (["inspect", "model.tar.gz"], set()),
        (["verify", "model.tar.gz"], set()),
        (["cat", "model.tar.gz", "model.txt"], set()),
        (["repack", "model.tar.gz", "--set", "a=1", "--output", "out", "--quiet"], set()),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_start_imports_no_more_than_it_needs(arguments: list[str], needed: set[str], folder: Path) -> None:
    """Small models are many, and most of the work for one is the start: counted in modules, since clocks differ."""
    code = f"""
import sys
before = set(sys.modules)
sys.argv = ["lambda_fn", *{arguments!r}]
from lambda_fn.cli import main
try:
    main()
finally:
    print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=environment)
    imported = set(done.stderr.splitlines()[-1].split())
    assert imported & SLOW_TO_IMPORT == needed
    assert not {name for name in imported if name.startswith(("boto", "lambda_fn.stores.s3", "lambda_fn.pipeline"))}
    assert len(imported) < MODULES_OF_A_START


def test_the_version_is_that_of_the_package(folder: Path) -> None:
    from lambda_fn import __version__

    assert run("--version", folder=folder).stdout == f"model-repacker {__version__}\n"


def test_json_goes_to_stdout_alone(folder: Path) -> None:
    done = run("repack", "model.tar.gz", "--set", "a=1", "--output", "out", "--json", folder=folder)
    result = json.loads(done.stdout)
    assert done.stderr == ""
    assert result["method"] == "graft"
    assert result["source"]["entries"] == 2
    assert result["source"]["uncompressed_size"] == len(archives.small().data)
    assert result["output"]["size"] == (folder / "out").stat().st_size
    assert set(result["bytes"]) == {"read", "uploaded", "copied"}
    assert result["warnings"] == []


def test_inspect_lists_what_is_inside(folder: Path) -> None:
    assert run("repack", "model.tar.gz", "--set", "a=1", "--output", "out", folder=folder).returncode == 0
    table = run("inspect", "out", folder=folder)
    assert table.returncode == 0
    assert [line.split()[-1] for line in table.stdout.splitlines()[:3]] == [WANTED, "model.txt", "code/x.py"]
    assert '"a": 1' in table.stdout
    document = json.loads(run("inspect", "out", "--json", folder=folder).stdout)
    assert [one["name"] for one in document["entries"]] == [WANTED, "model.txt", "code/x.py"]
    assert document["entries"][1] == {
        "name": "model.txt",
        "type": "file",
        "mode": "-rw-r--r--",
        "size": 320,
        "mtime": "1970-01-01T00:00:01Z",
    }
    assert json.loads(document["hyperparameters"]) == {"a": 1}
    assert document["hyperparameters_are"] == "one file"


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([entry("w")], "none"),
        ([entry("w"), entry(WANTED, kind=b"2", link="w")], "a symbolic link to w"),
        ([entry("w"), entry(WANTED, kind=b"1", link="w")], "a hard link to w"),
        ([entry(WANTED, kind=b"5")], "a directory"),
        ([entry(WANTED, b"1"), entry("w"), entry(f"./{WANTED}", b"2")], "2 entries, the last counts\n2"),
        ([entry(WANTED, b"1"), entry(WANTED, kind=b"1", link=WANTED)], "2 entries, the last counts\n1"),
        ([entry(WANTED, b"1"), entry(WANTED, kind=b"2", link="w")], "2 entries, the last counts, a symbolic link to w"),
        ([entry(WANTED, b"x" * 70_000)], "70,000 bytes, not shown"),
        ([entry(WANTED, b"x" * (11 << 20))], "11,534,336 bytes, not shown"),
    ],
)
def test_inspect_says_what_there_is_of_hyperparameters(parts: list[Part], says: str, folder: Path) -> None:
    (folder / "odd").write_bytes(member(Tar(parts).data))
    assert f"\n\n{WANTED}: {says}\n" in run("inspect", "odd", folder=folder).stdout
    document = json.loads(run("inspect", "odd", "--json", folder=folder).stdout)
    assert document["hyperparameters_are"] == says.partition("\n")[0]
    assert document["hyperparameters"] == (says.partition("\n")[2] or None)


@pytest.mark.parametrize("arguments", [["inspect"], ["inspect", "--json"], ["verify"], ["verify", "--json"]])
def test_an_empty_tar_is_fine(arguments: list[str], folder: Path) -> None:
    (folder / "empty").write_bytes(member(bytes(10240)))
    done = run(*arguments, "empty", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    if "--json" in arguments:
        assert json.loads(done.stdout).get("entries") in ([], 0)


def test_verify_says_intact_or_what_is_wrong(folder: Path) -> None:
    done = run("verify", "model.tar.gz", folder=folder)
    assert (done.returncode, done.stdout) == (
        0,
        f"intact: 2 entries, {len(archives.small().data):,} bytes uncompressed\n",
    )
    assert json.loads(run("verify", "model.tar.gz", "--json", folder=folder).stdout)["intact"] is True
    (folder / "cut.tar.gz").write_bytes((folder / "model.tar.gz").read_bytes()[:-9])
    cut = run("verify", "cut.tar.gz", "--json", folder=folder)
    said = json.loads(cut.stdout)
    assert (cut.returncode, said["intact"], said["error"]) == (1, False, "InvalidArchive")
    assert cut.stderr == f"error: InvalidArchive: {said['why']}\n"
    data = bytearray((folder / "model.tar.gz").read_bytes())
    data[-5] ^= 1
    (folder / "model.tar.gz").write_bytes(data)
    done = run("verify", "model.tar.gz", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: InvalidArchive: model\.tar\.gz: .*\n", done.stderr)


def test_verify_takes_nothing_that_other_readers_refuse_wherever_it_stands(folder: Path) -> None:
    """Behind the first 4 MiB a repack inflates with isal alone, which takes codes that no encoder writes."""
    data = member(Tar([entry("weights", noise(5 << 20))]).data) + streams.member(*streams.spoiled(1))
    (folder / "model.tar.gz").write_bytes(data)
    assert run("inspect", "model.tar.gz", folder=folder).returncode == 0
    done = run("verify", "model.tar.gz", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no deflate data before byte" in done.stderr


def test_a_listing_of_what_turns_out_damaged_is_a_whole_document_that_says_so(folder: Path) -> None:
    data = (folder / "model.tar.gz").read_bytes()
    (folder / "model.tar.gz").write_bytes(data[:-8])
    done = run("inspect", "model.tar.gz", "--json", folder=folder)
    document = json.loads(done.stdout)
    assert (done.returncode, document["error"]) == (1, "InvalidArchive")
    assert [entry["name"] for entry in document["entries"]] == ["model.txt", "code/x.py"]
    assert done.stderr == f"error: InvalidArchive: {document['why']}\n"


def test_a_warning_is_on_stderr_and_in_the_json(folder: Path) -> None:
    (folder / "two").write_bytes(member(archives.small().data + archives.small().data))
    done = run("verify", "two", folder=folder)
    assert done.stderr.startswith("warning: something follows the end of the tar")
    assert len(json.loads(run("verify", "two", "--json", folder=folder).stdout)["warnings"]) == 1


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["repack", "model.tar.gz", "--output", "out"], "MissingHyperparameters"),
        (["repack", "model.tar.gz", "--output", "out", "--hyperparameters", "nowhere"], "MissingHyperparameters"),
        (["repack", "model.tar.gz", "--output", "out", "--add", "a=nowhere"], "SourceNotFound"),
        (["repack", "model.tar.gz", "--output", "out", "--replace-folder", "a=nowhere"], "SourceNotFound"),
        (["repack", "model.tar.gz", "--output", "out", "--add", "a=src", "--add", "a/lib=src/lib"], "InvalidRequest"),
        (["repack", "model.tar.gz", "--output", "out", "--replace-folder", "a=src/inference.py"], "InvalidRequest"),
        (["repack", "model.tar.gz", "--output", "out", "--remove", "../x"], "InvalidRequest"),
        (["repack", "model.tar.gz", "--output", "out", "--strip-root"], "EntryConflict"),
        (
            ["repack", "model.tar.gz", "--output", "out", "--add", f"{WANTED}=src/inference.py"],
            "InvalidHyperparameters",
        ),
        (
            ["repack", "model.tar.gz", "--output", "out", "--add", f"{WANTED}={WANTED}", "--set", "a=1"],
            "InvalidRequest",
        ),
        (["cat", "model.tar.gz", "nowhere"], "EntryNotFound"),
        (["cat", "nowhere", "model.txt"], "SourceNotFound"),
        (
            ["repack", "model.tar.gz", "--output", "out", "--hyperparameters", "src/inference.py"],
            "InvalidHyperparameters",
        ),
        (["repack", "nowhere", "--output", "out", "--set", "a=1"], "SourceNotFound"),
        (["repack", "src", "--output", "out", "--set", "a=1"], "SourceNotFound"),
        (["repack", "hyperparameters.json", "--output", "out", "--set", "a=1"], "InvalidArchive"),
        (["repack", "model.tar.gz", "--output", "src", "--set", "a=1"], "InvalidRequest"),
        (["repack", "model.tar.gz", "--output", "out", "--add", "../a=hyperparameters.json"], "InvalidRequest"),
        (["repack", "model.tar.gz", "--output", "out", "--set", "a=1", "--max-uncompressed", "9"], "ArchiveTooLarge"),
        (["repack", "model.tar.gz", "--output", "out", "--add", "code=hyperparameters.json"], "EntryConflict"),
        (
            [
                "repack",
                "model.tar.gz",
                "--output",
                "out",
                "--add",
                "model.txt=hyperparameters.json",
                "--if-present",
                "error",
            ],
            "EntryExists",
        ),
        (["inspect", "nowhere"], "SourceNotFound"),
        (["verify", "src/inference.py"], "InvalidArchive"),
    ],
)
def test_what_is_refused_is_one_line_and_status_1(arguments: list[str], name: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = run(*arguments, folder=folder)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(rf"error: {name}: [^\n]+\n", done.stderr)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["repack"],
        ["repack", "model.tar.gz"],
        ["unpack", "model.tar.gz"],
        ["repack", "model.tar.gz", "--output", "out", "--set", "a"],
        ["repack", "model.tar.gz", "--output", "out", "--set", "=1"],
        ["repack", "model.tar.gz", "--output", "out", "--add", "a="],
        ["repack", "model.tar.gz", "--output", "out", "--add", "a=src", "--add", "a=empty"],
        ["repack", "model.tar.gz", "--output", "out", "--replace-folder", "a"],
        ["repack", "model.tar.gz", "--output", "out", "--set", "a=1", "--set", "a=2"],
        ["repack", "model.tar.gz", "--output", "out", "--set", "a=False"],
        ["repack", "model.tar.gz", "--set", "a=False"],
        ["cat", "model.tar.gz"],
        ["repack", "model.tar.gz", "--output", "out", "--if-present", "maybe"],
        ["repack", "model.tar.gz", "--output", "out", "--set", "a=1", "--max-ratio", "high"],
        ["repack", "model.tar.gz", "--output", "out", "--set", "a=1", "--max-ratio", "nan"],
        ["repack", "s3://b/m", "--output", "s3://b/o", "--set", "a=1", "--known-sources", "s3://b/known"],
        ["repack", "model.tar.gz", "--output", "-", "--set", "a=1"],
        ["repack", "model.tar.gz", "--output", "out", "--hyperparameters", "-"],
        ["repack", "-", "--output", "out", "--set", "a=1"],
        ["inspect", "-"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], folder: Path) -> None:
    done = run(*arguments, folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_a_missing_output_is_told_before_anything_else(folder: Path) -> None:
    done = run("repack", "nowhere", "--set", "a=False", folder=folder)
    assert done.stderr.endswith("error: the following arguments are required: --output\n")
    assert done.stderr.count("\n") == 2


def test_the_root_may_be_stripped_after_something_was_put_beside_it(folder: Path) -> None:
    (folder / "model.tar.gz").write_bytes(member(Tar([entry("m/w", b"1")]).data))
    told = run("repack", "model.tar.gz", "--set", "a=1", "--output", "model.tar.gz", folder=folder).stderr
    assert "repack --strip-root takes the folder away" in told
    refused = run("repack", "model.tar.gz", "--strip-root", "--output", "model.tar.gz", folder=folder).stderr
    assert refused.endswith("where an earlier repack put it; put it in once more in this one\n")
    assert run("repack", "model.tar.gz", "--strip-root", "--set", "a=1", "--output", "o", folder=folder).stderr == ""
    assert put_in(folder / "o").keys() == {WANTED, "w"}


def test_a_setting_that_only_looks_like_json_is_told_what_to_write(folder: Path) -> None:
    done = run("repack", "model.tar.gz", "--output", "out", "--set", "a=False", folder=folder)
    assert done.stderr.endswith("argument --set: a=False is not JSON; write false, or '\"False\"' for the text\n")
    done = run("repack", "model.tar.gz", "--output", "out", "--set", 'a="False"', folder=folder)
    assert json.loads(put_in(folder / "out")[WANTED]) == {"a": "False"}


EVIL = "evil\n\x1b[31m\x9b name\r"


def test_control_characters_never_reach_the_terminal(folder: Path) -> None:
    parts = [entry(EVIL), entry("link", kind=b"2", link=EVIL), entry(WANTED, b'{"\x1b[2J": 1}\n\tok\xff')]
    (folder / "evil.tar.gz").write_bytes(member(Tar(parts).data))
    shown = run("inspect", "evil.tar.gz", folder=folder)
    assert shown.returncode == 0
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown.stdout)
    assert shown.stdout.count("\n") == 3 + 1 + 2
    assert json.loads(run("inspect", "evil.tar.gz", "--json", folder=folder).stdout)["entries"][0]["name"] == EVIL
    (folder / "evil.tar.gz").write_bytes(member(Tar([entry(f"{WANTED}/{EVIL}")]).data))
    refused = run("repack", "evil.tar.gz", "--set", "a=1", "--output", "out", folder=folder)
    assert re.fullmatch(r"error: EntryConflict: [^\x00-\x1f\x7f-\x9f]+\n", refused.stderr)


def test_names_that_are_no_unicode_are_shown(folder: Path) -> None:
    name = os.fsdecode(b"out-\xff.tar.gz")
    done = run("repack", "model.tar.gz", "--set", "a=1", "--output", name, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert run("verify", name, folder=folder).returncode == 0
    (folder / "odd").write_bytes(member(Tar([entry(name), entry("naïve ☃")]).data))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "lambda_fn", "inspect", "odd"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert (shown.returncode, shown.stderr) == (0, "")


def test_a_forged_mark_does_not_list_entries_twice(folder: Path) -> None:
    (folder / "forged").write_bytes(FORGERIES["a length beyond the truth"])
    listed = [one["name"] for one in json.loads(run("inspect", "forged", "--json", folder=folder).stdout)["entries"]]
    with tarfile.open(folder / "forged") as tar:
        assert listed == tar.getnames()


def test_a_reader_that_has_seen_enough_is_no_failure_to_shout_about(folder: Path) -> None:
    many = Tar([entry(f"file{at}") for at in range(5000)])
    (folder / "many").write_bytes(member(many.data, 1))
    command = f"{sys.executable} -m lambda_fn inspect many | head -1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.stdout.endswith(" file0\n")
    assert done.stderr == ""


def test_a_stdout_that_is_full_is_an_error_of_one_line(folder: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command = [sys.executable, "-m", "lambda_fn", "verify", "model.tar.gz"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_who_closes_stdout_or_stderr_gets_the_archive_all_the_same(closed: str, folder: Path) -> None:
    command = f"{sys.executable} -m lambda_fn repack model.tar.gz --set a=1 --output out.tar.gz {closed}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=folder, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(put_in(folder / "out.tar.gz")[WANTED]) == {"a": 1}


def test_what_shall_outlive_its_terminal_is_not_ended_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        cli.end_tidily()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == cli.terminate
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("option", [[], ["--region", "eu-west-1"]])
def test_without_boto3_an_s3_uri_is_told_what_it_needs(option: list[str], folder: Path) -> None:
    without = "import sys; sys.modules['botocore'] = None; from lambda_fn.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", without, "repack", "s3://b/m.tar.gz", "--set", "a=1", "--output", "out", *option]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"error: InvalidRequest: S3 cannot be reached without botocore\S*, .*pip install.*\n", done.stderr
    )


def test_main_answers_the_status_without_ending_the_process(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(folder / "model.tar.gz")]) == 0
    assert cli.main(["verify", str(folder / "nowhere")]) == 1
    assert capsys.readouterr().err.startswith("error: SourceNotFound: ")


@pytest.mark.parametrize(("script", "before"), [("repack", []), ("model-repacker", ["repack"])])
def test_the_installed_commands_repack(
    script: str, before: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripts = tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"]
    installed = EntryPoint(script, scripts[script], "console_scripts").load()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{script}", *before, "model.tar.gz", "--set", "a=1", "--output", "o"])
    assert installed() == 0
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{script}", *before, "--help"])
    with pytest.raises(SystemExit):
        installed()
    assert f"usage: {shlex.join([script, *before])} SOURCE --output DEST" in capsys.readouterr().out


def test_all_of_it_works_in_s3(folder: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    deployment.put("m.tar.gz", (folder / "model.tar.gz").read_bytes())
    deployment.put("src/a.py", b"a")
    deployment.put("src/lib/b.py", b"b")
    model, output = f"s3://{deployment.models}/m.tar.gz", f"s3://{deployment.outputs}/m.tar.gz"
    reached = ["--endpoint-url", deployment.client.meta.endpoint_url, "--expected-bucket-owner", "000000000000"]
    source = f"code=s3://{deployment.models}/src/"
    stored = ["--storage-class", "STANDARD_IA", "--acl", "bucket-owner-full-control"]
    arguments = ["repack", model, "--set", "a=1", "--replace-folder", source, "--output", output]
    foreseen = json.loads(run(*arguments, *reached, "--dry-run", "--json", folder=folder).stdout)
    assert deployment.left == []
    done = run(*arguments, *reached, *stored, "--json", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["method"] == foreseen["method"]
    assert deployment.client.head_object(Bucket=deployment.outputs, Key="m.tar.gz")["StorageClass"] == "STANDARD_IA"
    listed = json.loads(run("inspect", output, *reached, "--json", folder=folder).stdout)
    assert {one["name"] for one in listed["entries"]} == {"code/a.py", "code/lib/b.py", WANTED, "model.txt"}
    assert json.loads(listed["hyperparameters"]) == {"a": 1}
    assert run("cat", output, "code/lib/b.py", *reached, folder=folder).stdout == "b"
    assert run("verify", output, *reached, folder=folder).returncode == 0


def test_output_over_the_source(folder: Path) -> None:
    before = gunzip((folder / "model.tar.gz").read_bytes())
    done = run("repack", "model.tar.gz", "--set", "a=1", "--output", "model.tar.gz", folder=folder)
    assert done.returncode == 0
    assert gunzip((folder / "model.tar.gz").read_bytes()).endswith(before)
