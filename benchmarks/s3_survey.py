"""A survey of a model in S3 against one of the same model on disk: what reading from S3 costs beside the survey itself.

S3 is nginx on loopback, which only serves ranges of files, as fast as they can be served. Between the two stands the
floor, the same survey fed by bare HTTP (see `bare`). All run in turn, as whole processes (`inspect`), the start of
Python and of a client included, from byte code as any second start is. Writes s3_survey.md into benchmarks/results.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from statistics import median

from tests.deployment import ANYBODY
from tests.stand_ins.localstack import free_port

from .measure import machine, table
from .models import KINDS, cached

RESULTS = Path(__file__).parent / "results"
GOAL = 1.15
FLOOR = """The floor is bare HTTP: the same survey over one connection of Python's own, with nothing that S3 needs. The
kernel copies each byte once more there, wakes whoever waits for it, and the server works on the same cores, which are
busy from disk already. S3's client adds its start, Python that no other core can help with, and a signed request for
every 6 MiB.
"""
START = "from lambda_fn.stores.s3 import S3Access; S3Access.default()"
CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;
events {{ }}
http {{ access_log off; sendfile on; keepalive_requests 100000;
  server {{ listen 127.0.0.1:{port}; root {folder}/root; }} }}
"""


@dataclass(frozen=True)
class Cost:
    """Of one process and its children, and of the server meanwhile."""

    wall: float
    cpu: float
    served: float


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.s3_survey", description=__doc__)
    parser.add_argument("--mib", type=int, default=512, help="the models' size unpacked (default: 512)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: 5)")
    options = parser.parse_args()
    rows = [row for kind in KINDS for row in compared(kind, options.mib, options.rounds)]
    header = ("", "MiB", "from", "s", "CPU s", "server's CPU s", "s, times disk", "CPU, times disk")
    how = f"`python -m benchmarks.s3_survey --mib {options.mib} --rounds {options.rounds}`, {date.today()}: {machine()}"
    verdict = "kept" if all(float(row[6]) <= GOAL for row in rows if row[2] == "S3") else "not kept"
    parts = (
        "# A survey from S3 against one from disk\n",
        f"{how}. {options.mib} MiB unpacked. Medians of whole processes, run in turn; nginx shares their cores.\n",
        table(header, rows),
        f"Promise: at most {GOAL} times the seconds from disk: {verdict}.\n",
        FLOOR,
    )
    RESULTS.joinpath("s3_survey.md").write_text("\n".join(parts))
    print("\n".join(parts))


def compared(kind: str, mib: int, rounds: int) -> Iterator[tuple[str, ...]]:
    """The table's rows for one kind of model."""
    model = cached(kind, mib)
    with nginx(model) as (url, server), tempfile.TemporaryDirectory() as byte_code:
        inspect = ("-m", "lambda_fn", "inspect")
        places = {
            "disk": (*inspect, str(model)),
            "bare HTTP": ("-m", "benchmarks.bare", f"{url}/bucket/{model.name}"),
            "S3": (*inspect, f"s3://bucket/{model.name}"),
            "S3: the client's start": ("-c", START),
        }
        environment = {**os.environ, **ANYBODY, "AWS_ENDPOINT_URL_S3": url, "PYTHONPYCACHEPREFIX": byte_code}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        costs: dict[str, list[Cost]] = {place: [] for place in places}
        for number in range(-1, rounds):  # the first writes byte code, and does not count
            for place, command in places.items():
                cost = run(command, environment, server)
                if number >= 0:
                    costs[place].append(cost)
    medians = {place: middle(measured) for place, measured in costs.items()}
    disk = medians["disk"]
    for place, cost in medians.items():
        yield (
            kind,
            f"{model.stat().st_size / 2**20:.0f}",
            place,
            f"{cost.wall:.2f}",
            f"{cost.cpu:.2f}",
            f"{cost.served:.2f}",
            f"{cost.wall / disk.wall:.2f}",
            f"{cost.cpu / disk.cpu:.2f}",
        )


def middle(costs: list[Cost]) -> Cost:
    """The median of each."""
    return Cost(*(median(getattr(cost, field.name) for cost in costs) for field in fields(Cost)))


def run(command: tuple[str, ...], environment: Mapping[str, str], server: int) -> Cost:
    """One process."""
    began, served = time.perf_counter(), cpu_of(server)
    process = subprocess.Popen(
        [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return Cost(wall, usage.ru_utime + usage.ru_stime, cpu_of(server) - served)


def cpu_of(process: int) -> float:
    """Seconds that a process of one thread has been running."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def nginx(model: Path) -> Iterator[tuple[str, int]]:
    """The URL of a server that has the model in a bucket named `bucket`, and its process."""
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
            yield f"http://127.0.0.1:{port}", server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


if __name__ == "__main__":
    main()
