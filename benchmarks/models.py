"""The models that are measured: big, the same on every machine, and packed by GNU gzip as people pack theirs.

`python -m benchmarks.models KIND MIB OLD_ENTRY ARCHIVE` writes one. It streams: no model lies unpacked on disk.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy is big: whoever only asks for a model's path has to stay small
    from numpy.random import Generator

PARTS = 8
CHUNK = 1 << 20
QUARTER = CHUNK // 4
OLD = b'{"epochs": 1}\n'
OLD_ENTRIES = {"none": (0, 0), "first": (1, 0), "last": (0, 1), "both": (1, 1), "fixed": (1, 0)}
"""How many old hyperparameters.json lie before and behind the model's files."""
FIXED = "fixed"
"""The same, packed with fixed codes alone, which leave no place to enter: such a model is rewritten."""
CODE = "code"
"""Instead of these: a code/ of twenty files behind the model's."""
EDITS = "edits"
"""Instead of these: 100 files with a small log behind each; in the middle a code/ and a checkpoint, a fifth of all."""
ROOTED = "rooted"
"""Instead of these: ten files in one folder."""


def weights(random: Generator) -> bytes:
    """1 MiB of float32 weights: what a network's layers look like, hard to compress."""
    return random.standard_normal(CHUNK // 4, dtype="float32").tobytes()


def compressible(random: Generator) -> bytes:
    """1 MiB, a quarter each of a vocabulary's words, a table's ascending indices, pruned weights, and zeros."""
    words = " ".join(vocabulary()[rank % 30_000] for rank in random.zipf(1.1, QUARTER // 4)).encode()
    indices = random.integers(1, 40, QUARTER // 4, dtype="int32").cumsum(dtype="int32").tobytes()
    pruned = random.standard_normal(QUARTER // 4, dtype="float32")
    pruned[random.random(QUARTER // 4) < 0.95] = 0
    return words[:QUARTER] + indices + pruned.tobytes() + bytes(QUARTER)


@cache
def vocabulary() -> list[str]:
    """30,000 words of three to nine letters."""
    random = Random(7)
    return ["".join(random.choices(ascii_lowercase, k=random.randint(3, 9))) for _ in range(30_000)]


KINDS: dict[str, Callable[[Generator], bytes]] = {"weights": weights, "compressible": compressible}


class Part(io.RawIOBase):
    """One file of the model as tarfile reads it: made while it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes."""
        while len(self._rest) < size:
            self._rest += next(self._chunks)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def write(kind: str, mib: int, old_entry: str, archive: Path) -> None:
    """An archive of `mib` MiB of such data, laid out as `old_entry` says."""
    from numpy.random import default_rng

    random = default_rng(7)
    partial = archive.with_name(archive.name + ".partial")
    packer = ["gzip", "-6n"] if old_entry != FIXED else [sys.executable, "-m", "isal.igzip", "-0"]
    with partial.open("wb") as file, subprocess.Popen(packer, stdin=subprocess.PIPE, stdout=file) as gzip:
        with tarfile.open(fileobj=gzip.stdin, mode="w|", format=tarfile.GNU_FORMAT) as tar:
            for name, size in files(old_entry, mib << 20):
                chunks = iter(lambda: KINDS[kind](random), b"")
                add(tar, name, size, Part(chunks) if size > len(OLD) else io.BytesIO(OLD))
        assert gzip.stdin
        gzip.stdin.close()
    if gzip.returncode:
        raise SystemExit(f"gzip ended with status {gzip.returncode}")
    partial.rename(archive)


def files(old_entry: str, size: int) -> Iterator[tuple[str, int]]:
    """Names and sizes; small files are OLD."""
    code = [(f"code/module{number}.py", len(OLD)) for number in range(20)]
    if old_entry == EDITS:
        checkpoint = size // 5
        for number in range(100):
            yield f"layer{number}.bin", (size - checkpoint) // 100
            yield f"log{number}.json", len(OLD)
            yield from [*code, ("checkpoint-1/optimizer.pt", checkpoint)] if number == 50 else []
    elif old_entry == ROOTED:
        yield from [(f"model/layer{number}.bin", size // 10) for number in range(10)]
    else:
        in_front, behind = OLD_ENTRIES.get(old_entry, (0, 0))
        yield from [("hyperparameters.json", len(OLD))] * in_front
        yield from [(f"layer{number}.bin", size // PARTS) for number in range(PARTS)]
        yield from [("hyperparameters.json", len(OLD))] * behind
        yield from code if old_entry == CODE else []


def add(tar: tarfile.TarFile, name: str, size: int, data: io.RawIOBase | io.BytesIO) -> None:
    """Append one file's entry."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mtime = 1_700_000_000
    tar.addfile(entry, data)


def cached(kind: str, mib: int, old_entry: str = "none", folder: Path = Path(".cache/benchmarks")) -> Path:
    """Such an archive's path, made, in a process of its own, unless it is there."""
    archive = folder / f"{kind}-{mib}-{old_entry}.tar.gz"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"making {archive}", file=sys.stderr)
        part = archive.with_name(f"{archive.name}.part")  # half an archive would pass for it the next time
        subprocess.run([sys.executable, "-m", __spec__.name, kind, str(mib), old_entry, str(part)], check=True)
        part.rename(archive)
    return archive


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
