"""How many accelerators the cluster has free, for the message of a pod that the scheduler finds no accelerators for.

Nodes and other people's pods are never watched: there are too many of them. They are listed page by page when a pod lacks
accelerators, and one listing serves all services for a while.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.kinds import ALL_PODS, NODES
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.core.capacity import Capacity, count, lacking
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.nodes import held_by, read_node
from fairlead_operator.core.seen import Accelerators

log = logging.getLogger(__name__)

#: How long a listing is used, and when to look again while a pod still waits.
CACHED = timedelta(seconds=30)
#: A listing is used for at least so many times as long as it took: a large cluster is listed less often.
SPARED = 20
#: After a refusal the scheduler's words have to do for so long.
REFUSED = timedelta(minutes=10)
#: Pods that hold something: on a node, and not over.
HOLDING = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"


@dataclass
class AcceleratorCount:
    """`permitted` is False where the operator serves named namespaces only: it may not see nodes there and does not try."""

    cluster: Cluster
    permitted: bool = True
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _capacity: Capacity | None = None
    _until: datetime | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, pods: Sequence[Manifest]) -> tuple[Accelerators | None, datetime | None]:
        """What is there for the first pod that lacks accelerators, and when to look again; None when none lacks any."""
        short = next(
            ((pod, resource) for pod in pods if (resource := lacking(pod)) and not pod["spec"].get("nodeName")), None
        )
        if short is None or not self.permitted:
            return None, None
        capacity = await self._listed()
        return (count(capacity, short[1], short[0]), self._until) if capacity else (None, None)

    async def _listed(self) -> Capacity | None:
        async with self._lock:
            if self._until is None or self.now() >= self._until:
                began = self.now()
                try:
                    self._capacity = await self._list()
                    age = max(CACHED, SPARED * (self.now() - began))
                except ApiError as refusal:
                    # The numbers only explain; the scheduler's own words are there without them.
                    log.warning("nodes and pods cannot be listed to count accelerators: %s", refusal)
                    self._capacity, age = None, REFUSED if refusal.code == 403 else CACHED
                self._until = self.now() + age
            return self._capacity

    async def _list(self) -> Capacity:
        nodes = [read_node(node) async for node in self.cluster.each(NODES, None)]
        held: dict[str, dict[str, int]] = {}
        async for pod in self.cluster.each(ALL_PODS, None, fieldSelector=HOLDING):
            on_node = held.setdefault(pod["spec"]["nodeName"], {})
            for resource, number in held_by(pod).items():
                on_node[resource] = on_node.get(resource, 0) + number
        return Capacity(tuple(node for node in nodes if node.accelerators), held)
