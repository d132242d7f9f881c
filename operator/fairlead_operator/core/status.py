"""The status, whole: what the operator says about a service, computed from what was seen and from what it said before."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fairlead_operator.api.status import (
    MAX_BYTES,
    MAX_COMMAND,
    MAX_COUNT,
    MAX_MESSAGE,
    MAX_NAME,
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
from fairlead_operator.core import autoscaled, names, planning
from fairlead_operator.core.causes import remedied
from fairlead_operator.core.conditions import Verdict, conditions
from fairlead_operator.core.ended import newest
from fairlead_operator.core.moments import moment, rfc3339
from fairlead_operator.core.phase import phase_of
from fairlead_operator.core.reasons import REASONS
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.seen import EngineState, Observed, PodView, Problem, Snapshot

#: Bytes of a pod's failure: 32 of them must leave the whole status under 64 KiB, even if JSON doubles each by an escape.
_REPLICA_MESSAGE: Final = 512
#: JSON takes six bytes for each.
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_STEPS: Final = ("imported", "fetched", "loaded", "compiled", "captured", "warmed", "ready")


def build_status(snapshot: Snapshot, outcome: Resolved | Rejection, seen: Observed) -> dict[str, Any]:
    """The complete status intent, equal to the last one when nothing that it tells has changed."""
    previous = snapshot.service.get("status") or {}
    ready = sum(1 for pod in seen.up_to_date if pod.ready)
    accepted = isinstance(outcome, Resolved)
    state = _spokesman(seen.current)
    status = Status(
        observed_generation=seen.generation,
        replicas=len(seen.active),
        ready_replicas=ready,
        updated_replicas=len(seen.up_to_date),
        replica_summary=f"{ready}/{seen.wanted}",
        selector=f"{names.SERVICE_LABEL}={seen.name}",
        url=names.url(seen.name, seen.namespace) if accepted or seen.template else None,
        api_key_secret_name=_generated(snapshot.service) if accepted or seen.template else None,
        accelerators=_accelerators(seen) if accepted or seen.template else None,
        conditions=_conditions(conditions(seen), previous.get("conditions") or (), seen),
        autoscaling=autoscaled.report(seen),
        last_failure=_last_failure(seen, previous.get("lastFailure")),
        served_template=seen.template if ready else previous.get("servedTemplate"),
        replica_states=_replica_states(seen),
    )
    dumped = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not status.replica_states:
        del dumped["replicaStates"]
    reported = (
        _reports(state) if state else {key: previous[key] for key in ("model", "memory", "engine") if key in previous}
    )
    sizes = {name: part for name, part in (reported.get("memory") or {}).items() if name != "planned"}
    if plan := planning.told(snapshot):
        sizes["planned"] = plan
    reported = {**reported, "memory": sizes} if sizes else {k: v for k, v in reported.items() if k != "memory"}
    intent: dict[str, Any] = _plain_times({**dumped, **reported})
    return intent


def is_news(status: Mapping[str, Any], previous: Mapping[str, Any]) -> bool:
    """Whether a status has to be written over the previous one.

    What the API server leaves of a list whose last item is taken out is nothing, null or an empty list: no write would change it.
    """
    return status != {name: value for name, value in previous.items() if value or name != "replicaStates"}


def _generated(service: Mapping[str, Any]) -> str | None:
    """The Secret's name where an API key is generated; of its content nothing is known here."""
    if not (service["spec"].get("serving") or {}).get("apiKey"):
        return None
    return names.api_key_secret(service["metadata"]["name"], service["metadata"]["uid"])


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
    before = LastFailure.model_validate(previous) if previous else None
    if seen.rollout and seen.rollout.restored:
        return before if before and before.template == seen.rollout.wanted.template.hash else None
    end = newest([pod.last_end for pod in seen.current if pod.last_end])
    if before and before.template != seen.template:
        before = None
    if end is None or end.time is None or (before and before.time >= end.time):
        return before
    return LastFailure(
        **_failure(end).model_dump(),
        time=end.time,
        pod=end.pod,
        count=_count(before, end, seen.attempt),
        template=seen.template,
        attempt=seen.attempt,
    )


