"""The script, as pipelines call it and from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from isal import isal_zlib

from lambda_fn.contract import (
    AccessDenied,
    ArchiveTooLarge,
    EntryExists,
    InvalidArchive,
    InvalidHyperparameters,
    InvalidRequest,
    MissingHyperparameters,
    SourceNotFound,
)
from lambda_fn.pipeline import dummy_training
from lambda_fn.pipeline.dummy_training import main

HYPERPARAMETERS = b'{"depth": 6}'
MODEL = {"model.bin": bytes(range(256)) * 64, "code/inference.py": b"pass\n"}


class Job:
    """The folders of one job."""

    def __init__(self, root: Path) -> None:
        self.model = root / "input/model/model.tar.gz"
        self.hyperparameters = root / "input/config/hyperparameters.json"
        self.output = root / "output/model"
        for folder in (self.model.parent, self.hyperparameters.parent, self.output):
            folder.mkdir(parents=True)

    @property
    def inputs(self) -> dict[str, str]:
        return {"pretrained_model_path": str(self.model), "hyperparameters_path": str(self.hyperparameters)}

    def run(self, **environment: str) -> Path:
        return main(self.inputs, {"model_input": str(self.output)}, environment)


@pytest.fixture
def job(tmp_path: Path, make_archive: Callable[[Mapping[str, bytes]], bytes]) -> Job:
    """A job with a model and hyperparameters."""
    made = Job(tmp_path)
    made.model.write_bytes(make_archive(MODEL))
    made.hyperparameters.write_bytes(HYPERPARAMETERS)
    return made


def test_the_output_holds_the_model_and_the_hyperparameters(job: Job, entries_of: Callable[..., object]) -> None:
    output = job.run()
    assert output == job.output / "model.tar.gz"
    assert entries_of(output.read_bytes()) == {**MODEL, "hyperparameters.json": HYPERPARAMETERS}


def test_the_newer_names_of_the_channels_and_folders_for_files_are_accepted(job: Job) -> None:
    inputs = {
        "model_artifacts_input": str(job.model.parent),
        "hyperparameters_s3_uri": str(job.hyperparameters.parent),
    }
    assert main(inputs, {"model_output": str(job.output)}, {}, None).stat().st_size


@pytest.mark.parametrize("name", ["churn-v3.tar.gz", "a b.tar.gz", "churn.tgz", "CHURN.TAR.GZ"])
def test_a_file_that_kept_its_own_name_in_s3_is_found(job: Job, name: str) -> None:
    job.model.rename(job.model.parent / name)
    job.hyperparameters.rename(job.hyperparameters.parent / "params-v3.json")
    assert job.run().exists()


def test_a_neighbour_that_came_with_the_same_prefix_does_not_matter(job: Job) -> None:
    (job.model.parent / "model.tar.gz.bak").write_bytes(b"old")
    (job.model.parent / "model.tar.gz.tar.gz").write_bytes(b"older")
    assert job.run().exists()


def test_what_macos_puts_beside_a_file_does_not_count(job: Job) -> None:
    job.model.rename(job.model.parent / "churn.tar.gz")
    job.hyperparameters.rename(job.hyperparameters.parent / "params.json")
    for folder, name in ((job.model.parent, "._churn.tar.gz"), (job.hyperparameters.parent, "._params.json")):
        (folder / name).write_bytes(b"\0\5\x16\7")
    assert job.run().exists()


def test_two_candidates_are_refused_by_name(job: Job) -> None:
    job.model.rename(job.model.parent / "a.tar.gz")
    (job.model.parent / "b.tar.gz").write_bytes(b"")
    with pytest.raises(InvalidRequest, match=r"a\.tar\.gz, b\.tar\.gz but no model\.tar\.gz"):
        job.run()


def test_a_missing_model_is_named(job: Job) -> None:
    job.model.unlink()
    with pytest.raises(SourceNotFound, match=rf"{job.model}, where there is no file at all"):
        job.run()
    for name in ("model.zip", "._model.tar.gz", "weights.bin"):
        (job.model.parent / name).write_bytes(b"")
    with pytest.raises(SourceNotFound, match=r"where there is model\.zip, weights\.bin; give"):
        job.run()


def test_of_many_files_that_are_no_model_ten_are_named(job: Job) -> None:
    job.model.unlink()
    for number in range(12):
        (job.model.parent / f"{number:02}.bin").write_bytes(b"")
    with pytest.raises(SourceNotFound, match=r"08\.bin, 09\.bin and 2 more; give"):
        job.run()


def test_hyperparameters_of_another_suffix_are_named(job: Job) -> None:
    job.hyperparameters.rename(job.hyperparameters.parent / "params.yaml")
    with pytest.raises(MissingHyperparameters, match=r"where there is params\.yaml; .* as a \.json"):
        job.run()


def test_missing_hyperparameters_are_an_error_that_says_what_to_do(job: Job) -> None:
    job.hyperparameters.unlink()
    with pytest.raises(MissingHyperparameters, match="hyperparameters_required=False"):
        job.run()
    assert not list(job.output.iterdir())


def test_without_hyperparameters_the_model_is_copied_on_unchanged(job: Job) -> None:
    job.hyperparameters.unlink()
    assert job.run(HYPERPARAMETERS_REQUIRED="false").read_bytes() == job.model.read_bytes()


def test_without_hyperparameters_the_model_is_validated_all_the_same(job: Job) -> None:
    job.hyperparameters.unlink()
    job.model.write_bytes(job.model.read_bytes()[:-9])
    with pytest.raises(InvalidArchive):
        job.run(HYPERPARAMETERS_REQUIRED="false")
    assert not list(job.output.iterdir())


@pytest.mark.parametrize("name", ["hyperparameters.json", "./hyperparameters.json"])
@pytest.mark.parametrize("own", [b'{"old": 1}', b"{}"])
def test_a_model_with_hyperparameters_of_its_own_needs_none(
    job: Job, name: str, own: bytes, make_archive: Callable[..., bytes], entries_of: Callable[..., dict[str, bytes]]
) -> None:
    job.hyperparameters.unlink()
    job.model.write_bytes(make_archive({**MODEL, name: own}))
    found = entries_of(job.run(HYPERPARAMETERS_REQUIRED="unless_in_model").read_bytes())
    assert found["hyperparameters.json" if "hyperparameters.json" in found else name] == own
    assert len(found) == len(MODEL) + 1


def test_a_model_without_hyperparameters_of_its_own_needs_some(
    job: Job, entries_of: Callable[..., dict[str, bytes]]
) -> None:
    output = job.run(HYPERPARAMETERS_REQUIRED="unless_in_model")
    assert entries_of(output.read_bytes())["hyperparameters.json"] == HYPERPARAMETERS
    output.unlink()
    job.hyperparameters.unlink()
    with pytest.raises(MissingHyperparameters, match=r"neither does the model hold hyperparameters\.json nor"):
        job.run(HYPERPARAMETERS_REQUIRED="unless_in_model")
    assert not list(job.output.iterdir())


@pytest.fixture
def zeros(job: Job) -> Job:
    """A job with a model of 1 GiB and a bit that is all zeros: a new, sparse-initialised one."""
    entry = tarfile.TarInfo("model.bin")
    entry.size = 1025 << 20
    packer = isal_zlib.compressobj(1, wbits=31)
    pieces = [entry.tobuf(), *[bytes(1 << 20)] * 1025, bytes(1024)]
    job.model.write_bytes(b"".join(map(packer.compress, pieces)) + packer.flush())
    return job


def test_the_limit_of_the_ratio_can_be_raised(zeros: Job) -> None:
    with pytest.raises(ArchiveTooLarge, match="200 times its size"):
        zeros.run()
    assert zeros.run(RATIO_LIMIT="5000").exists()


def test_hyperparameters_that_are_there_are_put_in_even_if_not_required(
    job: Job, entries_of: Callable[..., dict[str, bytes]]
) -> None:
    output = job.run(HYPERPARAMETERS_REQUIRED="false")
    assert entries_of(output.read_bytes())["hyperparameters.json"] == HYPERPARAMETERS


@pytest.mark.parametrize(("if_present", "kept"), [("replace", HYPERPARAMETERS), ("keep", b'{"old": 1}')])
def test_if_present_decides_between_old_and_new(
    job: Job,
    if_present: str,
    kept: bytes,
    make_archive: Callable[..., bytes],
    entries_of: Callable[..., dict[str, bytes]],
) -> None:
    job.model.write_bytes(make_archive({**MODEL, "hyperparameters.json": b'{"old": 1}'}))
    output = job.run(IF_PRESENT=if_present)
    assert entries_of(output.read_bytes()) == {**MODEL, "hyperparameters.json": kept}


def test_if_present_error_refuses(job: Job, make_archive: Callable[..., bytes]) -> None:
    job.model.write_bytes(make_archive({**MODEL, "hyperparameters.json": b"{}"}))
    with pytest.raises(EntryExists):
        job.run(IF_PRESENT="error")


@pytest.mark.parametrize(
    "environment",
    [{"IF_PRESENT": "perhaps"}, {"HYPERPARAMETERS_REQUIRED": "no"}, {"RATIO_LIMIT": "many"}, {"RATIO_LIMIT": "0.5"}],
)
def test_a_setting_that_is_none_is_refused(job: Job, environment: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match=f"{next(iter(environment.values()))}"):
        job.run(**environment)


@pytest.mark.parametrize("data", [b"", b"not an archive", b"\x1f\x8b\x08" + bytes(40)])
def test_what_is_no_archive_is_refused_and_nothing_is_left(job: Job, data: bytes) -> None:
    job.model.write_bytes(data)
    with pytest.raises(InvalidArchive):
        job.run()
    assert not list(job.output.iterdir())


@pytest.mark.parametrize("data", [b"", b"[1]", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff"])
def test_what_are_no_hyperparameters_is_refused(job: Job, data: bytes) -> None:
    job.hyperparameters.write_bytes(data)
    with pytest.raises(InvalidHyperparameters):
        job.run()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything; the job as emitted tests this without")
def test_files_that_may_not_be_read_are_named(job: Job) -> None:
    job.model.parent.chmod(0)
    with pytest.raises(AccessDenied, match=str(job.model.parent)):
        job.run()


def test_no_path_for_a_channel_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="pretrained_model_path"):
        main({}, {"model_input": "/nowhere"}, {})


def command(job: Job) -> list[str]:
    return [
        *(sys.executable, "-m", "lambda_fn.pipeline.dummy_training"),
        *("--pretrained-model-path", str(job.model)),
        *("--hyperparameters-path", str(job.hyperparameters)),
        *("--output-dir", str(job.output)),
    ]


def test_the_command_line_has_a_parameter_for_each_path(job: Job, entries_of: Callable[..., dict[str, bytes]]) -> None:
    run = subprocess.run(command(job), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(entries_of((job.output / "model.tar.gz").read_bytes())["hyperparameters.json"]) == {"depth": 6}
    assert "graft" in run.stderr


def test_the_log_says_which_inflater_ran(job: Job, tmp_path: Path) -> None:
    plain = subprocess.run([sys.executable, "-S", *command(job)[1:]], capture_output=True, text=True)
    assert "inflates with zlib" in plain.stderr
    (tmp_path / "isal").mkdir()
    (tmp_path / "isal/__init__.py").write_text("raise ImportError('made for another Python')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    other = subprocess.run(command(job), capture_output=True, text=True, env=environment)
    assert "because isal cannot be imported: made for another Python" in other.stderr


def test_the_command_line_ends_with_the_error_s_name_and_sentence(job: Job) -> None:
    job.model.write_bytes(b"not an archive")
    run = subprocess.run(command(job), capture_output=True, text=True)
    assert run.returncode == 1
    assert "ERROR InvalidArchive: " in run.stderr
    assert "Traceback" not in run.stderr


def test_the_exit_message_is_cut_at_a_whole_character(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = tmp_path / "output/message"
    monkeypatch.setattr(dummy_training, "EXIT_MESSAGE", message)
    assert dummy_training._fail("InvalidArchive: " + "ü" * 2000) == 1
    assert 1022 <= message.stat().st_size <= 1024
    assert message.read_text(encoding="utf-8").endswith("ü")
