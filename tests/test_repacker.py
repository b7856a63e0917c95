"""A Request becomes a Result: the same for every caller, and typed as the public interface says."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from isal import isal_zlib

import lambda_fn
from lambda_fn.contract import Request, Result
from lambda_fn.core.errors import (
    ArchiveTooLarge,
    InvalidArchive,
    InvalidHyperparameters,
    InvalidRequest,
    MissingHyperparameters,
    RepackError,
    SourceNotFound,
)
from lambda_fn.core.gzip import Limits
from lambda_fn.repacker import forecast, repack, run
from tests.archives import WANTED, Tar, entry, member, small
from tests.stand_ins.faults import unreachable

OLD = b'{"depth": 3, "rounds": 9}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model without hyperparameters, one with, and files to put in."""
    (tmp_path / "model.tar.gz").write_bytes(member(small().data))
    (tmp_path / "trained.tar.gz").write_bytes(member(Tar([entry(WANTED, OLD), *small().parts]).data))
    (tmp_path / "given.json").write_bytes(b'{ "depth": 4,\n "rounds": 5 }')
    (tmp_path / "inference.py").write_bytes(b"print(1)\n")
    return tmp_path


def read(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {item.name: file.read() for item in tar if (file := tar.extractfile(item))}


def request(folder: Path, model: str = "model.tar.gz", **fields: Any) -> Request:
    return Request(str(folder / model), str(folder / "out.tar.gz"), **fields)


def test_the_result_tells_what_was_done(folder: Path) -> None:
    result = run(request(folder, hyperparameters={"depth": 6}))
    source, output = (folder / "model.tar.gz").stat().st_size, (folder / "out.tar.gz").stat().st_size
    held = read(folder / "out.tar.gz")[WANTED]
    assert json.loads(held) == {"depth": 6}
    assert result.method == "graft"
    assert result.hyperparameters_sha256 == hashlib.sha256(held).hexdigest()
    assert (result.source.size, result.output.size) == (source, output)
    assert result.source.entries == len(small().parts)
    assert result.source.uncompressed_size == len(small().data)
    assert result.bytes.uploaded + result.bytes.copied == output
    assert result.bytes.read >= source
    assert not result.warnings
    assert json.loads(json.dumps(result.to_json()))["model_uri"] == str(folder / "model.tar.gz")


def test_all_that_a_request_can_hold_is_put_in(folder: Path) -> None:
    run(
        request(
            folder,
            hyperparameters={"rounds": 7},
            hyperparameters_uri=str(folder / "given.json"),
            files={"code/inference.py": str(folder / "inference.py")},
        )
    )
    held = read(folder / "out.tar.gz")
    assert json.loads(held[WANTED]) == {"depth": 4, "rounds": 7}
    assert held["code/inference.py"] == b"print(1)\n", "the new one"
    assert held["model.txt"] == read(folder / "model.tar.gz")["model.txt"]


def test_given_bytes_are_kept(folder: Path) -> None:
    run(request(folder, hyperparameters_uri=str(folder / "given.json")))
    assert read(folder / "out.tar.gz")[WANTED] == (folder / "given.json").read_bytes()


def test_kept_hyperparameters_are_those_of_the_result(folder: Path) -> None:
    result = run(request(folder, "trained.tar.gz", hyperparameters={"depth": 6}, if_present="keep"))
    assert result.method == "unchanged"
    assert result.hyperparameters_sha256 == hashlib.sha256(OLD).hexdigest()


def test_without_hyperparameters_the_result_names_none(folder: Path) -> None:
    result = run(request(folder, files={"code/new.py": str(folder / "inference.py")}))
    assert result.hyperparameters_sha256 is None


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, MissingHyperparameters),
        ({"hyperparameters_uri": "missing.json"}, MissingHyperparameters),
        ({"files": {"code/x.py": "missing.py"}}, SourceNotFound),
        ({"hyperparameters_uri": "inference.py"}, InvalidHyperparameters),
        ({"hyperparameters_uri": "inference.py", "hyperparameters": {"a": 1}}, InvalidHyperparameters),
    ],
)
def test_what_cannot_be_put_in_is_refused_before_the_model_is_opened(
    fields: dict[str, Any], error: type[Exception], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(error):
        run(request(folder, "there is no such model", **fields))
    assert not (folder / "out.tar.gz").exists()


def test_the_python_interface_takes_paths_and_bytes(folder: Path) -> None:
    result = lambda_fn.repack(str(folder / "model.tar.gz"), str(folder / "new/out.tar.gz"), {WANTED: b"{}"})
    assert isinstance(result, Result)
    assert read(folder / "new/out.tar.gz")[WANTED] == b"{}"


def zeros(size: int) -> bytes:
    """A tar of one file of so many zeros, packed to a thousandth."""
    part = entry("zeros")
    header = tarfile.TarInfo("zeros")
    header.size = size
    compressor = isal_zlib.compressobj(1, wbits=31)
    packed: bytes = compressor.compress(header.tobuf() + part.blocks[512:])
    mib = bytes(1 << 20)
    packed += b"".join(compressor.compress(mib) for _ in range(size >> 20))
    return packed + compressor.compress(bytes(1024)) + compressor.flush()


def test_a_bomb_is_refused_unless_the_limit_is_raised(folder: Path) -> None:
    model, output = folder / "bomb.tar.gz", folder / "out.tar.gz"
    model.write_bytes(zeros(1040 << 20))
    with pytest.raises(ArchiveTooLarge, match="more than 200 times its size"):
        lambda_fn.repack(str(model), str(output), {WANTED: b"{}"})
    assert not output.exists()
    lambda_fn.repack(str(model), str(output), {WANTED: b"{}"}, limits=Limits(ratio=2000))
    with pytest.raises(ArchiveTooLarge, match="more than 1000000000 bytes"):
        lambda_fn.repack(str(model), str(output), {WANTED: b"{}"}, limits=Limits(uncompressed=10**9, ratio=2000))


def test_what_is_wrong_with_the_model_has_its_name(folder: Path) -> None:
    (folder / "model.tar.gz").write_bytes(gzip.compress(b"no tar at all, but long enough to be looked at" * 20))
    with pytest.raises(InvalidArchive):
        run(request(folder, hyperparameters={}))


def test_no_hyperparameters_are_an_object_too_on_their_way_through_a_state_machine() -> None:
    request = Request("s3://m/in.tar.gz", "s3://m/out.tar.gz", {})
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request
    assert "files" not in request.to_json()


def test_the_result_warns_of_what_sagemaker_stumbles_over_in_the_output(folder: Path) -> None:
    parts = [entry("._w"), entry("out", kind=b"2", link="../x"), entry("code/old.py"), *small().parts]
    (folder / "odd.tar.gz").write_bytes(member(Tar(parts).data))
    named = {"sagemaker_program": "new.py"}
    told = run(request(folder, "odd.tar.gz", hyperparameters=named)).warnings
    assert [sentence.split()[0] for sentence in told] == ["out", "._w", "the"]
    put = {"code/new.py": str(folder / "inference.py")}
    assert run(request(folder, "odd.tar.gz", hyperparameters=named, files=put, remove=("._*", "out"))).warnings == ()
    foreseen = forecast(request(folder, "odd.tar.gz", hyperparameters=named))
    assert foreseen.warnings == told


def test_a_folder_that_holds_everything_is_told_unless_it_is_taken_away(folder: Path) -> None:
    (folder / "top.tar.gz").write_bytes(member(Tar([entry("m/w"), entry(f"m/{WANTED}", OLD)]).data))
    (told,) = run(request(folder, "top.tar.gz", hyperparameters={"depth": 4})).warnings
    assert told.startswith(f"everything lies in the folder m/ (m/{WANTED}, too, ")
    asked = request(folder, "top.tar.gz", hyperparameters={"depth": 4}, merge_hyperparameters=True, strip_root=True)
    assert run(asked).warnings == ()
    assert json.loads(read(folder / "out.tar.gz")[WANTED]) == {"depth": 4, "rounds": 9}


def test_hyperparameters_are_checked_however_they_come_and_their_file_is_named(folder: Path) -> None:
    (folder / "bad.json").write_bytes(b'{"depth": 4,}')
    bad = str(folder / "bad.json")
    for fields in ({"hyperparameters_uri": bad}, {"files": {WANTED: bad}}):
        with pytest.raises(InvalidHyperparameters, match=r"bad\.json cannot be read as JSON in line 1: remove the"):
            run(request(folder, **fields))
    for given in (Path(bad), b"{'depth': 4}", {"depth": float("nan")}):
        with pytest.raises(InvalidHyperparameters):
            lambda_fn.repack(str(folder / "model.tar.gz"), str(folder / "out.tar.gz"), {WANTED: given})
    assert not (folder / "out.tar.gz").exists()


@pytest.mark.parametrize("if_present", ["keep", "error"])
def test_merging_changes_what_is_there(if_present: Any, folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="if_present can only be replace"):
        request(folder, hyperparameters={"a": 1}, merge_hyperparameters=True, if_present=if_present)


def test_what_is_put_in_is_dated_as_reproducible_builds_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = tmp_path / "model.tar.gz", tmp_path / "out.tar.gz"
    source.write_bytes(member(Tar([entry("a")]).data))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1234567890")
    repack(source, output, {"new": b"1"})
    with tarfile.open(output) as tar:
        assert [int(info.mtime) for info in tar] == [1_234_567_890, 1_700_000_000]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InvalidRequest, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        repack(source, output, {"new": b"1"})


def test_an_archive_is_not_put_into_itself(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    source = tmp_path / "p/model.tar.gz"
    source.write_bytes(member(Tar([entry("a")]).data))
    for given in ({"files": {"code": tmp_path / "p"}}, {"folders": {"code": tmp_path / "p"}}):
        with pytest.raises(InvalidRequest, match=r"lies in .*, which is put in"):
            repack(source, tmp_path / "out.tar.gz", **given)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=r"lies in .*, which is put in"):
        run(Request(str(source), str(tmp_path / "p/out.tar.gz"), files={"code": str(tmp_path / "p")}))


def test_an_output_does_not_replace_what_is_put_in(tmp_path: Path) -> None:
    source, given = tmp_path / "model.tar.gz", tmp_path / "hyperparameters.json"
    source.write_bytes(member(Tar([entry("a")]).data))
    given.write_bytes(b"{}")
    (tmp_path / "link").symlink_to(given)
    for output in (str(given), str(tmp_path / "link")):
        with pytest.raises(InvalidRequest, match="would be replaced by the output"):
            run(Request(str(source), output, hyperparameters_uri=str(given)))
    with pytest.raises(InvalidRequest, match="would be replaced by the output"):
        run(Request(str(source), "s3://b/code.tar.gz", folders={"code": "s3://b/code.tar.gz"}))
    assert given.read_bytes() == b"{}"


def test_an_output_that_would_be_refused_as_a_bomb_is_told(tmp_path: Path) -> None:
    source, output, limits = tmp_path / "model.tar.gz", tmp_path / "out.tar.gz", Limits(uncompressed=50_000)
    source.write_bytes(member(Tar([entry("a")]).data))
    assert repack(source, output, {"zeros": bytes(10_000)}, limits=limits).warnings == ()
    (told,) = repack(source, output, {"zeros": bytes(100_000)}, limits=limits).warnings
    assert told.startswith("of the output: the archive unpacks to more than 50000 bytes")
    with pytest.raises(ArchiveTooLarge):
        repack(output, tmp_path / "again", {"b": b""}, limits=limits)
    (tmp_path / "zeros").write_bytes(bytes(100_000))
    foreseen = forecast(Request(str(source), str(output), files={"z": str(tmp_path / "zeros")}), limits=limits)
    assert foreseen.warnings == (told,)


@pytest.mark.parametrize(
    ("model", "output", "given"),
    [
        ("s3://b/in.tar.gz", "s3://b/code/out.tar.gz", {"folders": {"code": "s3://b/code/"}}),
        ("s3://b/in.tar.gz", "s3://b/code/out.tar.gz", {"folders": {"code": "s3://b/code"}}),
        ("s3://b/in.tar.gz", "s3://b/code/out.tar.gz", {"files": {"code": "s3://b/code/"}}),
        ("s3://b/code/in.tar.gz", "s3://b/out.tar.gz", {"folders": {"code": "s3://b"}}),
    ],
)
def test_an_archive_in_s3_is_not_put_into_itself(model: str, output: str, given: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"lies in .*, which is put in"):
        run(Request(model, output, **given), s3=unreachable())
    apart: Any = {name: {"code": "s3://b/cod/"} for name in given}
    with pytest.raises(RepackError) as refused:
        run(Request(model, output, **apart), s3=unreachable())
    assert "lies in" not in str(refused.value)


@pytest.mark.parametrize("given", [{5: b""}, [("a", b"")], {Path("a"): b""}])
def test_what_is_no_table_of_files_is_refused(given: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="files must be a dict"):
        repack(tmp_path / "m", tmp_path / "o", given)


def test_an_output_that_cannot_be_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    source = tmp_path / "model.tar.gz"
    source.write_bytes(member(Tar([entry("a")]).data))
    request = Request(str(source), str(source / "x/out.tar.gz"), {"a": 1})
    for carry_out in (run, forecast):
        with pytest.raises(InvalidRequest, match="is no folder"):
            carry_out(request)
