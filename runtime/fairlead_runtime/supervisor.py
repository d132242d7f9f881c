"""PID 1 of a model pod: starts the engine, answers probes for it, passes signals on, and says why it ended.

Standard library only and small: imports, long C calls, segfaults and kills of the engine never blind it. Every wait has an end.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType
from typing import Any

from fairlead_runtime import child, locations, profiles, verdicts
from fairlead_runtime.cgroup import oom_kills
from fairlead_runtime.diagnosis import Failure, diagnose
from fairlead_runtime.lifecycle import MAX_LINE_BYTES, METRICS_SOCKET_ENV, decode
from fairlead_runtime.probes import ProbeServer
from fairlead_runtime.reports import Reports
from fairlead_runtime.ring import LogRing
from fairlead_runtime.termination import Record

ENGINE_COMMAND = (sys.executable, "-P", "-m", "fairlead_runtime.server")
EXIT_FAILED = 1
EXIT_STALLED = 70
#: Seconds between two looks at the child; a signal is passed on at the next one.
TICK = 0.1


@dataclass(frozen=True)
class Limits:
    """All in seconds. Defaults are for values that the configuration leaves out, the same as in config.py."""

    start: float = 1800.0
    drain: float = 300.0
    #: The lame-duck time that the engine process spends before it drains, and its shutdown afterwards (grace: 5 + drain + 20).
    around_drain: float = 18.0
    #: No sign of life from an engine that has been ready: half of it later than readiness and liveness notice.
    frozen: float = 60.0
    #: Between asking and killing.
    farewell: float = 10.0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Limits":
        """From the RuntimeConfig's JSON."""
        return cls(
            start=float(config.get("startTimeoutSeconds", cls.start)),
            drain=float(config.get("serving", {}).get("drainSeconds", cls.drain)),
        )


@dataclass(frozen=True)
class Asked:
    """What a failure's field depends on. draft: the second model that guesses tokens, "" without one. profile: what it decides."""

    draft: str = ""
    profile: profiles.Chosen = field(default_factory=profiles.Chosen)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Asked":
        """From the RuntimeConfig's JSON."""
        engine = config.get("engine") or {}
        return cls(str((engine.get("speculative") or {}).get("model") or ""), profiles.chosen(engine))

    def name(self, failure: Failure) -> Failure:
        """`failure` under the field that the user set."""
        return verdicts.of_the_profile(verdicts.of_the_draft_model(failure, self.draft), self.profile)


