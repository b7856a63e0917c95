"""What small archives cost: a repack in a process that runs, against `gzip -t`. Writes results/small.md.

python -m benchmarks.small --rounds 9
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sysconfig
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

from lambda_fn import repack

from .measure import machine, table, verdict

RESULTS = Path(__file__).parent / "results"
SCRATCH = Path(".cache/benchmarks/small")
SOURCE, OUTPUT = SCRATCH / "model.tar.gz", SCRATCH / "output.tar.gz"
KINDS = {"Python code": "*.py", "packed files": "*.gz"}
"""What the archives hold: the first files of this environment in the order of their names, as gzip -6 packs them."""
MOST = 512 << 10
"""Bytes of a file; larger ones are passed over."""
SIZES_KIB = (20, 80, 160, 640, 1280, 2560, 5120, 10240)
"""About what they have packed."""
SMALL, LARGE = 200_000, 1_000_000
MOST_MS, MOST_RATIO = 15, 1.5
"""Above a graft below SMALL bytes, and times gzip -t above LARGE ones, the median of the archives."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each is run (default: 9)")
    options = parser.parse_args()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    measured = [
        (kind, *seconds(size_kib, pattern, options.rounds)) for kind, pattern in KINDS.items() for size_kib in SIZES_KIB
    ]
    RESULTS.joinpath("small.md").write_text(report(measured, options.rounds))
    print(RESULTS.joinpath("small.md").read_text())


def seconds(size_kib: int, pattern: str, rounds: int) -> tuple[int, float, float, float]:
    """The archive's size, and the medians of what `gzip -t`, a graft and a replaced file in its middle take."""
    names = packed(size_kib << 10, pattern)
    replaced = names[len(names) * 2 // 3]
    contenders: list[Callable[[], object]] = [
        lambda: subprocess.run(["gzip", "-t", SOURCE], check=True),
        lambda: repack(SOURCE, OUTPUT, files={"new": b"x"}),
        lambda: repack(SOURCE, OUTPUT, files={replaced: b"x" * 100}),
    ]
    laps = [[timed(run) for run in contenders] for _ in range(rounds)]
    test, graft, replace = map(median, zip(*laps, strict=True))
    return SOURCE.stat().st_size, test, graft, replace


def packed(size: int, pattern: str) -> list[str]:
    """Make the archive; the names in it."""
    names = []
    with SOURCE.open("wb") as output, tarfile.open(fileobj=output, mode="w:gz", compresslevel=6) as tar:
        for path in files(pattern):
            data = path.read_bytes()
            info = tarfile.TarInfo(path.relative_to(sysconfig.get_path("purelib")).as_posix())
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            names.append(info.name)
            if output.tell() >= size:
                return names
    raise SystemExit(f"this environment has too few {pattern} for an archive of {size} bytes")


def files(pattern: str) -> Iterator[Path]:
    """Files of the environment, in order."""
    there = sorted(Path(sysconfig.get_path("purelib")).rglob(pattern))
    return (path for path in there if 0 < path.stat().st_size <= MOST)


def timed(run: Callable[[], object]) -> float:
    """Seconds of wall time."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def report(measured: list[tuple[str, int, float, float, float]], rounds: int) -> str:
    """The Markdown page."""
    rows = [
        (
            kind,
            f"{size / 1000:,.0f}",
            *(f"{1000 * taken:.1f}" for taken in (test, graft, replace)),
            f"{1000 * (replace - graft):.1f}",
            f"{replace / test:.2f}",
        )
        for kind, size, test, graft, replace in measured
    ]
    over = max(1000 * (replace - graft) for _, size, _, graft, replace in measured if size < SMALL)
    ratio = median(replace / test for _, size, test, _, replace in measured if size > LARGE)
    promises = (
        f"- below 0.2 MB at most {MOST_MS} ms over a graft: {over:.1f} at the most, {verdict(over <= MOST_MS)}\n"
        f"- above 1 MB at most {MOST_RATIO} × `gzip -t` at the median: {ratio:.2f}, {verdict(ratio <= MOST_RATIO)}\n"
    )
    how = f"`python -m benchmarks.small --rounds {rounds}`, {date.today()}: {machine()}, isal {version('isal')}."
    what = "Medians of runs in turn, in milliseconds: a process of `gzip -t`, and calls of `repack` in one that runs."
    columns = ("archive of", "kB", "gzip -t", "graft", "replace a file", "over the graft", "× gzip -t")
    return f"# What small archives cost\n\n{how}\n\n{what}\n\n{table(columns, rows)}\n{promises}"


if __name__ == "__main__":
    main()
