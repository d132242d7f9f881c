"""The status, whole: what the operator says about a service, computed from what was seen and from what it said before."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fairlead_operator.api.status import (
    MAX_COMMAND,
    MAX_MESSAGE,
    MAX_REPLICA_STATES,
    Condition,
    ConditionStatus,
    EngineReport,
    FailureReport,
    LastFailure,
    Memory,
    ModelReport,
    ReplicaState,
    ReportedMemory,
    Startup,
    Status,
)
from fairlead_operator.core import names
from fairlead_operator.core.conditions import Verdict, conditions, remedied
from fairlead_operator.core.ended import newest
from fairlead_operator.core.moments import moment, rfc3339
from fairlead_operator.core.phase import phase_of
from fairlead_operator.core.reasons import REASONS
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.seen import EngineState, Observed, PodView, Problem, Snapshot

#: Characters of a pod's failure: 32 of them must leave the whole status under 64 KiB.
_REPLICA_MESSAGE: Final = 768
_STEPS: Final = ("imported", "fetched", "loaded", "compiled", "warmed", "ready")


def build_status(snapshot: Snapshot, outcome: Resolved | Rejection, seen: Observed) -> dict[str, Any]:
    """The complete status intent, equal to the last one when nothing that it tells has changed."""
    previous = snapshot.service.get("status") or {}
    ready = sum(1 for pod in seen.current if pod.ready)
    accepted = isinstance(outcome, Resolved)
    state = _spokesman(seen.current)
    status = Status(
        observed_generation=seen.generation,
        replicas=len(seen.active),
        ready_replicas=ready,
        updated_replicas=len(seen.current),
        replica_summary=f"{ready}/{seen.wanted}",
        selector=f"{names.SERVICE_LABEL}={seen.name}",
        url=names.url(seen.name, seen.namespace) if accepted or seen.template else None,
        accelerators=_accelerators(seen) if accepted or seen.template else None,
        conditions=_conditions(conditions(seen), previous.get("conditions") or (), seen),
        last_failure=_last_failure(seen, previous.get("lastFailure")),
        replica_states=_replica_states(seen),
    )
    dumped = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    reported = (
        _reports(state) if state else {key: previous[key] for key in ("model", "memory", "engine") if key in previous}
    )
    intent: dict[str, Any] = _plain_times({**dumped, **reported})
    return intent


def _accelerators(seen: Observed) -> str:
    return f"{seen.accelerators} {seen.accelerator}" if seen.accelerators else "none"


def _conditions(
    verdicts: Mapping[str, Verdict], previous: Sequence[Mapping[str, Any]], seen: Observed
) -> tuple[Condition, ...]:
    before = {condition["type"]: condition for condition in previous}
    return tuple(
        Condition(
            type=kind,
            status=ConditionStatus(verdict.status),
            reason=verdict.reason,
            message=cut(verdict.message),
            last_transition_time=_since(before.get(kind), verdict, seen.now),
            observed_generation=seen.generation,
        )
        for kind, verdict in verdicts.items()
    )


def _since(before: Mapping[str, Any] | None, verdict: Verdict, now: datetime) -> datetime:
    if before and before.get("status") == verdict.status and (at := moment(before.get("lastTransitionTime"))):
        return at
    return now.replace(microsecond=0)


def _last_failure(seen: Observed, previous: Mapping[str, Any] | None) -> LastFailure | None:
    """The newest end of a container of the wanted template; told further when the pod is gone, counted across pods."""
    end = newest([pod.last_end for pod in seen.current if pod.last_end])
    before = LastFailure.model_validate(previous) if previous else None
    if before and before.template != seen.template:
        before = None
    if end is None or end.time is None or (before and before.time >= end.time):
        return before
    seen_before = before.count if before and before.code == end.code else 0
    return LastFailure(
        **_failure(end).model_dump(),
        time=end.time,
        pod=end.pod,
        count=max(seen_before + 1, end.count),
        template=seen.template,
    )


def _failure(problem: Problem, length: int = MAX_MESSAGE) -> FailureReport:
    field = problem.field or REASONS[problem.code].field
    return FailureReport(code=problem.code, message=cut(remedied(problem), length), field=field or None)


def _replica_states(seen: Observed) -> tuple[ReplicaState, ...]:
    """Failing ones first, then the newest; sorted so that equal sights give equal lists."""
    order = sorted(seen.pods, key=lambda pod: (not pod.problems, -pod.created.timestamp(), pod.name))
    return tuple(
        ReplicaState(
            pod=pod.name,
            phase=phase_of(pod),
            node=pod.node or None,
            template=pod.template or None,
            startup=_startup(pod),
            failure=_failure(pod.problems[0], _REPLICA_MESSAGE) if pod.problems else None,
        )
        for pod in order[:MAX_REPLICA_STATES]
    )


def _startup(pod: PodView) -> Startup | None:
    """Steps of the runtime count from its process start; here all count from the pod's creation."""
    steps: dict[str, int] = {}
    scheduled: dict[str, Any] = next(
        (c for c in pod.raw.get("status", {}).get("conditions") or () if c.get("type") == "PodScheduled"), {}
    )
    if pod.scheduled and (at := moment(scheduled.get("lastTransitionTime"))):
        steps["scheduled"] = _seconds(pod, at)
    container: dict[str, Any] = next(
        (c for c in pod.raw.get("status", {}).get("containerStatuses") or () if c["name"] == names.CONTAINER), {}
    )
    running = (container.get("state") or {}).get("running") or {}
    if at := moment(running.get("startedAt")):
        steps["pulled"] = _seconds(pod, at)
        for step in _STEPS:
            if pod.state and pod.state.startup.get(step) is not None:
                steps[step] = steps["pulled"] + round(pod.state.startup[step])
    return Startup(**steps) if steps else None


