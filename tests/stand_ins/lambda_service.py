"""The Lambda service's side of a function: a Runtime API on loopback, and the runtime client started on a folder.

The function runs as in Lambda: `awslambdaric` in a fresh interpreter that sees the deployed folder and nothing else.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RUNTIME_CLIENT = "awslambdaric==4.2.2"
CACHE = Path(__file__).parents[2] / ".cache"
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
ANSWERS_WITHIN = 60.0
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


@dataclass(frozen=True)
class Answer:
    """What the function said to one event: `response`, `error`, or `init/error` before any."""

    kind: str
    body: Any


class Function:
    """A context manager: the handler of a folder, running in `python`."""

    def __init__(self, folder: Path, handler: str, python: Path, environment: Mapping[str, str]) -> None:
        self.ready = threading.Event()
        """Set when the init is over and the function asks for its first event."""
        self._events: queue.Queue[tuple[Any, float]] = queue.Queue()
        self._answers: queue.Queue[Answer] = queue.Queue()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._api())
        self._http.daemon_threads = True
        self._command = (str(python), "-m", "awslambdaric", handler)
        self._environment = {
            **environment,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._http.server_address[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": "repacker",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/repacker",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "LAMBDA_TASK_ROOT": str(folder),
            "PYTHONPATH": os.pathsep.join((str(folder), str(runtime_client(python)))),
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def __enter__(self) -> Function:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._process = subprocess.Popen(
            self._command, env=self._environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.kill()
        self.log = self._process.communicate()[0].decode()
        self._http.shutdown()
        self._http.server_close()

    def invoke(self, event: Any, seconds: float = 900) -> Answer:
        """The function's answer to an event, for which it has so long."""
        self._events.put((event, seconds))
        return self.answer()

    def answer(self) -> Answer:
        """The next thing the function says. Raises queue.Empty if it says nothing."""
        return self._answers.get(timeout=ANSWERS_WITHIN)

    def _api(self) -> type[BaseHTTPRequestHandler]:
        function = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                function.ready.set()
                event, seconds = function._events.get()
                body = json.dumps(event).encode()
                self.send_response_only(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + seconds) * 1000)))
                self.send_header("Lambda-Runtime-Trace-Id", TRACE)
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:1:function:repacker")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                kind = "init/error" if self.path.endswith("init/error") else self.path.rpartition("/")[2]
                self.send_response_only(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                function._answers.put(Answer(kind, body))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def runtime_client(python: Path) -> Path:
    """The folder of the runtime client for an interpreter, set up at first use under .cache."""
    target = CACHE / f"{RUNTIME_CLIENT}-{python.resolve().name}"
    if not target.exists():
        install = (UV, "pip", "install", "--quiet", "--python", python, "--target", target, "--only-binary", ":all:")
        subprocess.run((*install, RUNTIME_CLIENT), check=True)
    return target
