"""The asset that is deployed, run the way Lambda runs it."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import asset
from infra.asset import AssetError, build_asset
from tests.deployment import BESIDE, MODEL, OUTPUT, Deployment, archive
from tests.stand_ins.lambda_service import Function

HANDLER = "lambda_fn.handler.handler"
LIMIT = 60 << 20


@pytest.fixture(scope="module")
def folder() -> Path:
    return build_asset("x86_64")


@pytest.fixture(scope="module")
def python() -> Path:
    return asset.interpreter() or Path(sys.executable)


def files(folder: Path) -> dict[str, str]:
    """Digest by path."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_the_asset_is_small(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < LIMIT
    assert not (folder / "pydantic").exists()


def test_all_code_has_its_byte_code(folder: Path) -> None:
    if asset.interpreter() is None:
        pytest.skip(f"no Python {asset.PYTHON} here to write its byte code")
    sources = list(folder.rglob("*.py"))
    assert folder / "lambda_fn" / "handler.py" in sources
    missing = [path for path in sources if not (path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc").exists()]
    assert missing == []


def test_without_the_runtimes_python_the_sources_are_deployed_and_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(asset, "interpreter", lambda: None)
    bare = build_asset("x86_64")
    assert capsys.readouterr().err.startswith(
        f"warning: no Python {asset.PYTHON} here, so the function gets no byte code"
    )
    compiled = {name for name in files(folder) if name.endswith(".pyc")}
    assert files(bare).keys() == files(folder).keys() - compiled


def test_no_interpreter_is_found_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asset, "PYTHON", "3.99")
    assert asset.interpreter() is None


def test_the_same_input_gives_the_same_asset(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asset, "BUILD", tmp_path / "elsewhere")
    again = build_asset("x86_64")
    assert again.name == folder.name
    assert files(again) == files(folder)


def test_each_architecture_has_its_own_machine_code(folder: Path) -> None:
    def machines(folder: Path) -> set[bytes]:
        return {path.read_bytes()[18:20] for path in folder.rglob("*.so")}

    assert machines(folder) == {b"\x3e\x00"}  # EM_X86_64
    assert machines(build_asset("arm64")) == {b"\xb7\x00"}  # EM_AARCH64


def test_a_change_of_the_code_changes_the_assets_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "lambda_fn"
    shutil.copytree(asset.PACKAGE, copy)
    names = {"ROOT": tmp_path, "PACKAGE": copy, "REQUIREMENTS": copy / "requirements.txt", "__file__": str(copy / "x")}
    (copy / "x").touch()
    for name, value in names.items():
        monkeypatch.setattr(asset, name, value)
    before = asset._digest("x86_64")
    assert asset._digest("x86_64") == before
    (copy / "handler.py").write_text("handler = None\n")
    assert asset._digest("x86_64") != before


def test_what_cannot_be_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("isal==0.0.0\n")
    monkeypatch.setattr(asset, "REQUIREMENTS", requirements)
    with pytest.raises(AssetError, match="isal"):
        asset._install(tmp_path / "asset", asset.PLATFORMS["x86_64"])


def test_under_lambdas_runtime_it_plans_repacks_and_refuses(folder: Path, python: Path, deployment: Deployment) -> None:
    deployment.put(MODEL, archive(6 << 20))
    deployment.put(BESIDE, b'{"depth": 6}')
    event = deployment.event("eventbridge_created")
    with Function(folder, HANDLER, python, deployment.environment) as function:
        plan = function.invoke({"action": "plan", "event": event}).body
        done = function.invoke(plan["request"])
        refused = function.invoke({**plan["request"], "if_present": "perhaps"})
        gone = function.invoke({**plan["request"], "model_uri": f"s3://{deployment.models}/nothing.tar.gz"})
        late = function.invoke({**plan["request"], "hyperparameters": {"depth": 7}, "verify": "always"}, seconds=5)
        queued: Any = function.invoke(deployment.event("sqs"))
    assert (plan["where"], done.kind, done.body["method"]) == ("lambda", "response", "graft")
    assert deployment.hyperparameters() == [("hyperparameters.json", b'{"depth": 6}')]
    assert deployment.left == [OUTPUT]
    assert (refused.kind, refused.body["errorType"]) == ("error", "InvalidRequest")
    assert (gone.kind, gone.body["errorType"]) == ("error", "SourceNotFound")
    assert (late.kind, late.body["errorType"]) == ("error", "OutOfTime")
    assert queued.body == {"batchItemFailures": []}


def test_a_wrong_configuration_is_an_error_of_the_init(folder: Path, python: Path, deployment: Deployment) -> None:
    environment = {**deployment.environment, "REPACK_LAMBDA_LIMIT_BYTES": "ten"}
    with Function(folder, HANDLER, python, environment) as function:
        answer = function.answer()
    assert (answer.kind, answer.body["errorType"]) == ("init/error", "InvalidRequest")
