"""The general step: what its config asks for is what becomes of the model, in a job as emitted and by a request."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

pytest.importorskip("sagemaker", reason="the SageMaker SDK is in environments of its own")

from lambda_fn.contract import Request
from lambda_fn.pipeline import sdk
from lambda_fn.pipeline.builder_repack_step import RepackStepBuilder
from lambda_fn.pipeline.config_repack_step import RepackStepConfig
from lambda_fn.pipeline.repack_step_contract import REPACK_STEP_CONTRACT
from lambda_fn.pipeline.repack_step_spec import REPACK_STEP_SPEC
from lambda_fn.repacker import run
from lambda_fn.stores.s3 import S3Access

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own

ROLE = "arn:aws:iam::123456789012:role/pipeline"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:repacker"
ROOT = Path(__file__).parents[2]
OUTPUT = "p/repack/output/execution/model.tar.gz"
MODEL = {
    "model.bin": bytes(range(256)) * 256,
    "hyperparameters.json": b'{"depth": 6}',
    "code/inference.py": b"old\n",
    "code/old.py": b"old, too\n",
    "checkpoint-1/optimizer.bin": b"o",
}


@pytest.fixture
def place(tmp_path: Path, s3: Any, make_archive: Callable[..., bytes]) -> Path:
    """The user's own files, on disk and in S3."""
    files = {
        "src/inference.py": b"new\n",
        "src/run.sh": b"#!/bin/sh\n",
        "src/pkg/__init__.py": b"",
        "serve.py": b"serve\n",
        "shared/a.py": b"a\n",
        "calibration/calibration.json": b"{}",
        "local.txt": b"local\n",
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "src/run.sh").chmod(0o755)
    put = {
        "in/model.tar.gz": make_archive(MODEL),
        "in/rooted.tar.gz": make_archive({f"churn/{name}": data for name, data in MODEL.items()}),
        "src/code.tar.gz": make_archive({"inference.py": b"from s3\n", "new.py": b"new\n"}),
        "src/code.tar.gz.bak": b"no archive",
        "tokenizer/vocab.txt": b"words\n",
        "tokenizer/deep/merges.txt": b"merges\n",
        "tokenizer-2/other.txt": b"other\n",
        "cards/README.md": b"card\n",
        "cards/README.md.old": b"old card\n",
    }
    for key, data in put.items():
        s3.put_object(Bucket="models", Key=key, Body=data)
    return tmp_path


def config(**settings: Any) -> RepackStepConfig:
    plain = {"pipeline_s3_loc": "s3://models/p", "pretrained_model_path": "s3://models/in/model.tar.gz"}
    return RepackStepConfig(**{**plain, **settings})


Build = Callable[..., RepackStepBuilder]


@pytest.fixture
def build(session: Any) -> Build:
    return lambda **settings: RepackStepBuilder(config(**settings), session, ROLE)


