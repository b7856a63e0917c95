"""A survey of a model in S3 against one of the same model on disk: what reading from S3 costs beside the survey itself.

S3 is nginx on loopback, which only serves ranges of files, as fast as they can be served. Both run in turn, as whole
processes (`verify`), the start of Python and of a client included. Writes s3_survey.md into benchmarks/results.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from tests.stand_ins.localstack import free_port

from .measure import machine, table
from .models import KINDS, cached

RESULTS = Path(__file__).parent / "results"
GOAL = 1.15
CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{ }}
http {{ access_log off; sendfile on; keepalive_requests 100000;
  server {{ listen 127.0.0.1:{port}; root {folder}/root; }} }}
"""


@dataclass(frozen=True)
class Cost:
    """Of one process and its children."""

    wall: float
    cpu: float


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.s3_survey", description=__doc__)
    parser.add_argument("--mib", type=int, default=512, help="the models' size unpacked (default: 512)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: 5)")
    options = parser.parse_args()
    rows = [row for kind in KINDS for row in compared(kind, options.mib, options.rounds)]
    header = ("", "MiB", "from", "s", "CPU s per GiB", "s, times disk", "CPU, times disk")
    how = f"`python -m benchmarks.s3_survey --mib {options.mib} --rounds {options.rounds}`, {date.today()}: {machine()}"
    verdict = "kept" if all(float(row[5]) <= GOAL for row in rows) else "not kept"
    parts = (
        "# A survey from S3 against one from disk\n",
        f"{how}. Medians of whole processes, run in turn; nginx serves on a core that the survey shares.\n",
        table(header, rows),
        f"Promise: at most {GOAL} times the seconds from disk: {verdict}.\n",
    )
    RESULTS.joinpath("s3_survey.md").write_text("\n".join(parts))
    print("\n".join(parts))


def compared(kind: str, mib: int, rounds: int) -> Iterator[tuple[str, ...]]:
    """The table's rows for one kind of model."""
    model = cached(kind, mib)
    with nginx(model) as url:
        costs: dict[str, list[Cost]] = {"disk": [], "S3": []}
        for _ in range(rounds):
            costs["disk"].append(verified(str(model), url))
            costs["S3"].append(verified(f"s3://bucket/{model.name}", url))
    disk = Cost(median(cost.wall for cost in costs["disk"]), median(cost.cpu for cost in costs["disk"]))
    for place, measured in costs.items():
        wall, cpu = median(cost.wall for cost in measured), median(cost.cpu for cost in measured)
        yield (
            kind,
            f"{model.stat().st_size / 2**20:.0f}",
            place,
            f"{wall:.2f}",
            f"{cpu / mib * 1024:.2f}",
            f"{wall / disk.wall:.2f}",
            f"{cpu / disk.cpu:.2f}",
        )


def verified(source: str, url: str) -> Cost:
    """One process."""
    credentials = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "body", "AWS_DEFAULT_REGION": "us-east-1"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "lambda_fn", "verify", source],
        env={**os.environ, **credentials, "AWS_ENDPOINT_URL_S3": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{source} could not be verified")
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)


@contextmanager
def nginx(model: Path) -> Iterator[str]:
    """The URL of a server that has the model in a bucket named `bucket`."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise SystemExit("nginx is not installed")
    with tempfile.TemporaryDirectory() as folder:
        bucket = Path(folder, "root", "bucket")
        bucket.mkdir(parents=True)
        bucket.joinpath(model.name).symlink_to(model.resolve())
        Path(folder).chmod(0o755)
        port = free_port()
        Path(folder, "conf").write_text(CONFIGURATION.format(folder=folder, port=port))
        server = subprocess.Popen([program, "-p", folder, "-c", "conf", "-g", "user root;"], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


if __name__ == "__main__":
    main()
