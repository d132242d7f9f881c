"""Why a pod has no node, or why no pod was made: the scheduler's and the admission's words."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from fairlead_operator.core import names
from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.refusal import where_to_look
from fairlead_operator.core.seen import Accelerators, Problem
from fairlead_operator.core.waiting import missing_claim

_MISSING_CLAIM: Final = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')
#: A pod that is still there so long after its grace period is not merely slow.
_LATE: Final = timedelta(seconds=60)
#: How long pods of lower priority may take to leave: nobody says how long their grace periods are.
_NOMINATED: Final = timedelta(minutes=10)
#: The taint of a node whose kubelet does not answer.
_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
#: Conditions of a pod of which the one or the other changes when the kubelet gives it up.
_CHANGES_LAST: Final = ("DisruptionTarget", "Ready", "PodScheduled")
#: Fields of the spec by what admission says.
_REJECTED_FIELDS: Final = (
    ("RuntimeClass", "spec.placement.runtimeClassName"),
    ("PriorityClass", "spec.placement.priorityClassName"),
    ("PodSecurity", ""),
    # A LimitRange: "maximum memory usage per Container is 1Gi, but limit is 16Gi".
    ("usage per ", "spec.resources"),
)
#: What a quota asks for, and the spec has no field for.
_NO_SUCH_FIELD: Final = re.compile(r"must specify .*?\b(?P<name>limits\.(?:cpu|ephemeral-storage))\b")


@dataclass(frozen=True)
class Draining:
    """A service's own pods on their way out: they still hold their accelerators."""

    count: int = 0
    #: Of those, pods that should have been gone a minute ago: their kubelet does not answer.
    stuck: tuple[str, ...] = ()
    #: When the last of the others will be so late too; None when there are none.
    late_at: datetime | None = None

    @property
    def comes_free(self) -> bool:
        """Whether what they hold, or some of it, comes free by itself."""
        return self.count > len(self.stuck)


def draining(pods: Iterable[Manifest], now: datetime) -> Draining:
    """Among these pods. deletionTimestamp is the moment at which the grace period ends."""
    late = {
        pod["metadata"]["name"]: end + _LATE
        for pod in pods
        if (end := moment(pod["metadata"].get("deletionTimestamp")))
    }
    stuck = tuple(sorted(name for name, at in late.items() if now >= at))
    return Draining(len(late), stuck, max((at for at in late.values() if now < at), default=None))


def why_unscheduled(
    pod: Manifest, accelerator: str, accelerators: int, free: Accelerators | None, draining: Draining, *, now: datetime
) -> Problem | None:
    """Why the pod has no node; None when the scheduler has not spoken. `draining` = own pods on their way out."""
    condition = condition_of(pod, "PodScheduled")
    if not condition or condition.get("status") != "False":
        return None
    name, text = pod["metadata"]["name"], str(condition.get("message") or "")
    since = moment(condition.get("lastTransitionTime"))
    if condition.get("reason") == "SchedulingGated":
        return _queued(pod, since)
    if (until := nominated_until(pod)) and now < until:
        return Problem(
            "WaitingForDrain",
            f"the scheduler has chosen node {pod['status']['nominatedNodeName']} for pod {name} and waits until there is room,"
            " as pods of lower priority leave",
            "spec.placement.priorityClassName",
            "wait until they are gone",
            since,
            pod=name,
        )
    if claim := _MISSING_CLAIM.search(text):
        return replace(missing_claim(pod, claim["name"], text), time=since)
    if "unbound immediate PersistentVolumeClaims" in text:
        return Problem(
            "VolumeNotFound",
            f"a claim of pod {name} is not bound to a volume",
            "",
            "have the PersistentVolumeClaim bound",
            since,
            pod=name,
        )
    if accelerator and f"Insufficient {accelerator}" in text:
        if draining.comes_free:
            return _waits_for_drain(name, f"{accelerators} {accelerator}", draining, since)
        lacking = _no_accelerators(name, f"{accelerators} {accelerator}", accelerators, text, free, since)
        return _held_for_ever(lacking, draining.stuck) if draining.stuck else lacking
    field = "spec.resources" if "Insufficient" in text else "spec.placement"
    return Problem("Unschedulable", f"no node fits pod {name}: {_first_sentence(text)}", field, time=since, pod=name)


