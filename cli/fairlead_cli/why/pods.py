"""A service's pods, one by one: what each does, what is wrong with it, and where the time of its start went. Pure.

The kubelet's word about a live pod comes first, since it is newer than the status and true without an operator; the status adds what
only the pod's own /state knows, and is all there is for users who may not read pods.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fairlead_operator.core import names
from fairlead_operator.core.beside import why_another_container_waits
from fairlead_operator.core.causes import remedied
from fairlead_operator.core.ended import last_end
from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.reasons import REASONS
from fairlead_operator.core.scheduling import Draining, condition_of, node_lost, why_unscheduled
from fairlead_operator.core.seen import PodEvent, Problem
from fairlead_operator.core.waiting import why_waiting
from fairlead_runtime.termination import Record, read_record


@dataclass(frozen=True)
class Failure:
    """`message` ends with what to do. `ended`: a container ran and ended, so that there is a log."""

    code: str
    message: str
    field: str
    ended: bool = False
    since: datetime | None = None


@dataclass(frozen=True)
class Replica:
    """One pod as a line. `wanted`: of the template that pods are to have; None when that is not known."""

    pod: str
    phase: str
    wanted: bool | None = None
    node: str = ""
    restarts: int = 0
    created: datetime | None = None
    failure: Failure | None = None
    #: Seconds that each step of the start took, in order.
    startup: Mapping[str, int] = field(default_factory=dict)
    #: What the engine left when it ended last; None if it did not end, or left none.
    record: Record | None = None
    #: Of its last end; None if it did not end.
    exit_code: int | None = None


@dataclass(frozen=True)
class Run:
    """One run of a pod's engine."""

    pod: str
    previous: bool


def replicas(
    service: Manifest, pods: Sequence[Manifest] | None, events: Mapping[str, Sequence[PodEvent]], template: str
) -> tuple[Replica, ...]:
    """Failing ones of the wanted template first, oldest first among equals: the order in which they matter."""
    told = {state["pod"]: state for state in (service.get("status") or {}).get("replicaStates") or ()}
    if pods is None:
        found = [_from_status(state, template) for state in told.values()]
    else:
        draining = sum(1 for pod in pods if pod["metadata"].get("deletionTimestamp"))
        found = [
            _from_pod(
                pod, told.get(pod["metadata"]["name"], {}), events.get(pod["metadata"]["uid"], ()), template, draining
            )
            for pod in pods
            if not names.is_finished(pod)
        ]
    return tuple(sorted(found, key=_weight))


def run_to_read(service: Manifest, pods: Sequence[Manifest], template: str) -> Run | None:
    """The run whose log tells most: of the first failing engine, else of the first that starts; None when all are well."""
    shown = [replica for replica in replicas(service, pods, {}, template) if replica.wanted is not False]
    chosen = next((r for r in shown if r.failure and r.failure.ended), None) or next(
        (r for r in shown if r.phase not in {"Ready", "Terminating", "Pending", "Waiting"}), None
    )
    return _last_run(pods, chosen.pod) if chosen else None


def pod_to_read(service: Manifest, pods: Sequence[Manifest], template: str) -> Run | None:
    """As run_to_read, else of the oldest pod whose engine ever ran; None when there is none."""
    oldest_first = sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
    runs = (_last_run(pods, pod["metadata"]["name"]) for pod in oldest_first)
    return run_to_read(service, pods, template) or next((run for run in runs if run), None)


def _last_run(pods: Sequence[Manifest], name: str) -> Run | None:
    """The run that failed last, else the one that goes on; None when the engine never ran."""
    pod = next(pod for pod in pods if pod["metadata"]["name"] == name)
    container = _container(pod)
    state, before = container.get("state") or {}, (container.get("lastState") or {}).get("terminated")
    ready = (condition_of(pod, "Ready") or {}).get("status") == "True"
    if "terminated" in state:
        return Run(name, previous=False)
    if before and not ready:
        return Run(name, previous=True)
    return Run(name, previous=False) if "running" in state else None


