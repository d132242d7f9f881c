"""Holds back a Deployment's smaller number of replicas until it is written which pods are to go.

Nothing of it must survive: after a restart the pods are asked again, and costs that are still right are not written again.
A pod that does not answer, or cannot be written to, delays nothing: "no response is cut" is the drain's promise, "the idlest
first" is an effort.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.engines import Engines
from fairlead_operator.controller.informer import slim
from fairlead_operator.controller.kinds import DEPLOYMENTS, PODS
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.store import Key, Store, place, uid
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.scale_down import DELETION_COST, costs, held_back, shrinks

log = logging.getLogger(__name__)

#: Seconds that pods get to say how busy they are; an engine's supervisor answers in milliseconds.
ANSWER = 0.5
#: Seconds from our watch having shown the costs to the smaller number: the ReplicaSet controller has a watch of its own.
SETTLE = 1.0
#: Seconds after which costs count although no watch has shown them.
CATCH_UP = 5.0
#: Seconds after which a judgement is too old to be acted on.
STALE = 30.0
#: Seconds after which nobody comes back for it.
FORGOTTEN = 3600.0


@dataclass
class ScaleDown:
    """`now` is a monotonic clock in seconds."""

    store: Store
    cluster: Cluster
    engines: Engines
    now: Callable[[], float] = time.monotonic
    #: By uid of the Deployment: when the costs were written, and when the watch had shown them.
    _written: dict[str, tuple[float, float | None]] = field(default_factory=dict)

    async def gate(self, key: Key, intent: Sequence[Manifest]) -> tuple[list[Manifest], float | None]:
        """What may be applied now, and in how many seconds to come back if that is not all of the intent."""
        wanted = next(manifest for manifest in intent if manifest["kind"] == DEPLOYMENTS.name)
        live = self.store.get(DEPLOYMENTS, place(wanted))
        if live is None or not shrinks(wanted, live):
            self._written.pop(uid(live) if live else "", None)
            return list(intent), None
        wait = await self._wait(key, uid(live))
        if wait is None:
            return list(intent), None
        return [held_back(wanted, live) if manifest is wanted else manifest for manifest in intent], wait

    async def _wait(self, key: Key, deployment: str) -> float | None:
        """Seconds until the next look, None when the replicas may go."""
        now = self.now()
        self._written = {one: times for one, times in self._written.items() if now - times[0] <= FORGOTTEN}
        written, shown = self._written.get(deployment, (float("-inf"), None))
        if now - written > STALE:
            late = self._written.pop(deployment, None) is not None
            if not await self._weigh(key):
                return None
            if late:
                # So long is the queue: whoever comes back comes too late each time.
                await asyncio.sleep(SETTLE)
                return None
            written, shown = self.now(), None
        if shown is None and (not self.store.unseen(PODS, key) or now - written > CATCH_UP):
            shown = self.now()
        self._written[deployment] = written, shown
        if shown is None:
            return SETTLE / 10
        if self.now() - shown < SETTLE:
            return SETTLE - (self.now() - shown)
        del self._written[deployment]
        return None

    async def _weigh(self, key: Key) -> bool:
        """Ask the pods and write the costs that changed; False when there was nothing to write."""
        pods = {uid(pod): pod for pod in self.store.owned(PODS, key)}
        loads = await self.engines.loads(pods.values(), ANSWER)
        changed = costs(tuple(pods.values()), loads)
        await asyncio.gather(*(self._write(pods[identity], cost) for identity, cost in changed.items()))
        return bool(changed)

    async def _write(self, pod: Manifest, cost: str) -> None:
        body = {"metadata": {"uid": uid(pod), "annotations": {DELETION_COST: cost}}}
        try:
            self.store.written(PODS, slim(await self.cluster.merge(PODS, place(pod), body)))
        except ApiError as refusal:
            log.warning("a deletion cost was not written: %s", refusal, extra={"pod": "/".join(place(pod))})
