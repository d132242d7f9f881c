"""A keyed work queue: a key that waits is not queued twice, a key in work is not given to a second worker.

The rules of client-go's work queue: what arrives while its key is in work is done once more afterwards, failures back off
per key, delayed adds wake a key at the earliest of its times.
"""

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead_operator.controller.store import Key

#: First wait after a failure and the longest, in seconds; doubled in between.
FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 60.0


@dataclass
class WorkQueue:
    """Belongs to one event loop. `now` is that loop's clock in seconds; None takes the running loop's."""

    now: Callable[[], float] | None = None
    _waiting: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    _working: set[Key] = field(default_factory=set)
    _again: set[Key] = field(default_factory=set)
    _failures: dict[Key, int] = field(default_factory=dict)
    _due: dict[Key, float] = field(default_factory=dict)
    _timeline: list[tuple[float, Key]] = field(default_factory=list)
    _wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False

    def _time(self) -> float:
        return self.now() if self.now is not None else asyncio.get_running_loop().time()

    @property
    def depth(self) -> int:
        """How many keys wait for a worker now."""
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Ask for a reconcile now."""
        self._due.pop(key, None)
        self._enqueue(key)

    def _enqueue(self, key: Key) -> None:
        if self._closed:
            return
        if key in self._working:
            self._again.add(key)
        else:
            self._waiting[key] = None
            self._wakeup.set()

    def add_after(self, key: Key, delay: float) -> None:
        """Ask for a reconcile in `delay` seconds; the earliest of several wins."""
        due = self._time() + delay
        if self._closed or self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._timeline, (due, key))
        self._wakeup.set()

    def add_backed_off(self, key: Key) -> float:
        """Ask for another try after a failure; returns the wait in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_BACKOFF * 2.0**failures, LONGEST_BACKOFF)
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """The key went well: its next failure starts with the shortest wait again."""
        self._failures.pop(key, None)

    async def get(self) -> Key | None:
        """The next key, exclusively until `done`; None once the queue is closed."""
        while True:
            if self._closed:
                return None
            self._ripen()
            if self._waiting:
                key, _ = self._waiting.popitem(last=False)
                self._working.add(key)
                return key
            self._wakeup.clear()
            until = self._timeline[0][0] - self._time() if self._timeline else None
            try:
                await asyncio.wait_for(self._wakeup.wait(), until)
            except TimeoutError:
                continue

    def _ripen(self) -> None:
        """Move what is due to the waiting keys; entries that a newer add overtook are dropped."""
        while self._timeline and self._timeline[0][0] <= self._time():
            due, key = heapq.heappop(self._timeline)
            if self._due.get(key) == due:
                del self._due[key]
                self._enqueue(key)

    def done(self, key: Key) -> None:
        """The worker is finished with the key; what arrived meanwhile is queued now."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self._enqueue(key)

    def close(self) -> None:
        """Hand out no more keys."""
        self._closed = True
        self._wakeup.set()
