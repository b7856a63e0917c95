"""A proxy on loopback in front of an S3 server: it counts requests, and lets chosen ones go wrong in chosen ways."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from botocore.session import get_session

from lambda_fn.stores.s3 import S3Access

DROPPED = "dropped"  # the connection is reset, the server never hears of it
LOST = "lost"  # the server does it, the answer is lost
TRUNCATED = "truncated"  # the server does it, half of the answer's body arrives
FAILED = "500"
SLOW_DOWN = "503"
DELAYED = "delayed"  # the server does it, the answer comes when an `impatient` client has given up
HUNG = "hung"  # the server does it, no answer comes
DENIED = "403"
FAULTS = (DROPPED, LOST, TRUNCATED, FAILED, SLOW_DOWN, DELAYED)


TOO_LATE = "x-too-late"
"""A header of answers for which a client does not wait."""


@dataclass(frozen=True)
class Refused:
    """The server never hears of it; this is what is answered."""

    status: int
    code: str
    message: str = "on purpose"


ANSWERS = {
    FAILED: Refused(500, "InternalError"),
    SLOW_DOWN: Refused(503, "SlowDown"),
    DENIED: Refused(403, "AccessDenied"),
}


@dataclass(frozen=True)
class Changed:
    """The server does it; its answer has this body instead, and these headers besides."""

    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Seen:
    """One request that came by, by its place in the order and S3's name for it."""

    number: int
    operation: str
    path: str
    headers: dict[str, str]
    sent: int
    """Bytes of its body."""


def at(number: int, fault: Fails) -> Fault:
    """One request goes wrong."""
    return lambda seen: fault if seen.number == number else None


def always(operation: str, fault: Fails) -> Fault:
    """All requests of a kind go wrong."""
    return lambda seen: fault if seen.operation == operation else None


Fails = str | Refused | Changed
Fault = Callable[[Seen], Fails | None]
"""What goes wrong with a request; None lets it pass."""


def impatient(client: Any) -> Any:
    """The client, to which a delayed answer is a read that timed out: nobody waits, however slow the machine is."""
    session = client._endpoint.http_session
    send = session.send

    def sent(request: Any) -> Any:
        response = send(request)
        if TOO_LATE not in response.headers:
            return response
        response.raw.close()
        raise ReadTimeoutError(endpoint_url=request.url, error=TimeoutError())

    session.send = sent
    return client


class Proxy:
    """A context manager; `url` is where to connect instead of the server."""

    def __init__(self, server: str) -> None:
        self.seen: list[Seen] = []
        self.received = 0
        """Bytes of all answers' bodies."""
        self.fault: Fault = lambda seen: None
        self.before: Callable[[Seen], None] = lambda seen: None
        self.ended = threading.Event()
        self.counting = threading.Lock()
        self.host = urlsplit(server).netloc
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("ProxyHandler", (Handler,), {"proxy": self}))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()

    def reset(self) -> None:
        """Forget what was seen, let everything pass."""
        self.seen = []
        self.received = 0
        self.fault = lambda seen: None
        self.before = lambda seen: None

    @property
    def operations(self) -> list[str]:
        return [seen.operation for seen in self.seen]


class Handler(BaseHTTPRequestHandler):
    """One connection of the proxy's."""

    proxy: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers)
        operation = named(self.command, self.path, headers)
        with self.proxy.counting:
            seen = Seen(len(self.proxy.seen), operation, self.path, headers, len(body))
            self.proxy.seen.append(seen)
        self.proxy.before(seen)
        fault = self.proxy.fault(seen)
        if fault == DROPPED:
            return self.reset()
        if isinstance(fault, str) and fault in ANSWERS:
            fault = ANSWERS[fault]
        if isinstance(fault, Refused):
            return self.answer_error(fault)
        status, told, answer = self.forward(headers, body)
        if isinstance(fault, Changed):
            answer = answer if fault.body is None else fault.body
            told += fault.headers
        if fault == DELAYED:
            told.append((TOO_LATE, "true"))
        if fault == HUNG:
            self.proxy.ended.wait()
        if fault in (LOST, HUNG):
            return self.reset()
        self.answer(status, told, answer, cut=fault == TRUNCATED)
        return None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = relay  # noqa: N815

    def forward(self, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.proxy.host, timeout=120)
        asked = {name: value for name, value in headers.items() if name.lower() != "expect"}
        connection.request(self.command, self.path, body, asked)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, response.getheaders(), answer

    def answer(self, status: int, headers: list[tuple[str, str]], answer: bytes, cut: bool) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers}.get("content-length", len(answer))
        if status != 204:
            self.send_header("Content-Length", str(length if self.command == "HEAD" else len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer[: len(answer) // 2] if cut else answer)
        with self.proxy.counting:
            self.proxy.received += len(answer)
        if cut:
            self.reset()

    def answer_error(self, refused: Refused) -> None:
        said = f"<Code>{refused.code}</Code><Message>{refused.message}</Message>"
        body = b"" if self.command == "HEAD" else f"<?xml version='1.0'?><Error>{said}</Error>".encode()
        self.answer(refused.status, [("Content-Type", "application/xml")], body, cut=False)

    def reset(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


def named(method: str, path: str, headers: dict[str, str]) -> str:
    """S3's name for a request, as far as we make it."""
    query = urlsplit(path).query
    copying = any(name.lower() == "x-amz-copy-source" for name in headers)
    if method == "POST":
        return "CreateMultipartUpload" if query.startswith("uploads") else "CompleteMultipartUpload"
    if method == "PUT" and "uploadId" in query:
        return "UploadPartCopy" if copying else "UploadPart"
    if method == "DELETE":
        return "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
    if method == "GET" and "tagging" in query:
        return "GetObjectTagging"
    if method == "GET" and "uploads" in query:
        return "ListMultipartUploads"
    if method == "GET" and "uploadId" in query:
        return "ListParts"
    if urlsplit(path).path.count("/") == 1:
        return "HeadBucket"
    return f"{method.capitalize()}Object"


def unreachable() -> S3Access:
    """An S3 where nobody listens."""
    config = Config(retries={"total_max_attempts": 1})
    return S3Access(get_session().create_client("s3", endpoint_url="http://127.0.0.1:9", config=config))
