"""What the kubelet says in events only: why a container is not created, how often, and which probe had one killed.

Events are never watched: there are too many of them. They are listed for a pod in trouble, and remembered for a while. For each such
listing the API server reads all events of the namespace, and every new pod whose image is large is in trouble: so one is made at a time,
and where they take long they are few.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.kinds import CORE_EVENTS
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.store import uid
from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.observe import FLAPPING_RESTARTS
from fairlead_operator.core.seen import PodEvent

log = logging.getLogger(__name__)

#: A pod is late when its containers are not created so long after it got its node.
LATE = timedelta(seconds=10)
#: How long a listing is used, and how long what it showed is told where none was made since.
CACHED = timedelta(seconds=15)
KEPT = timedelta(minutes=2)
#: Of the time listings may take so much, after this many seconds that they always may. One is never counted as longer than that: it may
#: have waited for its turn only.
SHARE = 0.05
AT_ONCE = 2.0
#: Pods of one service whose events are listed at a time: the oldest, since theirs are told.
MOST = 16
#: Waiting for these is no trouble, or a crash has left its record; for anything else there are events.
_ON_ITS_WAY = frozenset({None, "ContainerCreating", "PodInitializing", "CrashLoopBackOff"})


@dataclass
class PodEvents:
    """Events of pods in trouble. `now` is wall-clock time, the cluster's own measure; `clock` seconds that never go back."""

    cluster: Cluster
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    _listed: dict[str, tuple[datetime, tuple[PodEvent, ...]]] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Seconds that listings may take, and when that was right.
    _allowance: tuple[float, float] = (AT_ONCE, float("-inf"))

    async def of(self, pods: tuple[Manifest, ...]) -> tuple[dict[str, tuple[PodEvent, ...]], datetime | None]:
        """Events by uid of those in trouble among `pods`, and when to look again: None if events alone bring no news."""
        now = self.now()
        # They stay for days, and nobody asks what became of their containers.
        pods = tuple(pod for pod in pods if not names.is_finished(pod))
        self._listed = {key: entry for key, entry in self._listed.items() if now - entry[0] < KEPT}
        creating = [since for pod in pods if (since := creating_since(pod)) is not None]
        troubled = [pod for pod in pods if is_late(pod, now) or is_refused(pod) or was_killed(pod)]
        troubled.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
        # Whose were never listed goes first.
        asked = sorted(troubled[:MOST], key=lambda pod: uid(pod) in self._listed)
        found = {uid(pod): await self._events(pod) for pod in asked}
        if found.keys() - self._listed.keys() or any(is_late(pod, now) or is_refused(pod) for pod in troubled):
            return found, now + CACHED
        return found, now + LATE if creating else None

    async def _events(self, pod: Manifest) -> tuple[PodEvent, ...]:
        at, events = self._listed.get(uid(pod), (None, ()))
        if at is not None and self.now() - at < CACHED:
            return events
        async with self._turn:
            began = self.clock()
            left, when = self._allowance
            left = min(AT_ONCE, left + SHARE * (began - when))
            if left <= 0:
                return events
            listed = await self._list(pod)
            self._allowance = left - min(AT_ONCE, self.clock() - began), self.clock()
        told = (pod_event(item) for item in listed if not _is_of_another_container(item))
        events = tuple(sorted(told, key=lambda event: event.last_seen))
        self._listed[uid(pod)] = (self.now(), events)
        return events

    async def _list(self, pod: Manifest) -> list[Manifest]:
        selector = f"involvedObject.uid={uid(pod)}"
        try:
            return await self.cluster.list_all(CORE_EVENTS, pod["metadata"]["namespace"], fieldSelector=selector)
        except ApiError as refusal:
            # Events only explain; without them the rest of the status is as true.
            log.warning("a late pod's events cannot be listed: %s", refusal, extra={"pod": pod["metadata"]["name"]})
            return []


def _is_of_another_container(raw: Mapping[str, Any]) -> bool:
    """A failure of what somebody added to the pod is not the engine's. Of image volumes the pod as a whole is told."""
    where = (raw.get("involvedObject") or {}).get("fieldPath") or ""
    other = where.startswith("spec.") and where != f"spec.containers{{{names.CONTAINER}}}"
    return other and raw.get("reason") in {"Failed", "Killing"}


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


def is_late(pod: Mapping[str, Any], now: datetime) -> bool:
    """Whether its containers should have been created by now."""
    since = creating_since(pod)
    return since is not None and now - since >= LATE


def is_refused(pod: Mapping[str, Any]) -> bool:
    """Whether a container waits for something that went wrong: an image, a Secret, the runtime. Events say how often."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    waiting = {((container.get("state") or {}).get("waiting") or {}).get("reason") for container in containers}
    return not waiting <= _ON_ITS_WAY


def was_killed(pod: Mapping[str, Any]) -> bool:
    """Whether a container that is not Ready, or restarts often, ended as if killed or asked to: events name the probe."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        calm = container.get("ready") and container.get("restartCount", 0) < FLAPPING_RESTARTS
        for state in (container.get("state") or {}, container.get("lastState") or {}):
            ended = state.get("terminated")
            if ended and not calm and (ended.get("exitCode") == 0 or ended.get("exitCode", 0) > 128):
                return True
    return False


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
