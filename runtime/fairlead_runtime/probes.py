"""Port 9090: /startupz, /readyz, /livez, /state and /metrics, from the first second to the last. Standard library only.

No request waits for the engine but /metrics, and that for two seconds at most. Written on socketserver: http.server brings ssl and
email with it, more memory than all the rest of the supervisor.
"""

import json
import socket
import time
from http import HTTPStatus
from pathlib import Path
from socketserver import StreamRequestHandler, TCPServer, ThreadingMixIn

from fairlead_runtime import addresses
from fairlead_runtime.reports import Reports

#: A scrape that takes longer gets the supervisor's own lines instead.
METRICS_TIMEOUT = 2.0
#: Of a request: its first line and each header; more is refused.
MAX_LINE_BYTES = 8192
MAX_HEADERS = 100
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class ProbeServer(ThreadingMixIn, TCPServer):
    """Answers from `reports`; the engine's metrics come over the socket at `metrics_socket`."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, reports: Reports, metrics_socket: Path) -> None:
        host = addresses.everywhere()
        self.address_family = addresses.family(host)
        super().__init__((host, port), ProbeHandler)
        self.reports = reports
        self.metrics_socket = metrics_socket

    def server_bind(self) -> None:
        addresses.open_for_both(self.socket)
        super().server_bind()

    def engine_metrics(self) -> bytes | None:
        """What the engine process says of itself, or None when it cannot."""
        until = time.monotonic() + METRICS_TIMEOUT
        answer = b""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            try:
                engine.settimeout(METRICS_TIMEOUT)
                engine.connect(str(self.metrics_socket))
                # HTTP/1.0: the answer ends with the connection.
                engine.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                while chunk := engine.recv(65_536):
                    answer += chunk
                    engine.settimeout(max(0.001, until - time.monotonic()))
            except OSError:
                return None
        head, blank, body = answer.partition(b"\r\n\r\n")
        return body if blank and head.split(b" ", 2)[1:2] == [b"200"] else None


class ProbeHandler(StreamRequestHandler):
    """One request of the kubelet, the operator or Prometheus, one connection each."""

    server: ProbeServer
    #: Seconds until a client that sends nothing is let go.
    timeout = 10

    def handle(self) -> None:
        try:
            path = self._path()
            if path is not None:
                self._route(path)
        except OSError:
            return  # the client is gone or too slow, and nobody is left to tell

    def _path(self) -> str | None:
        """The path that is asked for; None when the request was refused, or never came."""
        words = self.rfile.readline(MAX_LINE_BYTES).decode("latin-1").split()
        if not words:
            return None
        for _ in range(MAX_HEADERS):
            if self.rfile.readline(MAX_LINE_BYTES) in {b"\r\n", b"\n", b""}:
                break
        else:
            self._answer(400, _TEXT, "too many headers\n")
            return None
        if len(words) != 3 or words[0] != "GET":
            self._answer(400 if len(words) != 3 else 405, _TEXT, "only GET is answered here\n")
            return None
        return words[1].partition("?")[0]

    def _route(self, path: str) -> None:
        reports = self.server.reports
        match path:
            case "/startupz":
                self._verdict(reports.was_ready, "started", f"{reports.phase} for {reports.seconds:.0f} s")
            case "/readyz":
                self._verdict(reports.ready, "ready", f"not ready: {reports.phase}")
            case "/livez":
                self._verdict(reports.live, "alive", f"no sign of life for {reports.silence:.0f} s")
            case "/state":
                self._answer(200, _JSON, json.dumps(reports.state()))
            case "/metrics":
                engine = self.server.engine_metrics() or reports.metrics().encode()
                self._answer(200, _PROMETHEUS, engine + reports.startup_metrics().encode())
            case _:
                self._answer(404, _TEXT, "there are /startupz, /readyz, /livez, /state and /metrics\n")

    def _verdict(self, good: bool, yes: str, no: str) -> None:  # noqa: FBT001
        self._answer(200 if good else 503, _TEXT, f"{yes if good else no}\n")

    def _answer(self, status: int, content_type: str, body: str | bytes) -> None:
        content = body.encode() if isinstance(body, str) else body
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        self.wfile.write(head.encode("latin-1") + content)
