"""kopf as informer: it lists, watches and reconnects; its handlers only pass on what they saw.

No create, update or delete handler, timer or daemon: those would put finalizers and annotations on users' objects. kopf runs
in a thread and an event loop of its own, because at its end it cancels every task of its loop. It ends on errors that it
cannot retry; then a new one is started, while store, queue and Lease stay.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import kopf

from fairlead_operator.api import v1alpha1
from fairlead_operator.controller import connection
from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.handover import HandOver
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, WATCHED, Kind
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.pacing import Pacing
from fairlead_operator.core.names import Manifest

log = logging.getLogger(__name__)

#: The longest wait between two tries of kopf, and between two kopfs, in seconds.
LONGEST_WAIT = 30.0
#: Seconds for one page of a list.
REQUEST_TIMEOUT = 30.0
#: Objects per page of a list. kopf lists all kinds at the same time, each page of them is whole objects, and they take ten times their
#: text in memory.
PAGE = 100
#: Seconds that kopf keeps the last version of an object after its last event, managedFields and all: in a start, those of every object.
IDLE = 0.2
#: A watch on which nothing came for so many seconds is dead: the API server sends a bookmark every minute.
SILENCE = 70.0
#: Seconds between looks for the CRD while it is missing.
CRD_POLL = 2.0
#: A kopf that lived so many seconds was well: its successor starts without a longer wait.
PROVEN = 60.0
#: Seconds that kopf gets to end when it is asked to.
STOP_TIMEOUT = 10.0

MISSING_CRD = (
    f"the API server does not know {v1alpha1.PLURAL}.{v1alpha1.GROUP} {v1alpha1.VERSION}; "
    "install the CRD: helm upgrade --install with crds.install=true, or kubectl apply --server-side -f crds/"
)


class NoEssences(kopf.DiffBaseStorage):
    """kopf copies and compares what is essential of every object that it sees, for handlers of changes: there are none here."""

    def build(self, **_: Any) -> Any:
        """Nothing is essential."""
        return {}

    def fetch(self, **_: Any) -> Any:
        """Nothing was."""
        return None

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


class EndlessBackoffs:
    """Waits between tries of one request, in seconds: 1, 2, 4 ... 30, 30 for ever. Iterable any number of times."""

    def __iter__(self) -> Iterator[float]:
        """Each request begins with the shortest wait."""
        wait = 1.0
        while True:
            yield wait
            wait = min(wait * 2, LONGEST_WAIT)


@dataclass
class Informer:
    """`seen` and `gone` are called in the loop that runs `run`, in the order in which kopf saw things."""

    namespaces: tuple[str, ...]
    cluster: Cluster
    metrics: Metrics
    pacing: Pacing
    seen: Callable[[Kind, Manifest], None]
    gone: Callable[[Kind, Manifest], None]
    kinds: tuple[Kind, ...] = WATCHED
    #: Why nothing is watched now, or nothing.
    trouble: str = "the watches have not started yet"
    _stop: Callable[[], None] | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _given_up: asyncio.Event = field(default_factory=asyncio.Event)
    _login: kopf.AiohttpSession | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Watch until `stop`; kopf is started anew whenever it ends."""
        wait = 1.0
        while await self._crd():
            began = asyncio.get_running_loop().time()
            self.trouble = ""
            failure = await self._watch()
            if self._stopping.is_set():
                break
            self.metrics.watch_restarts.inc()
            self.trouble = f"the watches ended: {failure!r}" if failure else "the watches are restarted"
            log.warning(self.trouble)
            wait = 1.0 if asyncio.get_running_loop().time() - began > PROVEN else min(wait * 2, LONGEST_WAIT)
            await self._pause(wait)
        self._ended.set()

    async def _pause(self, seconds: float) -> None:
        """Wait, less when `stop` is called."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _crd(self) -> bool:
        """Wait until the API server knows our kind, for kopf would silently never watch it; False when asked to stop."""
        while not self._stopping.is_set():
            try:
                if await self.cluster.served(INFERENCE_SERVICES):
                    return True
                trouble, level = MISSING_CRD, logging.ERROR
            except ApiError as failure:
                trouble, level = f"the API server cannot be reached: {failure}", logging.WARNING
            if trouble != self.trouble:
                log.log(level, trouble)
            self.trouble = trouble
            await self._pause(CRD_POLL)
        return False

    async def _watch(self) -> BaseException | None:
        """One life of kopf; returns what ended it, None when it was asked to end."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[BaseException | None] = loop.create_future()

        def life() -> None:
            failure: BaseException | None = None
            try:
                asyncio.run(self._kopf(loop))
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever ends kopf is logged by run()
                failure = error
            loop.call_soon_threadsafe(ended.set_result, failure)

        self._given_up = asyncio.Event()
        threading.Thread(target=life, name="informer", daemon=True).start()
        given_up = asyncio.create_task(self._given_up.wait())
        ends: list[asyncio.Future[Any]] = [ended, given_up]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            given_up.cancel()
        return ended.result() if ended.done() else TimeoutError("kopf does not end")

    async def _kopf(self, outer: asyncio.AbstractEventLoop) -> None:
        """Runs in the thread. The flag belongs to kopf's loop, so that waiting for it takes no thread that could hang."""
        flag = asyncio.Event()
        inner = asyncio.get_running_loop()
        inner.set_exception_handler(_complaint)

        def stop() -> None:
            if not inner.is_closed():
                inner.call_soon_threadsafe(flag.set)

        self._stop = stop
        if self._stopping.is_set():
            return
        self._login = None
        dying = asyncio.create_task(self._watch_it_die(outer, self._given_up))
        await kopf.operator(
            registry=self._registry(outer),
            settings=self._settings(),
            standalone=True,
            clusterwide=not self.namespaces,
            namespaces=self.namespaces,
            stop_flag=flag,
        )
        dying.cancel()

    async def _watch_it_die(self, outer: asyncio.AbstractEventLoop, given_up: asyncio.Event) -> None:
        """When one of its watches has failed kopf closes its connections, and may then wait for ever for others to log in."""
        while self._login is None or not self._login.aiohttp_session.closed:  # noqa: ASYNC110 - kopf tells nobody
            await asyncio.sleep(1.0)
        await asyncio.sleep(STOP_TIMEOUT)
        if self._login.aiohttp_session.closed:
            outer.call_soon_threadsafe(given_up.set)

    def _registry(self, outer: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            self._login = await connection.for_kopf(self.pacing)
            return self._login

        over = HandOver(outer)
        for kind in self.kinds:
            self._register(registry, kind, over)
        return registry

    def _register(self, registry: kopf.OperatorRegistry, kind: Kind, over: HandOver) -> None:
        # No index handlers, although they exist for this: until all kinds are listed kopf wakes every object that waits at every
        # object that is done, and with a thousand services the process does nothing else for a minute.
        async def event(event: Mapping[str, Any], **_: Any) -> None:
            tell = self.gone if event["type"] == "DELETED" else self.seen
            over.put(tell, kind, slim(event["object"]))

        where: dict[str, Any] = {"group": kind.group, "version": kind.version, "plural": kind.plural}
        kopf.on.event(id=f"event-{kind.plural}", registry=registry, **where)(event)

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.scanning.disabled = True
        settings.posting.enabled = False
        settings.persistence.diffbase_storage = NoEssences()
        settings.networking.request_timeout = REQUEST_TIMEOUT
        settings.networking.connect_timeout = 10
        settings.networking.error_backoffs = EndlessBackoffs()
        settings.watching.server_timeout = 600
        settings.watching.client_timeout = 660
        settings.watching.inactivity_timeout = SILENCE
        settings.watching.chunk_size = PAGE
        settings.queueing.idle_timeout = IDLE
        for kind in self.kinds:
            if kind.selector:
                settings.watching.label_selectors[f"{kind.plural}.{kind.version}.{kind.group}".rstrip(".")] = (
                    kind.selector
                )
        return settings

    def restart(self) -> None:
        """End the running kopf; `run` starts the next one.

        One that does not end is left alone.
        """
        if self._stop is not None:
            self._stop()
            asyncio.get_running_loop().call_later(STOP_TIMEOUT, self._given_up.set)

    async def stop(self) -> None:
        """End for good."""
        self._stopping.set()
        self.restart()
        try:
            await asyncio.wait_for(self._ended.wait(), STOP_TIMEOUT)
        except TimeoutError:
            log.warning("the watches did not end within %.0f s; the process ends without them", STOP_TIMEOUT)


def _complaint(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Of kopf's loop: no bug of ours, and what matters is what ends kopf.

    A callback of kopf 1.45 (stream in clients/api.py) fails whenever it ends while a watch waits for its answer.
    """
    log.warning("the watches: %s: %r", context["message"].partition("\n")[0], context.get("exception"))


def slim(obj: Mapping[str, Any]) -> Manifest:
    """The object without managedFields, which are a third of it and never read."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": metadata}
