"""What the demo shows: trees side by side within 80 columns, sizes that people read."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import screen
from tests.deployment import archive


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (20_005_725, "20.0 MB"), (10**12 - 1, "1000.0 GB")],
)
def test_sizes_are_in_decimal_units(count: int, shown: str) -> None:
    assert screen.size(count) == shown


def test_what_only_the_right_archive_holds_stands_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(screen, "COLOURS", True)
    before, after = Path("before.tar.gz"), Path("after.tar.gz")
    before.write_bytes(archive(1000, **{"code/x.py": b"pass"}))
    after.write_bytes(archive(1000, **{"code/x.py": b"pass", "code/new.json": b"{}"}))
    screen.trees(before, after)
    shown = capsys.readouterr().out.splitlines()
    green = [line for line in shown if "\033[32m" in line]
    assert len(green) == 1
    assert "new.json" in green[0]
    assert all(len(line) <= screen.WIDTH for line in shown if line not in green)
