"""A small Hugging Face hub on loopback: the routes that huggingface_hub uses to fetch a model, and the refusals that a real one gives."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Refusal:
    """As the hub refuses: a status and the headers that huggingface_hub reads."""

    status: int
    headers: Mapping[str, str]


REFUSALS: Mapping[str, Refusal] = {
    "org/absent": Refusal(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}),
    # Without a token the hub does not tell a private repository from none.
    "org/private": Refusal(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}),
    "org/wrong-token": Refusal(401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
    "org/gated": Refusal(
        403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model org/gated is restricted."}
    ),
    "org/forbidden": Refusal(403, {"X-Error-Message": "Your token has no access to this repository."}),
    "org/broken": Refusal(503, {}),
}


class Hub(ThreadingHTTPServer):
    """`repositories`: name -> folder whose files it serves under the revision main; `tokens`: name -> the token that opens it.

    `fetched`: names of the files that were asked for as a whole, each time; the plan reads their headers, by range.
    """

    daemon_threads = True

    def __init__(self, repositories: Mapping[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.tokens: dict[str, str] = {}
        self.fetched: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"
    kinds: ClassVar[tuple[str, ...]] = ("resolve", "revision", "tree", "raw")

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        words = self.path.partition("?")[0].strip("/").removeprefix("api/models/").split("/")
        repository, rest = "/".join(words[:2]), words[2:]
        if refusal := REFUSALS.get(repository):
            return self._send(refusal.status, b"{}", refusal.headers)
        token = self.server.tokens.get(repository)
        if token and self.headers["Authorization"] != f"Bearer {token}":
            return self._send(401, b"{}", REFUSALS["org/private"].headers)
        folder = self.server.repositories.get(repository)
        if folder is None:
            return self._send(404, b"{}", REFUSALS["org/absent"].headers)
        kind, revision, path = (*rest, "", "")[0], (*rest, "", "")[1], "/".join(rest[2:])
        if kind in self.kinds and revision not in {"main", COMMIT}:
            return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        files = sorted(file.name for file in folder.iterdir())
        match kind:
            case "resolve":
                return self._file(folder, path) if path in files else self._no_entry()
            case "tree":
                rows = [
                    {"type": "file", "path": name, "size": (folder / name).stat().st_size, "oid": "0"} for name in files
                ]
                return self._send(200, json.dumps(rows).encode(), {})
            case _:
                body = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
                return self._send(200, json.dumps(body).encode(), {})

    def _no_entry(self) -> None:
        self._send(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})

    def _file(self, folder: Path, name: str) -> None:
        path = folder / name
        size = path.stat().st_size
        self.send_response(200)
        tag = hashlib.sha256(f"{folder}/{name}/{size}".encode()).hexdigest()
        for header, value in (("ETag", f'"{tag}"'), ("X-Repo-Commit", COMMIT), ("Content-Length", str(size))):
            self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            if "Range" not in self.headers:
                self.server.fetched.append(name)
            with path.open("rb") as content:
                while chunk := content.read(1 << 20):
                    self.wfile.write(chunk)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for header, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(body))} | dict(headers)
        ).items():
            self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            return  # a client that had enough: the full disk ends a download in the middle

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nobody reads it."""


@contextmanager
def serving(repositories: Mapping[str, Path]) -> Iterator[Hub]:
    hub = Hub(repositories)
    threading.Thread(target=hub.serve_forever, name="hub", daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
