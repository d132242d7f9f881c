"""Why a pod's container is not created: the kubelet says it in events only.

Events are never watched: there are too many of them. They are listed for a pod that is late, and remembered for a while.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.kinds import CORE_EVENTS
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.store import uid
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import PodEvent

log = logging.getLogger(__name__)

#: A pod is late when its containers are not created so long after it got its node.
LATE = timedelta(seconds=10)
#: How long a listing is used.
CACHED = timedelta(seconds=15)


@dataclass
class Mounts:
    """Events of late pods. `now` is wall-clock time, the cluster's own measure."""

    cluster: Cluster
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _listed: dict[str, tuple[datetime, tuple[PodEvent, ...]]] = field(default_factory=dict)

    async def of(self, pods: tuple[Manifest, ...]) -> tuple[dict[str, tuple[PodEvent, ...]], datetime | None]:
        """Events by uid of the late ones among `pods`, and when to look again: None if no pod waits for its containers."""
        waiting = {uid(pod): (pod, since) for pod in pods if (since := creating_since(pod)) is not None}
        now = self.now()
        self._listed = {key: entry for key, entry in self._listed.items() if now - entry[0] < CACHED}
        found = {}
        for identity, (pod, since) in waiting.items():
            if now - since >= LATE:
                found[identity] = await self._events(pod)
        if not waiting:
            return {}, None
        return found, now + (CACHED if found else LATE)

    async def _events(self, pod: Manifest) -> tuple[PodEvent, ...]:
        known = self._listed.get(uid(pod))
        if known is not None:
            return known[1]
        selector = f"involvedObject.uid={uid(pod)}"
        try:
            listed = await self.cluster.list_all(CORE_EVENTS, pod["metadata"]["namespace"], fieldSelector=selector)
        except ApiError as refusal:
            # Events only explain; without them the rest of the status is as true.
            log.warning("a late pod's events cannot be listed: %s", refusal, extra={"pod": pod["metadata"]["name"]})
            listed = []
        events = tuple(sorted((pod_event(item) for item in listed), key=lambda event: event.last_seen))
        self._listed[uid(pod)] = (self.now(), events)
        return events


def creating_since(pod: Mapping[str, Any]) -> datetime | None:
    """When the pod got its node, if its containers are still to be created; else None."""
    status = pod.get("status") or {}
    if status.get("phase") != "Pending" or pod["metadata"].get("deletionTimestamp"):
        return None
    states = [container.get("state") or {} for container in status.get("containerStatuses") or ()]
    reasons = {(state.get("waiting") or {}).get("reason") for state in states}
    if not reasons <= {None, "ContainerCreating", "PodInitializing"} or any("running" in state for state in states):
        return None
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "True":
            return datetime.fromisoformat(condition["lastTransitionTime"])
    return None


def pod_event(raw: Mapping[str, Any]) -> PodEvent:
    """From core/v1, which shows events of either API."""
    series = raw.get("series") or {}
    seen = (
        series.get("lastObservedTime")
        or raw.get("lastTimestamp")
        or raw.get("eventTime")
        or raw["metadata"]["creationTimestamp"]
    )
    return PodEvent(
        type=raw.get("type") or "Normal",
        reason=raw.get("reason") or "",
        message=raw.get("message") or "",
        last_seen=datetime.fromisoformat(seen),
        count=series.get("count") or raw.get("count") or 1,
    )
