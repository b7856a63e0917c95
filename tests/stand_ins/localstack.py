"""LocalStack's S3 on a free loopback port, in a virtual environment of its own under .cache.

It keeps the rules that matter here: preconditions on reads, copies and completions, checksums of whole objects, sizes
of parts (or smaller ones, for tests in which all sizes are divided). The versions are pinned together: later releases
want an account, and newer dependencies break this one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOME = Path(__file__).parents[2] / ".cache" / "localstack"
REQUIREMENTS = (
    "localstack-core[base-runtime]==4.9.2",
    "cbor2<5.9",
    "psutil<7.2",
    "pyOpenSSL==24.3.0",
    "service_identity==24.2.0",
)
STARTS_WITHIN = 60.0
LEAST_PART = 5 << 20
RUN = """
import functools, sys
from localstack.services.s3 import checksums, constants
constants.S3_UPLOAD_PART_MIN_SIZE = int(sys.argv[1])
checksums._combine = functools.lru_cache(4096)(checksums._combine)
from localstack.runtime.main import main
main()
"""
"""How it is started. To join two CRCs takes it milliseconds, and tests make the same outputs again and again."""


class CannotStart(Exception):
    """LocalStack could not be installed or started; the text says why."""


@contextmanager
def localstack(least_part: int = LEAST_PART) -> Iterator[str]:
    """The URL of a running, empty S3 that takes parts of so many bytes. Raises CannotStart."""
    python = installed()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="localstack-") as folder:
        log = Path(folder, "log")
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "SERVICES": "s3",
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "DNS_ADDRESS": "0",
            "DISABLE_EVENTS": "1",
            "LS_LOG": "warning",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "FILESYSTEM_ROOT": folder,
            "TMPDIR": folder,
        }
        with log.open("wb") as output:
            server = subprocess.Popen(
                [python, "-c", RUN, str(least_part)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/_localstack/health", server, log)
            yield url
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def installed() -> Path:
    """The Python that has LocalStack, set up at first use. Raises CannotStart."""
    HOME.mkdir(parents=True, exist_ok=True)
    python, ready = HOME / "bin" / "python", HOME / "ready"
    wanted = "\n".join((sys.version, *REQUIREMENTS))
    with (HOME.parent / "localstack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may start together
        if ready.exists() and ready.read_text() == wanted:
            return python
        shutil.rmtree(HOME)
        pip = ["uv", "pip", "install", "--quiet", "--python", str(python)]
        if not (shutil.which("uv") or (Path(sys.executable).parent / "uv").exists()):
            pip = [str(python), "-m", "pip", "install", "--quiet"]
        elif not shutil.which("uv"):
            pip[0] = str(Path(sys.executable).parent / "uv")
        for command in ([sys.executable, "-m", "venv", str(HOME)], [*pip, *REQUIREMENTS]):
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                raise CannotStart(f"LocalStack cannot be installed: {' '.join(command)}\n{run.stderr}")
        ready.write_text(wanted)
    return python


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when the URL answers. Raises CannotStart."""
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise CannotStart(f"LocalStack does not answer:\n{log.read_text()[-2000:]}")


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