def _count(before: LastFailure | None, end: Problem, attempt: str) -> int:
    """Equal ones in a row. The kubelet counts ends of whatever cause, so its number serves only where we know none."""
    if before is None:
        return max(end.count, 1)
    return before.count + 1 if (before.code, before.attempt) == (end.code, attempt) else 1


def _failure(problem: Problem, length: int = MAX_MESSAGE) -> FailureReport:
    field = problem.field or REASONS[problem.code].field
    return FailureReport(code=problem.code, message=cut(remedied(problem), length), field=field[:MAX_NAME] or None)


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
    """Steps of the runtime count from its process start; here all count from the pod's creation.

    A container that was started again counts from the end of its last run: its pod may be days old.
    """
    steps: dict[str, int] = {}
    if pod.scheduled_since:
        steps["scheduled"] = _seconds(pod.created, pod.scheduled_since)
    container: dict[str, Any] = next(
        (c for c in pod.raw.get("status", {}).get("containerStatuses") or () if c["name"] == names.CONTAINER), {}
    )
    running = (container.get("state") or {}).get("running") or {}
    last = (container.get("lastState") or {}).get("terminated") or {}
    if at := moment(running.get("startedAt")):
        steps["pulled"] = _seconds(moment(last.get("finishedAt")) or pod.created, at)
        for step in _STEPS:
            if pod.state and (seconds := _whole(round(pod.state.startup.get(step, -1)), MAX_COUNT)) is not None:
                steps[step] = min(steps["pulled"] + seconds, MAX_COUNT)
    return Startup(**steps) if steps else None


def _seconds(since: datetime, at: datetime) -> int:
    return max(0, int((at - since).total_seconds()))


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
            max_model_len=_whole(model.get("maxModelLen"), MAX_COUNT),
            revision=_text(model.get("revision")),
        ),
        "memory": Memory(
            reported=ReportedMemory(
                weights_bytes=_whole(memory.get("weightsBytes")),
                kv_cache_bytes=_whole(memory.get("kvCacheBytes")),
                kv_cache_tokens=_whole(memory.get("kvCacheTokens")),
                max_concurrency=_whole(memory.get("maxConcurrency"), MAX_COUNT),
            )
        ),
        "engine": EngineReport(
            version=_text(state.engine.get("version"), 64), command=_command(state.engine.get("command") or ())
        ),
    }
    dumped = {key: report.model_dump(mode="json", by_alias=True, exclude_none=True) for key, report in reports.items()}
    # An engine that starts knows little yet. Applying {} over an object with fields makes null of it, which the schema refuses.
    return {key: report for key, report in dumped.items() if any(report.values())}


def _command(arguments: Any) -> tuple[str, ...]:
    """The arguments that fit 4 KiB together; the runtime has left secrets out."""
    if not isinstance(arguments, list | tuple):
        return ()
    kept: list[str] = []
    room = MAX_COMMAND
    for argument in arguments[:256]:
        room -= len(str(argument).encode()) + 1
        if room < 0:
            return (*kept[:255], "...")
        kept.append(str(argument))
    return tuple(kept)


def _whole(value: Any, most: int = MAX_BYTES) -> int | None:
    """What a pod says may be anybody's words: no status holds a number that is larger."""
    return int(value) if isinstance(value, int | float) and 0 <= value <= most else None


def _text(value: Any, length: int = 253) -> str | None:
    return str(value)[:length] if value else None


def cut(message: str, length: int = MAX_MESSAGE) -> str:
    """At most so many bytes of UTF-8, without control characters; the end stays, since it says what to do."""
    plain = _CONTROL.sub(" ", message).encode()
    if len(plain) <= length:
        return plain.decode()
    end = length // 4
    begin = plain[: length - end - 3].decode(errors="ignore")
    return f"{begin}...{plain[-end:].decode(errors='ignore')}"


def _plain_times(value: Any) -> Any:
    """Times as the API server writes them, so that an unchanged status compares equal."""
    if isinstance(value, dict):
        return {
            key: rfc3339(at)
            if key in {"time", "lastTransitionTime", "lastScaleTime"} and (at := moment(item))
            else _plain_times(item)
            for key, item in value.items()
        }
    return [_plain_times(item) for item in value] if isinstance(value, list) else value
