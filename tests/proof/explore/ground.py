"""The API server as the one who explores sees it: many services of one namespace at once, over one connection pool."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from api.client import Answer, Manifest
from fairlead_operator.core.names import SERVICE_LABEL

#: Seconds in which dozens of services at once must get where they go, on two slow and busy cores.
PATIENCE: Final = 150.0
#: Seconds between two looks.
LOOK: Final = 0.4
SERVICES: Final = "/apis/fairlead.dev/v1alpha1/namespaces/{}/inferenceservices"
#: What the operator makes, and what comes of that.
CHILDREN: Final = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "ControllerRevision": "/apis/apps/v1/namespaces/{}/controllerrevisions",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
}
OFFSPRING: Final = {"ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets", "Pod": "/api/v1/namespaces/{}/pods"}
KINDS: Final = {**CHILDREN, **OFFSPRING}


@dataclass(frozen=True)
class Ground:
    """One namespace."""

    http: httpx.Client
    namespace: str

    def create(self, name: str, spec: Manifest, dry_run: str = "", annotations: Manifest | None = None) -> Answer:
        """Create a service; `dry_run` is "" or "All". What is refused has a message."""
        metadata = {"name": name, **({"annotations": annotations} if annotations else {})}
        body = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "InferenceService", "metadata": metadata, "spec": spec}
        query = {"fieldValidation": "Strict", **({"dryRun": dry_run} if dry_run else {})}
        return _answer(self.http.post(SERVICES.format(self.namespace), json=body, params=query))

    def respecify(self, name: str, spec: Manifest) -> Answer:
        """Give a service another spec, whatever it had before."""
        return self.patch(
            f"{SERVICES.format(self.namespace)}/{name}", [{"op": "replace", "path": "/spec", "value": spec}]
        )

    def patch(self, path: str, operations: list[Manifest]) -> Answer:
        """A JSON patch of one object."""
        headers = {"Content-Type": "application/json-patch+json"}
        return _answer(self.http.patch(path, json=operations, headers=headers))

    def delete(self, path: str, propagation: str = "Background") -> None:
        """Delete one object; gone already is as good."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        answer = self.http.request("DELETE", path, json=body)
        assert answer.status_code in {200, 202, 404}, answer.text

    def delete_service(self, name: str, propagation: str = "Background") -> None:
        """Delete a service."""
        self.delete(f"{SERVICES.format(self.namespace)}/{name}", propagation)

    def service(self, name: str) -> Manifest | None:
        """One service, None where there is none."""
        answer = self.http.get(f"{SERVICES.format(self.namespace)}/{name}")
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def services(self) -> dict[str, Manifest]:
        """All services, by name."""
        return {item["metadata"]["name"]: item for item in self._list(SERVICES)}

    def objects(self, kinds: Iterable[str] = CHILDREN, selector: str = SERVICE_LABEL) -> list[Manifest]:
        """Whatever there is of the kinds, by label of any service unless `selector` says otherwise, each with its kind."""
        return [{**item, "kind": kind} for kind in kinds for item in self._list(KINDS[kind], selector)]

    def path(self, obj: Manifest) -> str:
        """Where the object is."""
        return f"{KINDS[obj['kind']].format(self.namespace)}/{obj['metadata']['name']}"

    def _list(self, path: str, selector: str = "") -> list[Manifest]:
        answer = self.http.get(path.format(self.namespace), params={"labelSelector": selector})
        found: list[Manifest] = answer.raise_for_status().json()["items"]
        return found


def _answer(answer: httpx.Response) -> Answer:
    return Answer(answer.status_code, answer.json(), tuple(answer.headers.get_list("Warning")))


def service_of(obj: Manifest) -> str:
    """The name of the service that the object belongs to."""
    return str(obj["metadata"]["labels"][SERVICE_LABEL])


def by_service(objects: Iterable[Manifest]) -> dict[str, list[Manifest]]:
    """The objects of each service."""
    found: dict[str, list[Manifest]] = {}
    for obj in objects:
        found.setdefault(service_of(obj), []).append(obj)
    return found


def settle(look: Callable[[], dict[str, Any]], within: float = PATIENCE) -> dict[str, Any]:
    """Look until nothing is left to say, or time is up; returns what is still said then, by name."""
    deadline = time.monotonic() + within
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(LOOK)
    return left
