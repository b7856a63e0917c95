"""What edits of a model of 1 GiB cost, against the smallest one, a graft of hyperparameters. Writes results/edits.md.

python -m benchmarks.edits --rounds 3
"""

from __future__ import annotations

import argparse
import compileall
import shutil
import sys
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path

from .measure import Contender, Runs, machine, race, table, verdict
from .models import EDITS, ROOTED, cached, weights

RESULTS = Path(__file__).parent / "results"
SCRATCH = Path(".cache/benchmarks/scratch")
CODE, ADDED, OUTPUT = (SCRATCH / name for name in ("code", "adapter.bin", "output.tar.gz"))
ADDED_MIB = 200

GRAFT = "add hyperparameters.json"
PROMISES: Mapping[str, float] = {
    "replace code/, twenty files in the middle": 1.15,
    "drop a checkpoint of 205 MiB": 1.05,
    "drop 100 small files spread over the archive": 1.5,
    "take away the one folder that holds ten files": 1.3,
}
"""Times a graft, at most."""
ADD = f"add a file of {ADDED_MIB} MiB of weights"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edits", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default: 3)")
    parser.add_argument("--mib", type=int, default=1024, help="size of the model (default: 1024)")
    options = parser.parse_args()
    compileall.compile_dir("lambda_fn", quiet=1)  # as an installed package is
    make_inputs()
    runs = race(contenders(options.mib), options.rounds)
    shutil.rmtree(SCRATCH)
    RESULTS.joinpath("edits.md").write_text(report(runs, options.rounds, options.mib))
    print(RESULTS.joinpath("edits.md").read_text())


def make_inputs() -> None:
    """What is put in."""
    from numpy.random import default_rng

    shutil.rmtree(SCRATCH, ignore_errors=True)
    CODE.mkdir(parents=True)
    for number in range(20):
        (CODE / f"module{number}.py").write_text(f"print({number})\n" * 200)
    random = default_rng(8)
    with ADDED.open("wb") as file:
        for _ in range(ADDED_MIB):
            file.write(weights(random))


def contenders(mib: int) -> list[Contender]:
    """The edits, each of the model that it is meant for."""
    edits, rooted = cached("weights", mib, EDITS), cached("weights", mib, ROOTED)
    replaced, dropped, many, stripped = PROMISES
    given = {
        GRAFT: (edits, ("--add", f"new.py={CODE}/module1.py")),
        replaced: (edits, ("--replace-folder", f"code={CODE}")),
        dropped: (edits, ("--remove", "checkpoint-*")),
        many: (edits, ("--remove", "log*.json")),
        ADD: (edits, ("--add", f"adapter.bin={ADDED}")),
        stripped: (rooted, ("--strip-root",)),
    }
    command = (sys.executable, "-m", "lambda_fn", "repack", "--quiet", "--output", str(OUTPUT))
    return [Contender(name, (*command, str(model), *how), OUTPUT, model) for name, (model, how) in given.items()]


def report(runs: Mapping[str, Runs], rounds: int, mib: int) -> str:
    """The Markdown page."""
    graft = runs[GRAFT].time
    rows = []
    for name, run in runs.items():
        most = PROMISES.get(name)
        promise = "" if most is None else f"≤ {most}: {verdict(run.time <= most * graft)}"
        rows.append((name, f"{run.time:.2f}", f"{run.time / graft:.2f}", promise, f"{run.peak:.0f}"))
    command = f"python -m benchmarks.edits --rounds {rounds} --mib {mib}"
    how = f"`{command}`, {date.today()}: {machine()}, isal {version('isal')}."
    what = "Whole processes in turn, medians; float32 weights by gzip -6."
    found = table(("edit", "seconds", "× the graft", "promise", "peak MiB"), rows)
    return f"# What edits cost\n\n{how}\n\n{what}\n\n{found}"


if __name__ == "__main__":
    main()
