"""How long the deployed function takes to start, against a handler that does nothing but make a boto3 S3 client.

Each start is a fresh interpreter with Lambda's own runtime client, from its start until it asks for the first event.
Writes cold_start.md into benchmarks/results.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from datetime import date
from pathlib import Path

from infra import asset
from tests.stand_ins.lambda_service import UV, Function

from .measure import machine, records, table

RESULTS = Path(__file__).parent / "results"
SCRATCH = Path(".cache/benchmarks/cold_start").absolute()
TARGET = 1.3
BOTO3 = "boto3==1.44.5"

OURS, BARE, EMPTY = "our handler", "a boto3 S3 client", "nothing at all"
HANDLERS = {
    BARE: "import boto3\n\nclient = boto3.client('s3')\n\n\ndef handler(event, context):\n    return None\n",
    EMPTY: "def handler(event, context):\n    return None\n",
}
HEADER = ("the handler's module makes", "init, ms (median)", "fastest", "to boto3")
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "REPACK_OUTPUT_BUCKET": "outputs",
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="how often each is started (default: 30)")
    rounds = parser.parse_args().rounds
    python = asset.interpreter()
    if python is None:
        raise SystemExit(f"error: this needs Python {asset.PYTHON}: `uv python install {asset.PYTHON}`")
    folder = asset.build_asset({"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine])
    contenders = {
        OURS: (folder, "lambda_fn.handler.handler"),
        BARE: (made(BARE, python, BOTO3), "bare.handler"),
        EMPTY: (made(EMPTY, python), "bare.handler"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for folder, handler in contenders.values():
        start(folder, handler, python)  # the first one reads from the disk
    for _ in range(rounds):
        for name, (folder, handler) in contenders.items():
            seconds[name].append(start(folder, handler, python))
    RESULTS.mkdir(exist_ok=True)
    RESULTS.joinpath("cold_start.json").write_text(records(HEADER, rows(seconds)))
    RESULTS.joinpath("cold_start.md").write_text(report(seconds, contenders[OURS][0], rounds))
    print(RESULTS.joinpath("cold_start.md").read_text())


def made(name: str, python: Path, *requirements: str) -> Path:
    """The folder of one of HANDLERS, with byte code as ours has it."""
    folder = SCRATCH / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bare.py").write_text(HANDLERS[name])
    if requirements:
        install = (UV, "pip", "install", "--quiet", "--python", str(python), "--target", str(folder))
        subprocess.run((*install, *requirements), check=True)
    compile_all = (str(python), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(folder))
    subprocess.run(compile_all, check=True)
    return folder


def start(folder: Path, handler: str, python: Path) -> float:
    """Seconds of one init."""
    function = Function(folder, handler, python, ENVIRONMENT)
    began = time.perf_counter()
    with function:
        if not function.ready.wait(60):
            raise SystemExit(f"{handler} does not start")
        return time.perf_counter() - began


def rows(seconds: dict[str, list[float]]) -> list[tuple[str, ...]]:
    """The table's."""
    medians = {name: statistics.median(runs) for name, runs in seconds.items()}
    return [
        (name, f"{medians[name] * 1000:.0f}", f"{min(runs) * 1000:.0f}", f"{medians[name] / medians[BARE]:.2f}")
        for name, runs in seconds.items()
    ]


def report(seconds: dict[str, list[float]], folder: Path, times: int) -> str:
    """The Markdown page."""
    ratio = statistics.median(seconds[OURS]) / statistics.median(seconds[BARE])
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
    how = f"`python -m benchmarks.cold_start --rounds {times}`, {date.today()}: {machine()}"
    verdict = "kept" if ratio <= TARGET else "not kept"
    parts = (
        "# Cold start of the Lambda\n",
        f"{how}; Lambda's runtime client on Python {asset.PYTHON}.\n",
        table(HEADER, rows(seconds)),
        f"Promise: at most {TARGET} times a boto3 S3 client's init. Measured: {ratio:.2f}, {verdict}.",
        f"The asset has {size:.1f} MiB, its byte code included.\n",
    )
    return "\n".join(parts)


if __name__ == "__main__":
    main()
