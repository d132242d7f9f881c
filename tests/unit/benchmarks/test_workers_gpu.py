"""What is seen of a runtime that ends, with a program in its place that only answers probes and streams."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import workers_gpu
from gpu_servers import Server, get
from workers_gpu import Deed, sends, tried

from fairlead_runtime.failure import Failure
from fairlead_runtime.termination import Record

#: Serves probes and streams of argv[2] tokens; it has a child called Worker_TP1, and when that ends it leaves a record and exits with 1.
#: Asked to end, it first ends two streams.
PROGRAM = """\
import http.server, json, signal, subprocess, sys, threading, time
served = []
port, tokens, record, said = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "Worker_TP1"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.end_headers()
        while tokens < 0: time.sleep(0.1)
        for event in ({"choices": [{"text": "a", "finish_reason": "length"}]}, {"choices": [], "usage": {"completion_tokens": tokens}}):
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\\n\\n")
        served.append(1)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
def drain(*_):
    while len(served) < 2: time.sleep(0.02)
    time.sleep(0.2)
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
child.wait()
open(record, "w").write(said)
sys.exit(1)
"""


@contextlib.contextmanager
def server(folder: Path, tokens: int) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    program = folder / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    said = Record(Failure("EngineDied", "a worker was killed"), "ready").to_json()
    process = subprocess.Popen([sys.executable, str(program), str(port), str(tokens), str(folder / "record"), said])
    running = Server("fake", process, port, port, folder / "log", 0.0)
    try:
        while get(port, "/readyz")[0] != 200:
            time.sleep(0.02)
        yield running
    finally:
        running.kill()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_gpu, "UNDER_WAY", 0.2)


def test_a_killed_process_is_found_by_its_title_and_its_end_is_told(tmp_path: Path) -> None:
    with server(tmp_path, tokens=-1) as running:
        row = tried(Deed("killed", sends(signal.SIGKILL, "Worker_TP1")), running, 2, tmp_path / "record")

    assert (row.code, row.message, row.exit_code, row.left) == ("EngineDied", "a worker was killed", 1, 0)
    assert (row.streams, row.complete, sum(row.errors.values())) == (2, 0, 2)
    assert row.unready is not None
    assert row.ended is not None


def test_streams_that_have_all_their_tokens_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_gpu, "TOKENS", 5)
    with server(tmp_path, tokens=5) as running:
        row = tried(
            Deed("asked", lambda each: each.process.send_signal(signal.SIGTERM)), running, 2, tmp_path / "record"
        )

    assert (row.complete, row.errors, row.exit_code, row.code) == (2, {}, 0, "")
    assert row.left == 1, "the child was not ended by its parent"
