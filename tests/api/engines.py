"""Plays the management port of model pods: each has an address of its own on the loopback network, and says what a test tells it."""

import json
import random
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from api import pods
from api.cluster import Kubectl, Manifest
from fairlead_runtime.config import MANAGEMENT_PORT


def address() -> str:
    """An address of this machine that hardly anybody else has."""
    return "127." + ".".join(str(random.randint(2, 250)) for _ in range(3))


@dataclass
class EngineStub:
    """GET /state of one pod, answered from `inflight`."""

    ip: str = field(default_factory=address)
    inflight: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    startup: dict[str, float] = field(default_factory=dict)
    questions: int = 0

    def load(self, running: int = 0, waiting: int = 0, **more: Any) -> None:
        """What it is busy with from now on."""
        self.inflight = {"running": running, "waiting": waiting, **more}

    def serve(self, kubectl: Kubectl, pod: str) -> None:
        """The pod is Ready, and this is where it answers."""
        pods.set_status(kubectl, pod, serving(self.ip))

    @property
    def body(self) -> bytes:
        told = {"version": 1, "phase": "ready", "ready": True, "inflight": self.inflight}
        return json.dumps({**told, "model": self.model, "startup": self.startup}).encode()


def serving(ip: str) -> Manifest:
    """A Ready pod's status."""
    return {**pods.ready(), "podIP": ip, "podIPs": [{"ip": ip}]}


@contextmanager
def engine(
    running: int = 0,
    waiting: int = 0,
    *,
    ip: str = "",
    model: Mapping[str, Any] = {},
    startup: Mapping[str, float] = {},
    **more: Any,
) -> Iterator[EngineStub]:
    """One that answers, at the address of a pod that has one."""
    stub = EngineStub(ip or address(), model=dict(model), startup=dict(startup))
    stub.load(running, waiting, **more)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stub.questions += 1
            body = stub.body
            self.send_response(200 if self.path == "/state" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Nothing."""

    server = ThreadingHTTPServer((stub.ip, MANAGEMENT_PORT), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silence() -> Iterator[str]:
    """The address of one that takes connections and never answers."""
    with socket.socket() as listener:
        ip = address()
        listener.bind((ip, MANAGEMENT_PORT))
        listener.listen()
        yield ip
