"""How many accelerators are free, and where: numbers for messages. The scheduler decides; nothing here does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fairlead_operator.core.names import Manifest
from fairlead_operator.core.nodes import Node, admits
from fairlead_operator.core.seen import Accelerators

_INSUFFICIENT: Final = re.compile(r"Insufficient (?P<resource>[-a-z0-9.]+/[-A-Za-z0-9_.]+)")
#: Nodes that are named in a message.
_NAMED: Final = 3


@dataclass(frozen=True)
class Capacity:
    """The cluster's nodes, and how much of each extended resource the pods on each node hold."""

    nodes: tuple[Node, ...]
    held: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def lacking(pod: Mapping[str, Any]) -> str:
    """The accelerator for want of which the pod has no node, by the scheduler's message; "" when it lacks none."""
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            found = _INSUFFICIENT.search(str(condition.get("message") or ""))
            return found["resource"].rstrip(".") if found else ""
    return ""


def count(capacity: Capacity, resource: str, pod: Manifest) -> Accelerators:
    """What there is of `resource` for this pod."""
    offering = [node for node in capacity.nodes if node.accelerators.get(resource)]
    free = {
        node.name: max(0, node.accelerators[resource] - capacity.held.get(node.name, {}).get(resource, 0))
        for node in offering
    }
    usable = [node for node in offering if admits(node, pod["spec"])]
    names = {node.name for node in usable}
    where = sorted(((free[name], name) for name in names if free[name]), key=lambda entry: (-entry[0], entry[1]))
    return Accelerators(
        total=sum(node.accelerators[resource] for node in usable),
        free=sum(free[name] for name in names),
        largest_free=where[0][0] if where else 0,
        largest=max((node.accelerators[resource] for node in usable), default=0),
        where=tuple((name, number) for number, name in where[:_NAMED]),
        elsewhere=sum(number for name, number in free.items() if name not in names),
    )
