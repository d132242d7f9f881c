"""The demo asks the cluster itself, whatever proxy is set, and says in one message when nobody answers."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from fairlead_cli.demo import questions
from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.demo.questions import NoAnswer

NOBODY = "http://127.0.0.1:9"


class Answering(BaseHTTPRequestHandler):
    """Answers each question with the same words."""

    words: ClassVar[bytes] = b'vllm:num_requests_running 1\nother 2\n{"choices": []}'

    def do_GET(self) -> None:
        status = 503 if self.path.startswith("/full") else 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(self.words)))
        self.end_headers()
        self.wfile.write(self.words)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def address() -> Iterator[str]:
    """Of a server of this test."""
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(autouse=True)
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy is set that leads nowhere; loopback is no exception here, so that it stands for the cluster."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, NOBODY)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


def test_a_proxy_is_not_asked(address: str) -> None:
    assert questions.metrics(address) == ["vllm:num_requests_running 1"]


def test_nobody_answering_is_one_message() -> None:
    with pytest.raises(NoAnswer, match=f"{NOBODY}/v1/chat/completions gave no answer: .*refused"):
        questions.chat(NOBODY, "demo", "Hello?")


def test_a_refusal_is_one_message(address: str) -> None:
    with pytest.raises(NoAnswer, match="503"):
        questions.metrics(f"{address}/full")


def test_kubectl_and_helm_are_told_of_no_proxy(tmp_path: Path) -> None:
    environment = Kubectl(tmp_path / "kubectl", tmp_path / "admin.yaml").environment

    assert environment["KUBECONFIG"] == str(tmp_path / "admin.yaml")
    assert NOBODY not in environment.values()
