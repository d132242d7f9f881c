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
from fairlead_operator.controller.kinds import WATCHED, Kind
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.store import Key, Place, Store

log = logging.getLogger(__name__)

#: Seconds between comparisons when all is well, and after one that failed or found the store behind.
INTERVAL = 300.0
RETRY = 5.0
#: How often the store is looked at while it is behind a listing, in seconds.
POLL = 0.1
#: A store that is behind, or cannot be compared, for longer than this many seconds is not to be trusted.
PATIENCE = 60.0


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
    #: Since when it has shown the store behind; None when it did not, or could not be made.
    _behind_since: float | None = None
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _restarted: float = float("-inf")

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
        if self.synced.is_set():
            self._asked.set()

    def _judge(self, trouble: str, *, listed: bool = True) -> None:
        if trouble and not self._trouble:
            self._since = self.now()
        self._trouble = trouble
        if not trouble or not listed:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = self.now()
        if not trouble:
            self.synced.set()
        elif self.behind() and self.synced.is_set() and self.now() - self._restarted > PATIENCE:
            self._restarted = self.now()
            log.warning("the watches are restarted: %s", trouble)
            self.restart()

    def behind(self) -> str:
        """What the watches have owed us for longer than PATIENCE, or nothing: an API server that is away is no fault of theirs."""
        since = self._behind_since
        return self._trouble if since is not None and self.now() - since > PATIENCE else ""

    def overdue(self) -> str:
        """What has been wrong for longer than PATIENCE, or nothing."""
        return self._trouble if self._trouble and self.now() - self._since > PATIENCE else ""

    def unready(self) -> str:
        """Why reconciling on this store would be wrong, or nothing."""
        return self.overdue() if self.synced.is_set() else f"the store is not synced yet: {self._trouble or 'listing'}"

    async def _settle(self) -> str:
        """Compare, then give the watches RETRY seconds to show what was missing. Returns what is still missing."""
        missing = [gap for kind in self.kinds for gap in await self._compare(kind)]
        deadline = self.now() + RETRY
        while (missing := [gap for gap in missing if self._behind(*gap)]) and self.now() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL)
        if not missing:
            return ""
        kind, (namespace, name), *_ = missing[0]
        return f"{len(missing)} objects were not shown by the watches, {kind.name} {namespace}/{name} among them"

    async def _compare(self, kind: Kind) -> list[tuple[Kind, Place, int]]:
        """Drop what is gone; return what the store lacks."""
        missing = []
        for namespace in self.namespaces or (None,):
            listed, revision = await self.cluster.list_versions(kind, namespace)
            there = {item.uid for item in listed}
            for where, identity, at, service in self.store.versions(kind):
                if namespace in {None, where[0]} and identity not in there and at <= revision:
                    self._drop(kind, where, identity, revision, service)
            gaps = ((kind, item.where, item.version) for item in listed)
            missing += [gap for gap in gaps if self._behind(*gap)]
        return missing

    def _behind(self, kind: Kind, where: Place, listed: int) -> bool:
        known = self.store.version_at(kind, where)
        return known is None or known < listed

    def _drop(self, kind: Kind, where: Place, identity: str, revision: int, service: Key | None) -> None:
        if self.store.end(kind, where, identity, revision):
            log.warning("%s %s/%s is gone; no watch had told", kind.name, *where)
            if service is not None:
                self.changed(service)