class Supervisor:
    """One run of one engine."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], limits: Limits, asked: Asked) -> None:
        self._command, self._environ, self._limits, self._asked = command, environ, limits, asked
        self._reports = Reports()
        self._ring = LogRing(self._reports.read)
        self._stops: list[float] = []
        self._stops_passed = 0
        self._verdict: Failure | None = None
        self._kill_at: float | None = None

    def run(self) -> int:
        """Until the engine has ended. Returns the exit code of the container."""
        kills_before = oom_kills()
        socket = Path(mkdtemp(prefix="fairlead-")) / "metrics.sock"
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        try:
            probes = ProbeServer(locations.management_port(self._environ), self._reports, socket)
            # The stack of a native crash, in each of the engine's processes.
            environ = {"PYTHONFAULTHANDLER": "1", **self._environ, METRICS_SOCKET_ENV: str(socket)}
            engine = child.start(self._command, environ, self._ring)
        except (OSError, ValueError) as error:
            self._verdict = verdicts.cannot_begin(error)
            return self._conclude(EXIT_FAILED, kills=0)
        with probes:
            _thread("probes", probes.serve_forever)
            events = _thread("state", lambda: self._listen(engine.state))
            status = self._watch(engine)
            engine.kill_all()
            engine.last_lines_read()
            # What the engine said of its end is on its way until the pipe ends.
            events.join(child.LAST_WORDS)
            child.reap(engine.pid)
            code = self._conclude(status, oom_kills() - kills_before)
            probes.shutdown()
        return code

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stops.append(self._reports.seconds)
        self._reports.drain()

    def _listen(self, descriptor: int) -> None:
        """The engine's events, to the end of the pipe."""
        with os.fdopen(descriptor, "rb") as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                was_ready = self._reports.was_ready
                try:
                    self._reports.take(decode(line))
                except ValueError as error:
                    _say(f"an event of the engine cannot be read: {error}")
                if self._reports.was_ready and not was_ready:
                    # What went wrong on the way, and then well, is not why a process ends days later.
                    self._ring.forget()
                    _say(f"ready after {self._reports.ledger}")

    def _watch(self, engine: child.Engine) -> int:
        """Until the front end has ended: pass signals on, keep the deadlines. Its exit status."""
        pause = threading.Event()
        while (status := child.reap(engine.pid)) is None:
            # One at a time: two signals of a kind that are sent together arrive as one.
            if self._stops_passed < len(self._stops):
                self._stops_passed += 1
                engine.signal(signal.SIGTERM)
            self._keep_deadlines(engine)
            pause.wait(TICK)
        engine.process.returncode = status
        return status

    def _keep_deadlines(self, engine: child.Engine) -> None:
        seconds, limits = self._reports.seconds, self._limits
        if self._kill_at is not None:
            if seconds >= self._kill_at:
                engine.kill_all()
            return
        if self._reports.silence > limits.frozen:
            self._give_up(engine, verdicts.frozen(self._reports.silence), farewell=0.0)
        elif self._stops:
            allowed = limits.around_drain + (limits.drain if self._reports.was_ready else 0.0)
            if seconds - self._stops[0] > allowed:
                self._give_up(engine, verdicts.did_not_stop(allowed), farewell=0.0)
        elif not self._reports.was_ready and seconds > 0.95 * limits.start:
            self._give_up(engine, verdicts.start_timeout(self._reports.phase, seconds, limits.start), limits.farewell)

    def _give_up(self, engine: child.Engine, why: Failure, farewell: float) -> None:
        self._verdict = why
        self._kill_at = self._reports.seconds + farewell
        if farewell:
            engine.signal(signal.SIGTERM)
        else:
            engine.kill_all()

    def _conclude(self, status: int, kills: int) -> int:
        """Write the record, unless this is the end that was asked for. The exit code: never 0 after a failure."""
        asked = bool(self._stops) and self._verdict is None
        if asked and status in {0, 128 + signal.SIGTERM, -signal.SIGTERM}:
            return 0
        failure = self._asked.name(self._verdict or self._cause(status, kills))
        _say(f"{failure.code}: {failure.message}")
        record = Record(failure, self._reports.phase, self._reports.engine_version)
        try:
            record.write(locations.termination_path(self._environ))
        except OSError as error:
            _say(f"the termination record cannot be written: {error}")
        if failure.code == "EngineStalled":
            return EXIT_STALLED
        return status if 1 <= status <= 125 else EXIT_FAILED

    def _cause(self, status: int, kills: int) -> Failure:
        """What the kernel saw comes before what the engine said, and that before what its log says."""
        if kills > 0:
            return verdicts.killed_for_memory(kills)
        failed = self._reports.failed
        if failed and failed.failure:
            return failed.failure
        # A front end that serves logs clients' words as errors; why it ends by itself comes with its report.
        lines = self._ring.lines_of_others() if self._reports.was_ready else self._ring.lines()
        found = diagnose(lines, failed.text if failed else "")
        if found.code in {"UnknownFailure", "EngineDied"} and status <= 0:
            return verdicts.died(status, found.message)
        return found


def _thread(name: str, target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def _say(line: str) -> None:
    print(f"(supervisor) {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Supervise the real engine; the exit code of the container."""
    try:
        config = json.loads(Path(locations.config_path(os.environ)).read_text(encoding="utf-8"))
        limits, asked = Limits.of(config), Asked.of(config)
    except (OSError, ValueError, TypeError, AttributeError):
        # One that cannot be read is the engine process's to complain about.
        limits, asked = Limits(), Asked()
    return Supervisor(ENGINE_COMMAND, os.environ, limits, asked).run()
