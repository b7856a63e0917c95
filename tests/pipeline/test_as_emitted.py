"""The definition run as it was emitted: from S3, in a bare Python without a network, back to S3."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sagemaker", reason="the SageMaker SDK is in environments of its own")

from lambda_fn.contract import Request
from lambda_fn.pipeline import sdk, shipped
from lambda_fn.pipeline.builder_dummy_training_step import DummyTrainingStepBuilder
from lambda_fn.pipeline.config_dummy_training_step import DummyTrainingConfig
from lambda_fn.repacker import run
from lambda_fn.stores.s3 import S3Access
from tests.stand_ins.downstream import PACKAGING, PAYLOAD, ROLE, following

pytestmark = [pytest.mark.needs("unshare"), pytest.mark.filterwarnings("ignore")]  # the SDK's own warnings

MODEL = {"model.bin": bytes(range(256)) * 256, "code/inference.py": b"pass\n"}
OUTPUT = "p/dummy_training/output/execution/model.tar.gz"


@pytest.fixture
def build(session: Any, s3: Any, make_archive: Callable[..., bytes]) -> Callable[..., DummyTrainingStepBuilder]:
    """A builder for a model that lies in S3."""
    s3.put_object(Bucket="models", Key="in/model.tar.gz", Body=make_archive(MODEL))

    def builder(**settings: Any) -> DummyTrainingStepBuilder:
        plain = {
            "pipeline_s3_loc": "s3://models/p",
            "pretrained_model_path": "s3://models/in/model.tar.gz",
            "hyperparameters": {"depth": 6},
        }
        return DummyTrainingStepBuilder(DummyTrainingConfig(**{**plain, **settings}), session, ROLE)

    return builder


Build = Callable[..., DummyTrainingStepBuilder]


def held(s3: Any, key: str) -> bytes:
    body: bytes = s3.get_object(Bucket="models", Key=key)["Body"].read()
    return body


def exists(s3: Any, key: str) -> bool:
    return bool(s3.list_objects_v2(Bucket="models", Prefix=key)["KeyCount"])


def test_the_step_runs_as_emitted(
    build: Build, define: Callable[..., Any], sagemaker: Any, s3: Any, entries_of: Callable[..., Any]
) -> None:
    ended = sagemaker.run_pipeline(define(build(enable_network_isolation=True).create_step()))["DummyTraining"]
    assert (ended.status, ended.exit_message) == (0, ""), ended.log
    found = entries_of(held(s3, OUTPUT))
    assert json.loads(found.pop("hyperparameters.json")) == {"depth": 6}
    assert found == MODEL


def test_parameters_are_resolved_when_it_runs(
    build: Build, define: Callable[..., Any], sagemaker: Any, s3: Any, make_archive: Callable[..., bytes]
) -> None:
    s3.put_object(Bucket="models", Key="other/churn-v3.tar.gz", Body=make_archive({"other.bin": b"1"}))
    s3.put_object(Bucket="models", Key="other/churn-v3.tar.gz.bak", Body=b"no archive")
    model = sdk.ParameterString(name="Model", default_value="s3://models/in/model.tar.gz")
    definition = define(build(pretrained_model_path=model).create_step(), parameters=[model])
    sagemaker.known["Parameters.Model"] = "s3://models/other/churn-v3.tar.gz"
    assert sagemaker.run_pipeline(definition)["DummyTraining"].status == 0
    with tarfile.open(fileobj=io.BytesIO(held(s3, OUTPUT))) as tar:
        assert sorted(tar.getnames()) == ["hyperparameters.json", "other.bin"]


def test_without_hyperparameters_the_model_is_copied_on(
    build: Build, define: Callable[..., Any], sagemaker: Any, s3: Any
) -> None:
    step = build(hyperparameters=None, hyperparameters_required=False).create_step()
    ended = sagemaker.run_pipeline(define(step))["DummyTraining"]
    assert ended.status == 0, ended.log
    assert held(s3, OUTPUT) == held(s3, "in/model.tar.gz")


def test_shipped_wheels_can_be_imported_in_the_job(
    build: Build, define: Callable[..., Any], sagemaker: Any, tmp_path: Path
) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "isal-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("isal/__init__.py", "import sys; print('a wheel was imported', file=sys.stderr)")
    ended = sagemaker.run_pipeline(define(build(wheels=tmp_path).create_step()))["DummyTraining"]
    assert ended.status == 0, ended.log
    assert "a wheel was imported" in ended.log


def test_a_lambda_step_s_request_makes_the_same_archive(
    build: Build,
    define: Callable[..., Any],
    resolved: Callable[..., Any],
    boto_session: Any,
    s3: Any,
    entries_of: Callable[..., Any],
) -> None:
    function = "arn:aws:lambda:us-east-1:123456789012:function:repacker"
    (step,) = define(build(where="lambda", function_arn=function).create_step())["Steps"]
    request = Request.from_json(resolved(step["Arguments"], {"Execution.PipelineExecutionId": "execution"}))
    answer = run(request, s3=S3Access(boto_session.client("s3"))).flat()
    assert {output["OutputName"] for output in step["OutputParameters"]} <= set(answer)
    assert answer["output_uri"] == f"s3://models/{OUTPUT}"
    found = entries_of(held(s3, OUTPUT))
    assert json.loads(found.pop("hyperparameters.json")) == {"depth": 6}
    assert found == MODEL


def without_code(ml: Path) -> None:
    (ml / "processing/input/code" / shipped.ARCHIVE).unlink()


def damaged_code(ml: Path) -> None:
    (ml / "processing/input/code" / shipped.ARCHIVE).write_bytes(b"\x1f\x8b")


def no_archive(ml: Path) -> None:
    (ml / "processing/input/model/model.tar.gz").write_bytes(b"not an archive")


def cut_archive(ml: Path) -> None:
    model = ml / "processing/input/model/model.tar.gz"
    model.write_bytes(model.read_bytes()[:-100])


def no_hyperparameters(ml: Path) -> None:
    (ml / "processing/input/config/hyperparameters.json").unlink()


def no_json(ml: Path) -> None:
    (ml / "processing/input/config/hyperparameters.json").write_text("depth: 6")


def unreadable_model(ml: Path) -> None:
    (ml / "processing/input/model/model.tar.gz").chmod(0)


def unreadable_folder(ml: Path) -> None:
    (ml / "processing/input/config").chmod(0)


def unwritable_output(ml: Path) -> None:
    (ml / "processing/output/model").chmod(0o555)


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (without_code, "CodeMissing: "),
        (damaged_code, "CodeMissing: "),
        (no_archive, "InvalidArchive: "),
        (cut_archive, "InvalidArchive: "),
        (no_hyperparameters, "MissingHyperparameters: "),
        (no_json, "InvalidHyperparameters: "),
        (unreadable_model, "AccessDenied: "),
        (unreadable_folder, "AccessDenied: "),
        (unwritable_output, "AccessDenied: "),
    ],
)
def test_a_job_that_fails_says_why_in_log_and_exit_message(
    build: Build,
    define: Callable[..., Any],
    sagemaker: Any,
    resolved: Callable[..., Any],
    tamper: Callable[[Path], None],
    reason: str,
) -> None:
    (step,) = define(build().create_step())["Steps"]
    ended = sagemaker.run_job(resolved(step["Arguments"], sagemaker.known), tamper)
    assert ended.status == 1
    assert ended.exit_message.startswith(reason)
    assert len(ended.exit_message.splitlines()) == 1
    assert ended.exit_message.strip() in ended.log
    assert "Traceback" not in ended.log
    assert not exists(sagemaker.s3, OUTPUT)
    assert not list((sagemaker.place / "ml/processing/output/model").iterdir())


@pytest.mark.parametrize(
    "old",
    [
        {},
        {"hyperparameters.json": b'{"depth": 1}'},
        {"./hyperparameters.json": b'{"depth": 1}'},
    ],
    ids=["none", "one", "spelled-differently"],
)
def test_packaging_and_payload_see_the_hyperparameters(
    build: Build,
    define: Callable[..., Any],
    sagemaker: Any,
    session: Any,
    s3: Any,
    tmp_path: Path,
    make_archive: Callable[..., bytes],
    entries_of: Callable[..., Any],
    old: dict[str, bytes],
) -> None:
    s3.put_object(Bucket="models", Key="in/model.tar.gz", Body=make_archive({**MODEL, **old}))
    builder = build()
    training = builder.create_step()
    packaging = following(session, tmp_path, "packaged", PACKAGING, builder.output(training))
    packaged = sdk.resolve(packaging, "properties.ProcessingOutputConfig.Outputs['packaged'].S3Output.S3Uri")
    direct = following(session, tmp_path, "payload", PAYLOAD, builder.output(training))
    last = following(session, tmp_path, "payload2", PAYLOAD.replace("/payload/", "/payload2/"), packaged)
    ended = sagemaker.run_pipeline(define(training, packaging, direct, last))
    assert [job.status for job in ended.values()] == [0] * 4, "".join(job.log for job in ended.values())
    expected = [{"depth": 6, "sample": number} for number in range(3)]
    assert json.loads(held(s3, "payload/samples.json")) == expected
    assert json.loads(held(s3, "payload2/samples.json")) == expected
    found = entries_of(held(s3, "packaged/model.tar.gz"))
    assert json.loads(found["hyperparameters.json"]) == {"depth": 6}
    assert set(found) == {*MODEL, "code/serve.py", "hyperparameters.json"}
