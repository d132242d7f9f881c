"""Finds an engine that is stuck, and never takes a busy one for it.

vLLM's own /health sees flags only: with its engine process stopped it stays 200. Here: work is pending, nothing shows a step, and
either an engine process is stopped or all of them use no CPU for `idle_seconds`, or nothing at all moved for `absolute_seconds` (lazy
compiles are busy and take minutes). Then a request for one token must fail as well.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fairlead_runtime.processes import Process
from fairlead_runtime.refusals import OVERLOADED, RefusedError

logger = logging.getLogger(__name__)

#: Less than this part of one CPU over the whole time is no work: heartbeats and pollers use that much.
IDLE_CPU_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Seconds."""

    idle_seconds: float = 60.0
    absolute_seconds: float = 300.0
    canary_seconds: float = 10.0
    interval_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Engine:
    """What is looked at. canary: decodes one token, or raises. progress: something that changes with each engine step."""

    pending: Callable[[], int]
    progress: Callable[[], object]
    processes: Callable[[], tuple[Process, ...]]
    canary: Callable[[], Awaitable[None]]


class Watchdog:
    """clock: seconds that never go back."""

    def __init__(self, engine: Engine, thresholds: Thresholds, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._thresholds = thresholds
        self._clock = clock
        #: None while the engine steps.
        self._cpu: dict[int, float] | None = None
        self._restart()
        self._cpu = self._read_cpu()

    def _restart(self) -> None:
        """From here on nothing has moved."""
        self._since = self._cpu_since = self._clock()
        self._had_work = False
        self._progress = self._engine.progress()
        self._cpu = None

    def _read_cpu(self) -> dict[int, float]:
        """By process, in seconds. Reads all of /proc in the event loop: milliseconds that no stream should wait for."""
        return {process.pid: process.cpu_seconds for process in self._engine.processes()}

    async def stalled(self) -> str:
        """Returns, in one sentence, why the engine counts as stuck; runs for as long as it does not."""
        while True:
            await asyncio.sleep(self._thresholds.interval_seconds)
            suspicion = self.suspicion()
            if suspicion is None:
                continue
            logger.warning("Is the engine stuck? %s. Asking it for one token", suspicion)
            if await self._canary_fails():
                return suspicion
            logger.info("The engine answered: not stuck")
            self._restart()

    def suspicion(self) -> str | None:
        """Why the engine may be stuck, with its numbers."""
        pending = self._engine.pending()
        if self._moved() or not (pending or self._had_work):
            self._restart()
            return None
        # Requests that went away without a step were given up, not answered: deadlines must not hide a stuck engine.
        self._had_work = True
        now = self._clock()
        still = now - self._since
        if self._cpu is None:
            # The first look without a step: an engine that steps is not looked at so closely.
            self._cpu, self._cpu_since = self._read_cpu(), now
        what = f"{pending} request(s) pending and no engine step for {still:.0f} s"
        if still >= self._thresholds.absolute_seconds:
            return what
        if still < self._thresholds.idle_seconds:
            return None
        processes = self._engine.processes()
        for process in processes:
            if process.state in "Tt":
                return f"{what}; process {process.pid} ({process.name}) is stopped"
        used = sum(process.cpu_seconds - self._cpu.get(process.pid, 0.0) for process in processes)
        if used < IDLE_CPU_SHARE * (now - self._cpu_since):
            return f"{what}; its {len(processes)} process(es) used {used:.1f} s of CPU in that time"
        return None

    def _moved(self) -> bool:
        return self._engine.progress() != self._progress

    async def _canary_fails(self) -> bool:
        """An engine that steps while the canary waits is slow, not stuck."""
        try:
            async with asyncio.timeout(self._thresholds.canary_seconds):
                await self._engine.canary()
        except TimeoutError:
            return not self._moved()
        except RefusedError as refused:
            if refused.refusal.code != OVERLOADED:
                return False  # it answered: a dead engine is not a stuck one
            # The front end's limit (--max-num-queued-reqs): what waits in a stuck engine keeps out the canary too, which never reaches it.
            await asyncio.sleep(self._thresholds.canary_seconds)
            return not self._moved()
        except Exception:
            # It answered, and a stuck engine does not. A dead one is seen by its own flag.
            logger.exception("The engine failed at a request for one token")
        return False