def _seconds(pod: PodView, at: datetime) -> int:
    return max(0, int((at - pod.created).total_seconds()))


def _spokesman(pods: Sequence[PodView]) -> EngineState | None:
    """The pod that speaks for all: the oldest Ready one that described its engine, so that numbers do not jump about."""
    spoken = [pod for pod in pods if pod.state and pod.state.engine]
    chosen = min(spoken, key=lambda pod: (not pod.ready, pod.created, pod.name), default=None)
    return chosen.state if chosen else None


def _reports(state: EngineState) -> dict[str, Any]:
    memory, model = state.memory, state.model
    reports = {
        "model": ModelReport(
            name=_text(model.get("name")),
            architecture=_text(model.get("architecture")),
            parameters=_whole(model.get("parameters")),
            max_model_len=_whole(model.get("maxModelLen")),
        ),
        "memory": Memory(
            reported=ReportedMemory(
                weights_bytes=_whole(memory.get("weightsBytes")),
                kv_cache_bytes=_whole(memory.get("kvCacheBytes")),
                kv_cache_tokens=_whole(memory.get("kvCacheTokens")),
                max_concurrency=_whole(memory.get("maxConcurrency")),
            )
        ),
        "engine": EngineReport(
            version=_text(state.engine.get("version"), 64), command=_command(state.engine.get("command") or ())
        ),
    }
    return {key: report.model_dump(mode="json", by_alias=True, exclude_none=True) for key, report in reports.items()}


def _command(arguments: Sequence[Any]) -> tuple[str, ...]:
    """The arguments that fit 4 KiB together; the runtime has left secrets out."""
    kept: list[str] = []
    room = MAX_COMMAND
    for argument in arguments[:256]:
        room -= len(str(argument).encode()) + 1
        if room < 0:
            return (*kept[:255], "...")
        kept.append(str(argument))
    return tuple(kept)


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value >= 0 else None


def _text(value: Any, length: int = 253) -> str | None:
    return str(value)[:length] if value else None


def cut(message: str, length: int = MAX_MESSAGE) -> str:
    """At most so many characters; the end stays, since it says what to do."""
    if len(message) <= length:
        return message
    end = length // 4
    return f"{message[: length - end - 3]}...{message[-end:]}"


def _plain_times(value: Any) -> Any:
    """Times as the API server writes them, so that an unchanged status compares equal."""
    if isinstance(value, dict):
        return {
            key: rfc3339(at) if key in {"time", "lastTransitionTime"} and (at := moment(item)) else _plain_times(item)
            for key, item in value.items()
        }
    return [_plain_times(item) for item in value] if isinstance(value, list) else value
