"""Whole processes against each other: who takes how long, in how much memory, for how many bytes of output.

They run in turn, round after round, so that a slow minute of the machine meets all of them; what counts is the
median. Before each run the disk is brought to rest, so that nobody pays for the output of the one before; the source
is read once, so that nobody pays for a disk that others may have made cold; and a large file is written and dropped
where the output will be, since a virtual machine's host may have taken back the memory that the one before has freed,
and whoever writes next would pay for getting it.
This process stays small and imports little: Linux counts a parent's peak as its child's.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

LOAD = os.getloadavg()[0]
DROPPED = 1 << 30
"""Bytes of that file: an output's. With more, the host would be busy taking memory back while the run goes on."""


@dataclass(frozen=True)
class Contender:
    """A command to measure, the output that it makes (removed after each run), and the file that it reads."""

    name: str
    command: tuple[str, ...]
    output: Path | None = None
    source: Path | None = None


@dataclass
class Runs:
    """What was measured of one contender."""

    seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    output_size: int = 0
    source_size: int = 0

    @property
    def time(self) -> float:
        """Median seconds of wall time."""
        return median(self.seconds)

    @property
    def peak(self) -> float:
        """Median of the peak resident memory in MiB, of the largest process where the command starts several."""
        return median(self.peaks) / 1024


def race(lap: Iterable[Contender], rounds: int) -> dict[str, Runs]:
    """Run the lap's contenders in order, `rounds` times; a short one may stand in the lap several times."""
    lap = list(lap)
    results = {contender.name: Runs() for contender in lap}
    for number in range(rounds):
        for contender in lap:
            seconds, peak = run(contender)
            print(f"round {number + 1}: {contender.name}: {seconds:.2f} s, {peak / 1024:.0f} MiB", file=sys.stderr)
            results[contender.name].seconds.append(seconds)
            results[contender.name].peaks.append(peak)
            if contender.source:
                results[contender.name].source_size = contender.source.stat().st_size
            if contender.output:
                results[contender.name].output_size = contender.output.stat().st_size
                contender.output.unlink()
    return results


def run(contender: Contender) -> tuple[float, int]:
    """One run's wall time in seconds and peak memory in KiB; a contender that fails ends the benchmark."""
    os.sync()
    if contender.source:
        with contender.source.open("rb", buffering=0) as source:
            while source.read(1 << 20):
                pass
    if contender.output:
        with tempfile.TemporaryFile(dir=contender.output.parent) as file:
            for _ in range(DROPPED >> 20):
                file.write(bytes(1 << 20))
    with tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(contender.command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{contender.name} failed: {errors.read().decode(errors='replace').strip()}")
    return seconds, usage.ru_maxrss


def floor() -> float:
    """The peak memory in MiB below which nothing is seen: that of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table, its first column to the left and the others to the right."""
    names = list(header)
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def verdict(met: bool) -> str:
    """How a promise was kept."""
    return "met" if met else "**missed**"


def records(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """The same as JSON for whoever computes with it, with the machine that it was measured on."""
    names = list(header)
    measured = [dict(zip(names, row, strict=True)) for row in rows]
    return json.dumps({"machine": machine(), "measured": measured}, indent=1, ensure_ascii=False) + "\n"


def machine() -> str:
    """The machine in a line, and how busy it was with others when this process began."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    cores = len(os.sched_getaffinity(0))
    name = cpu.partition(":")[2].strip() or platform.machine()
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{name}, {cores} cores, {memory:.0f} GiB, {system}, load {LOAD:.1f} before"
