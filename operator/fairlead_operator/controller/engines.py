"""Asks pods how their engines do: GET /state on the management port, of pods that start, fail or are autoscaled.

Numbers, never verdicts: conditions rest on what the kubelet says. A pod that cannot be reached from here (a NetworkPolicy, a
node's firewall) may serve its users well.
"""

import asyncio
import dataclasses
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from fairlead_operator.controller.apart import apart
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, PODS
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.store import Key, Store, owner, place, uid
from fairlead_operator.core.load import Load
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
#: What an answer that is none, or none at all, may raise: the pod may be anybody's image.
UNREADABLE = (
    aiohttp.ClientError,
    TimeoutError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
#: Questions in a row without an answer that are worth an event: half a minute.
ALARM = 6
#: Seconds between two questions to a pod that has not answered so many: each costs a TIMEOUT, and there may be thousands of them.
SELDOM = 30.0


@dataclass
class Engines:
    """`changed` is told the service whose pod's state is news, `unreachable` the pod that stopped answering or never did.

    Those are asked in rounds of their own, so that nobody else's numbers grow old meanwhile.
    """

    store: Store
    metrics: Metrics
    changed: Callable[[Key], None]
    unreachable: Callable[[Key, Manifest], Awaitable[None]]
    port: int = MANAGEMENT_PORT
    #: The last answer of each living pod, by uid.
    states: dict[str, EngineState] = field(default_factory=dict)
    #: Set after each round of questions.
    polled: asyncio.Event = field(default_factory=asyncio.Event)
    _unanswered: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Ask for ever."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._rounds(INTERVAL, silent=False))
            both.create_task(self._rounds(SELDOM, silent=True))

    async def _rounds(self, interval: float, *, silent: bool) -> None:
        """One after the other, of those that answer or of those that have not for long."""
        async with _session() as session:
            while True:
                began = asyncio.get_running_loop().time()
                pods = {uid(pod): pod for pod in self.store.all(PODS)}
                for memory in (self.states, self._unanswered):
                    for lost in memory.keys() - pods.keys():
                        del memory[lost]
                gate = asyncio.Semaphore(CONCURRENCY)
                wanted = [
                    pod
                    for identity, pod in pods.items()
                    if (self._unanswered.get(identity, 0) >= ALARM) is silent
                    and worth_asking(pod, self.states.get(identity), autoscaled=self._is_autoscaled(pod))
                ]
                await apart({"/".join(place(pod)): self._ask(session, gate, pod) for pod in wanted})
                if not silent:
                    self.polled.set()
                await asyncio.sleep(max(0.0, began + interval - asyncio.get_running_loop().time()))

    def _is_autoscaled(self, pod: Manifest) -> bool:
        key = owner(PODS, pod)
        service = self.store.get(INFERENCE_SERVICES, key) if key else None
        return bool(service and service["spec"].get("autoscaling"))

    async def loads(self, pods: Iterable[Manifest], within: float) -> dict[str, Load]:
        """What each pod's engine is busy with right now, by uid; who does not answer in `within` seconds is left out."""
        async with _session() as session:
            questions = {
                uid(pod): asyncio.create_task(self._load(session, pod)) for pod in pods if _answers_somewhere(pod)
            }
            if questions:
                await asyncio.wait(questions.values(), timeout=within)
            in_time = {identity: question for identity, question in questions.items() if not question.cancel()}
            await asyncio.gather(*questions.values(), return_exceptions=True)
        return {identity: load for identity, question in in_time.items() if (load := question.result())}

    async def _load(self, session: aiohttp.ClientSession, pod: Manifest) -> Load | None:
        try:
            return (await self._fetch(session, pod)).load
        except UNREADABLE:
            return None

    async def _fetch(self, session: aiohttp.ClientSession, pod: Manifest) -> EngineState:
        """One question. Raises one of UNREADABLE."""
        address = pod["status"]["podIP"]
        host = f"[{address}]" if ":" in address else address
        async with session.get(f"http://{host}:{self.port}/state", allow_redirects=False) as response:
            response.raise_for_status()
            body = await _read(response)
        return EngineState.from_json(json.loads(body), datetime.now(UTC))

    async def _ask(self, session: aiohttp.ClientSession, gate: asyncio.Semaphore, pod: Manifest) -> None:
        try:
            async with gate:
                state = await self._fetch(session, pod)
        except UNREADABLE as failure:
            # The runtime listens from its first second, but the container may be a breath older than that.
            self.metrics.engines_unreachable.inc()
            log.debug("no /state", extra={"pod": pod["metadata"]["name"], "error": repr(failure)})
            await self._count(pod)
            return
        self._unanswered.pop(uid(pod), None)
        known = self.states.get(uid(pod))
        self.states[uid(pod)] = state
        if known is None or dataclasses.replace(known, observed_at=state.observed_at, load=state.load) != state:
            service = owner(PODS, pod)
            if service is not None:
                self.changed(service)

    async def _count(self, pod: Manifest) -> None:
        self._unanswered[uid(pod)] = self._unanswered.get(uid(pod), 0) + 1
        service = owner(PODS, pod)
        if self._unanswered[uid(pod)] == ALARM and service is not None:
            await self.unreachable(service, pod)


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=CONCURRENCY, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body. The pod may be anybody's image: what is too long is refused, not collected."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > LONGEST_ANSWER:
            raise ValueError(f"/state is longer than {LONGEST_ANSWER} bytes")
    return bytes(body)


def _answers_somewhere(pod: Manifest) -> bool:
    """Whether a container of it runs and it has an address."""
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    return bool(status.get("podIP")) and any("running" in (container.get("state") or {}) for container in containers)


def worth_asking(pod: Manifest, known: EngineState | None, *, autoscaled: bool = False) -> bool:
    """Whether its engine runs, and is autoscaled or not known to have arrived: Ready by the kubelet and by its own last word."""
    if pod["metadata"].get("deletionTimestamp") or not _answers_somewhere(pod):
        return False
    conditions = pod["status"].get("conditions") or ()
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    return autoscaled or not (ready and known is not None and known.phase == "ready")
