"""Leadership by a coordination.k8s.io Lease: one writer at a time.

client-go's election with its usual times, in a thread with a loop and a connection of its own, so that a busy reconcile loop
delays no renewal. But a reconcile loop that has stopped must not keep the Lease: it has to tick, or renewal stops. Clocks of
other machines are never compared: a Lease is taken when it has not changed for its duration by our own clock.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.kinds import LEASES
from fairlead_operator.controller.outcomes import ApiError, LostLeaseError
from fairlead_operator.core.names import Manifest

log = logging.getLogger(__name__)

#: Others wait so many seconds after the last change before they take over.
DURATION = 15
#: Without a successful renewal for so long no write is sent, and leadership is given up.
RENEW_DEADLINE = 10.0
#: Seconds between tries to get or renew.
PERIOD = 2.0
#: A reconcile loop that has not ticked for so many seconds is stuck: its Lease is left to run out.
TICK_DEADLINE = 5.0
#: Seconds between looks at what ends a pause.
_TICK = 0.05


def uptime() -> float:
    """Seconds that only grow, and go on while the machine sleeps: a leader that was asleep must know that it is none."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass
class Lease:
    """`connect` makes the thread's own Cluster; `won` and `lost` are called once each, from that thread."""

    namespace: str
    name: str
    identity: str
    connect: Callable[[], Awaitable[Cluster]]
    won: Callable[[], None]
    lost: Callable[[str], None]
    now: Callable[[], float] = uptime
    period: float = PERIOD
    #: When the API server last answered, for readiness.
    last_contact: float = field(init=False)
    _ticked: float = field(init=False)
    _renewed: float | None = None
    _seen: tuple[Any, float] | None = None
    #: When the record that was seen last may be overwritten.
    _runs_out: float | None = None
    #: Who held the Lease when it was read last.
    _holder: str | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._ticked = self.last_contact = self.now()

    def tick(self) -> None:
        """The reconcile loop lives."""
        self._ticked = self.now()

    @property
    def held(self) -> bool:
        """Whether this process leads, as far as it can know."""
        return self._renewed is not None and self.now() - self._renewed < RENEW_DEADLINE

    def check(self) -> None:
        """Raise LostLeaseError unless a renewal younger than the deadline proves that no other process writes."""
        if not self.held:
            raise LostLeaseError("the Lease was not renewed in time; another process may lead")

    def start(self) -> None:
        """Begin to ask for the Lease."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Give the Lease back, so that a successor need not wait; returns when that is done or has failed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=RENEW_DEADLINE)

    @staticmethod
    def wait(seconds: float) -> None:
        """Sleep in the Lease's thread."""
        time.sleep(seconds)

    async def _run(self) -> None:
        try:
            await self._contend()
        except Exception as failure:  # a thread that ends in silence would leave a process that never writes again
            log.exception("the Lease's thread ended")
            self._renewed = None
            self.lost(f"nobody asks for Lease {self.namespace}/{self.name} any more: {failure!r}")

    async def _contend(self) -> None:
        """Ask for the Lease, then keep it, until it is lost or given back."""
        cluster = await self.connect()
        try:
            while not self._stop.is_set():
                await self._attempt(cluster)
                if why := self._over():
                    self._renewed = None
                    self.lost(f"Lease {self.namespace}/{self.name} {why}")
                    return
                await self._pause()
            if self.held:
                await self._give_back(cluster)
        finally:
            await cluster.close()

    def _over(self) -> str:
        """Why this process, which led, leads no more; nothing otherwise."""
        if self._renewed is None:
            return ""
        if self._holder not in {self.identity, "", None}:
            # Somebody deleted or edited it: who holds it now does not know that we have time left.
            return f"is held by {self._holder}"
        if self.now() - self._renewed >= RENEW_DEADLINE:
            return f"was not renewed for {RENEW_DEADLINE:.0f} s"
        return ""

    def next_look(self) -> float:
        """When to try again: after a period, or when another holder's time runs out before that."""
        now = self.now()
        if self._renewed is None and self._runs_out is not None and self._runs_out > now:
            return min(now + self.period, self._runs_out + _TICK)
        return now + self.period

    async def _pause(self) -> None:
        """Wait until the next look, less when release() is called."""
        deadline = self.next_look()
        while not self._stop.is_set() and self.now() < deadline:  # noqa: ASYNC110 - the flag is set by another thread
            await asyncio.sleep(_TICK)

    async def _attempt(self, cluster: Cluster) -> None:
        """Renew or take the Lease, if that is due; failures are logged and tried again in the next period."""
        if self._renewed is not None and self.now() - self._ticked > TICK_DEADLINE:
            log.error(
                "the reconcile loop is stuck: the Lease is not renewed", extra={"seconds": self.now() - self._ticked}
            )
            return
        began = self.now()
        try:
            async with asyncio.timeout(RENEW_DEADLINE / 2):
                mine = await self._acquire(cluster)
        except (ApiError, TimeoutError) as failure:
            log.warning("the Lease could not be reached: %s", str(failure) or "timed out")
            return
        self.last_contact = self.now()
        if mine:
            self._holder = self.identity
            first = self._renewed is None
            # The time before the request: the server's clock for us starts no earlier than that.
            self._renewed = began
            if first:
                log.info("leading", extra={"identity": self.identity})
                self.won()

    async def _acquire(self, cluster: Cluster) -> bool:
        live = await cluster.get(LEASES, self.namespace, self.name)
        if live is None:
            body = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.name,
                "metadata": {"namespace": self.namespace, "name": self.name},
                "spec": self._spec({}),
            }
            return await self._write(cluster.create(LEASES, self.namespace, body))
        spec = live.get("spec") or {}
        if not self._free(spec):
            return False
        return await self._write(cluster.replace(LEASES, {**live, "spec": self._spec(spec)}))

    def _free(self, spec: Mapping[str, Any]) -> bool:
        """Whether the Lease is ours, unheld, or unchanged for its whole duration by our clock."""
        self._holder = spec.get("holderIdentity")
        record = (self._holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if self._seen is None or self._seen[0] != record:
            self._seen = (record, self.now())
        self._runs_out = self._seen[1] + (spec.get("leaseDurationSeconds") or DURATION)
        return self._holder in {self.identity, "", None} or self.now() > self._runs_out

    def _spec(self, old: Mapping[str, Any]) -> dict[str, Any]:
        now = _micro_time()
        mine = old.get("holderIdentity") == self.identity
        changes = int(old.get("leaseTransitions") or 0)
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": DURATION,
            "acquireTime": old.get("acquireTime") if mine and old.get("acquireTime") else now,
            "renewTime": now,
            "leaseTransitions": changes if mine or not old else changes + 1,
        }

    @staticmethod
    async def _write(request: Awaitable[Manifest]) -> bool:
        """True when the write went through; another was faster (409) is no error."""
        try:
            await request
        except ApiError as refusal:
            if refusal.code == 409:
                return False
            raise
        return True

    async def _give_back(self, cluster: Cluster) -> None:
        try:
            live = await cluster.get(LEASES, self.namespace, self.name)
            if live is not None and live["spec"].get("holderIdentity") == self.identity:
                spec = {**live["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro_time()}
                await self._write(cluster.replace(LEASES, {**live, "spec": spec}))
        except ApiError as failure:
            log.warning("the Lease could not be released and runs out by itself: %s", failure)
        self._renewed = None


def _micro_time() -> str:
    """Now, as MicroTime wants it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
