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
)

#: The event loop of a serving engine turns every second; silent for so long, it is stuck or frozen.
HEARTBEAT_OLDEST = 30.0
#: The version of the /state document.
STATE_VERSION = 1


class Reports:
    """The engine as last reported. `clock` gives seconds that only grow, `now` seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._started, self._started_at = clock(), now()
        self._phase = Phase.IMPORTING
        self._reached: dict[Phase, float] = {}
        self._last_beat = clock()
        self._draining = False
        self._stalled = Stalled(stalled=False)
        self._in_flight = InFlight(0, 0)
        self._version = ""
        self._command: tuple[str, ...] = ()
        self._facts: dict[str, dict[str, Any]] = {"model": {}, "memory": {}, "effective": {}}
        self._failed: Failed | None = None

    def take(self, event: Event) -> None:
        """One event from the engine process. Any of them shows that it lives."""
        with self._lock:
            self._last_beat = self._clock()
            match event:
                case PhaseReached(phase):
                    self._phase = phase
                    self._reached.setdefault(phase, self._clock() - self._started)
                case EngineDescribed():
                    self._version = event.version or self._version
                    self._command = event.command or self._command
                    for name, facts in self._facts.items():
                        facts.update(getattr(event, name))
                case Stalled():
                    self._stalled = event
                case InFlight():
                    self._in_flight = event
                case Failed():
                    self._failed = event
                case Heartbeat():
                    pass

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
        return Phase.READY in self._reached

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
        """Decoded, not draining, not stalled, and heard of lately."""
        return (
            self._phase is Phase.READY
            and not self._draining
            and not self._stalled.stalled
            and self.silence < HEARTBEAT_OLDEST
        )

    @property
    def live(self) -> bool:
        return self.silence < HEARTBEAT_OLDEST

    def state(self) -> dict[str, Any]:
        """GET /state."""
        with self._lock:
            names = {Phase.LOADING: "imported", Phase.WARMING: "loaded", Phase.READY: "ready"}
            return {
                "version": STATE_VERSION,
                "phase": self._phase,
                "ready": self.ready,
                "draining": self._draining,
                "stalled": self._stalled.stalled,
                "startedAt": round(self._started_at, 3),
                # Seconds from the start of the process to the end of each part of the way.
                "startup": {names[p]: round(s, 3) for p, s in self._reached.items() if p in names},
                "inflight": {"running": self._in_flight.running, "waiting": self._in_flight.waiting},
                "engine": {"version": self._version, "command": list(self._command)},
                **{name: dict(facts) for name, facts in self._facts.items()},
            }

    def metrics(self) -> str:
        """The supervisor's own lines, for as long as the engine process has no metrics to give."""
        state = self.state()
        lines = ["# TYPE fairlead_startup_phase_seconds gauge"]
        lines += [f'fairlead_startup_phase_seconds{{phase="{n}"}} {s}' for n, s in state["startup"].items()]
        for name, value in (
            ("fairlead_draining", state["draining"]),
            ("fairlead_engine_stalled", state["stalled"]),
        ):
            lines += [f"# TYPE {name} gauge", f"{name} {int(value)}"]
        return "\n".join(lines) + "\n"
