"""The demo's second door, with a small model: what a person is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from examples.upload import upload
from tests.deployment import archive


@pytest.mark.slow
def test_an_upload_waits_is_repacked_goes_the_short_way_and_fails_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = Path("model.tar.gz")
    model.write_bytes(archive(11 << 20))
    upload(model, usual=1.0)
    shown = capsys.readouterr().out
    assert re.findall(r"[✓✗] (waiting|Model Repacked|Model Repack Failed)", shown) == [
        "waiting",
        "Model Repacked",
        "Model Repacked",
        "Model Repack Failed",
    ]
    first, second = re.findall(r"graft: read ([\d.]+) MB", shown)
    assert float(second) < float(first) / 2
    wrong = "InvalidArchive: s3://INPUT/models/churn/model.tar.gz: the archive is cut off"
    assert wrong in " ".join(shown.split())
    assert "The twin is as it was." in shown
