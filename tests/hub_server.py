"""A hub on loopback with the files of one repository: ranges, redirects to a store of another name, refusals; it counts."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPOSITORY = "org/model"
#: 70B parameters in 16 bits: 131 GiB.
LARGE = json.dumps(
    {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": 128_256,
        "hidden_size": 8192, "intermediate_size": 28_672, "num_hidden_layers": 80, "num_attention_heads": 64,
        "num_key_value_heads": 8, "max_position_embeddings": 131_072,
    }
).encode()  # fmt: skip


class HubServer(ThreadingHTTPServer):
    """files: name -> content. elsewhere: files are redirected to this server under the name localhost."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes], *, elsewhere: bool = False, honours_ranges: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.elsewhere, self.honours_ranges = files, elsewhere, honours_ranges
        self.asked: list[str] = []
        self.tokens: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: HubServer

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked.append(self.path)
        host = str(self.headers.get("Host"))
        self.server.tokens.append((host.partition(":")[0], str(self.headers.get("Authorization") or "")))
        if self.server.elsewhere and host.startswith("127."):
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}{self.path}")
            self.end_headers()
            return
        body = self.server.files.get(name) if self.path.startswith(f"/{REPOSITORY}/resolve/") else None
        if body is None:
            self.send_error(404)
            return
        asked = re.fullmatch(r"bytes=0-(\d+)", str(self.headers.get("Range") or ""))
        part = body[: int(asked.group(1)) + 1] if asked and self.server.honours_ranges else body
        self.send_response(206 if part is not body else 200)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        try:
            self.wfile.write(part)
        except ConnectionError:
            return  # a reader that had enough

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nobody reads it."""


@contextmanager
def hub(files: Mapping[str, bytes], *, elsewhere: bool = False, honours_ranges: bool = True) -> Iterator[HubServer]:
    server = HubServer(files, elsewhere=elsewhere, honours_ranges=honours_ranges)
    threading.Thread(target=server.serve_forever, name="hub", daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
