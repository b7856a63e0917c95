"""Repacks on the local disk against what people use today, on models of 1 GiB, and of 64 MiB for memory and start.

Writes local.md and local.svg into benchmarks/results and says of every promise whether it was kept.
"""

from __future__ import annotations

import argparse
import compileall
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from .measure import Contender, Runs, floor, machine, race, table, verdict
from .models import cached
from .plot import Bar, bars

RESULTS = Path(__file__).parent / "results"
SCRATCH = Path(".cache/benchmarks/scratch")
HYPERPARAMETERS, OUTPUT, OWN = (SCRATCH / name for name in ("hyperparameters.json", "output.tar.gz", "own.tar.gz"))

USUAL = "extractall, then tarfile w:gz"
INFLATE = "inflate it once (the limit)"
CP = "cp"
GRAFT = "repack, a new name"
FIRST = "repack, replacing the first entry"
LAST = "repack, replacing the last entry"
BOTH = "repack, replacing one at either end"
REWRITE = "repack, where nothing can be kept"
AGAIN = "repack of its own output"
SMALL = 64
"""MiB of the small model."""
OURS = (GRAFT, FIRST, LAST, BOTH, REWRITE, AGAIN)


@dataclass(frozen=True)
class Race:
    """One model's results: `big` by contender for 1 GiB, `small` for 64 MiB, and each of ours' method."""

    kind: str
    source_size: int
    big: dict[str, Runs]
    small: dict[str, Runs]
    methods: dict[str, str]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local", description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=["weights", "compressible"], help="which models")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default: 3)")
    options = parser.parse_args()
    compileall.compile_dir("lambda_fn", quiet=1)  # as an installed package is
    races = [measured(kind, options.rounds) for kind in options.kinds]
    shutil.rmtree(SCRATCH)
    RESULTS.mkdir(exist_ok=True)
    RESULTS.joinpath("local.md").write_text(report(races, options.rounds))
    RESULTS.joinpath("local.svg").write_text(picture(races))
    print(RESULTS.joinpath("local.md").read_text())


def measured(kind: str, rounds: int) -> Race:
    """Everybody's runs with one kind of model."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    HYPERPARAMETERS.write_text('{"learning_rate": 0.01, "epochs": 7}\n')
    small = [*ours(kind, SMALL), rival(INFLATE, "inflate", cached(kind, SMALL))]
    small_runs = race(small, rounds)
    quick = ours(kind, 1024)
    methods = {contender.name: proved(contender) for contender in quick}
    model = cached(kind, 1024)
    quick += [
        rival(INFLATE, "inflate", model),
        *inflaters(model),
        Contender(CP, ("cp", str(OWN), str(OUTPUT)), OUTPUT, OWN),
    ]
    slow = todays(model)
    lap = [*slow[:2], *quick, *slow[2:], *quick]  # more runs where differences are small
    return Race(kind, model.stat().st_size, race(lap, rounds), small_runs, methods)


def ours(kind: str, mib: int) -> list[Contender]:
    """Our repacks: of a model without hyperparameters, with old ones here and there, and of our own output."""
    subprocess.run(repack(cached(kind, mib), OWN, "--set", "epochs=3"), check=True, stdout=subprocess.DEVNULL)
    olds = {GRAFT: "none", FIRST: "first", LAST: "last", BOTH: "both", REWRITE: "fixed"}
    models = {name: cached(kind, mib, old_entry) for name, old_entry in olds.items()}
    repacks = [Contender(name, repack(model, OUTPUT), OUTPUT, model) for name, model in models.items()]
    return [*repacks, Contender(AGAIN, repack(OWN, OUTPUT, "--verify", "never"), OUTPUT, OWN)]


def repack(source: Path, output: Path, *options: str) -> tuple[str, ...]:
    """Our command."""
    command = (sys.executable, "-m", "lambda_fn", "repack", str(source), "--output", str(output), "--quiet")
    return (*command, "--hyperparameters", str(HYPERPARAMETERS), *options)


def todays(model: Path) -> list[Contender]:
    """What people use today, as far as it is on this machine."""
    script = (
        f"mkdir {SCRATCH}/model && tar {{0}} -xf {model} -C {SCRATCH}/model && cp {HYPERPARAMETERS} {SCRATCH}/model && "
        f"tar {{0}} -cf {OUTPUT} -C {SCRATCH}/model . && rm -r {SCRATCH}/model"
    )
    contenders = [
        rival(USUAL, "usual_script", model),
        rival("SageMaker SDK's repack_model", "sagemaker_sdk", model),
        Contender("tar -xzf, then tar -czf", ("sh", "-c", script.format("-z")), OUTPUT, model),
    ]
    if shutil.which("pigz"):
        contenders.append(Contender("the same with tar -I pigz", ("sh", "-c", script.format("-I pigz")), OUTPUT, model))
    return contenders


def inflaters(model: Path) -> list[Contender]:
    """What inflates once with two threads, as far as it is on this machine."""
    commands = {
        "pigz -d": ("pigz", "-d"),
        "rapidgzip -P 2": (str(Path(sys.executable).with_name("rapidgzip")), "-P", "2", "-d"),
    }
    return [
        Contender(f"inflate it once: {name}", (*command, "-c", str(model)), None, model)
        for name, command in commands.items()
        if shutil.which(command[0])
    ]


def rival(name: str, function: str, model: Path) -> Contender:
    """One of `rivals`."""
    command = (sys.executable, "-m", "benchmarks.rivals", function, str(model), str(HYPERPARAMETERS), str(OUTPUT))
    return Contender(name, command, OUTPUT if function != "inflate" else None, model)


def proved(contender: Contender) -> str:
    """Run it once, untimed: GNU tar must find the new hyperparameters alone. Returns the method it used."""
    answer = subprocess.run((*contender.command, "--json"), check=True, capture_output=True, text=True).stdout
    found = subprocess.run(
        ("tar", "-xzOf", str(OUTPUT), "hyperparameters.json"), check=True, capture_output=True
    ).stdout
    if found != HYPERPARAMETERS.read_bytes():
        raise SystemExit(f"{contender.name} made a wrong archive")
    OUTPUT.unlink()
    method: str = json.loads(answer)["method"]
    return method


def report(races: Sequence[Race], rounds: int) -> str:
    """The Markdown page."""
    tools = ", ".join(first_line(tool, "--version") for tool in ("gzip", "tar", "pigz") if shutil.which(tool))
    command = f"python -m benchmarks.local --kinds {' '.join(race.kind for race in races)} --rounds {rounds}"
    how = (
        f"Whole processes in turn, medians: today's ways ran {rounds} times each, the others {2 * rounds} times, "
        "each with its source in the page cache and memory at hand. "
        f"Memory is the peak of the largest process; less than {floor():.0f} MiB is not seen."
    )
    parts = [
        "# Repacks on a local disk\n",
        f"`{command}`, {date.today()}: {machine()}, isal {version('isal')}, {tools}.\n\n{how}\n",
        "![Seconds for each model](local.svg)\n",
        "## Promises\n",
        table(("promise", "measured", ""), promises(races)),
    ]
    for result in races:
        parts += [f"## {result.kind}, 1 GiB, {result.source_size / 2**20:.0f} MiB packed\n", everybody(result)]
    return "\n".join(parts)


def first_line(*command: str) -> str:
    """Of what a command says."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.partition("\n")[0]


