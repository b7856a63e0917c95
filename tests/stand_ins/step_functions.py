"""Step Functions as a waited-for task sees it: three calls that take its token."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HEARTBEAT, SUCCESS, FAILURE = "SendTaskHeartbeat", "SendTaskSuccess", "SendTaskFailure"


class StateMachine:
    """A context manager that keeps what it is told; with `waits` false it has given up on the task."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.waits = True
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._api())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> StateMachine:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _api(self) -> type[BaseHTTPRequestHandler]:
        machine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                call = self.headers["X-Amz-Target"].rpartition(".")[2]
                machine.told.append((call, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                body = b"{}" if machine.waits else b'{"__type": "TaskTimedOut", "message": "Task Timed Out"}'
                self.send_response_only(200 if machine.waits else 400)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
