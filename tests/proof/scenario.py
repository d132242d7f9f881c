"""What every fault has to leave as it is: five services are made and then changed, scaled, deleted, and one child is taken away.

grows     1 -> 2 replicas
shrinks   2 -> 1 replica
changes   another engine setting: a rollout
goes      is deleted
never     its pod never becomes Ready; its Service is deleted by hand
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from proof.invariants import Manifest, Picture, conditions, is_ready, place, service_of
from proof.observer import GROUP, Admin

STAYING = ("changes", "grows", "never", "shrinks")
#: Replicas at the end.
REPLICAS = {"changes": 1, "grows": 2, "never": 1, "shrinks": 1}
#: Times, identities and counters: they differ between any two runs.
_OWN = frozenset(
    {
        "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "clusterIP", "clusterIPs", "annotations",
        "lastTransitionTime", "observedAt", "time", "pod", "startup", "pod-template-hash",
    }
)  # fmt: skip
#: A pod's name, as its Deployment and its ReplicaSet complete it.
_POD = re.compile(r"\b([a-z]+)-[a-f0-9]{8,10}-[a-z0-9]{5}\b")


@dataclass(frozen=True)
class Scenario:
    """One run of it, in a namespace of its own."""

    admin: Admin
    namespace: str

    def begin(self) -> None:
        """Make the services."""
        for name in (*STAYING, "goes"):
            self.admin.service(self.namespace, name, replicas=2 if name == "shrinks" else 1)

    def begun(self, seen: Picture) -> str:
        """What is still lacking."""
        return self._lacking(seen, {**REPLICAS, "grows": 1, "shrinks": 2, "goes": 1})

    def change(self) -> None:
        """Everything at once."""
        self._patch("grows", {"replicas": 2})
        self._patch("shrinks", {"replicas": 1})
        self._patch("changes", {"engine": {"maxNumSeqs": 8}})
        self.delete(GROUP, "inferenceservices", "goes")
        self.delete("api/v1", "services", "never")

    def delete(self, root: str, resource: str, name: str) -> None:
        """Delete an object of this run; it may be gone already."""
        self.admin.delete(f"/{root}/namespaces/{self.namespace}/{resource}/{name}")

    def changed(self, seen: Picture) -> str:
        """What is still lacking, by everything but a comparison with another run."""
        left = [child for child in (*seen.children, *seen.pods) if service_of(child) == (self.namespace, "goes")]
        return self._lacking(seen, REPLICAS) or (f"{len(left)} objects of a deleted service are left" if left else "")

    def touch(self, name: str, note: str) -> None:
        """Change a service in a way that changes nothing of what it asks for."""
        path = f"/{GROUP}/namespaces/{self.namespace}/inferenceservices/{name}"
        self.admin.merge(path, {"metadata": {"annotations": {"example.com/note": note}}})

    def _patch(self, name: str, spec: Manifest) -> None:
        self.admin.merge(f"/{GROUP}/namespaces/{self.namespace}/inferenceservices/{name}", {"spec": spec})

    def _is_here(self, obj: Manifest) -> bool:
        return place(obj)[0] == self.namespace

    def _lacking(self, seen: Picture, replicas: dict[str, int]) -> str:
        services = {service["metadata"]["name"]: service for service in seen.services if self._is_here(service)}
        if set(services) != set(replicas):
            return f"services {sorted(services)}"
        for name, service in services.items():
            found = conditions(service)
            ready = found.get("Ready", {})
            if ready.get("observedGeneration") != service["metadata"]["generation"]:
                return f"{name} was not seen at generation {service['metadata']['generation']}: {found}"
            if ready.get("status") != ("False" if name == "never" else "True"):
                return f"{name} is Ready {ready}"
        for name, number in replicas.items():
            mine = [pod for pod in seen.pods if service_of(pod) == (self.namespace, name)]
            if len(mine) != number or sum(map(is_ready, mine)) != (0 if name == "never" else number):
                return f"{len(mine)} pods of {name}"
            if not any(c["kind"] == "Service" and place(c) == (self.namespace, name) for c in seen.children):
                return f"Service {name} is not there"
        return ""

    def state(self, seen: Picture) -> dict[str, Any]:
        """All that must be equal at the end of any two runs, by kind and name; pods by service."""
        state: dict[str, Any] = {}
        for obj in filter(self._is_here, seen.children):
            whole = {name: part for name, part in obj.items() if name != "status"}
            state[f"{obj['kind']} {obj['metadata']['name']}"] = self._plain(whole)
        for service in filter(self._is_here, seen.services):
            name, status = service["metadata"]["name"], service.get("status", {})
            state[f"InferenceService {name}"] = self._plain(service["spec"]) | {"status": self._plain(status)}
            mine = [pod for pod in seen.pods if service_of(pod) == place(service)]
            state[f"pods of {name}"] = sorted(json.dumps(self._plain(pod["metadata"]["labels"])) for pod in mine)
        return state

    def _plain(self, value: Any) -> Any:
        """Without what differs between any two runs, and without this one's namespace."""
        if isinstance(value, dict):
            return {name: self._plain(part) for name, part in value.items() if name not in _OWN}
        if isinstance(value, list):
            return [self._plain(part) for part in value]
        if isinstance(value, str):
            return _POD.sub(r"\1-POD", re.sub(rf"\b{re.escape(self.namespace)}\b", "NAMESPACE", value))
        return value


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """The first of them, or nothing."""
    for name in sorted(wanted | found):
        if wanted.get(name) != found.get(name):
            return f"{name} is\n{json.dumps(found.get(name))}\nand was without faults\n{json.dumps(wanted.get(name))}"
    return ""