def promises(races: Sequence[Race]) -> Iterator[tuple[str, str, str]]:
    """Each promise in words, what was measured, and whether it was kept."""
    for result in races:
        graft, splice, rewrite = {"weights": (21, 12, 6), "compressible": (43, 25, 12)}[result.kind]
        for name, least in ((GRAFT, graft), (FIRST, splice), (LAST, splice), (BOTH, splice), (REWRITE, rewrite)):
            faster = result.big[USUAL].time / result.big[name].time
            yield kept(
                f"{result.kind}: {name}: at least {least} × faster than the usual script", faster, faster >= least
            )
        slower = result.big[GRAFT].time / result.big[INFLATE].time
        most = {"weights": 0.68, "compressible": 0.80}[result.kind]
        yield kept(f"{result.kind}: {GRAFT}: at most {most:.2f} × the limit", slower, slower <= most)
        slower = result.small[GRAFT].time / result.small[INFLATE].time
        yield kept(f"{result.kind}, {SMALL} MiB: {GRAFT}: at most 1.1 × the limit", slower, slower <= 1.1)
        if result.kind == "weights":
            slower = result.big[AGAIN].time / result.big[CP].time
            yield kept(f"{result.kind}: {AGAIN}: at most 1.5 × cp", slower, slower <= 1.5)
            growth = max(result.big[name].output_size / result.big[name].source_size for name in OURS)
            yield kept(f"{result.kind}: output at most 1.02 × the source", growth, growth <= 1.02)
    peak = max(runs.peak for result in races for name in OURS for runs in (result.big[name], result.small[name]))
    yield "peak memory of every repack under 100 MiB", f"{peak:.0f} MiB", verdict(peak < 100)
    growth = max(result.big[name].peak / result.small[name].peak for result in races for name in OURS)
    yield kept(f"peak memory with 1 GiB at most 1.1 × that with {SMALL} MiB", growth, growth <= 1.1)


def kept(promise: str, ratio: float, met: bool) -> tuple[str, str, str]:
    """A promise's row."""
    return promise, f"{ratio:.3f} ×" if ratio < 2 else f"{ratio:.1f} ×", verdict(met)


def everybody(result: Race) -> str:
    """The table of all contenders, slowest first."""
    usual, rows = result.big[USUAL].time, []
    for name, runs in sorted(result.big.items(), key=lambda item: -item[1].time):
        label = f"**{name}** ({result.methods[name]})" if name in OURS else name
        peak = f"{runs.peak:.0f}" + (f" ({result.small[name].peak:.0f} with {SMALL} MiB)" if name in OURS else "")
        size = f"{runs.output_size / runs.source_size - 1:+.1%}" if runs.output_size else ""
        rows.append((label, f"{runs.time:.2f}", f"{usual / runs.time:.1f}", peak, size))
    return table(("", "seconds", "× faster than the usual script", "peak MiB", "output's size"), rows)


def picture(races: Sequence[Race]) -> str:
    """The plot: seconds, slowest first."""
    groups = []
    for result in races:
        usual, chart = result.big[USUAL].time, []
        for name, runs in sorted(result.big.items(), key=lambda item: -item[1].time):
            faster = f", {usual / runs.time:.0f} × faster" if name in OURS else ""
            chart.append(Bar(name, runs.time, f"{runs.time:.1f} s{faster}", name in OURS))
        groups.append((f"{result.kind}, 1 GiB", chart))
    return bars("Seconds to put hyperparameters.json into a packed model", groups, f"{machine()}; less is better")


if __name__ == "__main__":
    main()
