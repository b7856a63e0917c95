"""Hunt for so many minutes, from a seed that no clock has given."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.hunt import deflate, tar
from tests.hunt.readers import readers

AT_ONCE = 200
"""Seeds whose files are read by one process of each reader."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hunt", description=__doc__)
    parser.add_argument("prey", choices=["tar", "deflate"])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"), help="the first one")
    given = parser.parse_args()
    end, seen, found = time.monotonic() + 60 * given.minutes, Counter[str](), 0
    for wrong in (tars if given.prey == "tar" else streams)(given.seed, end, seen):
        found += 1
        print(wrong, flush=True)
    print(
        f"from seed {given.seed}: {', '.join(f'{count} {what}' for what, count in sorted(seen.items()))}; {found} found"
    )
    return int(found > 0)


def tars(seed: int, end: float, seen: Counter[str]) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        others = readers(Path(folder))
        print("read by", ", ".join(others))
        while time.monotonic() < end:
            yield from tar.check(range(seed, seed + AT_ONCE), others, Path(folder), seen)
            seed += AT_ONCE


def streams(seed: int, end: float, seen: Counter[str]) -> Iterator[str]:
    while time.monotonic() < end:
        wrong = deflate.check(seed)
        if wrong:
            yield f"seed {seed}: {wrong}"
        seen["archives"] += 1
        seed += 1


if __name__ == "__main__":
    sys.exit(main())
