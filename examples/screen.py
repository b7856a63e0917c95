"""How the demo looks: headings, commands, what goes on, bars, trees side by side; in colours on a terminal."""

from __future__ import annotations

import os
import re
import sys
import tarfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

TERMINAL = sys.stdout.isatty()
COLOURS = TERMINAL and "NO_COLOR" not in os.environ
CLEAR = "\033[K" if TERMINAL else ""
BOLD, FAINT, GREEN, RED = 1, 2, 32, 31
WIDTH = 80
"""Columns that everything fits in."""
COLUMN = 38
"""Of a tree; two stand side by side."""


def styled(words: str, style: int) -> str:
    """The words in bold, faint or in a colour."""
    return f"\033[{style}m{words}\033[0m" if COLOURS else words


def heading(words: str) -> None:
    """Begin a door."""
    print(f"\n\n{styled(words, BOLD)}\n{styled('─' * WIDTH, FAINT)}", flush=True)


def say(words: str) -> None:
    """A sentence, after an empty line."""
    print("\n" + textwrap.fill(words, WIDTH), flush=True)


def typed(command: str) -> None:
    """A command as a person would type it, on as many lines as it needs; options stay with their values."""
    together = re.sub(r"(--\S+) ", "\\1\xa0", command)
    lines = textwrap.wrap(together, WIDTH - 4, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    print(f"\n{styled('$', FAINT)} " + " \\\n".join(lines).replace("\xa0", " "), flush=True)


def mark(sign: str, words: str, seconds: float | None = None, style: int = FAINT) -> None:
    """A line of something that goes on, with the seconds that have passed."""
    clock = f"{seconds:6.2f} s" if seconds is not None else " " * 8
    indent = " " * 12
    lines = textwrap.wrap(words, WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
    print(f"{CLEAR}{styled(clock, FAINT)}  {styled(sign, style)} " + f"\n{indent}".join(lines), flush=True)


def waiting(words: str) -> None:
    """What takes a while: on a terminal it stands there until the next line takes its place."""
    if TERMINAL:
        print(f"{words} {styled('…', FAINT)}", end="\r", flush=True)


@contextmanager
def working(words: str) -> Iterator[None]:
    """What takes a while, and then its time."""
    waiting(" " * 12 + words)
    began = time.monotonic()
    yield
    mark("✓", words, time.monotonic() - began)


def bar(name: str, seconds: float, longest: float) -> None:
    """A row of a bar chart."""
    print(f"{CLEAR}{name:13} {seconds:6.2f} s  {'█' * max(1, round(48 * seconds / longest))}", flush=True)


def size(count: int) -> str:
    """Bytes, for people: decimal units, as disks and networks have them."""
    if count < 1000:
        return f"{count} B"
    unit, power = next((unit, power) for unit, power in (("kB", 3), ("MB", 6), ("GB", 9)) if count < 10 ** (power + 3))
    return f"{count / 10**power:.1f} {unit}"


@dataclass
class Folder:
    """A folder of an archive: its files with what stands to their right, and its folders."""

    files: dict[str, str] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One of a tree: `path` says what it is of, `text` and `note` what is seen."""

    path: str = ""
    text: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.text:{COLUMN - len(self.note)}}{self.note}"


def trees(before: Path, after: Path) -> None:
    """Two archives side by side; what only the right one holds is marked."""
    left, right = list(_tree(before)), list(_tree(after))
    known = {line.path for line in left}
    print()
    for one, other in zip_longest(left, right, fillvalue=Line()):
        new = other.path not in known
        print(f"{one}    {styled(str(other), GREEN) if new else str(other).rstrip()}", flush=True)


def _tree(archive: Path) -> Iterator[Line]:
    """An archive's name and size, then what it holds."""
    root = Folder()
    with tarfile.open(archive) as tar:
        for entry in tar:
            *way, name = os.path.normpath(entry.name).split("/")
            folder = root
            for step in [*way, name] if entry.isdir() and name != "." else way:
                folder = folder.folders.setdefault(step, Folder())
            if not entry.isdir():
                folder.files[name] = f"→ {entry.linkname}" if entry.issym() else size(entry.size)
    yield Line("", str(archive), size(archive.stat().st_size))
    yield from _branches(root, "", "")


def _branches(folder: Folder, path: str, indent: str) -> Iterator[Line]:
    count = len(folder.files) + len(folder.folders)
    twigs = iter(["├─"] * (count - 1) + ["└─"])
    for name, note in folder.files.items():
        yield Line(f"{path}/{name}", f"{indent}{next(twigs)} {name}", note)
    for name, inner in folder.folders.items():
        twig = next(twigs)
        yield Line(f"{path}/{name}", f"{indent}{twig} {name}/", "" if inner.files or inner.folders else "empty")
        yield from _branches(inner, f"{path}/{name}", indent + ("│  " if twig == "├─" else "   "))
