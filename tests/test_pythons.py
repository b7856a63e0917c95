"""The built wheel on every Python that we promise, with and without isal: the same archives come out."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path

import pytest

from lambda_fn.core.walk import SEARCH_LIMIT
from tests import archives
from tests.archives import WANTED, Tar, entry, gunzip, member
from tests.pythons import PROMISED, UV, installed

METHODS = ["graft", "splice", "rewrite"]
CORE = """
import sys
from lambda_fn import repack
for name in sys.argv[1:]:
    print(repack(name, f"core/{name}", {"hyperparameters.json": b"{}"}).method)
"""


@cache
def sources() -> dict[str, bytes]:
    """An archive for each method."""
    plain = Tar([entry("weights", archives.noise(90_000)), *archives.small().parts])
    replaced = Tar([*plain.parts, entry(WANTED, b'{"depth": 5}'), *plain.parts])
    boundless = archives.noise(SEARCH_LIMIT + 200_000).translate(bytes(range(64)) * 4)
    large = Tar([entry(WANTED), entry("weights", boundless), *plain.parts])
    packed = (member(plain.data), member(replaced.data), member(large.data, strategy=zlib.Z_FIXED))
    return dict(zip(METHODS, packed, strict=True))


def used(python: str, wheel: Path, place: Path, with_isal: bool) -> tuple[list[str], dict[str, bytes]]:
    """What the wheel says and makes on a Python: by the core, the command and the processing job's script."""
    environment, work = place / "environment", place / "work"
    (work / "core").mkdir(parents=True)
    subprocess.run([UV, "venv", "--quiet", "--python", python, environment], check=True)
    install = [UV, "pip", "install", "--quiet", "--python", str(environment / "bin/python"), str(wheel)]
    subprocess.run([*install, *([] if with_isal else ["--no-deps"])], check=True)
    for name, data in sources().items():
        (work / name).write_bytes(data)
    (work / "model.tar.gz").write_bytes(sources()["graft"])
    (work / "hyperparameters.json").write_text('{"depth": 6}')
    script = ["-m", "lambda_fn.pipeline.dummy_training", "--pretrained-model-path", "model.tar.gz"]
    said = []
    commands: tuple[list[str], ...] = (
        ["python", "-c", CORE, *METHODS],
        ["model-repacker", "repack", "splice", "--set", "depth=6", "--output", "command.tar.gz", "--json"],
        ["model-repacker", "verify", "command.tar.gz"],
        ["python", *script, "--hyperparameters-path", "hyperparameters.json", "--output-dir", "job"],
    )
    for command in commands:
        run = subprocess.run(
            [str(environment / "bin" / command[0]), *command[1:]], cwd=work, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        said.append(run.stdout)
    assert json.loads(said[1])["method"] == "splice"
    made = {name: (work / name).read_bytes() for name in (*(f"core/{name}" for name in METHODS), "command.tar.gz")}
    return said[0].split(), {**made, "job": (work / "job/model.tar.gz").read_bytes()}


@pytest.fixture(scope="session")
def expected(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[list[str], dict[str, bytes]]]:
    """With and without isal, on the Python that runs the tests."""
    return {isal: used(sys.executable, wheel, tmp_path_factory.mktemp("this"), isal) for isal in (True, False)}


@pytest.mark.slow
@pytest.mark.parametrize("with_isal", [True, False], ids=["isal", "bare"])
@pytest.mark.parametrize("version", PROMISED)
def test_the_wheel_makes_the_same_on_every_python(
    version: str,
    with_isal: bool,
    wheel: Path,
    expected: dict[bool, tuple[list[str], dict[str, bytes]]],
    tmp_path: Path,
) -> None:
    if version not in installed():
        pytest.skip(f"Python {version} is absent")
    methods, made = used(installed()[version], wheel, tmp_path, with_isal)
    assert methods == METHODS
    for name, data in expected[with_isal][1].items():
        assert made[name] == data or zlib_of(installed()[version]) != zlib_of(sys.executable), name
        assert gunzip(made[name]) == gunzip(data), name


def zlib_of(python: str) -> str:
    """The version of the zlib that a Python is linked to: another one may encode in other bytes."""
    command = [python, "-c", "import zlib; print(zlib.ZLIB_RUNTIME_VERSION)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
