"""What the serving port admits, and how it stops without losing an answer.

SIGTERM -> lame duck: everything is still served, every response says `Connection: close`, so that pools move away while endpoints
do -> refusing: 503 for what is new, what runs goes on for at most `drain_seconds` -> the rest is ended with an honest error.

A stream that began before SIGTERM could not say that its connection closes, and its client's pool may send the next request here the
moment it ends. Closing the connection then would lose that request, and so would 503: it is served, and told that the connection closes.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from enum import StrEnum

from fairlead_runtime.exchange import GRACE_SECONDS, Exchange
from fairlead_runtime.metrics import Metrics
from fairlead_runtime.refusals import Refusal

logger = logging.getLogger(__name__)

#: Endpoints that still send here after preStop's sleep get this much more; seconds.
LAME_DUCK_SECONDS = 5.0
#: How long a connection stays open behind a response that did not announce its end: a pool that has the next request sends it at once.
HAND_OVER_SECONDS = 1.0
#: Another replica, or this one restarted behind the same Service, answers after about this long; seconds.
RETRY_AFTER_SECONDS = 1


#: Host and port at the other end of a connection: what ASGI tells of the connection that a request came on.
Client = tuple[str, int]


class Admission(StrEnum):
    """In order; there is no way back from LAME_DUCK."""

    STARTING = "starting"
    SERVING = "serving"
    LAME_DUCK = "lame duck"
    REFUSING = "refusing"


class Gate:
    """Which requests may enter, and which are inside."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._inside: set[Exchange] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._handed_over = asyncio.Event()
        #: At the other end of the connections that were not told to close.
        self._unaware: set[Client] = set()
        self._half_time = self._end = 0.0
        self.admission = Admission.STARTING
        #: Cleared by the watchdog: GET /health must not call a stuck engine ready.
        self.healthy = True

    @property
    def admits(self) -> bool:
        return self.admission in (Admission.SERVING, Admission.LAME_DUCK)

    @property
    def ready(self) -> bool:
        """What GET /health says."""
        return self.admits and self.healthy

    @property
    def closing(self) -> bool:
        """Whether a response must end its connection."""
        return self.admission in (Admission.LAME_DUCK, Admission.REFUSING)

    def enter(self, exchange: Exchange) -> None:
        self._inside.add(exchange)
        self._empty.clear()
        self._metrics.in_flight.set(len(self._inside))

    def leave(self, exchange: Exchange) -> None:
        self._inside.discard(exchange)
        self._metrics.in_flight.set(len(self._inside))
        if not self._inside:
            self._empty.set()

    def refuse(self, drain_seconds: float, unaware: Collection[Client]) -> None:
        """From now on nobody enters but those who could not know, see `hands_over`."""
        self.admission = Admission.REFUSING
        self._unaware = set(unaware)
        now = time.monotonic()
        self._half_time, self._end = now + drain_seconds / 2, now + drain_seconds

    def hands_over(self, client: Client, deadline: float) -> bool:
        """Whether a request is served although new ones are refused: once on a connection that was not told to close.

        Only while there is time for it: for all of its deadline, or for half of the drain.
        """
        now = time.monotonic()
        if client not in self._unaware or (now > self._half_time and now + deadline > self._end):
            return False
        self._unaware.discard(client)
        self._handed_over.set()
        return True

    async def emptied(self) -> None:
        """Returns once nobody is inside, and nobody is expected who could not know that this replica stops."""
        await self._empty.wait()
        while self._unaware:
            self._handed_over.clear()
            try:
                await asyncio.wait_for(self._handed_over.wait(), HAND_OVER_SECONDS)
            except TimeoutError:
                return
            await self._empty.wait()

    async def end_all(self, refusal: Refusal, *, reason: str) -> None:
        """Ends every request inside and waits until their last words are out, for a bounded time."""
        for exchange in tuple(self._inside):
            exchange.end(refusal, reason=reason)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.emptied(), 3 * GRACE_SECONDS)

    def __len__(self) -> int:
        return len(self._inside)


def stopping() -> Refusal:
    """503 for whoever comes too late or must be cut."""
    return Refusal(
        503, "This replica is stopping; send the request again.", "stopping", retry_after=RETRY_AFTER_SECONDS
    )


async def _all_taken() -> bool:
    return False


async def drain(
    gate: Gate,
    *,
    drain_seconds: float,
    hurry: asyncio.Event,
    lame_duck_seconds: float = LAME_DUCK_SECONDS,
    let_go: Callable[[], Collection[Client]] = tuple,
    sent: Callable[[], Awaitable[bool]] = _all_taken,
) -> None:
    """Returns when no request is left. `hurry` (a second SIGTERM) skips all waiting.

    let_go: called when new requests are refused from then on; closes idle connections and returns the clients of the others.
    sent: returns once clients have taken their answers, and whether that took any time.
    The lame duck is not cut short when nothing runs: requests on their way here are what it is for.
    """
    gate.admission = Admission.LAME_DUCK
    logger.info("Stopping: serving for %g s more, %d request(s) running", lame_duck_seconds, len(gate))
    await _first(hurry.wait(), seconds=lame_duck_seconds)
    gate.refuse(drain_seconds, let_go())
    logger.info("Stopping: refusing new requests, %d running for at most %g s", len(gate), drain_seconds)
    await _first(_answered(gate, sent), hurry.wait(), seconds=drain_seconds)
    # Who would be handed over from here on would be cut.
    gate.refuse(0, ())
    if len(gate):
        logger.warning("Stopping: ending %d request(s) that did not finish", len(gate))
        await gate.end_all(stopping(), reason="drain")


async def _answered(gate: Gate, sent: Callable[[], Awaitable[bool]]) -> None:
    await gate.emptied()
    while await sent():
        # On a connection that was not told to close, the next request may follow the answer that was taken now.
        await gate.emptied()


async def _first(*conditions: Coroutine[None, None, object], seconds: float) -> None:
    tasks = {asyncio.ensure_future(condition) for condition in conditions}
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
