"""What the API server keeps refusing. What fails once is tried again in silence; what goes on failing is to be told.

Nothing of it must survive: what the status says already is said on after a restart.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead_operator.controller.store import Key
from fairlead_operator.core.refusal import Refusal

log = logging.getLogger(__name__)

#: The same request has to fail for so many seconds, at so many tries, before anybody but the log hears of it: an API server or a
#: webhook that is begun anew is back sooner.
LASTS = 60.0
TRIES = 4


@dataclass
class _Streak:
    """Of the service with this uid. `since` is the time of the first of `tries` in a row that failed at the request of `last`.

    `said` is what is told.
    """

    uid: str
    last: Refusal
    since: float
    tries: int = 1
    said: Refusal | None = None


@dataclass
class Refusals:
    """`now` is a monotonic clock in seconds."""

    now: Callable[[], float] = time.monotonic
    _streaks: dict[Key, _Streak] = field(default_factory=dict)

    def failed(self, key: Key, uid: str, found: Refusal, *, known: bool) -> Refusal | None:
        """A reconcile failed at this; returns what is to be told, None while it may pass. `known`: the status tells of one already.

        Once something is told, also by an operator before this one, other words take its place when two tries in a row had them:
        where each try ends in another way, the status does not change with each.
        """
        before = self._streaks.get(key)
        if before is not None and before.uid != uid:
            before = None
        streak = _Streak(uid, found, self.now())
        if before is not None:
            streak.said = found if (before.said or known) and before.last == found else before.said
            if before.last.request == found.request:
                streak.since, streak.tries = before.since, before.tries + 1
        if streak.said is None and streak.tries >= TRIES and self.now() - streak.since >= LASTS:
            streak.said = found
            log.warning(
                "the API server keeps refusing, the status tells it",
                extra={"service": "/".join(key), "request": found.request, "why": found.words, "tries": streak.tries},
            )
        self._streaks[key] = streak
        return streak.said

    def ended(self, key: Key) -> None:
        """A reconcile came through, or there is nothing to reconcile any longer."""
        self._streaks.pop(key, None)
