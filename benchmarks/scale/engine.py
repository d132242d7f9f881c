"""One engine that speaks for all pods: they share an address, and each question gets the answer of an engine that is ready."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fairlead_runtime.config import MANAGEMENT_PORT

#: Of every simulated node, and so of every pod, for they share their node's.
ADDRESS = "127.90.0.1"
STATE = json.dumps({"version": 1, "phase": "ready", "ready": True, "inflight": {}, "model": {}}).encode()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(STATE)))
        # Who asked may have given up: all of this is one slow machine.
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(STATE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nobody reads it."""


@contextlib.contextmanager
def engine(address: str = ADDRESS, port: int = MANAGEMENT_PORT) -> Iterator[None]:
    """It answers until the block ends."""
    server = ThreadingHTTPServer((address, port), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
