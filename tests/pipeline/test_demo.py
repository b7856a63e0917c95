"""The demo's third door, with a small model: what a person is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("sagemaker", reason="the SageMaker SDK is in environments of its own")

from examples.step import step

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own


@pytest.mark.needs("unshare")
def test_the_next_step_finds_the_hyperparameters(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make_archive: Callable[..., bytes],
) -> None:
    monkeypatch.chdir(tmp_path)
    model = Path("model.tar.gz")
    model.write_bytes(make_archive({"model.bin": b"weights"}))
    step(model, usual=1.0)
    shown = capsys.readouterr().out
    assert "The hyperparameters were found." in shown
    assert "├─ hyperparameters.json" in shown
