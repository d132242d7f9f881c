"""Port 9090: /startupz, /readyz, /livez, /state and /metrics, from the first second to the last. Standard library only.

No request waits for the engine but /metrics, and that for two seconds at most.
"""

import json
import socket
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fairlead_runtime.reports import Reports

#: A scrape that takes longer gets the supervisor's own lines instead.
METRICS_TIMEOUT = 2.0
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ProbeServer(ThreadingHTTPServer):
    """Answers from `reports`; the engine's metrics come over the socket at `metrics_socket`."""

    daemon_threads = True

    def __init__(self, port: int, reports: Reports, metrics_socket: Path) -> None:
        super().__init__(("", port), ProbeHandler)
        self.reports = reports
        self.metrics_socket = metrics_socket

    def engine_metrics(self) -> str | None:
        """What the engine process says of itself, or None when it cannot."""
        connection = UnixConnection(self.metrics_socket, METRICS_TIMEOUT)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, HTTPException, UnicodeDecodeError):
            return None
        finally:
            connection.close()
        return text if answer.status == 200 else None


class ProbeHandler(BaseHTTPRequestHandler):
    """One request of the kubelet, the operator or Prometheus."""

    server: ProbeServer
    #: Seconds until a client that sends nothing is let go.
    timeout = 10

    def do_GET(self) -> None:
        reports = self.server.reports
        match self.path.partition("?")[0]:
            case "/startupz":
                self._verdict(reports.was_ready, "started", f"{reports.phase} for {reports.seconds:.0f} s")
            case "/readyz":
                self._verdict(reports.ready, "ready", f"not ready: {reports.phase}")
            case "/livez":
                self._verdict(reports.live, "alive", f"no sign of life for {reports.silence:.0f} s")
            case "/state":
                self._answer(200, _JSON, json.dumps(reports.state()))
            case "/metrics":
                self._answer(200, _PROMETHEUS, self.server.engine_metrics() or reports.metrics())
            case _:
                self._answer(404, _TEXT, "there are /startupz, /readyz, /livez, /state and /metrics\n")

    def _verdict(self, good: bool, yes: str, no: str) -> None:  # noqa: FBT001
        self._answer(200 if good else 503, _TEXT, f"{yes if good else no}\n")

    def _answer(self, status: int, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class' name
        """Probes come every few seconds: the log belongs to the engine."""
