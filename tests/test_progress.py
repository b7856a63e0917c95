"""Progress is a bar on a terminal, a line now and then elsewhere, and nothing when it is not wanted."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from lambda_fn import progress

ROOT = Path(__file__).parents[1]


def test_nothing_when_it_is_not_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    with progress.shown_progress(False) as tell:
        tell(1, 2)
    assert capfd.readouterr() == ("", "")


def test_plain_lines_now_and_then_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with progress.shown_progress() as tell:
        for second in range(1, 13):
            now = float(second)
            tell(second * 1_000_000, 12_000_000)
        now = 100.0
        tell(0, 0)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "41 % of 12,000,000 bytes, 1 MB/s",
        "83 % of 12,000,000 bytes, 1 MB/s",
        "0 % of 0 bytes, 0 MB/s",
    ]


BAR = """
from lambda_fn.progress import shown_progress
with shown_progress() as tell:
    tell(512 << 10, 2 << 20)
    import time
    time.sleep(0.2)
    tell(2 << 20, 2 << 20)
"""


def test_a_bar_with_bytes_speed_and_time_left_on_a_terminal() -> None:
    pytest.importorskip("tqdm")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    os.set_blocking(ours, False)
    try:
        subprocess.run([sys.executable, "-c", BAR], stderr=theirs, cwd=ROOT, check=True)
        shown = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert re.search(r"2\.00M/2\.00M \[00:00<00:00, .*B/s", shown)
    assert shown.endswith("\r"), "the bar goes when all is done"
