"""The pieces of the controller, wired together and run: watches, queue, workers, Lease, health, and their end in order."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead_operator.controller import connection, lease
from fairlead_operator.controller.accelerators import AcceleratorCount
from fairlead_operator.controller.api_keys import ApiKeys
from fairlead_operator.controller.autoscaler import Autoscaler
from fairlead_operator.controller.bucket import TokenBucket
from fairlead_operator.controller.children import Children
from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.engines import Engines
from fairlead_operator.controller.freshness import PATIENCE, Freshness
from fairlead_operator.controller.health import Health
from fairlead_operator.controller.hub import PUBLIC, Hub
from fairlead_operator.controller.informer import Informer
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, Kind, watched
from fairlead_operator.controller.metrics import Metrics, StoreCollector
from fairlead_operator.controller.outcomes import LostLeaseError, NotYetError
from fairlead_operator.controller.pacing import Pacing
from fairlead_operator.controller.planner import Planner
from fairlead_operator.controller.pod_events import PodEvents
from fairlead_operator.controller.reconciler import Reconciler, Report
from fairlead_operator.controller.recorder import Recorder
from fairlead_operator.controller.scale_down import ScaleDown
from fairlead_operator.controller.store import Key, Store, owner, place, uid, version
from fairlead_operator.controller.workqueue import WorkQueue
from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Defaults
from fairlead_operator.core.transitions import Event
from fairlead_operator.settings import Settings

log = logging.getLogger(__name__)

#: Seconds that running reconciles get to finish at the end.
DRAIN = 10.0
#: A process that lost its Lease and is still there after so many seconds is ended hard, from the Lease's thread.
HARD_EXIT = 5.0
TICK = 1.0


@dataclass
class Operator:
    """One operator. `run` returns the exit code; `stop` asks it to end. `abandon` ends the process hard."""

    settings: Settings
    abandon: Callable[[int], None] = os._exit
    metrics: Metrics = field(default_factory=Metrics)
    store: Store = field(default_factory=Store)
    queue: WorkQueue = field(default_factory=WorkQueue)
    #: The port of the health endpoints, once they listen.
    health_port: int = 0
    _leading: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _code: int = 0

    async def run(self) -> int:
        """Until stopped, or until leadership is lost."""
        loop = asyncio.get_running_loop()
        settings = self.settings
        self.lease = lease.Lease(
            namespace=settings.namespace,
            name=names.LEASE,
            identity=settings.pod_name,
            connect=self._own_connection,
            won=lambda: self._won(loop),
            lost=lambda why: self._lost(loop, why),
        )
        bucket = TokenBucket(settings.api_requests_per_second, 2 * settings.api_requests_per_second)
        pacing = Pacing(bucket, self.metrics, lambda: self._relisted(loop))
        self.cluster = Cluster(await connection.load(), bucket, self.metrics, self.lease.check)
        kinds = watched(network_policies=settings.network_policies)
        self.informer = Informer(settings.namespaces, self.cluster, self.metrics, pacing, self._seen, self._gone, kinds)
        self.freshness = Freshness(
            self.store, self.cluster, settings.namespaces, self.informer.restart, self.queue.add, kinds
        )
        self.engines = Engines(self.store, self.metrics, self.queue.add, self._unreachable)
        self.autoscaler = Autoscaler(self.store, self.cluster, self.engines, self.queue.add, lambda: self.lease.held)
        self.children = Children(self.store, self.cluster)
        self.recorder = Recorder(self.cluster, settings.pod_name)
        self.reconciler = Reconciler(
            store=self.store,
            cluster=self.cluster,
            children=self.children,
            engines=self.engines,
            scale_down=ScaleDown(self.store, self.cluster, self.engines),
            autoscaler=self.autoscaler,
            pod_events=PodEvents(self.cluster),
            accelerators=AcceleratorCount(self.cluster, permitted=not settings.namespaces),
            planner=Planner(
                self.cluster, Hub(settings.hub_endpoint or PUBLIC), self.queue.add, permitted=not settings.namespaces
            ),
            recorder=self.recorder,
            api_keys=ApiKeys(self.cluster, self.recorder, permitted=settings.generate_api_keys),
            defaults=Defaults(
                settings.runtime_image,
                settings.runtime_image_cpu,
                settings.hub_endpoint,
                settings.image_prefixes,
                settings.engine_version,
                settings.engine_version_cpu,
                settings.network_access,
            ),
        )
        self.metrics.registry.register(StoreCollector(self.store, lambda: self.queue.depth, self._blind))
        self.metrics.leading.set_function(lambda: float(self.lease.held))
        health = Health(self.metrics.registry, ready=self._unready, live=self._unwell)
        try:
            self.health_port = await health.start(settings.health_port)
            await self._serve()
        finally:
            await health.stop()
            # The Lease goes last: until here this process might have written.
            await asyncio.to_thread(self.lease.release)
            await self.cluster.close()
        return self._code

    async def _serve(self) -> None:
        self.lease.start()
        background = [
            asyncio.create_task(work, name=name)
            for name, work in {
                "tick": self._tick(),
                "informer": self.informer.run(),
                "freshness": self.freshness.run(),
                "engines": self.engines.run(),
                "autoscaler": self.autoscaler.run(),
                "resync": self._resync(),
            }.items()
        ]
        workers = [asyncio.create_task(self._work(), name=f"worker-{n}") for n in range(self.settings.workers)]
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            done, _ = await asyncio.wait([stopped, *background, *workers], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                # None of them ever ends by itself: a bug ends the process instead of leaving half an operator.
                log.critical("%s ended", task.get_name(), exc_info=task.exception())
                self._code = 1
        finally:
            self.queue.close()
            self._stopped.set()
            self._leading.set()
            _, unfinished = await asyncio.wait(workers, timeout=DRAIN)
            await self.informer.stop()
            for task in (*unfinished, *background, stopped):
                task.cancel()
            await asyncio.gather(*workers, *background, stopped, return_exceptions=True)

    def stop(self, code: int = 0) -> None:
        """End in order: no new keys, running reconciles, watches, the Lease."""
        self._code = self._code or code
        self._stopped.set()

    async def _own_connection(self) -> Cluster:
        """The Lease's: unthrottled, in its thread's loop, and not subject to the Lease.

        A Retry-After of more than a period is not obeyed: one request in it harms no server, a new leader would list everything anew.
        """
        bucket = TokenBucket(100, 100, longest_pause=lease.PERIOD)
        return Cluster(await connection.load(), bucket, self.metrics, lambda: None)

    def _won(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self._leading.set)

    def _relisted(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self.freshness.look)

    def _lost(self, loop: asyncio.AbstractEventLoop, why: str) -> None:
        log.critical("leadership is lost, the process ends: %s", why)
        loop.call_soon_threadsafe(self.stop, 1)
        if not self._ended_within(HARD_EXIT):
            self.abandon(1)

    def _ended_within(self, seconds: float) -> bool:
        """In the Lease's thread: whether the loop has begun to end. A stuck loop never sets the event."""
        deadline = self.lease.now() + seconds
        while self.lease.now() < deadline:
            if self._stopped.is_set():
                return True
            self.lease.wait(0.05)
        return False

    def _seen(self, kind: Kind, obj: Manifest) -> None:
        news = self.store.observe(kind, obj)
        # The echo of our own write is no news. An older version than our response is: the response swallowed that change.
        if news or self.store.version_at(kind, place(obj)) != version(obj):
            self._enqueue(kind, obj)

    def _gone(self, kind: Kind, obj: Manifest) -> None:
        self.store.end(kind, place(obj), uid(obj), version(obj))
        self.children.forget(uid(obj))
        self._enqueue(kind, obj)

    async def _unreachable(self, key: Key, pod: Manifest) -> None:
        """An event, never a condition: the pod may serve its users well."""
        service = self.store.get(INFERENCE_SERVICES, key)
        if service is not None and self.lease.held:
            note = (
                f"the operator cannot reach port {self.engines.port} of pod {pod['metadata']['name']}: "
                "numbers in status stay as they were; allow this traffic in the NetworkPolicy"
            )
            await self.recorder.emit(service, Event("Warning", "EngineUnreachable", note, "Poll"))

    def _enqueue(self, kind: Kind, obj: Manifest) -> None:
        service = owner(kind, obj)
        if service is not None:
            self.queue.add(service)

    async def _work(self) -> None:
        """One worker: waits for leadership and a synced store, then takes keys until the queue closes."""
        await self._leading.wait()
        synced = asyncio.create_task(self.freshness.synced.wait())
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait([synced, stopped], return_when=asyncio.FIRST_COMPLETED)
        synced.cancel()
        stopped.cancel()
        while (key := await self.queue.get()) is not None:
            try:
                await self._once(key)
            finally:
                self.queue.done(key)
            # A look that finds nothing to do never waits for anything, nor does the queue while it holds keys: a thousand such looks
            # in a row would stop the whole loop, until the Lease is lost.
            await asyncio.sleep(0)

    async def _once(self, key: Key) -> None:
        began = asyncio.get_running_loop().time()
        requeue: float | None = None
        try:
            report = await self.reconciler.reconcile(key)
        except NotYetError as waiting:
            self.queue.forget(key)
            requeue = waiting.after
            self.queue.add_after(key, requeue)
            self._note(key, began, "NotYet", Report(requeue=requeue), str(waiting))
        except LostLeaseError as lost:
            self._note(key, began, "Failed", Report(requeue=self.queue.add_backed_off(key)), str(lost))
        except Exception as failure:  # noqa: BLE001 - bugs and the API server's troubles alike: said once per try, backed off
            level = None if isinstance(failure, OSError) or hasattr(failure, "code") else failure
            self._note(key, began, "Failed", Report(requeue=self.queue.add_backed_off(key)), repr(failure), level)
        else:
            self.queue.forget(key)
            if report.requeue is not None:
                self.queue.add_after(key, report.requeue)
            rejection = report.rejection
            self._note(key, began, "Rejected" if rejection else "Done", report, rejection.message if rejection else "")

    def _note(  # noqa: PLR0917 - one line's parts
        self, key: Key, began: float, outcome: str, report: Report, why: str, bug: BaseException | None = None
    ) -> None:
        """One line and one observation per reconcile."""
        seconds = asyncio.get_running_loop().time() - began
        self.metrics.reconciles.labels(outcome).observe(seconds)
        level = logging.WARNING if outcome == "Failed" else logging.INFO if report.changes else logging.DEBUG
        log.log(
            level,
            "reconciled",
            extra={
                "service": "/".join(key),
                "outcome": outcome,
                "generation": report.generation,
                "seconds": round(seconds, 4),
                "changes": list(report.changes),
                **({"why": why} if why else {}),
                **({"requeue": round(report.requeue, 1)} if report.requeue is not None else {}),
            },
            exc_info=bug,
        )

    async def _resync(self) -> None:
        """Every service once in so many seconds, one after the other: all at once would keep waiting what has changed."""
        while True:
            known = [place(service) for service in self.store.all(INFERENCE_SERVICES)]
            if not known:
                await asyncio.sleep(self.settings.resync_seconds)
            for key in known:
                await asyncio.sleep(self.settings.resync_seconds / len(known))
                self.queue.add(key)

    async def _tick(self) -> None:
        while True:
            self.lease.tick()
            await asyncio.sleep(TICK)

    def _unready(self) -> str:
        """Readiness is a store that can be trusted, never leadership: a standby is ready to take over."""
        return self._cut_off() or self.informer.trouble or self.freshness.unready()

    def _blind(self) -> str:
        """Why the store may not be what the cluster is. Watches that begin anew are no reason: that takes a moment."""
        return self._cut_off() or self.freshness.unready()

    def _cut_off(self) -> str:
        silent = self.lease.now() - self.lease.last_contact
        return f"the API server has not answered for {silent:.0f} s" if silent > PATIENCE else ""

    def _unwell(self) -> str:
        """Liveness: watches that are dead although they were restarted."""
        return self.freshness.behind()
