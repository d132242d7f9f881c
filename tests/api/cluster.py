"""What a test says to the API server: as kubectl does, with plain dicts, and waiting on conditions."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from api.objects import NotFoundError, RefusedError, Server, server

Manifest = dict[str, Any]
T = TypeVar("T")
#: Seconds until a wait gives up: long enough for a busy machine of two cores.
PATIENCE = 60.0


def eventually(look: Callable[[], T | None], what: str, within: float = PATIENCE) -> T:
    """The first true answer of `look`; fails with the last one after `within` seconds. A KeyError is what is not there yet."""
    deadline = time.monotonic() + within
    while True:
        seen: T | KeyError | None
        try:
            seen = look()
            if seen:
                return seen
        except KeyError as missing:
            seen = missing
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {within:.0f} s; last seen: {seen!r}")
        time.sleep(0.1)


@dataclass(frozen=True)
class Kubectl:
    """One user in one namespace: called it is the program itself, and its methods do the same without a process."""

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

    @property
    def server(self) -> Server:
        """What it speaks to."""
        return server(self.kubeconfig)

    def get(self, kind: str, name: str) -> Manifest | None:
        """The object, or None."""
        return self.server.get(kind, self.namespace, name)

    def items(self, kind: str, selector: str = "") -> list[Manifest]:
        """All objects of the kind in the namespace; of several kinds, with commas between them."""
        return self.server.items(kind, self.namespace, selector)

    def create(self, manifest: Manifest) -> Manifest:
        """What must not be there yet."""
        return self.server.create(self.namespace, manifest)

    def apply(self, manifest: Manifest, *, force: bool = False) -> Manifest:
        """Server-side apply as `kubectl`; with `force` also what others manage."""
        return self.server.apply(self.namespace, manifest, force=force)

    def patch(self, kind: str, name: str, patch: Mapping[str, Any], *, subresource: str = "") -> None:
        """JSON merge patch."""
        self.server.merge(kind, self.namespace, name, patch, subresource)

    def delete(self, kind: str, name: str, **options: Any) -> None:
        """Returns at once; `options` as the API has them."""
        self.server.delete(kind, self.namespace, name, **options)

    def delete_all(self, kind: str, selector: str = "") -> None:
        """Returns at once."""
        for item in self.items(kind, selector):
            with suppress(NotFoundError):
                self.delete(f"{item['apiVersion']}/{item['kind']}", item["metadata"]["name"])

    def within(self, test: str) -> "Kubectl":
        """The same in a new namespace that is called after the test."""
        return self.new_namespace(re.sub(r"[^a-z0-9]+", "-", test)[-60:].strip("-"))

    def new_namespace(self, name: str) -> "Kubectl":
        """The same in a new namespace of that name."""
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return replace(self, namespace=name)


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