def tree(data: bytes) -> dict[str, Any]:
    """Path → bytes and mode of the files, as extracting leaves them."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = [member for member in tar if member.isfile()]
        return {member.name: (tar.extractfile(member).read(), member.mode) for member in files}  # type: ignore[union-attr]


OF_THE_ARCHIVE = {name: (data, 0o644) for name, data in MODEL.items()}
KEPT = {name: what for name, what in OF_THE_ARCHIVE.items() if not name.startswith("code/")}
NEW_CODE = {"code/inference.py": (b"new\n", 0o644), "code/run.sh": (b"#!/bin/sh\n", 0o755)}
NEW_CODE["code/pkg/__init__.py"] = (b"", 0o644)

EDITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a folder of code": ({"code": "src"}, {**KEPT, **NEW_CODE}),
    "a file of code": ({"code": "serve.py"}, {**OF_THE_ARCHIVE, "code/serve.py": (b"serve\n", 0o644)}),
    "code in S3": (
        {"code": "s3://models/src/code.tar.gz"},
        {**OF_THE_ARCHIVE, "code/inference.py": (b"from s3\n", 0o644), "code/new.py": (b"new\n", 0o644)},
    ),
    "dependencies beside new code": (
        {"code": "src", "dependencies": ["shared", "serve.py"]},
        {**KEPT, **NEW_CODE, "code/lib/shared/a.py": (b"a\n", 0o644), "code/lib/serve.py": (b"serve\n", 0o644)},
    ),
    "a flattened dependency": ({"dependencies": ["shared/"]}, {**OF_THE_ARCHIVE, "code/lib/a.py": (b"a\n", 0o644)}),
    "files": (
        {"files": {"notes/local.txt": "local.txt", "README.md": "s3://models/cards/README.md"}},
        {**OF_THE_ARCHIVE, "notes/local.txt": (b"local\n", 0o644), "README.md": (b"card\n", 0o644)},
    ),
    "folders": (
        {"folders": {"tokenizer": "s3://models/tokenizer", "code": "s3://models/src/code.tar.gz"}},
        {
            **KEPT,
            "tokenizer/vocab.txt": (b"words\n", 0o644),
            "tokenizer/deep/merges.txt": (b"merges\n", 0o644),
            "code/inference.py": (b"from s3\n", 0o644),
            "code/new.py": (b"new\n", 0o644),
        },
    ),
    "removals": (
        {"remove": ["checkpoint-*", "code/old.py"]},
        {k: v for k, v in OF_THE_ARCHIVE.items() if k not in ("checkpoint-1/optimizer.bin", "code/old.py")},
    ),
    "a stripped root": (
        {"pretrained_model_path": "s3://models/in/rooted.tar.gz", "strip_root": True},
        OF_THE_ARCHIVE,
    ),
    "hyperparameters": (
        {"hyperparameters": {"depth": 7}, "code": "src"},
        {**KEPT, **NEW_CODE, "hyperparameters.json": (b'{\n  "depth": 7\n}\n', 0o644)},
    ),
    "folders laid over": (
        {"files": {"code": "src", "tokenizer": "s3://models/tokenizer/"}},
        {
            **OF_THE_ARCHIVE,
            **NEW_CODE,
            "tokenizer/vocab.txt": (b"words\n", 0o644),
            "tokenizer/deep/merges.txt": (b"merges\n", 0o644),
        },
    ),
}


@pytest.mark.parametrize(("settings", "expected"), EDITS.values(), ids=EDITS)
@pytest.mark.parametrize(
    "where", [pytest.param("processing", marks=pytest.mark.needs("unshare")), "lambda", "callback"]
)
def test_the_model_becomes_what_was_asked_for(
    build: Build,
    define: Callable[..., Any],
    resolved: Callable[..., Any],
    request: pytest.FixtureRequest,
    s3: Any,
    boto_session: Any,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    settings: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    monkeypatch.chdir(place)
    builder = build(where=where, function_arn=ARN, queue_url="https://sqs.us-east-1.amazonaws.com/1/queue", **settings)
    definition = define(builder.create_step())
    if where == "processing":
        (ended,) = request.getfixturevalue("sagemaker").run_pipeline(definition).values()
        assert (ended.status, ended.exit_message) == (0, ""), ended.log
    else:
        (step,) = definition["Steps"]
        asked = Request.from_json(resolved(step["Arguments"], {"Execution.PipelineExecutionId": "execution"}))
        run(asked, s3=S3Access(boto_session.client("s3")))
    assert tree(s3.get_object(Bucket="models", Key=OUTPUT)["Body"].read()) == expected


@pytest.mark.needs("unshare")
def test_model_and_code_may_be_known_only_when_the_pipeline_runs(
    build: Build, define: Callable[..., Any], sagemaker: Any, s3: Any, place: Path
) -> None:
    model, code = sdk.ParameterString(name="Model"), sdk.ParameterString(name="Code")
    step = build(pretrained_model_path=model, code=code).create_step()
    definition = define(step, parameters=[model, code])
    sagemaker.known["Parameters.Model"] = "s3://models/in/model.tar.gz"
    sagemaker.known["Parameters.Code"] = "s3://models/src/code.tar.gz"
    (ended,) = sagemaker.run_pipeline(definition).values()
    assert ended.status == 0, ended.log
    found = tree(s3.get_object(Bucket="models", Key=OUTPUT)["Body"].read())
    assert found == EDITS["code in S3"][1]


@pytest.mark.needs("unshare")
def test_packaging_is_what_extracting_and_packing_anew_gives(
    build: Build, define: Callable[..., Any], sagemaker: Any, s3: Any, place: Path
) -> None:
    model = s3.get_object(Bucket="models", Key="in/model.tar.gz")["Body"].read()
    by_hand = place / "working"
    with tarfile.open(fileobj=io.BytesIO(model)) as tar:
        tar.extractall(by_hand, filter="data")
    for name, source in {"code": "src", "calibration": "calibration"}.items():
        shutil.copytree(place / source, by_hand / name, dirs_exist_ok=True)
    step = build(files={"code": place / "src", "calibration": place / "calibration"}).create_step()
    (ended,) = sagemaker.run_pipeline(define(step)).values()
    assert ended.status == 0, ended.log
    found = tree(s3.get_object(Bucket="models", Key=OUTPUT)["Body"].read())
    files = {str(file.relative_to(by_hand)): file for file in by_hand.rglob("*") if file.is_file()}
    assert found == {name: (file.read_bytes(), file.stat().st_mode & 0o777) for name, file in files.items()}
    assert "hyperparameters.json" in found


def test_two_builds_give_the_same_definition_and_another_edit_another(
    build: Build, define: Callable[..., Any], s3: Any, place: Path
) -> None:
    first = define(build(code=place / "src").create_step())
    assert define(build(code=place / "src").create_step()) == first
    (place / "src/run.sh").chmod(0o644)
    assert define(build(code=place / "src").create_step()) != first


def test_the_environment_tells_the_sdk_to_leave_the_model_alone(build: Build, place: Path) -> None:
    inside = "/opt/ml/model/code"
    for settings, script in (
        ({"code": place / "src", "entry_point": "inference.py"}, "inference.py"),
        ({"code": place / "serve.py"}, "serve.py"),
    ):
        environment = build(**settings).environment()
        assert environment == {"SAGEMAKER_PROGRAM": script, "SAGEMAKER_SUBMIT_DIRECTORY": inside}
    with pytest.raises(ValueError, match="set entry_point"):
        build(code=place / "src").environment()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"code": "nowhere"}, "there is no file or folder"),
        ({"code": "s3://models/code.zip"}, r"is no \.tar\.gz or \.tgz"),
        ({"dependencies": ["nowhere"]}, "there is no file or folder"),
        ({"folders": {"a": "serve.py"}}, "is a file; give it by files"),
        ({"files": {"../a": "serve.py"}}, "cannot be a name in the archive"),
        ({"remove": ["!a"]}, "is no pattern of entries to remove"),
        ({"code": "src", "folders": {"code": "src"}}, "code/ is given twice"),
        (
            {"code": "src", "entry_point": "infer.py"},
            r"entry_point is infer\.py, but there is no such file",
        ),
        ({"files": {"hyperparameters.json": "serve.py"}}, "give it by hyperparameters"),
        ({"hyperparameters_required": "unless_in_model", "if_present": "error"}, "expects what if_present"),
    ],
)
def test_a_config_that_cannot_be_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], says: str
) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(ValidationError, match=says):
        config(**settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dependencies": ["serve.py", "other/serve.py"]}, r"code/lib/serve\.py is given twice"),
        ({"code": "src", "files": {"code/run.sh": "serve.py"}}, r"code/run\.sh is given twice"),
        ({"folders": {"a": "src", "a/pkg": "src/pkg"}}, r"a/pkg/__init__\.py is given twice"),
        ({"files": {f"{n}": f"s3://models/{n}.txt" for n in range(7)}}, "7 files and folders lie in S3, and a job has"),
        ({"files": {"big": "big.bin"}}, "at most 64 MiB are packed"),
        ({"where": "lambda", "function_arn": ARN}, "there is nothing for"),
        ({"hyperparameters_required": True}, "there are no hyperparameters"),
        (
            {"hyperparameters_required": "unless_in_model", "code": "src", "where": "lambda", "function_arn": ARN},
            "cannot ask the model for its own",
        ),
    ],
)
def test_a_step_that_cannot_be_built_is_refused(
    build: Build, place: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], says: str
) -> None:
    monkeypatch.chdir(place)
    (place / "other").mkdir()
    (place / "other/serve.py").write_text("")
    with (place / "big.bin").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(ValueError, match=says):
        build(**settings).create_step()


def test_script_contract_and_specification_agree() -> None:
    assert REPACK_STEP_SPEC.validate_contract_alignment().is_valid
    result = REPACK_STEP_CONTRACT.validate_implementation(ROOT / "lambda_fn/pipeline/repack_step.py")
    assert (result.errors, result.warnings) == ([], [])


def test_an_unknown_edit_is_the_packer_s_and_not_silently_less(tmp_path: Path) -> None:
    from lambda_fn.pipeline.repack_step import main

    (tmp_path / "edit.json").write_text(json.dumps({"files": {}, "folders": {}}))
    with pytest.raises(KeyError, match="remove"):
        main({"edit_path": str(tmp_path)}, {}, {})
