"""What the engine process tells its supervisor: one JSON line per change, over a pipe.

The supervisor answers every probe from these lines alone, so a long import, a C call that holds the GIL or a dead engine never
blinds it. Standard library only: the supervisor reads what this module writes, and must stay small.
"""

import json
import os
import threading
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from fairlead_runtime.failure import Failure
from fairlead_runtime.startup import Step

#: Number of the inherited file descriptor to write events to.
STATE_FD_ENV = "FAIRLEAD_STATE_FD"
#: Path of the unix socket on which the engine process answers GET /metrics over HTTP.
METRICS_SOCKET_ENV = "FAIRLEAD_METRICS_SOCKET"
#: The engine process's event loop sends one Heartbeat per this many seconds.
HEARTBEAT_SECONDS = 1.0
#: Longer lines are refused by the reader: a peer that never ends its line must not fill the supervisor's memory.
MAX_LINE_BYTES = 256 * 1024


class Phase(StrEnum):
    """In order of appearance; READY is the only one in which traffic is wanted."""

    #: Python and the engine's packages are being imported. The first phase, set by the supervisor at the fork.
    IMPORTING = "importing"
    #: The engine is being built: weights fetched and read, KV cache sized, graphs compiled.
    LOADING = "loading"
    #: The HTTP application is being built, the first token decoded and the warm-up answered.
    WARMING = "warming"
    #: Real tokens were decoded and the serving port answers.
    READY = "ready"
    #: Asked to stop: still serving in the lame-duck time, then only what already runs.
    DRAINING = "draining"
    #: No request is left or the time is over: the engine is being stopped.
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class PhaseReached:
    """Send when a phase begins, in order; the supervisor takes the times."""

    event: ClassVar[str] = "phase"
    phase: Phase


@dataclass(frozen=True, slots=True)
class StepReached:
    """A step of the start is over that is no phase's beginning."""

    event: ClassVar[str] = "step"
    step: Step


@dataclass(frozen=True, slots=True)
class EngineDescribed:
    """What was launched and what came out of it; send whenever more is known, the last value of each key wins.

    command: the argv, already redacted (arguments.redacted). memory: kvCacheBytes, kvCacheTokens, maxConcurrency, weightsBytes.
    planned: the same before anything was loaded, see planned.facts.
    model: name, architecture, maxModelLen, parameters. effective: spec field -> {"value", "origin"} (facts.effective_values).
    """

    event: ClassVar[str] = "engine"
    version: str = ""
    command: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    planned: Mapping[str, Any] = field(default_factory=dict)
    effective: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stalled:
    """The watchdog's view of the engine: stalled means work is waiting and nothing moves. Readiness follows it at once."""

    event: ClassVar[str] = "stalled"
    stalled: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The engine process knows why it is about to end. Send it before exiting; without it the supervisor reads the log.

    failure: what is known. text: the exception's own text (traceback or message) when `failure` is None or UnknownFailure:
    the supervisor diagnoses it together with the log lines of the engine's child processes.
    """

    event: ClassVar[str] = "failure"
    failure: Failure | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class InFlight:
    """How busy the engine is; at most one a second, on change.

    kv_cache_percent: of its KV cache, in use by requests. steps: that it has ever made; a request that came and went between two
    of these events shows in them alone.
    """

    event: ClassVar[str] = "inflight"
    running: int
    waiting: int
    kv_cache_percent: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The event loop turns."""

    event: ClassVar[str] = "heartbeat"


Event = PhaseReached | StepReached | EngineDescribed | Stalled | Failed | InFlight | Heartbeat


def encode(event: Event) -> bytes:
    """One line, with its newline. Not more than MAX_LINE_BYTES as long as texts are bounded by the sender."""
    return json.dumps({"event": event.event, **asdict(event)}, separators=(",", ":"), default=str).encode() + b"\n"


def decode(line: bytes) -> Event:
    """The event in one line. Raises ValueError for anything else: an engine of another release must not crash the supervisor."""
    try:
        fields = json.loads(line)
        kind = fields.pop("event")
        match kind:
            case "phase":
                return PhaseReached(Phase(fields["phase"]))
            case "step":
                return StepReached(Step(fields["step"]))
            case "engine":
                return EngineDescribed(
                    version=str(fields.get("version", "")),
                    command=tuple(str(word) for word in fields.get("command", ())),
                    model=dict(fields.get("model", {})),
                    memory=dict(fields.get("memory", {})),
                    planned=dict(fields.get("planned", {})),
                    effective=dict(fields.get("effective", {})),
                )
            case "stalled":
                return Stalled(bool(fields["stalled"]), str(fields.get("detail", "")))
            case "failure":
                failure = fields.get("failure")
                return Failed(Failure(**failure) if failure else None, str(fields.get("text", "")))
            case "inflight":
                return InFlight(
                    running=int(fields["running"]),
                    waiting=int(fields["waiting"]),
                    kv_cache_percent=int(fields.get("kv_cache_percent", 0)),
                    steps=int(fields.get("steps", 0)),
                )
            case "heartbeat":
                return Heartbeat()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not an event: {line[:200]!r} ({error})") from error
    raise ValueError(f"unknown event {kind!r}")


class StateWriter:
    """The engine process's end of the pipe. Any thread may write; lines never interleave.

    Without FAIRLEAD_STATE_FD (the server started by hand) it writes nowhere. When the supervisor is gone, writing does nothing:
    the kernel kills the engine process then anyway, see child.py.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> "StateWriter":
        """Takes the variable out of `environ` and closes the descriptor to later children: end of file must mean this process's end."""
        number = environ.pop(STATE_FD_ENV, None)
        if number is None:
            return cls(None)
        os.set_inheritable(int(number), False)
        return cls(int(number))

    def write(self, event: Event) -> None:
        """Blocks while the pipe is full; the supervisor empties it without pause."""
        line = encode(event)
        with self._lock:
            while line and self._descriptor is not None:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except BrokenPipeError:
                    self._descriptor = None
