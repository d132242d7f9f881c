"""Asks pods how their engines do: GET /state on the management port, only of pods that start or fail.

Numbers, never verdicts: conditions rest on what the kubelet says. A pod that cannot be reached from here (a NetworkPolicy, a
node's firewall) may serve its users well.
"""

import asyncio
import dataclasses
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from fairlead_operator.controller.kinds import PODS
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.store import Key, Store, owner, uid
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import EngineState
from fairlead_runtime.config import MANAGEMENT_PORT

log = logging.getLogger(__name__)

#: Seconds between two questions to the same pod, and how long an answer may take.
INTERVAL = 5.0
TIMEOUT = 2.0
#: Questions at the same time.
CONCURRENCY = 32
#: Bytes of an answer that are read.
LONGEST_ANSWER = 1 << 20
#: Questions in a row without an answer that are worth an event: half a minute.
ALARM = 6


@dataclass
class Engines:
    """`changed` is told the service whose pod's state is news, `unreachable` the pod that stopped answering or never did."""

    store: Store
    metrics: Metrics
    changed: Callable[[Key], None]
    unreachable: Callable[[Key, Manifest], Awaitable[None]]
    port: int = MANAGEMENT_PORT
    #: The last answer of each living pod, by uid.
    states: dict[str, EngineState] = field(default_factory=dict)
    _unanswered: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Ask for ever."""
        connector = aiohttp.TCPConnector(limit=CONCURRENCY, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session:
            while True:
                pods = {uid(pod): pod for pod in self.store.all(PODS)}
                for memory in (self.states, self._unanswered):
                    for lost in memory.keys() - pods.keys():
                        del memory[lost]
                gate = asyncio.Semaphore(CONCURRENCY)
                wanted = [pod for identity, pod in pods.items() if worth_asking(pod, self.states.get(identity))]
                await asyncio.gather(*(self._ask(session, gate, pod) for pod in wanted))
                await asyncio.sleep(INTERVAL)

    async def _ask(self, session: aiohttp.ClientSession, gate: asyncio.Semaphore, pod: Manifest) -> None:
        address = pod["status"]["podIP"]
        host = f"[{address}]" if ":" in address else address
        try:
            async with gate, session.get(f"http://{host}:{self.port}/state", allow_redirects=False) as response:
                response.raise_for_status()
                body = await _read(response)
            state = EngineState.from_json(json.loads(body), datetime.now(UTC))
        except (
            aiohttp.ClientError,
            TimeoutError,
            OSError,
            ValueError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as failure:
            # The runtime listens from its first second, but the container may be a breath older than that.
            self.metrics.engines_unreachable.inc()
            log.debug("no /state", extra={"pod": pod["metadata"]["name"], "error": repr(failure)})
            await self._count(pod)
            return
        self._unanswered.pop(uid(pod), None)
        known = self.states.get(uid(pod))
        if known is None or dataclasses.replace(known, observed_at=state.observed_at) != state:
            self.states[uid(pod)] = state
            service = owner(PODS, pod)
            if service is not None:
                self.changed(service)

    async def _count(self, pod: Manifest) -> None:
        self._unanswered[uid(pod)] = self._unanswered.get(uid(pod), 0) + 1
        service = owner(PODS, pod)
        if self._unanswered[uid(pod)] == ALARM and service is not None:
            await self.unreachable(service, pod)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body. The pod may be anybody's image: what is too long is refused, not collected."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > LONGEST_ANSWER:
            raise ValueError(f"/state is longer than {LONGEST_ANSWER} bytes")
    return bytes(body)


def worth_asking(pod: Manifest, known: EngineState | None) -> bool:
    """Whether its engine runs and is not known to have arrived: Ready by the kubelet and by its own last word."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp") or not status.get("podIP"):
        return False
    containers = status.get("containerStatuses") or ()
    if not any("running" in (container.get("state") or {}) for container in containers):
        return False
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or ())
    return not (ready and known is not None and known.phase == "ready")
