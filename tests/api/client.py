"""The API server by plain HTTP: hundreds of dry runs would take too long with a process each."""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the API server said: `message` is empty when it accepted."""

    code: int
    body: Manifest
    warnings: tuple[str, ...]

    @property
    def message(self) -> str:
        """Why it was refused."""
        return "" if self.code < 300 else str(self.body.get("message"))


def credentials(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """The API server's URL, and what its user proves itself with."""
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]

    def text(entry: Manifest, name: str) -> str:
        if f"{name}-data" in entry:
            return base64.b64decode(entry[f"{name}-data"]).decode()
        return Path(entry[name]).read_text()

    context = ssl.create_default_context(cadata=text(cluster, "certificate-authority"))
    with tempfile.NamedTemporaryFile("w") as certificate, tempfile.NamedTemporaryFile("w") as key:
        certificate.write(text(user, "client-certificate"))
        key.write(text(user, "client-key"))
        certificate.flush()
        key.flush()
        context.load_cert_chain(certificate.name, key.name)
    return cluster["server"], context


def connect(kubeconfig: Path) -> httpx.Client:
    """A client that speaks as the kubeconfig's user."""
    server, context = credentials(kubeconfig)
    return httpx.Client(base_url=server, verify=context, timeout=30)


@dataclass(frozen=True)
class Api:
    """InferenceServices in one namespace."""

    http: httpx.Client
    namespace: str

    def try_create(self, manifest: Manifest, validation: str = "Strict") -> Answer:
        """Would it be accepted? Nothing is stored."""
        path = f"/apis/fairlead.dev/v1alpha1/namespaces/{self.namespace}/inferenceservices"
        answer = self.http.post(path, json=manifest, params={"dryRun": "All", "fieldValidation": validation})
        return Answer(answer.status_code, answer.json(), tuple(answer.headers.get_list("Warning")))