def nominated_until(pod: Manifest) -> datetime | None:
    """How long room may be on its way to a pod that the scheduler has a node for; None where it has none, or lacks nothing."""
    condition = condition_of(pod, "PodScheduled") or {}
    since = moment(condition.get("lastTransitionTime"))
    if not since or condition.get("status") != "False" or "Insufficient" not in str(condition.get("message")):
        return None
    return since + _NOMINATED if pod["status"].get("nominatedNodeName") else None


def _queued(pod: Manifest, since: datetime | None) -> Problem:
    """Somebody holds the pod back by a scheduling gate: Kueue, if the pod has a queue."""
    name, queue = pod["metadata"]["name"], (pod["metadata"].get("labels") or {}).get(names.QUEUE_LABEL)
    gates = ", ".join(gate["name"] for gate in pod["spec"].get("schedulingGates") or ()) or "a scheduling gate"
    if not queue:
        return Problem("Queued", f"pod {name} is held back by {gates}", time=since, pod=name)
    remedy = f"wait for its turn, raise the queue's quota, or see that LocalQueue {queue} exists in this namespace"
    field = "spec.placement.queueName"
    return Problem("Queued", f"pod {name} waits in queue {queue} ({gates})", field, remedy, since, pod=name)


def _waits_for_drain(pod: str, asked: str, gone: Draining, since: datetime | None) -> Problem:
    said = f"pod {pod} waits for {asked} that {gone.count} stopping pod(s) of this service still hold"
    if not gone.stuck:
        return Problem("WaitingForDrain", said, time=since, pod=pod)
    return Problem(
        "WaitingForDrain", f"{said}, {_some(gone.stuck)} beyond its time", "", _force(gone.stuck), since, pod=pod
    )


def _held_for_ever(lacking: Problem, stuck: Sequence[str]) -> Problem:
    """The node of the last stopping pods does not answer: nobody need wait for them."""
    said = f"{lacking.message}; stopping pod(s) of this service still hold theirs, {_some(stuck)} beyond its time"
    return replace(lacking, message=said, remedy=_force(stuck))


def _force(stuck: Sequence[str]) -> str:
    return f"look at the node of {_some(stuck)}; if it is lost for good: kubectl delete pod {stuck[0]} --force"


def _some(pods: Sequence[str]) -> str:
    return ", ".join(pods[:3])


def _no_accelerators(  # noqa: PLR0917 - a sentence's parts
    pod: str, asked: str, needed: int, text: str, free: Accelerators | None, since: datetime | None
) -> Problem:
    """What is asked for, what is free and where, and what to do in this very case."""
    said = f"pod {pod} needs {asked}: {_first_sentence(text)}"
    field, remedy = "", ""
    if free:
        said += f"; {_free(free)}"
        if not free.total and not free.elsewhere:
            field = "spec.resources.acceleratorName"
            remedy = f"add nodes with a device plugin that offers it, or correct {field}"
        elif free.largest < needed and free.total:
            field = "spec.parallelism"
            remedy = f"no node has more than {free.largest}: lower {field} to that, or add a larger node"
        elif free.elsewhere >= needed:
            field, remedy = "spec.placement", "let spec.placement allow a node that has room, or free accelerators"
    return Problem("InsufficientAccelerators", said, field, remedy, time=since, pod=pod)


def _free(free: Accelerators) -> str:
    where = ", ".join(f"{number} on {node}" for node, number in free.where)
    rest = free.free - sum(number for _, number in free.where)
    more = f", {rest} on other nodes" if rest else ""
    elsewhere = f"; {free.elsewhere} on nodes that do not admit this pod" if free.elsewhere else ""
    return f"{free.free} of {free.total} are free{f' ({where}{more})' if where else ''}{elsewhere}"


