"""Plans the memory of services whose model the hub shows, before they have a pod.

A model is read once for each revision, in a thread and within seconds, and what was read is kept, also that it could not be; what
failed by chance is tried again later. A plan never fails a reconcile, and blocks none but of what it has refused: that stays refused,
after a restart too, until it is planned anew. A second model that guesses tokens is read likewise; without it the first is planned
alone. Nodes are listed page by page at most once a minute.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.hub import Hub, UnreadableError
from fairlead_operator.controller.kinds import NODES
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.store import Key
from fairlead_operator.core import planning
from fairlead_operator.core.checkpoint import Checkpoint
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.nodes import Node, read_node
from fairlead_operator.core.refusal import is_told
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.resolve import Resolved
from fairlead_runtime.memory import Plan

log = logging.getLogger(__name__)

#: How long a listing of nodes is used.
CACHED = timedelta(minutes=1)
#: Models that are remembered; the one that was read first goes first.
MOST_MODELS = 1000
#: Models that are read at the same time.
AT_ONCE = 4
#: A new service waits so long for its model's plan and no longer, however many are before it.
PATIENCE = timedelta(seconds=15)
#: A hub that did not answer at all is left alone for so long, and nobody waits for it; so is a model whose reading failed by chance.
SILENT = timedelta(minutes=10)
#: The hub's answers that stay: what it shows is of no use, or it does not show it.
FINAL = frozenset({200, 401, 403, 404})

_Revision = tuple[str, str]


@dataclass(frozen=True)
class _Kept:
    """What came of a reading. `again`: when it is to be tried again; None for never."""

    checkpoint: Checkpoint | None
    again: datetime | None = None


@dataclass
class Planner:
    """`wake` has a service looked at again when its model was read. `permitted`: whether nodes may be listed."""

    cluster: Cluster
    hub: Hub
    wake: Callable[[Key], None]
    permitted: bool = True
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: The last plan of each service.
    plans: dict[Key, Plan] = field(default_factory=dict)
    _read: dict[_Revision, _Kept] = field(default_factory=dict)
    _waiting: dict[_Revision, set[Key]] = field(default_factory=dict)
    _began: dict[_Revision, datetime] = field(default_factory=dict)
    _silent_until: datetime | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _nodes: list[Node] | None = None
    _until: datetime | None = None
    _listing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def judge(self, key: Key, service: Resolved, raw: Manifest) -> Rejection | bool:
        """A refusal; or whether the service may go on now: False while its model is being read for the first time.

        A service whose present spec was taken before goes on in any case, and one that was refused does not for not being known any more.
        """
        self.plans.pop(key, None)
        revision = planning.readable(service)
        if revision is None:
            return True
        nodes = await self._listed()
        refused = planning.refused_before(raw)
        on = planning.accelerator(service, nodes)
        if on is None:
            return refused if refused and nodes is None else True
        second = planning.drafting(service)
        asked = [each for each in (revision, second) if each]
        for each in asked:
            self._try_again(each, key)
        unread = [each for each in asked if each not in self._read]
        if unread and not self._silent():
            for each in unread:
                self._begin(each, key)
            status = raw.get("status") or {}
            # What the API server keeps refusing is observed, and may have no pod yet.
            taken = status.get("observedGeneration") == raw["metadata"]["generation"] and not is_told(raw)
            late = any(self.now() - self._began[each] >= PATIENCE for each in unread)
            return refused or taken or late
        checkpoint = self._checkpoint(revision)
        plan = planning.make(service, checkpoint, on, second and self._checkpoint(second)) if checkpoint else None
        if plan is None:
            return refused if refused and any(self._may_be_read_yet(each) for each in asked) else True
        self.plans[key] = plan
        return planning.refusal(plan, on, raw["metadata"].get("annotations") or {}) or True

    def forget(self, key: Key) -> None:
        """The service is gone."""
        self.plans.pop(key, None)

    def _checkpoint(self, revision: _Revision) -> Checkpoint | None:
        return self._read[revision].checkpoint if revision in self._read else None

    def _may_be_read_yet(self, revision: _Revision) -> bool:
        kept = self._read.get(revision)
        return kept is None or kept.again is not None

    def _try_again(self, revision: _Revision, key: Key) -> None:
        """Beside all else: until it is read, the service goes on without it."""
        again = self._read[revision].again if revision in self._read else None
        if again is not None and self.now() >= again and not self._silent():
            self._begin(revision, key)

    def _silent(self) -> bool:
        return self._silent_until is not None and self.now() < self._silent_until

    def _begin(self, revision: _Revision, key: Key) -> None:
        waiting = self._waiting.setdefault(revision, set())
        if not waiting:
            self._began[revision] = self.now()
            task = asyncio.create_task(self._fetch(revision), name=f"read {revision[0]}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.add(key)

    async def _fetch(self, revision: _Revision) -> None:
        async with self._slots:
            if not self._silent():
                self._keep(revision, await self._ask(revision))
        self._began.pop(revision, None)
        for key in self._waiting.pop(revision, ()):
            self.wake(key)

    async def _ask(self, revision: _Revision) -> _Kept:
        try:
            return _Kept(await asyncio.to_thread(self.hub.read, *revision))
        except UnreadableError as why:
            log.info("no plan for %s, its pods will make one: %s", revision[0], why)
            later = self.now() + SILENT
            if why.status == 0:
                self._silent_until = later
            return _Kept(None, None if why.status in FINAL else later)
        except Exception:  # whatever a stranger's file does, services go on without a plan
            log.exception("no plan for %s", revision[0])
        return _Kept(None)

    def _keep(self, revision: _Revision, found: _Kept) -> None:
        if revision not in self._read and len(self._read) >= MOST_MODELS:
            del self._read[next(iter(self._read))]
        self._read[revision] = found

    async def _listed(self) -> list[Node] | None:
        """None while they could not be listed yet; what was seen last counts until they can be again. None at all where they may not be."""
        if not self.permitted:
            return []
        if self._listing.locked() and self._until is not None:
            return self._nodes
        async with self._listing:  # at first nobody goes on without them because another has just begun to list
            if self._until is None or self.now() >= self._until:
                try:
                    self._nodes = [read_node(node) async for node in self.cluster.each(NODES, None)]
                except ApiError as refusal:
                    log.warning("nodes cannot be listed to plan for their accelerators: %s", refusal)
                    if refusal.code == 403:
                        self._nodes = []
                self._until = self.now() + CACHED
            return self._nodes
