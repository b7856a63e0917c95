"""Repacks inside S3 against download, usual script and upload, on the same LocalStack, for models of several sizes.

Writes s3.md, and s3.json with the same figures, into benchmarks/results. Seconds are of a stand-in on this machine:
only their ratio says something.
Requests and bytes are counted by a proxy, in a run of its own that is not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tests.stand_ins.faults import Proxy
from tests.stand_ins.localstack import localstack

from .measure import Contender, Runs, floor, machine, race, records, table
from .models import cached

RESULTS = Path(__file__).parent / "results"
BUCKET = "benchmark"
MODEL, OLD, MANY, OWN = (f"s3://{BUCKET}/{name}.tar.gz" for name in ("none", "last", "many", "own"))
KNOWN = f"s3://{BUCKET}/known/"

FIRST = "repack, the first time"
REPLACED = "an old entry replaced"
REWRITTEN = "nine old entries replaced"
ANOTHER = "another output of a known model"
SECOND = "repack of its own output"
SAME = "the same request again"
USUAL = "download, usual script, upload"
MIB = 1 << 20
HEADER = ("", "s", "times faster", "peak MiB", "requests", "MiB read", "MiB uploaded", "MiB copied", "method, proof")


@dataclass(frozen=True)
class Cost:
    """What one repack asked of S3, as the proxy saw it and as the Result tells."""

    requests: int
    received: int
    sent: int
    copied: int
    method: str
    proof: str | None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.s3", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 256, 1024], metavar="MIB", help="of the models")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is run (default: 1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, localstack() as url:
        hyperparameters = Path(folder, "hyperparameters.json")
        hyperparameters.write_text('{"learning_rate": 0.01, "epochs": 7}\n')
        os.environ.update(environment(url))
        client().create_bucket(Bucket=BUCKET)
        least = floor()
        rows = [row for size in options.sizes for row in measured(size, options.rounds, hyperparameters, url)]
    RESULTS.mkdir(exist_ok=True)
    RESULTS.joinpath("s3.json").write_text(records(HEADER, rows))
    RESULTS.joinpath("s3.md").write_text(report(rows, options.sizes, options.rounds, least))
    print(RESULTS.joinpath("s3.md").read_text())


def measured(mib: int, rounds: int, hyperparameters: Path, url: str) -> Iterator[tuple[str, ...]]:
    """The table's rows for one size."""
    for old_entry in ("none", "last", "many"):
        client().upload_file(str(cached("weights", mib, old_entry)), BUCKET, f"{old_entry}.tar.gz")
    size = cached("weights", mib).stat().st_size
    known = repack(MODEL, hyperparameters, "--output", OWN, "--known-sources", KNOWN)
    subprocess.run(known, check=True, stdout=subprocess.DEVNULL)
    ours = {
        FIRST: anew(repack(MODEL, hyperparameters)),
        REPLACED: anew(repack(OLD, hyperparameters)),
        REWRITTEN: anew(repack(MANY, hyperparameters)),
        ANOTHER: anew(repack(MODEL, hyperparameters, "--known-sources", KNOWN)),
        SECOND: anew(repack(OWN, hyperparameters)),
        SAME: known,
    }
    usual = (sys.executable, "-m", "benchmarks.s3", "usual", str(hyperparameters))
    runs = race((Contender(name, command) for name, command in {**ours, USUAL: usual}.items()), rounds)
    for name, command in ours.items():
        cost = counted(command, url)
        how = (str(cost.requests), mebibytes(cost.received), mebibytes(cost.sent), mebibytes(cost.copied))
        yield row(mib, name, runs, (*how, f"{cost.method}, {cost.proof or 'nothing written'}"))
    yield row(mib, USUAL, runs, ("", mebibytes(size), mebibytes(size), "0", "rewrite, nothing"))


def row(mib: int, name: str, runs: dict[str, Runs], cost: Sequence[str]) -> tuple[str, ...]:
    """One contender's line of the table."""
    times = f"{runs[USUAL].time / runs[name].time:.1f}"
    return (f"{mib} MiB: {name}", f"{runs[name].time:.2f}", times, f"{runs[name].peak:.0f}", *cost)


def repack(source: str, hyperparameters: Path, *options: str) -> tuple[str, ...]:
    """Our command."""
    command = (sys.executable, "-m", "lambda_fn", "repack", source, "--json", "--quiet")
    return (*command, "--hyperparameters", str(hyperparameters), *options)


def anew(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command with other hyperparameters and another output every time, so that nothing is there already."""
    script = f'run=$(date +%s%N); exec "$@" --set run=$run --output s3://{BUCKET}/$run.tar.gz'
    return ("sh", "-c", script, "sh", *command)


def counted(command: tuple[str, ...], url: str) -> Cost:
    """One run of ours behind the proxy."""
    with Proxy(url) as proxy:
        run = subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment(proxy.url)})
        result = json.loads(run.stdout)
        sent = sum(seen.sent for seen in proxy.seen if seen.operation in ("UploadPart", "PutObject"))
        method, copied, proof = result["method"], result["bytes"]["copied"], result["output"]["proof"]
        return Cost(len(proxy.seen), proxy.received, sent, copied, method, proof)


def usual(hyperparameters: Path) -> None:
    """What people use today."""
    from .rivals import usual_script

    with tempfile.TemporaryDirectory() as folder, closing(client()) as s3:
        source, output = Path(folder, "model.tar.gz"), Path(folder, "output.tar.gz")
        s3.download_file(BUCKET, "none.tar.gz", str(source))
        usual_script(source, hyperparameters, output)
        s3.upload_file(str(output), BUCKET, "usual.tar.gz")


def client() -> Any:
    """boto3's client, by the environment."""
    import boto3

    return boto3.client("s3")


def environment(url: str) -> dict[str, str]:
    """What points every AWS client of a process there."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    return {**keys, "AWS_ENDPOINT_URL_S3": url}


def mebibytes(size: int) -> str:
    """As the table shows it."""
    return f"{size / MIB:.1f}" if size >= MIB / 10 else f"{size / MIB:.3f}"


def report(rows: Sequence[tuple[str, ...]], sizes: Sequence[int], rounds: int, least: float) -> str:
    """The Markdown page; `least` is what this process took before it made any models, in MiB."""
    command = f"python -m benchmarks.s3 --sizes {' '.join(map(str, sizes))} --rounds {rounds}"
    return (
        f"# Repacks inside S3\n\n`{command}`, {date.today()}: {machine()}, LocalStack on the same machine.\n\n"
        "Whole processes in turn, medians. Weights packed by gzip -6. The server shares the machine's cores, and its "
        "copies and uploads are this machine's disk: what carries over to AWS is what moves, not how fast. Peaks are "
        f"upper bounds: this process's own memory counts as the least ({least:.0f} to {floor():.0f} MiB).\n\n"
        + table(HEADER, rows)
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["usual"]:
        usual(Path(sys.argv[2]))
    else:
        main()
