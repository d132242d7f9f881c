"""What a test says to the API server: kubectl with plain dicts, and waiting on conditions."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

Manifest = dict[str, Any]
T = TypeVar("T")
#: Seconds until a wait gives up: long enough for a busy machine of two cores.
PATIENCE = 60.0


def eventually(look: Callable[[], T | None], what: str, within: float = PATIENCE) -> T:
    """The first true answer of `look`; fails with the last one after `within` seconds."""
    deadline = time.monotonic() + within
    answer = look()
    while not answer:
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {within:.0f} s; last seen: {answer!r}")
        time.sleep(0.1)
        answer = look()
    return answer


class RefusedError(AssertionError):
    """The API server said no; the text is kubectl's."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl as one user in one namespace."""

    program: Path
    kubeconfig: Path
    namespace: str

    def __call__(self, *arguments: str, stdin: Manifest | None = None) -> str:
        """Run it; returns stdout. Raises RefusedError."""
        command = [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *arguments]
        text = None if stdin is None else json.dumps(stdin)
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RefusedError(done.stderr)
        return done.stdout

    def get(self, kind: str, name: str) -> Manifest | None:
        """The object, or None."""
        text = self("get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text else None

    def items(self, kind: str, selector: str = "") -> list[Manifest]:
        """All objects of the kind in the namespace."""
        found: list[Manifest] = json.loads(self("get", kind, "-o", "json", f"--selector={selector}"))["items"]
        return found

    def apply(self, manifest: Manifest, *arguments: str) -> Manifest:
        """Server-side apply as `kubectl`."""
        text = self("apply", "--server-side", "-o", "json", "-f", "-", *arguments, stdin=manifest)
        applied: Manifest = json.loads(text)
        return applied

    def within(self, test: str) -> "Kubectl":
        """The same in a new namespace that is called after the test."""
        namespace = re.sub(r"[^a-z0-9]+", "-", test)[-60:].strip("-")
        self("create", "namespace", namespace)
        return replace(self, namespace=namespace)

    def patch(self, kind: str, name: str, patch: Mapping[str, Any], *arguments: str) -> None:
        """JSON merge patch."""
        self("patch", kind, name, "--type=merge", "-p", json.dumps(patch), *arguments)


def service(name: str = "mistral", **spec: Any) -> Manifest:
    """A small InferenceService; `spec` replaces top-level fields."""
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"model": {"uri": "hf://mistralai/Mistral-7B-Instruct-v0.3"}, **spec},
    }


def accepted(kubectl: Kubectl, name: str = "mistral") -> bool:
    """Whether the current generation has a status."""
    found = kubectl.get("infs", name)
    seen = conditions(found).get("Accepted", {}).get("observedGeneration")
    return found is not None and found["metadata"]["generation"] == seen


def conditions(obj: Manifest | None) -> dict[str, Manifest]:
    """The conditions of an object's status, by type."""
    return {item["type"]: item for item in ((obj or {}).get("status") or {}).get("conditions", [])}
