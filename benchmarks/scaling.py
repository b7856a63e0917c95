"""How a survey scales with cores: what its main thread does itself, and what more cores than there are here would give.

The main thread joins what the helpers have inflated, and walks the tar. However many cores there are, a survey takes no
less than that: so its own CPU time is what bounds scaling. The rest is divided. Writes scaling.md into
benchmarks/results; what is extrapolated is said to be.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from statistics import median

from .measure import machine, table
from .models import KINDS, cached

RESULTS = Path(__file__).parent / "results"
HELPERS = (0, 1, 2, 4)
MORE_CORES = (4, 8, 16)
GOAL = 0.12
"""CPU seconds of the main thread per GiB of weights."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default: 3)")
    parser.add_argument("--survey", nargs=2, metavar=("MODEL", "HELPERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.survey:
        print(json.dumps(surveyed(options.survey[0], int(options.survey[1]))))
        return
    how = f"`python -m benchmarks.scaling --rounds {options.rounds}`, {date.today()}: {machine()}"
    parts = ["# A survey on more cores\n", f"{how}. Medians, run in turn; seconds per GiB of the tar.\n"]
    for kind in KINDS:
        parts += [f"## {kind}, 1 GiB\n", *page(runs(cached(kind, 1024), options.rounds))]
    RESULTS.mkdir(exist_ok=True)
    RESULTS.joinpath("scaling.md").write_text("\n".join(parts))
    print(RESULTS.joinpath("scaling.md").read_text())


def surveyed(model: str, helpers: int) -> dict[str, float]:
    """One survey in this process: seconds per GiB, by the clock and of CPU, and MiB at most."""
    from lambda_fn.core.edit import Edit
    from lambda_fn.core.gzip import Limits
    from lambda_fn.core.prefix import read_head
    from lambda_fn.core.survey import survey
    from lambda_fn.stores.local import LocalSource

    source = LocalSource(model)
    wall, main_thread, process = time.perf_counter(), time.thread_time(), time.process_time()
    found = survey(source, read_head(source), Edit({}), Limits(), lambda done, total: None, helpers=helpers)
    assert found.uncompressed_size
    gib = found.uncompressed_size / 2**30
    return {
        "wall": (time.perf_counter() - wall) / gib,
        "main": (time.thread_time() - main_thread) / gib,
        "cpu": (time.process_time() - process) / gib,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def runs(model: Path, rounds: int) -> dict[int, dict[str, float]]:
    """Medians by number of helpers, each run in a process of its own."""
    told: dict[int, list[dict[str, float]]] = {helpers: [] for helpers in HELPERS}
    for _ in range(rounds):
        for helpers in HELPERS:
            command = (sys.executable, "-m", "benchmarks.scaling", "--survey", str(model), str(helpers))
            told[helpers].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
            print(helpers, told[helpers][-1], file=sys.stderr)
    return {helpers: {name: median(run[name] for run in of) for name in of[0]} for helpers, of in told.items()}


def page(measured: dict[int, dict[str, float]]) -> list[str]:
    """What was measured, and what follows for more cores."""
    rows = [
        (str(helpers), *(f"{run[name]:.2f}" for name in ("wall", "main", "cpu")), f"{run['peak']:.0f}")
        for helpers, run in measured.items()
    ]
    alone, helped = measured[0]["wall"], measured[2]
    foreseen = [(cores, max(helped["main"], helped["cpu"] / cores)) for cores in MORE_CORES]
    verdict = "met" if helped["main"] <= GOAL else "missed"
    return [
        table(("helpers", "wall", "main thread's CPU", "all CPU", "peak MiB"), rows),
        f"The main thread's own {helped['main']:.2f} s per GiB ({GOAL} asked: {verdict}) bound what more cores give. "
        "Extrapolated from two helpers, not measured: "
        + ", ".join(f"{cores} cores {seconds:.2f} s ({alone / seconds:.1f} ×)" for cores, seconds in foreseen)
        + ".\n",
    ]


if __name__ == "__main__":
    main()
