"""The harm that is done to watches and lists."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Any

from fairlead_operator.controller import kinds
from proof.harm import Harm
from proof.proxy import Cut, Proxy
from proof.requests import EXPIRED, Answer, Manifest, Request, failure, refusal

#: What the operator watches.
WATCHED = tuple(kind.plural for kind in kinds.WATCHED)
#: Enough where each costs a restart of all watches.
SOME = ("inferenceservices", "pods")
#: A watch's word for trouble of the API server; kopf ends at it.
BROKEN: Manifest = {"type": "ERROR", "object": failure(500, "InternalError")}


def end_watches(proxy: Proxy, last: Manifest = EXPIRED) -> None:
    """Say it to all watches, and end them."""
    for resource in WATCHED:
        proxy.tell(resource, last, end=True)


def is_object(event: Manifest) -> bool:
    """Neither a bookmark nor an error."""
    return event["type"] in {"ADDED", "MODIFIED", "DELETED"}


class Twice(Harm):
    """Each event comes three times."""

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        self.did(request)
        return [event] * 3


class Stale(Harm):
    """After each event an older one of the same object comes again: after its deletion the last of its life."""

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[str, Manifest] = {}

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        if not is_object(event):
            return [event]
        former = self._before.get(event["object"]["metadata"]["uid"])
        self._before[event["object"]["metadata"]["uid"]] = {"type": "MODIFIED", "object": event["object"]}
        if former is None:
            return [event]
        self.did(request)
        return [event, former]


class Reordered(Harm):
    """Each event is on its way for up to `seconds`: any may overtake any other."""

    def __init__(self, proxy: Proxy, seed: int, seconds: float = 1.0) -> None:
        super().__init__()
        self._proxy = proxy
        self._chance = random.Random(seed)
        self._seconds = seconds
        self._on_the_way: set[asyncio.Task[None]] = set()

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        if not is_object(event):
            return [event]
        self.did(request)
        task = asyncio.create_task(self._deliver(request, event, self._chance.uniform(0, self._seconds)))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)
        return []

    async def _deliver(self, request: Request, event: Manifest, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._proxy.tell, request.target.resource, event)


class Dropped(Harm):
    """Every second event is never told, `most` at most: else nothing would ever be known."""

    def __init__(self, most: int = 20) -> None:
        super().__init__()
        self._events = 0
        self._most = most

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        if is_object(event):
            self._events += 1
            if self._events % 2 and self.done.total() < self._most:
                self.did(request)
                return []
        return [event]


class CutEvents(Harm):
    """Every so many events one ends its watch instead of being told."""

    def __init__(self, every: int = 8) -> None:
        super().__init__()
        self._events = 0
        self._every = every

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        self._events += 1
        if self._events % self._every:
            return [event]
        self.did(request)
        raise Cut


class Silent(Harm):
    """Watches that were open when it began stay open, and nothing comes any more, no bookmark either."""

    def __init__(self) -> None:
        super().__init__()
        self._later: list[Request] = []

    async def before(self, request: Request) -> Answer | None:
        if request.verb == "watch":
            self._later.append(request)
        return None

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        if any(one is request for one in self._later):
            return [event]
        self.did(request)
        return []


class Gap(Harm):
    """Neither lists nor watches of kopf get through until `over`: what happens meanwhile is told by no watch."""

    def __init__(self) -> None:
        super().__init__()
        self._over = asyncio.Event()
        self.gone: tuple[str, ...] = ()
        #: On the clock time.monotonic.
        self.ended = float("inf")

    def over(self, *gone: str) -> None:
        """From the next try on, all pass. gone: what went meanwhile, as KIND NAMESPACE/NAME."""
        self.gone, self.ended = gone, time.monotonic()
        self._over.set()

    async def before(self, request: Request) -> Answer | None:
        if self._over.is_set() or request.target.resource not in WATCHED or request.verb not in {"list", "watch"}:
            return None
        self.did(request)
        return refusal(503, "ServiceUnavailable")


class GoneAnswers(Harm):
    """The first watch of some kinds is answered with HTTP 410, not with an event."""

    async def before(self, request: Request) -> Answer | None:
        resource = request.target.resource
        if request.verb != "watch" or resource not in SOME or any(resource in done for done in self.done):
            return None
        self.did(request)
        return refusal(410, "Expired")


class SlowLists(Harm):
    """Lists take `seconds`."""

    def __init__(self, seconds: float = 2.0) -> None:
        super().__init__()
        self._seconds = seconds

    async def before(self, request: Request) -> Answer | None:
        if request.verb == "list" and request.target.resource in WATCHED:
            self.did(request)
            await asyncio.sleep(self._seconds)
        return None


class ExpiredPages(Harm):
    """Lists of some kinds come in two pages, and the token for the second has expired when it is used first."""

    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[str, Answer] = {}

    async def before(self, request: Request) -> Answer | None:
        token = request.query.get("continue", "")
        if token not in self._pages:
            return None
        if token.startswith("first"):
            self.did(request)
            return refusal(410, "Expired")
        return self._pages[token]

    async def after(self, request: Request, answer: Answer) -> Answer:
        if request.verb != "list" or answer.status != 200 or request.target.resource not in SOME:
            return answer
        listed = answer.manifest
        items = listed.get("items") or []
        if len(items) < 2:
            return answer
        who = f"{request.path}-{request.headers.get('Accept')}"
        token = f"{'later' if f'first-{who}' in self._pages else 'first'}-{who}"
        half = len(items) // 2
        self._pages[token] = _with(answer, {**listed, "items": items[half:]})
        return _with(answer, {**listed, "metadata": {**listed["metadata"], "continue": token}, "items": items[:half]})


def _with(answer: Answer, listed: dict[str, Any]) -> Answer:
    return Answer(answer.status, json.dumps(listed).encode(), answer.headers)
