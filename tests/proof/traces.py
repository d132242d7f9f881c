"""What an operator leaves that is stuck for good, beside what it has not done: a timeout alone may be a slow machine's.

None of it is left by one that is well and hurried, however slow it is.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fairlead_operator.controller import kinds
from proof.harm import key
from proof.proxy import Cut, Hooks
from proof.requests import Answer, Manifest, Request
from proof.watch_harm import Gap

#: Requests that may have been allowed before the count began: one of each worker and of each watch, and some.
ON_THE_WAY = 20
#: Methods that the HTTP client repeats by itself, past any count, when a connection that it kept is cut.
REPEATED = frozenset({"GET", "PUT", "DELETE"})
#: Seconds: the hurried operator waits for nothing so long, neither for an answer nor before it tries again.
LONG = 15.0
#: Listings after which it would have known; one of them may have been answered too late.
LISTINGS = 3
#: How it says that something went while nothing was watched.
GONE = " is gone; no watch had told"
_PLURALS = {kind.name: kind.plural for kind in kinds.WATCHED}


@dataclass
class Counted(Hooks):
    """Counts what the operator asks, but of its Lease, and does the harm of `inner`."""

    #: Requests per second that are allowed; twice as many may come at once.
    rate: int
    inner: Hooks = field(default_factory=Hooks)
    #: Time, in monotonic seconds, and request, as they came.
    asked: list[tuple[float, Request]] = field(default_factory=list)
    #: Connections that were cut instead of an answer: the HTTP client asks once more by itself on another one.
    cut: int = 0
    #: Writes that came to nothing when they were tried last, and when that was.
    undone: dict[tuple[str, ...], float] = field(default_factory=dict)
    #: When the store was compared with a listing, and of what.
    compared: list[tuple[float, str]] = field(default_factory=list)

    async def before(self, request: Request) -> Answer | None:
        if request.target.resource != "leases":
            self.asked.append((time.monotonic(), request))
        if request.number:
            self.undone[key(request)] = time.monotonic()
        with self._harmed(request):
            answer = await self.inner.before(request)
        if answer is not None:
            self._answered(request, answer)
        return answer

    async def after(self, request: Request, answer: Answer) -> Answer:
        with self._harmed(request):
            answer = await self.inner.after(request, answer)
        self._answered(request, answer)
        return answer

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        return await self.inner.event(request, event)

    def flood(self) -> str:
        """What is too much, by the operator's own figure; nothing when it kept to it."""
        seconds = time.monotonic() - self.asked[0][0] if self.asked else 0.0
        allowed = 2 * self.rate + self.rate * seconds + ON_THE_WAY + self.cut
        return "" if len(self.asked) <= allowed else f"{len(self.asked)} requests in {seconds:.1f} s"

    @contextmanager
    def _harmed(self, request: Request) -> Iterator[None]:
        try:
            yield
        except Cut:
            self.cut += request.method in REPEATED
            raise

    def _answered(self, request: Request, answer: Answer) -> None:
        if answer.status < 300 or (request.verb, answer.status) == ("delete", 404):
            self.undone.pop(key(request), None)
        if answer.status == 200 and request.verb == "list" and is_comparison(request):
            self.compared.append((time.monotonic(), request.target.resource))


def is_comparison(request: Request) -> bool:
    """By the operator itself: kopf lists and watches whole objects."""
    return "PartialObject" in request.headers.get("Accept", "")


def traces(
    counted: Counted,
    *,
    watches: int,
    unanswered: Iterable[tuple[float, Request]],
    said: Sequence[str],
    services: Sequence[str],
    now: float,
) -> list[str]:
    """`watches`: that are open. `unanswered`: requests, and since when. `said`: its log. `services`: that are there, as NAMESPACE/NAME."""
    return [
        *_unwatched(counted, watches, now),
        *(f"{_told(request)} was not answered for {now - at:.0f} s, and is waited for" for at, request in unanswered if now - at > LONG),
        *_given_up(counted, services, now),
        *(f"InferenceService {name} is taken for gone" for name in services if f"InferenceService {name}{GONE}" in said),
        *_missed(counted, said),
    ]  # fmt: skip


def _told(request: Request) -> str:
    return " ".join(filter(None, (request.verb, request.target.resource, request.target.subresource, request.name)))


def _unwatched(counted: Counted, watches: int, now: float) -> Iterator[str]:
    begun = [at for at, request in tuple(counted.asked) if request.verb == "watch"]
    since = max(begun, default=min((at for at, _ in tuple(counted.asked)), default=now))
    if not watches and now - since > LONG:
        yield f"nothing is watched, and no watch was begun for {now - since:.0f} s"


def _given_up(counted: Counted, services: Sequence[str], now: float) -> Iterator[str]:
    """Writes for services that are still there."""
    for (verb, namespace, *what, name), at in tuple(counted.undone.items()):
        theirs = (f"{namespace}/{name}-".startswith(f"{service}-") for service in services)
        if now - at > LONG and any(theirs):
            yield f"{verb} {'/'.join(filter(None, what))} {name} came to nothing, and was not tried again for {now - at:.0f} s"


def _missed(counted: Counted, said: Sequence[str]) -> Iterator[str]:
    if not isinstance(counted.inner, Gap):
        return
    for gone in counted.inner.gone:
        resource = _PLURALS[gone.partition(" ")[0]]
        listings = sum(at > counted.inner.ended and of == resource for at, of in tuple(counted.compared))
        if listings >= LISTINGS and f"{gone}{GONE}" not in said:
            yield f"{gone} is not known to be gone after {listings} listings"
