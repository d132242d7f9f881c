"""Specs that cannot work, and a registry that refuses."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fairlead_cli.local.health import free_ports

#: name: (what differs from a good spec, condition, reason, field named in the message). Those that end before they load weights ask
#: for little memory: the node may have other pods.
WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "long-context": (
        {"engine": {"maxModelLen": 99999}, "resources": {"memory": "2Gi"}},
        "EngineHealthy",
        "ContextTooLong",
        "spec.engine.maxModelLen",
    ),
    "unknown-flag": (
        {"engine": {"extraArgs": ["--enforce-eagerly"]}, "resources": {"memory": "2Gi"}},
        "Accepted",
        "UnknownEngineArgument",
        "spec.engine.extraArgs",
    ),
    "no-secret": (
        {"serving": {"apiKeySecretRef": {"name": "absent", "key": "keys"}}, "resources": {"memory": "64Mi"}},
        "Accepted",
        "SecretNotFound",
        "spec.serving.apiKeySecretRef",
    ),
}


class Refuses(BaseHTTPRequestHandler):
    """A registry that has no image, and wants a password for those below /private.

    containerd tries TLS first; a refusal with a status line is what makes it go on with plain HTTP.
    """

    default_request_version = "HTTP/1.0"

    def do_GET(self) -> None:
        code, error = (401, "UNAUTHORIZED") if "/private" in self.path else (404, "MANIFEST_UNKNOWN")
        body = json.dumps({"errors": [{"code": error, "message": error.lower().replace("_", " ")}]}).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """The test says what it saw."""


@contextmanager
def registry() -> Iterator[str]:
    """containerd speaks plain HTTP to a registry on this very machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def by_name(registry: str) -> dict[str, dict[str, Any]]:
    """What differs from a good spec, and `uri` where the model does."""
    # They never start, and need not ask for the memory that the others wait for.
    small = {"memory": "64Mi"}
    images = {
        "no-image": f"{registry}/absent:1",
        "private-image": f"{registry}/private:1",
        "no-registry": f"localhost:{free_ports(1)[0]}/absent:1",
    }
    return {
        **{name: {key: dict(value) for key, value in spec.items()} for name, (spec, *_) in WRONG.items()},
        **{name: {"uri": f"oci://{image}", "resources": dict(small)} for name, image in images.items()},
        "no-claim": {"uri": "pvc://absent/model", "resources": dict(small)},
    }
