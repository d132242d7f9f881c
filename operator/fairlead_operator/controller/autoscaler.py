"""The built-in autoscaler: after each round of questions to the pods it looks at every autoscaled service, and sets its scale.

It writes nothing but the scale subresource, of the version that it decided on. The reconcile of that change does the rest,
as for anybody's. What it remembers may be lost: core/autoscale.py begins with what there is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from fairlead_operator.api.status import MAX_DECISIONS, MAX_REASON, ScalingDecision
from fairlead_operator.controller.apart import apart
from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.engines import INTERVAL, Engines
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, PODS
from fairlead_operator.controller.outcomes import ApiError, LostLeaseError
from fairlead_operator.controller.store import Key, Store, place, uid, version
from fairlead_operator.core.autoscale import Outlook, Progress, Replica, configured, decide
from fairlead_operator.core.load import Load
from fairlead_operator.core.names import Manifest, is_active
from fairlead_operator.core.scheduling import condition_of

log = logging.getLogger(__name__)

#: An answer counts for so long: two questions may be lost.
FRESH = timedelta(seconds=3 * INTERVAL)


@dataclass
class Autoscaler:
    """`changed` is told the service about which there is something new to say; only while it `leads` does it look."""

    store: Store
    cluster: Cluster
    engines: Engines
    changed: Callable[[Key], None]
    leads: Callable[[], bool]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: What was found, by service.
    progress: dict[Key, Progress] = field(default_factory=dict)
    #: Uid of the service that the progress is about, and the resourceVersion of our last write to it.
    _about: dict[Key, tuple[str, int]] = field(default_factory=dict)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.engines.polled.wait()
            self.engines.polled.clear()
            if self.leads():
                await self.look()

    async def look(self) -> None:
        """Once at every service."""
        services = {place(service): service for service in self.store.all(INFERENCE_SERVICES)}
        active = {key: service for key, service in services.items() if _is_to_be_scaled(service)}
        for lost in self.progress.keys() - active.keys():
            del self.progress[lost]
        for lost in self._about.keys() - active.keys():
            del self._about[lost]
        await apart({"/".join(key): self._scale(key, service) for key, service in active.items()})

    async def _scale(self, key: Key, service: Manifest) -> None:
        rules = configured(service)
        about, written = self._about.get(key, (uid(service), 0))
        if rules is None or (about == uid(service) and version(service) < written):
            return  # the watch has not shown our own last write
        before = self.progress.get(key) if about == uid(service) else None
        spec = service["spec"]
        replicas = int(spec.get("replicas", 1))
        pods = [self._replica(pod) for pod in self.store.owned(PODS, key) if is_active(pod)]
        memory = before.outlook.memory if before else None
        now = self.now()
        outlook = decide(rules, replicas, pods, memory, now, suspended=bool(spec.get("suspend")))
        decisions = before.decisions if before else ()
        self._about[key] = uid(service), written
        if outlook.to is not None and await self._write(key, service, outlook.to):
            decided = ScalingDecision(
                time=now.replace(microsecond=0), from_=replicas, to=outlook.to, reason=outlook.reason[:MAX_REASON]
            )
            log.info("scaled", extra={"service": "/".join(key), "decision": decided.model_dump(mode="json")})
            decisions = (decided, *decisions)[:MAX_DECISIONS]
            outlook = replace(outlook, memory=replace(outlook.memory, replicas=outlook.to))
        self.progress[key] = Progress(outlook, decisions, uid(service))
        if before is None or _told(before) != _told(self.progress[key]):
            self.changed(key)

    async def _write(self, key: Key, service: Manifest, replicas: int) -> bool:
        """Whether it was written: another write in between is looked at anew in the next round."""
        try:
            self._about[key] = uid(service), await self.cluster.scale(service, replicas)
        except (ApiError, LostLeaseError) as refusal:
            level = logging.DEBUG if isinstance(refusal, ApiError) and refusal.code in {404, 409} else logging.WARNING
            log.log(level, "not scaled: %s", refusal, extra={"service": "/".join(key)})
            return False
        return True

    def _replica(self, pod: Manifest) -> Replica:
        ready = (condition_of(pod, "Ready") or {}).get("status") == "True"
        return Replica(ready=ready, load=self._load(pod))

    def _load(self, pod: Manifest) -> Load | None:
        state = self.engines.states.get(uid(pod))
        return state.load if state and self.now() - state.observed_at <= FRESH else None


def _told(progress: Progress) -> tuple[str, tuple[ScalingDecision, ...]]:
    """What status says of it."""
    outlook: Outlook = progress.outlook
    return outlook.state, progress.decisions


def _is_to_be_scaled(service: Manifest) -> bool:
    """Whether it is autoscaled, and carried out at all."""
    said = {one["type"]: one for one in (service.get("status") or {}).get("conditions") or ()}
    # A pod's trouble makes Accepted False too; of a spec that is not carried out UpToDate says so.
    carried_out = said.get("UpToDate", {}).get("reason", "NotAccepted") != "NotAccepted"
    refused = said.get("Accepted", {}).get("status") == "False" and not carried_out
    gone = service["metadata"].get("deletionTimestamp")
    return bool(service["spec"].get("autoscaling")) and not refused and not gone