def _from_pod(
    pod: Manifest, told: Mapping[str, Any], events: Sequence[PodEvent], template: str, draining: int
) -> Replica:
    metadata, container = pod["metadata"], _container(pod)
    ended = (
        (container.get("state") or {}).get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    )
    problem = _problem(pod, container, events, draining)
    own = metadata.get("labels", {}).get(names.TEMPLATE_LABEL, "")
    return Replica(
        pod=metadata["name"],
        phase=_phase(pod, problem, str(told.get("phase") or "")),
        wanted=own == template if template else None,
        node=str(pod["spec"].get("nodeName") or ""),
        restarts=int(container.get("restartCount", 0)),
        created=moment(metadata.get("creationTimestamp")),
        failure=_failure(problem) if problem else None,
        startup=_steps(told),
        record=read_record(str(ended.get("message") or "")),
        exit_code=ended.get("exitCode"),
    )


def _from_status(told: Mapping[str, Any], template: str) -> Replica:
    failure = told.get("failure")
    return Replica(
        pod=told["pod"],
        phase=told["phase"],
        wanted=told.get("template") == template if template and told.get("template") else None,
        node=told.get("node") or "",
        failure=Failure(failure["code"], failure["message"], failure.get("field") or "") if failure else None,
        startup=_steps(told),
    )


def _problem(pod: Manifest, container: Mapping[str, Any], events: Sequence[PodEvent], draining: int) -> Problem | None:
    """As the operator sees it: a pod that is Ready has recovered, and one on its way out is killed in the end."""
    if (condition_of(pod, "Ready") or {}).get("status") == "True" or pod["metadata"].get("deletionTimestamp"):
        return None
    accelerator, count = _accelerators(pod)
    now = datetime.now(UTC)
    if not pod["spec"].get("nodeName"):
        return why_unscheduled(pod, accelerator, count, None, Draining(draining), now=now)
    waiting = [] if container.get("started") else why_waiting(pod, container, events)
    end = last_end(container, pod["metadata"]["name"], events)
    return next(iter(waiting), None) or node_lost(pod) or end or why_another_container_waits(pod, now)


def _failure(problem: Problem) -> Failure:
    field_named = problem.field or REASONS[problem.code].field
    return Failure(problem.code, remedied(problem), field_named, problem.ended, problem.time)


def _phase(pod: Manifest, problem: Problem | None, told: str) -> str:
    """The operator's words; its own when they go further than the kubelet's."""
    container = _container(pod)
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if (condition_of(pod, "Ready") or {}).get("status") == "True":
        return "Ready"
    if problem:
        return "Failed" if problem.ended else "Waiting"
    if not pod["spec"].get("nodeName"):
        return "Pending"
    return (
        told
        if told not in {"", "Ready", "Failed", "Waiting", "Pending"}
        else "NotReady"
        if container.get("started")
        else "Starting"
    )


def _steps(told: Mapping[str, Any]) -> dict[str, int]:
    """From seconds since the pod was made to seconds of each step."""
    steps, before = {}, 0
    for name, at in sorted((told.get("startup") or {}).items(), key=lambda item: item[1]):
        steps[name], before = max(0, at - before), max(at, before)
    return steps


def _container(pod: Manifest) -> Mapping[str, Any]:
    rows = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((row for row in rows if row["name"] == names.CONTAINER), {})


def _accelerators(pod: Manifest) -> tuple[str, int]:
    """By elimination: the container's limits hold memory and the accelerators, nothing else."""
    limits = next(
        (c.get("resources", {}).get("limits") or {} for c in pod["spec"]["containers"] if c["name"] == names.CONTAINER),
        {},
    )
    return next(((name, int(count)) for name, count in limits.items() if "/" in name), ("", 0))


def _weight(replica: Replica) -> tuple[bool, bool, bool, float, str]:
    """The operator tells the oldest failure first: what came later often follows from it."""
    since = replica.failure.since.timestamp() if replica.failure and replica.failure.since else float("inf")
    return (replica.failure is None, replica.wanted is False, replica.phase == "Ready", since, replica.pod)
