"""The harm that is done between operator and API server, at requests: each named for what the operator sees of it.

The Lease is left alone, but by `LeaseTrouble`: it has a connection of its own, and an operator without it ends by design.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proof.proxy import Cut, Hooks
from proof.requests import EXPIRED, Answer, Manifest, Request, refusal

#: Longer than any test: who waits for it gives up first.
FOR_EVER = 3600.0

Choice = Callable[[Request], bool]


def everything(_: Request) -> bool:
    """Reads, lists, watches and writes."""
    return True


def writes(request: Request) -> bool:
    """Events included."""
    return request.is_write


def of(*resources: str, verbs: tuple[str, ...] = ()) -> Choice:
    """Requests about these, or only those with one of these verbs."""
    return lambda request: request.target.resource in resources and (not verbs or request.verb in verbs)


def key(request: Request) -> tuple[str, ...]:
    """What is asked again when it has failed."""
    about = request.target
    name = request.name
    if request.verb == "create":  # of an event: it has a new name each time
        name = f"{request.manifest.get('reason')} {request.manifest.get('regarding', {}).get('name')}"
    return request.verb, about.namespace, about.resource, about.subresource, name


class Harm(Hooks):
    """Counts what it did, by request."""

    def __init__(self) -> None:
        self.done: Counter[tuple[str, ...]] = Counter()

    def did(self, request: Request) -> None:
        """Harm was done to it."""
        self.done[key(request)] += 1


@dataclass
class First(Harm):
    """The first `times` of each request that `choice` takes. Subclasses say what becomes of them."""

    choice: Choice = everything
    times: int = 1
    _asked: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__init__()

    def struck(self, request: Request) -> bool:
        """Whether it is its turn."""
        if request.target.resource in {"", "leases"} or not self.choice(request):
            return False
        self._asked[key(request)] += 1
        if self._asked[key(request)] > self.times:
            return False
        self.did(request)
        return True


@dataclass
class Refused(First):
    """Is answered with `answer`, and never reaches the API server."""

    answer: Answer = field(default_factory=lambda: refusal(500, "InternalError"))

    async def before(self, request: Request) -> Answer | None:
        return self.answer if self.struck(request) else None


@dataclass
class RefusedThoughDone(First):
    """Is carried out, and answered with `answer`."""

    answer: Answer = field(default_factory=lambda: refusal(500, "InternalError"))

    async def after(self, request: Request, answer: Answer) -> Answer:
        return self.answer if self.struck(request) else answer


@dataclass
class Swallowed(First):
    """Is never answered, and never reaches the API server."""

    async def before(self, request: Request) -> Answer | None:
        if self.struck(request):
            await asyncio.sleep(FOR_EVER)
        return None


@dataclass
class AnswerLost(First):
    """Is carried out, and never answered."""

    async def after(self, request: Request, answer: Answer) -> Answer:
        if self.struck(request):
            await asyncio.sleep(FOR_EVER)
        return answer


@dataclass
class CutBefore(First):
    """The connection ends, and the request never reaches the API server."""

    async def before(self, request: Request) -> Answer | None:
        if self.struck(request):
            raise Cut
        return None


@dataclass
class CutAfter(First):
    """Is carried out, and then the connection ends."""

    async def after(self, request: Request, answer: Answer) -> Answer:
        if self.struck(request):
            raise Cut
        return answer


@dataclass
class Late(First):
    """Is carried out at once, and answered after `seconds`."""

    seconds: float = 1.0

    async def after(self, request: Request, answer: Answer) -> Answer:
        if self.struck(request):
            await asyncio.sleep(self.seconds)
        return answer


class LeaseTrouble(Harm):
    """One of four requests about the Lease fails, one way or another; the first of them, for a scenario may be over in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    async def before(self, request: Request) -> Answer | None:
        if request.target.resource != "leases":
            return None
        self._asked += 1
        if self._asked % 4 != 1:
            return None
        self.did(request)
        if self._asked % 8 == 1:
            raise Cut
        return refusal(503, "ServiceUnavailable")


class Mixed(Harm):
    """Any request and any watch event may meet anything, `share` of them do; the same for the same seed and requests."""

    def __init__(self, seed: int, share: float = 0.1, wait: float = 1.0) -> None:
        super().__init__()
        self._chance = random.Random(seed)
        self._share = share
        self._wait = wait

    def _meets(self, request: Request, *fates: str) -> str:
        if request.target.resource in {"", "leases"} or self._chance.random() >= self._share:
            return ""
        self.did(request)
        return self._chance.choice(fates)

    async def before(self, request: Request) -> Answer | None:
        match self._meets(request, "409", "429", "500", "503", "cut", "late", "swallowed"):
            case "409" if request.is_write:
                return refusal(409, "Conflict")
            case "429":
                return refusal(429, "TooManyRequests", Retry_After="1")
            case "500" | "409":
                return refusal(500, "InternalError")
            case "503":
                return refusal(503, "ServiceUnavailable")
            case "cut":
                raise Cut
            case "late":
                await asyncio.sleep(self._wait)
            case "swallowed":
                await asyncio.sleep(FOR_EVER)
        return None

    async def after(self, request: Request, answer: Answer) -> Answer:
        match self._meets(request, "cut", "late", "500"):
            case "cut":
                raise Cut
            case "late":
                await asyncio.sleep(self._wait)
            case "500":
                return refusal(500, "InternalError")
        return answer

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        match self._meets(request, "cut", "twice", "gone", "late"):
            case "cut":
                raise Cut
            case "twice":
                return [event, event]
            case "gone":
                return [EXPIRED]
            case "late":
                await asyncio.sleep(self._wait)
        return [event]
