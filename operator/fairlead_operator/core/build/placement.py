"""Where pods may run: the scheduler's fields of a pod."""

import math
from typing import Any, Final

from fairlead_operator.api.fields import amount
from fairlead_operator.api.pod import REQUIRED
from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved

#: Written by NVIDIA's gpu-feature-discovery on each node, in MiB.
MEMORY_LABEL: Final = "nvidia.com/gpu.memory"


def queue_labels(service: Resolved) -> dict[str, str]:
    """For the Deployment and for its pods: with Kueue's integration of Deployments or with that of plain pods, each pod is queued."""
    queue = service.spec.placement.queue_name
    return {names.QUEUE_LABEL: queue} if queue else {}


def placement(service: Resolved) -> Manifest:
    """Only what was asked for; an empty field would be ours to keep and others' to fight over."""
    asked = service.spec.placement
    tolerations = [_plain(toleration) for toleration in asked.tolerations]
    if service.accelerator:
        # Nodes with accelerators are often tainted with the resource's name, to keep everything else away.
        tolerations.append({"key": service.accelerator, "operator": "Exists"})
    affinity = _affinity(service)
    fields: Manifest = {
        "nodeSelector": dict(asked.node_selector or {}),
        "tolerations": tolerations,
        "affinity": affinity,
        "priorityClassName": asked.priority_class_name,
        "runtimeClassName": asked.runtime_class_name,
    }
    return {name: value for name, value in fields.items() if value}


def _affinity(service: Resolved) -> Manifest:
    asked = service.spec.placement
    affinity = _plain(asked.affinity) if asked.affinity else {}
    if asked.min_accelerator_memory is None:
        return affinity
    # Gt is strict.
    least = math.ceil(amount(asked.min_accelerator_memory) / 2**20) - 1
    demand = {"key": MEMORY_LABEL, "operator": "Gt", "values": [str(least)]}
    node = affinity.get("nodeAffinity", {})
    required = node.get(REQUIRED) or {}
    # Terms are alternatives: the demand goes into each of them.
    terms = [
        {**term, "matchExpressions": [*(term.get("matchExpressions") or ()), demand]}
        for term in required.get("nodeSelectorTerms") or [{}]
    ]
    return {
        **affinity,
        "nodeAffinity": {
            **node,
            REQUIRED: {**required, "nodeSelectorTerms": terms},
        },
    }


def _plain(model: Any) -> Manifest:
    dumped: Manifest = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped
