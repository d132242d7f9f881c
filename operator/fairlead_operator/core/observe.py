"""From a Snapshot to what is the case: pods read one by one, and which of them are wanted."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from fairlead_operator.core import names
from fairlead_operator.core.autoscale import configured
from fairlead_operator.core.beside import why_another_container_waits
from fairlead_operator.core.causes import PERSISTS, due_at
from fairlead_operator.core.ended import last_end
from fairlead_operator.core.giving_up import attempt, given_up, keeps_former
from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.pinning import pinned
from fairlead_operator.core.reasons import REASONS
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.revisions import hash_of
from fairlead_operator.core.rollout import decide
from fairlead_operator.core.scheduling import (
    Draining,
    condition_of,
    draining,
    evicted,
    is_overdue,
    node_lost,
    nominated_until,
    why_no_pods,
    why_unscheduled,
)
from fairlead_operator.core.seen import EngineState, Observed, PodView, Problem, Snapshot
from fairlead_operator.core.source import SourceKind
from fairlead_operator.core.waiting import why_waiting
from fairlead_runtime.config import COMMIT

#: An engine that restarted this often has to stay Ready for so long before it counts as healthy again.
FLAPPING_RESTARTS: Final = 3
FLAPPING_SECONDS: Final = 600


def observe(snapshot: Snapshot, outcome: Resolved | Rejection) -> Observed:
    """What is the case. Under a Rejection the pods are judged by the last spec that was accepted: the live Deployment."""
    service = snapshot.service
    deployment = snapshot.deployment
    resolved = outcome if isinstance(outcome, Resolved) else None
    revisions = pinned(resolved, snapshot) if resolved else None
    template = revisions.target.template.hash if revisions else _live_template(deployment)
    asked_for = revisions.wanted.template.hash if revisions else template
    rejection = outcome if isinstance(outcome, Rejection) else _missing_api(outcome, deployment, asked_for)
    accelerator, accelerators = (
        (resolved.accelerator, resolved.accelerators) if resolved else _live_accelerators(deployment)
    )
    leaving = draining(snapshot.pods, snapshot.now)

    def problem_without_node(pod: Manifest) -> Problem | None:
        return why_unscheduled(pod, accelerator, accelerators, snapshot.accelerators, leaving, now=snapshot.now)

    running = [pod for pod in snapshot.pods if not names.is_finished(pod)]
    pods = tuple(_view(pod, snapshot, template, problem_without_node(pod)) for pod in running)
    workload = [problem for problem in [why_no_pods(deployment) if deployment else None] if problem]
    wanted = resolved.replicas if resolved else _live_replicas(deployment)
    if sum(1 for pod in pods if pod.scheduled and not pod.deleting) < wanted:
        workload += [
            problem
            for pod in snapshot.pods
            if hash_of(pod) == template
            and (problem := evicted(pod))
            and _leaves_a_gap(problem, moment(pod["metadata"]["creationTimestamp"]), pods, snapshot.now)
        ]
    spec = service.get("spec") or {}
    former = keeps_former(snapshot.replica_sets, deployment, template)
    key_wanted = bool({"apiKey", "apiKeySecretRef"} & (spec.get("serving") or {}).keys())
    seen = Observed(
        name=service["metadata"]["name"],
        namespace=service["metadata"]["namespace"],
        generation=int(service["metadata"].get("generation", 0)),
        now=snapshot.now,
        rejection=rejection,
        wanted=wanted,
        suspended=bool(spec.get("suspend")),
        deleting=bool(service["metadata"].get("deletionTimestamp")),
        template=template,
        deployment=deployment,
        pods=pods,
        workload_problems=tuple(workload),
        overdue=deployment is not None and is_overdue(deployment),
        settled=deployment is not None and _settled(deployment),
        key_wanted=key_wanted,
        unguarded=_unguarded(pods, deployment, key_wanted=key_wanted),
        accelerator=accelerator,
        accelerators=accelerators,
        accelerators_free=snapshot.accelerators,
        given_up=None if rejection or former else given_up(service, template, pods),
        keeps_former=former,
        attempt=attempt(service),
        autoscaling=configured(service),
        replicas=int(spec.get("replicas", 1)),
        scaling=snapshot.scaling,
        refusal=snapshot.refusal,
        previous=service.get("status") or {},
        recheck_at=_recheck_at(pods, workload, leaving, snapshot.now),
    )
    if resolved is None or revisions is None:
        return seen
    asked = resolved.spec.rollout
    rollout = decide(seen, revisions, asked)
    moments = [at for at in (seen.recheck_at, rollout.look_at) if at]
    return replace(seen, rollout=rollout, strategy=asked.strategy, recheck_at=min(moments, default=None))


def _view(pod: Manifest, snapshot: Snapshot, template: str, unscheduled: Problem | None) -> PodView:
    metadata, status = pod["metadata"], pod.get("status", {})
    events = snapshot.events.get(metadata["uid"], ())
    container: Manifest = next((c for c in status.get("containerStatuses") or () if c["name"] == names.CONTAINER), {})
    ready = condition_of(pod, "Ready") or {}
    is_ready, deleting = ready.get("status") == "True", bool(metadata.get("deletionTimestamp"))
    scheduled = bool(pod["spec"].get("nodeName"))
    end = last_end(container, metadata["name"], events)
    problems: list[Problem] = []
    # A pod on its way out is killed in the end, and one that is Ready has recovered: neither is failing.
    if not is_ready and not deleting:
        problems += [unscheduled] if unscheduled and not scheduled else []
        if scheduled and not container.get("started"):
            problems += why_waiting(pod, container, events)
        problems += [lost] if scheduled and (lost := node_lost(pod)) else []
        problems += [end] if end else []
        if scheduled and not problems:
            problems += [beside] if (beside := why_another_container_waits(pod, snapshot.now)) else []
    created = moment(metadata["creationTimestamp"])
    assert created is not None
    pod_template = hash_of(pod)
    state = snapshot.engine_states.get(metadata["uid"])
    return PodView(
        name=metadata["name"],
        uid=metadata["uid"],
        template=pod_template,
        current=bool(template) and pod_template == template,
        created=created,
        deleting=deleting,
        scheduled=scheduled,
        scheduled_since=moment((condition_of(pod, "PodScheduled") or {}).get("lastTransitionTime"))
        if scheduled
        else None,
        ready=is_ready,
        ready_since=moment(ready.get("lastTransitionTime")) if is_ready else None,
        started=bool(container.get("started")) or is_ready,
        restarts=int(container.get("restartCount", 0)),
        node=str(pod["spec"].get("nodeName") or ""),
        problems=tuple(problems),
        last_end=end,
        state=state,
        commit=_commit(state),
        raw=pod,
    )


def _leaves_a_gap(gone: Problem, made: datetime | None, pods: Sequence[PodView], now: datetime) -> bool:
    """Whether the pod that was given up may be why one is missing: such pods are kept for days, and others have come since.

    `made`: when it was created, for one of which nobody knows when it was given up.
    """
    others = [pod.created for pod in pods if pod.current and pod.scheduled]
    if gone.time is None:
        return not any(made is None or other > made for other in others)
    return not any(other >= gone.time for other in others) and now - gone.time < PERSISTS


def _unguarded(pods: Sequence[PodView], deployment: Manifest | None, *, key_wanted: bool) -> tuple[str, ...]:
    """Those that serve, or may soon; where there is none, those to come."""
    placed = [pod for pod in pods if pod.scheduled and not pod.deleting]
    if placed:
        return tuple(f"pod {pod.name}" for pod in placed if not _asks_for_key(pod.raw["spec"]))
    if deployment:
        guarded = _asks_for_key(deployment["spec"]["template"]["spec"])
        return () if guarded else (f"pods of Deployment {deployment['metadata']['name']}",)
    return () if key_wanted else ("pods to come",)


def _asks_for_key(pod: Manifest) -> bool:
    return any(volume["name"] == names.VOLUME_API_KEYS for volume in pod.get("volumes") or ())


def is_flapping(pod: PodView, now: datetime) -> bool:
    """Whether the engine restarted often and has not been Ready for long enough since."""
    if (
        pod.restarts < FLAPPING_RESTARTS
        or pod.last_end is None
        or REASONS[pod.last_end.code].condition != "EngineHealthy"
    ):
        return False
    return pod.ready_since is None or now - pod.ready_since < timedelta(seconds=FLAPPING_SECONDS)


def _recheck_at(
    pods: tuple[PodView, ...], workload: Sequence[Problem], leaving: Draining, now: datetime
) -> datetime | None:
    """When time alone changes what is to be said."""
    problems = [*workload, *(problem for pod in pods if pod.current for problem in pod.problems)]
    ends = [due for problem in problems if (due := due_at(problem)) and due > now]
    ends += [problem.time + PERSISTS for problem in workload if problem.code == "Evicted" and problem.time]
    ends += [
        pod.ready_since + timedelta(seconds=FLAPPING_SECONDS)
        for pod in pods
        if pod.ready_since and is_flapping(pod, now)
    ]
    ends += [until for pod in pods if not pod.scheduled and (until := nominated_until(pod.raw)) and until > now]
    if leaving.late_at and (workload or any(pod.current and not pod.scheduled for pod in pods)):
        ends.append(leaving.late_at)
    return min(ends, default=None)


def _commit(state: EngineState | None) -> str:
    """What a pod says may be anybody's words."""
    said = str(state.model.get("revision") or "") if state else ""
    return said if COMMIT.match(said) else ""


def _missing_api(service: Resolved, deployment: Manifest | None, template: str) -> Rejection | None:
    """An API server without image volumes drops the field silently, and the engine would see an empty folder."""
    if service.source.kind is not SourceKind.IMAGE or deployment is None or _live_template(deployment) != template:
        return None
    volumes: list[dict[str, Any]] = deployment["spec"]["template"]["spec"].get("volumes") or []
    if any(volume["name"] == names.VOLUME_MODEL and "image" in volume for volume in volumes):
        return None
    reason = REASONS["MissingAPI"]
    return Rejection(
        "MissingAPI", f"this cluster drops image volumes, which oci:// models need; {reason.remedy}", reason.field
    )


def _live_template(deployment: Manifest | None) -> str:
    return hash_of(deployment["spec"]["template"]) if deployment else ""


def _live_replicas(deployment: Manifest | None) -> int:
    return int(deployment["spec"].get("replicas", 1)) if deployment else 0


def _live_accelerators(deployment: Manifest | None) -> tuple[str, int]:
    """Of the container's limits those of a device plugin: somebody else's policy may have added a processor's."""
    containers = deployment["spec"]["template"]["spec"]["containers"] if deployment else ()
    limits = next((c.get("resources", {}).get("limits") or {} for c in containers if c["name"] == names.CONTAINER), {})
    devices = ((name, str(count)) for name, count in limits.items() if "/" in name)
    return next(((name, int(count)) for name, count in devices if count.isdecimal()), ("", 0))


def _settled(deployment: Manifest) -> bool:
    return int(deployment.get("status", {}).get("observedGeneration", 0)) >= int(
        deployment["metadata"].get("generation", 0)
    )
