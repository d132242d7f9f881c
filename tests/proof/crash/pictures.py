"""What there is in a namespace, without what differs between two runs that ended alike."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from api.cluster import Manifest
from fairlead_operator.controller.kinds import CHILDREN, INFERENCE_SERVICES, PODS, REPLICA_SETS, Kind

#: Times, identities and who wrote what: never the same twice.
MOVING = frozenset(
    {
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
        "generation",
        "lastTransitionTime",
        "lastUpdateTime",
        "clusterIP",
        "clusterIPs",
        "startup",
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/revision-history",
        "controller.kubernetes.io/pod-deletion-cost",
    }
)
#: By `pod` and `node`: which of them carries out a spec is the scheduler's business.
CHANCE = frozenset({"pod", "node"})


@dataclass(frozen=True)
class Place:
    """One namespace of the API server, by HTTP."""

    http: httpx.Client
    namespace: str

    def items(self, kind: Kind) -> list[Manifest]:
        """All objects of a kind."""
        answer = self.http.get(kind.path(self.namespace))
        found: list[Manifest] = answer.raise_for_status().json()["items"]
        return found

    def services(self) -> list[Manifest]:
        """The services with their status."""
        return [self._essence(item) for item in self.items(INFERENCE_SERVICES)]

    def picture(self) -> dict[str, Any]:
        """The services, their children, and how many pods and ReplicaSets of each template there are."""
        return {
            "services": self.services(),
            "children": {
                f"{kind.name} {item['metadata']['name']}": self._child(kind, item)
                for kind in CHILDREN
                for item in self.items(kind)
                if "ownerReferences" in item["metadata"]
            },
            "pods": _counted(self.items(PODS)),
            "replicaSets": _counted(self.items(REPLICA_SETS)),
        }

    def _child(self, kind: Kind, item: Manifest) -> Manifest:
        """Without its status, which is other people's; with all who have written to it."""
        managers = sorted({entry["manager"] for entry in item["metadata"]["managedFields"]})
        return self._essence({**item, "kind": kind.name, "status": None, "managers": managers})

    def _essence(self, item: Manifest) -> Manifest:
        text = json.dumps(_still(item)).replace(self.namespace, "NAMESPACE")
        still: Manifest = json.loads(text)
        return still


def _still(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: "ANY" if name in CHANCE and isinstance(each, str) else _still(each)
            for name, each in value.items()
            # Of an emptied list the API server leaves an empty one, or none.
            if name not in MOVING and (each or name != "replicaStates")
        }
    return [_still(each) for each in value] if isinstance(value, list) else value


def _counted(items: list[Manifest]) -> dict[str, int]:
    """How many of each template there are, on their way out or not; of ReplicaSets also how many replicas they want."""
    return dict(
        Counter(
            " ".join(
                [
                    item["metadata"]["labels"].get("fairlead.dev/template", "?"),
                    *([f"x{item['spec']['replicas']}"] if "replicas" in item["spec"] else []),
                    *(["terminating"] if "deletionTimestamp" in item["metadata"] else []),
                ]
            )
            for item in items
        )
    )


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two pictures differ, and how: at most one line for a leaf."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return [
            line
            for name in sorted({*one, *other})
            for line in differences(one.get(name, "nothing"), other.get(name, "nothing"), f"{where}.{name}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            line
            for at, pair in enumerate(zip(one, other, strict=True))
            for line in differences(*pair, f"{where}[{at}]")
        ]
    return [] if one == other else [f"{where.lstrip('.')}: {_short(one)} instead of {_short(other)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 200 else f"{text[:200]}..."
