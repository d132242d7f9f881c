"""Specs that cannot work end in the right condition, with the field to change, and deletion leaves nothing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local.health import free_ports

from .conftest import apply, service, wait_for_reason

pytestmark = pytest.mark.timeout(900)

#: name: (what differs from a good spec, condition, reason, field named in the message). Those that end before they load weights ask
#: for little memory: the node may have other pods.
WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "long-context": (
        {"engine": {"maxModelLen": 99999}, "resources": {"memory": "2Gi"}},
        "EngineHealthy",
        "ContextTooLong",
        "spec.engine.maxModelLen",
    ),
    "small-cache": (
        {"engine": {"kvCacheMemory": "1Mi"}},
        "EngineHealthy",
        "KVCacheTooSmall",
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


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """containerd speaks plain HTTP to a registry on this very machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def wrong(kubectl: Kubectl, model: str, registry: str) -> None:
    """All of them at once: each pod is busy with imports for most of its short life."""
    for name, (spec, *_) in WRONG.items():
        apply(kubectl, service(name, model, **{key: dict(value) for key, value in spec.items()}))
    for name, image in {
        "no-image": f"{registry}/absent:1",
        "private-image": f"{registry}/private:1",
        "no-registry": f"localhost:{free_ports(1)[0]}/absent:1",
    }.items():
        # They never start, and need not ask for the memory that the others wait for.
        apply(kubectl, service(name, f"oci://{image}", resources={"memory": "64Mi"}))
    apply(kubectl, service("no-claim", "pvc://absent/model"))


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("wrong")
def test_a_wrong_spec_ends_in_its_own_reason(kubectl: Kubectl, name: str) -> None:
    _, kind, reason, field = WRONG[name]

    found = wait_for_reason(kubectl, name, kind, reason)

    assert found["status"] == "False"
    assert field in found["message"]


@pytest.mark.parametrize(
    ("name", "reason", "field"),
    [
        pytest.param("no-image", "ModelNotFound", "spec.model.uri", id="the registry has no such image"),
        pytest.param("private-image", "Unauthorized", "spec.imagePullSecrets", id="the registry wants a password"),
        pytest.param("no-registry", "HubUnreachable", "spec.model.uri", id="nobody answers there"),
        pytest.param("no-claim", "VolumeNotFound", "spec.model.uri", id="there is no such claim"),
    ],
)
@pytest.mark.usefixtures("wrong")
def test_a_model_that_is_not_there_is_said_of_the_model(kubectl: Kubectl, name: str, reason: str, field: str) -> None:
    found = wait_for_reason(kubectl, name, "ModelAvailable", reason)

    assert found["status"] == "False"
    assert field in found["message"]


@pytest.mark.usefixtures("wrong")
def test_deleting_a_service_leaves_nothing_of_it(kubectl: Kubectl) -> None:
    kubectl.run("delete", "infs", "--all", "--wait", "--cascade=foreground", "--timeout=180s")

    for kind in ("deployments", "replicasets", "pods", "services", "poddisruptionbudgets"):
        assert kubectl.get(kind, "-l", "app.kubernetes.io/managed-by=fairlead")["items"] == []
    assert kubectl.get("configmaps", "-l", "app.kubernetes.io/managed-by=fairlead")["items"] == []
