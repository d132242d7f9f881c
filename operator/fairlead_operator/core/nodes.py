"""What a node offers, and which pods it admits: the scheduler's own rules, as far as labels, taints and health go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fairlead_operator.api.pod import REQUIRED
from fairlead_operator.core.build.placement import MEMORY_LABEL
from fairlead_operator.core.names import Manifest

#: Taints that keep a pod away; PreferNoSchedule only makes a node less liked.
_KEEPS_AWAY: Final = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True)
class Node:
    """One node. `accelerators` holds its extended resources: those whose name has a vendor, such as nvidia.com/gpu."""

    name: str
    labels: Mapping[str, str]
    accelerators: Mapping[str, int]
    taints: tuple[Mapping[str, str], ...] = ()
    #: Ready by its kubelet, and not cordoned.
    healthy: bool = True

    @property
    def accelerator_memory(self) -> int | None:
        """Bytes of each accelerator, by the label of NVIDIA's gpu-feature-discovery; None where nobody says so."""
        text = self.labels.get(MEMORY_LABEL, "")
        return int(text) * 2**20 if text.isdecimal() else None


def read_node(manifest: Mapping[str, Any]) -> Node:
    """From a Node of the API server."""
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())
    return Node(
        name=manifest["metadata"]["name"],
        labels=manifest["metadata"].get("labels") or {},
        accelerators=_extended(status.get("allocatable") or {}),
        taints=tuple(spec.get("taints") or ()),
        healthy=ready and not spec.get("unschedulable", False),
    )


def held_by(pod: Mapping[str, Any]) -> dict[str, int]:
    """Extended resources that a pod keeps from others: its containers together, or its hungriest init container."""
    spec = pod["spec"]
    together: dict[str, int] = {}
    for container in spec.get("containers") or ():
        for name, count in _limits(container).items():
            together[name] = together.get(name, 0) + count
    for container in spec.get("initContainers") or ():
        for name, count in _limits(container).items():
            together[name] = max(together.get(name, 0), count)
    return together


def admits(node: Node, pod_spec: Mapping[str, Any]) -> bool:
    """Whether the node's health, labels and taints would let the pod in; how much room is left is another question."""
    wanted = pod_spec.get("nodeSelector") or {}
    return (
        node.healthy
        and all(node.labels.get(key) == value for key, value in wanted.items())
        and _affine(node, pod_spec.get("affinity") or {})
        and all(_tolerated(taint, pod_spec.get("tolerations") or ()) for taint in node.taints)
    )


def _extended(resources: Mapping[str, Any]) -> dict[str, int]:
    """Whole numbers by name; kubernetes.io's own names with a slash are none of a device plugin's."""
    return {
        name: int(amount)
        for name, amount in resources.items()
        if "/" in name and "kubernetes.io/" not in name and str(amount).isdecimal()
    }


def _limits(container: Manifest) -> dict[str, int]:
    """For extended resources requests and limits are the same."""
    resources = container.get("resources") or {}
    return _extended({**(resources.get("requests") or {}), **(resources.get("limits") or {})})


def _affine(node: Node, affinity: Mapping[str, Any]) -> bool:
    required = (affinity.get("nodeAffinity") or {}).get(REQUIRED)
    if not required:
        return True
    # Terms are alternatives; an empty one matches nothing.
    return any(_term(node, term) for term in required.get("nodeSelectorTerms") or ())


def _term(node: Node, term: Mapping[str, Any]) -> bool:
    by_label = [_expression(node.labels.get(item["key"]), item) for item in term.get("matchExpressions") or ()]
    by_field = [_expression(node.name, item) for item in term.get("matchFields") or ()]
    return bool(by_label or by_field) and all(by_label + by_field)


def _expression(value: str | None, item: Mapping[str, Any]) -> bool:
    values: Sequence[str] = item.get("values") or ()
    match item["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            if value is None or not (value.isdecimal() and values and values[0].isdecimal()):
                return False
            return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    return False


def _tolerated(taint: Mapping[str, str], tolerations: Sequence[Mapping[str, Any]]) -> bool:
    return taint.get("effect") not in _KEEPS_AWAY or any(_tolerates(one, taint) for one in tolerations)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")
