"""The SageMaker SDK's `repack_model` against ours: the twenty files of a code/ replaced in models on the local disk.

It needs the environments that `make test` makes for both SDKs, and writes sdk.md into benchmarks/results. What is timed
is the call alone, in a new process each: whoever calls it has imported the SDK already.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .measure import Runs, machine, table
from .models import CODE, cached

RESULTS = Path(__file__).parent / "results"
SCRATCH = Path(".cache/benchmarks/scratch-sdk")
NEW_CODE, OUTPUT = SCRATCH / "code", SCRATCH / "output.tar.gz"
PROMISED = {"weights": 14, "compressible": 30}
"""How many times faster than the SDK's own."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk", description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=["weights", "compressible"], help="which models")
    parser.add_argument("--mib", type=int, default=1024, help="their size (default: 1024)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default: 3)")
    parser.add_argument("--call", choices=CALLS, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.call:
        print(json.dumps(call(options.call, options.model)))
        return
    shutil.rmtree(SCRATCH, ignore_errors=True)
    NEW_CODE.mkdir(parents=True)
    for number in range(20):
        (NEW_CODE / f"module{number}.py").write_text(f"NUMBER = {number}\n" * 50)
    rows = [row for kind in options.kinds for row in measured(kind, options.mib, options.rounds)]
    shutil.rmtree(SCRATCH)
    command = (
        f"python -m benchmarks.sdk --kinds {' '.join(options.kinds)} --mib {options.mib} --rounds {options.rounds}"
    )
    page = (
        f"# The SDK's repack_model, and ours\n\n`{command}`, {date.today()}: {machine()}.\n\n"
        "The twenty files of a code/ replaced in a model on the local disk: the call alone, in a new process each, "
        "in turn; medians.\n\n"
        + table(("", "the SDK, s", "ours, s", "times faster", "promised", "the SDK, peak MiB", "ours, peak MiB"), rows)
    )
    RESULTS.joinpath("sdk.md").write_text(page)
    print(page)


def measured(kind: str, mib: int, rounds: int) -> Iterator[tuple[str, ...]]:
    """A row for each SDK."""
    model = cached(kind, mib, CODE)
    for sdk in ("v2", "v3"):
        runs = {who: Runs() for who in CALLS}
        for _ in range(rounds):
            for who, results in runs.items():
                seconds, peak = timed(f".venv-sagemaker-{sdk}/bin/python", who, model)
                print(f"{kind}, {sdk}, {who}: {seconds:.2f} s", file=sys.stderr)
                results.seconds.append(seconds)
                results.peaks.append(peak)
        theirs, ours = runs["theirs"], runs["ours"]
        figures = (f"{theirs.time:.2f}", f"{ours.time:.2f}", f"{theirs.time / ours.time:.1f}", f"{PROMISED[kind]}")
        yield f"{kind}, {sdk}", *figures, f"{theirs.peak:.0f}", f"{ours.peak:.0f}"


def timed(python: str, who: str, model: Path) -> tuple[float, int]:
    """One call's seconds and its process's peak in KiB. The output must hold the new code and none of the old."""
    os.sync()
    command = (python, "-W", "ignore", "-m", "benchmarks.sdk", "--call", who, "--model", str(model))
    environment = {"AWS_DEFAULT_REGION": "us-east-1", **os.environ}  # SDK v3 asks for it when it is imported
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    found = subprocess.run(("tar", "-xzOf", str(OUTPUT), "code/module19.py"), check=True, stdout=subprocess.PIPE).stdout
    if found != (NEW_CODE / "module19.py").read_bytes():
        raise SystemExit(f"{who} made a wrong archive")
    OUTPUT.unlink()
    seconds, peak = json.loads(answer.splitlines()[-1])
    return seconds, peak


def call(who: str, model: Path) -> tuple[float, int]:
    """The call itself, once its function is imported."""
    function = CALLS[who]()
    settings = SimpleNamespace(local_download_dir=str(SCRATCH.resolve()), encrypt_repacked_artifacts=True)
    session = SimpleNamespace(settings=settings)
    with model.open("rb", buffering=0) as source:
        while source.read(1 << 20):
            pass
    begin = time.perf_counter()
    function("module0.py", str(NEW_CODE), [], str(model), str(OUTPUT), session)
    return time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def theirs() -> Callable[..., Any]:
    """The installed SDK's."""
    from lambda_fn.pipeline.sdk_repack import _sdk_modules

    function: Callable[..., Any] = _sdk_modules()[0].repack_model
    return function


def ours() -> Callable[..., Any]:
    """This project's, in the same environment."""
    theirs()
    from lambda_fn.pipeline.sdk_repack import repack_model

    return repack_model


CALLS: dict[str, Callable[[], Callable[..., Any]]] = {"theirs": theirs, "ours": ours}

if __name__ == "__main__":
    main()
