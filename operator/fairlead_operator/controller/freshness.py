"""Is the store what the cluster is? Compared with a metadata-only listing at start and every few minutes.

Watches lose things: after an expired one, whatever was deleted meanwhile is never reported. So what the listing does not
have and is older than it goes from the store; what the store does not have, or only older, must arrive within a minute.
When kopf lists again, something may have been lost: then it is looked at once.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, WATCHED, Kind
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.store import Key, Listed, Place, Store

log = logging.getLogger(__name__)

#: Seconds between comparisons when all is well, and after one that failed or found the store behind.
INTERVAL = 300.0
RETRY = 5.0
#: How often the store is looked at while it is behind a listing, in seconds.
POLL = 0.1
#: The same for each object that is missing: a look at tens of thousands is work too.
LOOK = 1e-4
#: A store that is behind, or cannot be compared, for longer than this many seconds is not to be trusted.
PATIENCE = 60.0
#: While the watches list whole kinds, of a large cluster for minutes, the last that came of a kind counts, whatever it was: for so many
#: seconds at most, since under many changes something always comes, and must not hide what never does.
LONGEST_LISTING = 900.0


@dataclass
class Freshness:
    """`restart` restarts the watches; `changed` is told the services whose objects were found gone."""

    store: Store
    cluster: Cluster
    namespaces: tuple[str, ...]
    restart: Callable[[], None]
    changed: Callable[[Key], None]
    kinds: tuple[Kind, ...] = WATCHED
    now: Callable[[], float] = time.monotonic
    #: Set once the store has held everything that a listing showed.
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    #: What is wrong with the last comparison, and since when; empty when it went well.
    _trouble: str = ""
    _since: float = 0.0
    #: What listings showed and the watches have not, by when that was noticed. Many changes at a time keep the store behind by seconds,
    #: each time by others: only what stays away for long shows a dead watch.
    _owed: dict[tuple[Kind, Listed], float] = field(default_factory=dict)
    #: Until when the watches may be listing everything.
    _listing_until: float = field(init=False)
    #: How often the watches were restarted since all was well.
    _in_vain: int = 0
    #: Whether the last comparison could be made.
    _listed: bool = False
    #: Namespaces of `namespaces` in which we may read nothing, and since when: they are gone, and their Role with them.
    _closed: dict[str, float] = field(default_factory=dict)
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _restarted: float = float("-inf")

    def __post_init__(self) -> None:
        self._expect_listings()

    def _expect_listings(self) -> None:
        """From here on the watches may be listing everything."""
        self._listing_until = self.now() + LONGEST_LISTING

    async def run(self) -> None:
        """Compare for ever."""
        while True:
            self._asked.clear()
            try:
                trouble, listed = await self._settle(), True
            except ApiError as failure:
                trouble, listed = f"the API server cannot be listed: {failure}", False
                log.warning(trouble)
            self._judge(trouble, listed=listed)
            await asyncio.sleep(RETRY)
            if not trouble:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._asked.wait(), INTERVAL - RETRY)

    def look(self) -> None:
        """Compare soon: the watches began anew, and do not know what was deleted meanwhile."""
        self._expect_listings()
        if self.synced.is_set():
            self._asked.set()

    def _judge(self, trouble: str, *, listed: bool = True) -> None:
        if not listed:
            self._owed.clear()  # the watches have their time from when the API server is back
            self._expect_listings()
        if self._owed:
            self._since = min(self._owed.values())
        elif trouble and (listed != self._listed or not self._trouble):
            self._since = self.now()
        self._trouble, self._listed = trouble, listed
        if not trouble:
            self._in_vain = 0
            self._listing_until = float("-inf")
            self.synced.set()
        elif self.behind() and self.synced.is_set() and self.now() - self._restarted > PATIENCE:
            self._restarted = self.now()
            self._expect_listings()
            self._in_vain += 1
            log.warning("the watches are restarted: %s", trouble)
            self.restart()

    def behind(self) -> str:
        """What the watches have owed us for longer than PATIENCE, or nothing: an API server that is away is no fault of theirs.

        After a restart they have it anew, after a second one that did not help they have not.
        """
        if not self._listed or not self._owed:
            return ""
        return self._trouble if self._in_vain > 1 or self.now() - self._owed_since() > PATIENCE else ""

    def overdue(self) -> str:
        """What has been wrong for longer than PATIENCE, or nothing."""
        return self._trouble if self._trouble and self.now() - self._since > PATIENCE else ""

    def unready(self) -> str:
        """Why reconciling on this store would be wrong, or nothing."""
        return self.overdue() if self.synced.is_set() else f"the store is not synced yet: {self._trouble or 'listing'}"

    async def _settle(self) -> str:
        """Compare, then wait for what was missing, until nothing more of it comes for RETRY seconds. Returns what is still missing."""
        await self._compare_all()
        left, deadline = len(self._owed), self.now() + RETRY
        while self._still_owed() and self.now() < deadline:
            # They are coming, of a whole cluster for minutes: another listing would only keep them.
            if len(self._owed) < left:
                left, deadline = len(self._owed), self.now() + RETRY
            await asyncio.sleep(max(POLL, left * LOOK))
        if not self._owed:
            return ""
        kind, (where, *_) = min(self._owed, key=self._owed.__getitem__)
        told = f"{kind.name} {where[0]}/{where[1]} among them"
        return f"{len(self._owed)} objects were not shown by the watches, {told}"

    async def _compare_all(self) -> None:
        """All kinds in all namespaces. One that is closed to us keeps nobody from the others; that all are is told."""
        refusals: dict[str, ApiError] = {}
        for namespace in self.namespaces or (None,):
            try:
                await self._compare(INFERENCE_SERVICES, namespace)
            except ApiError as refusal:
                if refusal.code != 403 or namespace is None:
                    raise
                refusals[namespace] = refusal
                continue
            self._closed.pop(namespace or "", None)
            for kind in self.kinds:
                if kind is not INFERENCE_SERVICES:
                    await self._compare(kind, namespace)
        if refusals and len(refusals) == len(self.namespaces):
            raise next(iter(refusals.values()))
        for namespace, refused in refusals.items():
            self._leave(namespace, refused)

    def _leave(self, namespace: str, refusal: ApiError) -> None:
        """Nothing of it can be seen or changed. Once it was so for PATIENCE its services are forgotten.

        Their children are not: a service that comes back, when rights are back, must not be taken for one that never had any.
        """
        log.warning("namespace %s cannot be read, its services are left alone: %s", namespace, refusal)
        self._owed = {gap: since for gap, since in self._owed.items() if gap[1].where[0] != namespace}
        if self.now() - self._closed.setdefault(namespace, self.now()) <= PATIENCE:
            return
        for where, identity, _, _ in self.store.versions(INFERENCE_SERVICES):
            # Not `end`: when the namespace opens again the same services may be in it.
            if where[0] == namespace and self.store.remove(INFERENCE_SERVICES, where, identity):
                self.changed(where)

    async def _compare(self, kind: Kind, namespace: str | None) -> None:
        """Drop what is gone, note what the store lacks."""
        listed, revision = await self.cluster.list_versions(kind, namespace)
        there = {item.uid for item in listed}
        for where, identity, at, service in self.store.versions(kind):
            if namespace in {None, where[0]} and identity not in there and at <= revision:
                self._drop(kind, where, identity, revision, service)
        for item in listed:
            if not self.store.has_shown(kind, item):
                self._owed.setdefault((kind, item), self.now())
        # What is gone by now is owed no more.
        self._owed = {
            (of, item): since
            for (of, item), since in self._owed.items()
            if of is not kind or namespace not in {None, item.where[0]} or item.uid in there
        }

    def _still_owed(self) -> bool:
        self._owed = {gap: since for gap, since in self._owed.items() if not self.store.has_shown(*gap)}
        return bool(self._owed)

    def _owed_since(self) -> float:
        """Since when something has been owed to us that should have come."""
        if self.now() > self._listing_until:
            return min(self._owed.values())
        shown = self.store.shown
        return min(max(since, self._restarted, shown.get(kind, since)) for (kind, _), since in self._owed.items())

    def _drop(self, kind: Kind, where: Place, identity: str, revision: int, service: Key | None) -> None:
        if self.store.end(kind, where, identity, revision):
            log.warning("%s %s/%s is gone; no watch had told", kind.name, *where)
            if service is not None:
                self.changed(service)
