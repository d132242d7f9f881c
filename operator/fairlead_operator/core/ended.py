"""Why a container of the engine ended: the kubelet's word, the runtime's record, or what the exit code tells."""

import signal
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fairlead_operator.core.moments import moment
from fairlead_operator.core.reasons import known
from fairlead_operator.core.seen import PodEvent, Problem
from fairlead_runtime.diagnosis import Failure, redact
from fairlead_runtime.termination import read_record

#: Lines of log shown where there is no record.
_TAIL: Final = 6
_TAIL_CHARACTERS: Final = 800
#: Ends with exit code 0 that are too many to be somebody's wish.
OFTEN: Final = 3
#: Exit code and reason that containerd gives a container of which it knows no end, as after the node was started anew.
_LOST: Final = (255, "Unknown")

#: Code, message, field and remedy of a failure; "" for the reason's own.
Cause = tuple[str, str, str, str]


def last_end(status: Mapping[str, Any], pod: str, events: Sequence[PodEvent]) -> Problem | None:
    """The last end of the container that was a failure; None if it never failed. `status` is its container status."""
    state = status.get("state") or {}
    terminated = state.get("terminated") or (status.get("lastState") or {}).get("terminated")
    if not terminated:
        return None
    # restartCount counts starts after the first; while none runs, one more has ended.
    count = int(status.get("restartCount", 0)) + (0 if "running" in state else 1)
    if terminated.get("exitCode") == 0 and terminated.get("reason") != "OOMKilled":
        if (cause := _stopped(terminated, count, events)) is None:
            return None
        code, message, field, remedy = cause
    else:
        code, message, field, remedy = _cause(terminated, events)
    return Problem(
        code=code,
        # What a container leaves may be the last lines of its log, as it wrote them.
        message=redact(message),
        field=field,
        remedy=redact(remedy),
        time=moment(terminated.get("finishedAt")),
        count=max(count, 1),
        ended=True,
        pod=pod,
    )


def _cause(terminated: Mapping[str, Any], events: Sequence[PodEvent]) -> Cause:
    text = str(terminated.get("message") or "")
    exit_code = int(terminated.get("exitCode", 0))
    if terminated.get("reason") == "OOMKilled":
        return (
            "HostOutOfMemory",
            "the container used more memory than its limit and was killed",
            "spec.resources.memory",
            "",
        )
    if record := read_record(text):
        failure = record.failure
        return known(failure.code), failure.message or failure.code, failure.field, _remedy(failure)
    if terminated.get("reason") in {"StartError", "ContainerCannotRun"}:
        return (
            "UnknownFailure",
            f"the container could not be started: {_tail(text)}",
            "spec.image",
            "use a runtime image of this release in spec.image",
        )
    if exit_code > 128:
        return _killed(exit_code, text, terminated, events)
    return (
        "UnknownFailure",
        f"the container ended with exit code {exit_code} and no record; last lines: {_tail(text)}",
        "",
        "",
    )


def _stopped(terminated: Mapping[str, Any], count: int, events: Sequence[PodEvent]) -> Cause | None:
    """It ended as asked to. Asked by a probe it has failed; and nobody asks a pod that is to stay again and again."""
    if cause := _failed_probe(terminated, events):
        return cause
    if count < OFTEN:
        return None
    return "EngineDied", f"the container ended {count} times with exit code 0, as if asked to stop", "", ""


def _failed_probe(terminated: Mapping[str, Any], events: Sequence[PodEvent]) -> Cause | None:
    started = moment(terminated.get("startedAt"))
    for event in events:
        if event.reason == "Killing" and (started is None or event.last_seen >= started):
            if "failed startup probe" in event.message:
                return "StartTimeout", "the engine did not decode its first token in time and was killed", "", ""
            if "failed liveness probe" in event.message:
                return "EngineStalled", "the supervisor stopped answering its liveness probe and was killed", "", ""
    return None


def _killed(exit_code: int, text: str, terminated: Mapping[str, Any], events: Sequence[PodEvent]) -> Cause:
    if cause := _failed_probe(terminated, events):
        return cause
    tail = f"; last lines: {_tail(text)}" if text.strip() else ""
    try:
        end = f"the container was killed by {signal.Signals(exit_code - 128).name}"
    except ValueError:
        end = f"the container ended with exit code {exit_code}"
    if (exit_code, terminated.get("reason")) == _LOST:
        end = "the node or its container runtime was restarted and lost the container"
    return "EngineDied", f"{end}{tail}", "", ""


def _remedy(failure: Failure) -> str:
    """A single word is the field's value; several words say what to do with the field."""
    suggestion = failure.suggestion.strip().rstrip(".")
    if not suggestion or not failure.field or failure.field in suggestion:
        return suggestion
    return f"{failure.field}: {suggestion}" if " " in suggestion else f"set {failure.field} to {suggestion}"


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_TAIL:])[-_TAIL_CHARACTERS:] or "(none)"


def newest(problems: Sequence[Problem]) -> Problem | None:
    """The problem that was seen last."""
    dated = [problem for problem in problems if problem.time]
    return max(dated, key=_time) if dated else None


def _time(problem: Problem) -> datetime:
    assert problem.time is not None
    return problem.time
