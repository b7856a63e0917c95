"""The Pythons of this machine: the versions that we promise to run on, those of pyenv and uv included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
PROMISED = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


@cache
def installed() -> dict[str, str]:
    """Version to path, the first of each."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    path = os.pathsep.join([*map(str, pyenv.glob("versions/*/bin")), os.environ.get("PATH", "")])
    command = [UV, "python", "list", "--only-installed", "--offline", "--output-format", "json"]
    run = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, check=True)
    found: dict[str, str] = {}
    for python in json.loads(run.stdout):
        parts: dict[str, Any] = python["version_parts"]
        if python["implementation"] == "cpython" and python["variant"] == "default":
            found.setdefault(f"{parts['major']}.{parts['minor']}", python["path"])
    return found
