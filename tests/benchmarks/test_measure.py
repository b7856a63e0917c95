"""What is measured is what happened: memory, output, failure, and the order of the runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.measure import Contender, floor, race, table


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_the_peak_is_that_of_the_largest_process_started() -> None:
    grandchild = python("data = bytearray(b'x') * (192 << 20)")
    child = python(f"import subprocess; subprocess.run({grandchild!r}, check=True)")
    assert 192 <= race([Contender("child", child)], 1)["child"].peak < 192 + max(64, floor())


@pytest.mark.slow
def test_the_output_is_weighed_and_removed(tmp_path: Path) -> None:
    output = tmp_path / "output"
    write = python(f"open({str(output)!r}, 'xb').write(bytes(1000))")
    runs = race([Contender("write", write, output)], 2)["write"]
    assert (runs.output_size, len(runs.seconds), output.exists()) == (1000, 2, False)


def test_contenders_run_in_turn(tmp_path: Path) -> None:
    log = tmp_path / "log"
    a, b = (Contender(name, python(f"open({str(log)!r}, 'a').write({name!r})")) for name in "ab")
    race([a, b, b], 2)
    assert log.read_text() == "abbabb"


def test_a_contender_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="bad failed: no such luck"):
        race([Contender("bad", python("raise SystemExit('no such luck')"))], 1)


def test_a_table_is_markdown() -> None:
    assert table(("", "seconds"), [("cp", "0.5")]) == "|  | seconds |\n| --- | ---: |\n| cp | 0.5 |\n"
