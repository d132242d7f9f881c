"""What the supervisor knows of its engine, and how it answers probes from that alone. Standard library only.

Threads write (the state pipe's reader, signals), HTTP threads read: every access holds the lock for a few assignments.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from fairlead_runtime.lifecycle import (
    EngineDescribed,
    Event,
    Failed,
    Heartbeat,
    InFlight,
    Phase,
    PhaseReached,
    Stalled,
    StepReached,
)
from fairlead_runtime.startup import Ledger, Step

#: The event loop of a serving engine turns every second; silent for so long, it is stuck or frozen.
HEARTBEAT_OLDEST = 30.0
#: The phase that begins when a step is over.
_ENDS = {
    Phase.IMPORTING: Step.STARTED,
    Phase.LOADING: Step.IMPORTED,
    Phase.WARMING: Step.INITIALIZED,
    Phase.READY: Step.READY,
}
#: The version of the /state document.
STATE_VERSION = 1


class Reports:
    """The engine as last reported. `clock` gives seconds that only grow, `now` seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._started, self._started_at = clock(), now()
        self._phase = Phase.IMPORTING
        self._ledger = Ledger()
        self._was_ready = False
        self._last_beat = clock()
        self._draining = False
        self._stalled = Stalled(stalled=False)
        self._in_flight = InFlight(0, 0)
        self._worked = clock()
        self._version = ""
        self._command: tuple[str, ...] = ()
        self._facts: dict[str, dict[str, Any]] = {"model": {}, "memory": {}, "planned": {}, "effective": {}}
        self._failed: Failed | None = None

    def take(self, event: Event) -> None:
        """One event from the engine process. Any of them shows that it lives."""
        with self._lock:
            self._last_beat = self._clock()
            match event:
                case PhaseReached(phase):
                    self._phase = phase
                    self._was_ready = self._was_ready or phase is Phase.READY
                    self._worked = self._clock()
                    if phase in _ENDS:
                        self._ledger.reached(_ENDS[phase], self._clock() - self._started)
                case StepReached(step):
                    self._ledger.reached(step, self._clock() - self._started)
                case EngineDescribed():
                    self._version = event.version or self._version
                    self._command = event.command or self._command
                    for name, facts in self._facts.items():
                        facts.update(getattr(event, name))
                case Stalled():
                    self._stalled = event
                case InFlight():
                    self._in_flight = event
                    self._worked = self._clock()
                case Failed():
                    self._failed = event
                case Heartbeat():
                    pass

    def read(self, line: str) -> None:
        """One line of an engine process's output: steps of the start that only the log tells."""
        if not self._was_ready:
            with self._lock:
                self._ledger.read(line, self._clock() - self._started)

    def drain(self) -> None:
        """The container was asked to stop."""
        with self._lock:
            self._draining = True

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def engine_version(self) -> str:
        return self._version

    @property
    def failed(self) -> Failed | None:
        return self._failed

    @property
    def was_ready(self) -> bool:
        """Whether a first token was ever decoded."""
        return self._was_ready

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._started

    @property
    def silence(self) -> float:
        """Seconds without a sign of life, 0 before the engine serves: loading blocks its event loop for minutes."""
        return self._clock() - self._last_beat if self.was_ready else 0.0

    @property
    def ready(self) -> bool:
        """Decoded, not draining, not failed, not stalled, and heard of lately."""
        return (
            self._phase is Phase.READY
            and not self._draining
            and self._failed is None
            and not self._stalled.stalled
            and self.silence < HEARTBEAT_OLDEST
        )

    @property
    def live(self) -> bool:
        return self.silence < HEARTBEAT_OLDEST

    def state(self) -> dict[str, Any]:
        """GET /state."""
        with self._lock:
            return {
                "version": STATE_VERSION,
                "phase": self._phase,
                "ready": self.ready,
                "draining": self._draining,
                "stalled": self._stalled.stalled,
                "startedAt": round(self._started_at, 3),
                # Seconds from the start of the process to the end of each step, and what each phase took by itself.
                "startup": self._ledger.steps,
                "startupPhases": self._ledger.phases,
                "compileCache": self._ledger.compile_cache,
                "inflight": self._busy(),
                "engine": {"version": self._version, "command": list(self._command)},
                **{name: dict(facts) for name, facts in self._facts.items()},
            }

    def _busy(self) -> dict[str, Any]:
        """The requests in the engine, and for how long there was none. Every change of the numbers is work, and so its end is too."""
        now = self._in_flight
        idle = 0 if now.running or now.waiting else int(self._clock() - self._worked)
        return {
            "running": now.running,
            "waiting": now.waiting,
            "kvCacheUsagePercent": now.kv_cache_percent,
            "idleSeconds": idle,
        }

    @property
    def ledger(self) -> str:
        """What the start took, phase by phase, in one line."""
        with self._lock:
            return str(self._ledger)

    def startup_metrics(self) -> str:
        """The ledger in Prometheus' text format: the supervisor alone sees the whole start."""
        with self._lock:
            phases, cache = self._ledger.phases, self._ledger.compile_cache
        name = "fairlead_startup_phase_seconds"
        lines = [f"# HELP {name} What each phase of this start took.", f"# TYPE {name} gauge"]
        lines += [f'{name}{{phase="{phase}"}} {seconds}' for phase, seconds in phases.items()]
        if cache:
            name = "fairlead_compile_cache_hit"
            lines += [
                f"# HELP {name} 1 if all compiled code came from the cache, 0.5 if a part did, 0 if none.",
                f"# TYPE {name} gauge",
                f"{name} { {'hit': 1, 'partial': 0.5}.get(cache, 0) }",
            ]
        return "\n".join(lines) + "\n"

    def metrics(self) -> str:
        """The supervisor's own lines, for as long as the engine process has no metrics to give."""
        state = self.state()
        lines = []
        for name, value in (
            ("fairlead_draining", state["draining"]),
            ("fairlead_engine_stalled", state["stalled"]),
        ):
            lines += [f"# TYPE {name} gauge", f"{name} {int(value)}"]
        return "\n".join(lines) + "\n"