def why_no_pods(deployment: Manifest) -> Problem | None:
    """What keeps the Deployment from making pods, if admission refused them."""
    condition = condition_of(deployment, "ReplicaFailure")
    if not condition or condition.get("status") != "True":
        return None
    text, since = str(condition.get("message") or ""), moment(condition.get("lastTransitionTime"))
    said = f"no pod could be made: {text}"
    if "failed calling webhook" in text:
        # No fault of the spec however long it lasts, so that it has no time.
        return Problem("PodRejected", said, "", where_to_look(text))
    if limit := _NO_SUCH_FIELD.search(text):
        instead = f"give the namespace a LimitRange with a default for it, or a quota without {limit['name']}"
        return Problem("QuotaExceeded", said, "", instead, since)
    if "exceeded quota" in text or "must specify" in text:
        return Problem("QuotaExceeded", said, time=since)
    field = next((field for word, field in _REJECTED_FIELDS if word in text), "spec.placement")
    return Problem("PodRejected", said, field, time=since)


def is_overdue(deployment: Manifest) -> bool:
    """Whether the rollout went past its deadline without progress."""
    condition = condition_of(deployment, "Progressing") or {}
    return condition.get("status") == "False" and condition.get("reason") == "ProgressDeadlineExceeded"


def node_lost(pod: Manifest) -> Problem | None:
    """The pod's node does not answer: its kubelet says no more, so the node's controller has taken Ready away from outside.

    A kubelet never writes Ready=False beside ContainersReady=True, but for readiness gates that others have added.
    """
    ready, containers = condition_of(pod, "Ready") or {}, condition_of(pod, "ContainersReady") or {}
    if ready.get("status") == "True" or containers.get("status") != "True" or pod["spec"].get("readinessGates"):
        return None
    name, node = pod["metadata"]["name"], pod["spec"].get("nodeName")
    said, since = f"node {node} of pod {name} does not answer", moment(ready.get("lastTransitionTime"))
    if not _stays_for_ever(pod):
        return Problem("NodeLost", said, time=since, pod=name)
    field = "spec.placement.tolerations"
    return Problem(
        "NodeLost",
        f"{said}, and by {field} the pod stays there for ever",
        field,
        f"repair the node; if it is off for good: kubectl delete pod {name} --force",
        since,
        pod=name,
    )


def _stays_for_ever(pod: Manifest) -> bool:
    """Whether nobody makes another pod because the node is unreachable.

    Kubernetes goes by the first toleration that covers the taint, and adds one of five minutes where there is none.
    """
    first = next(filter(_covers_unreachable, pod["spec"].get("tolerations") or ()), None)
    return first is not None and first.get("tolerationSeconds") is None


def _covers_unreachable(toleration: Manifest) -> bool:
    """Whether it is about the taint node.kubernetes.io/unreachable:NoExecute, which has no value."""
    if toleration.get("effect") not in {None, "", "NoExecute"}:
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in {None, "", _UNREACHABLE}
    return toleration.get("key") == _UNREACHABLE and not toleration.get("value")


def evicted(pod: Manifest) -> Problem | None:
    """A pod that the kubelet gave up: for lack of something on the node, or because it could not take it at all."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed" or not status.get("reason"):
        return None
    name = pod["metadata"]["name"]
    told = (moment((condition_of(pod, kind) or {}).get("lastTransitionTime")) for kind in _CHANGES_LAST)
    return Problem(
        "Evicted",
        f"pod {name} was taken off its node ({status['reason']}): {status.get('message', '')}".rstrip(": "),
        # No field of a pod says when it failed, and one that a kubelet did not take in has no condition either.
        time=max((at for at in told if at), default=None),
        pod=name,
    )


def condition_of(manifest: Manifest, kind: str) -> dict[str, Any] | None:
    """The condition of this type in an object's status."""
    conditions = manifest.get("status", {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == kind), None)


def _first_sentence(text: str) -> str:
    """The scheduler goes on about claims and preemption, which helps nobody."""
    return text.partition(" preemption:")[0].removesuffix(" no new claims to deallocate,").strip().rstrip(".,")
