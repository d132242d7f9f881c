"""Why a pod has no node, or why no pod was made: the scheduler's and the admission's words."""

import re
from typing import Any, Final

from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import Accelerators, Problem
from fairlead_operator.core.waiting import missing_claim

_MISSING_CLAIM: Final = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')
#: Fields of the spec by what admission says.
_REJECTED_FIELDS: Final = (
    ("RuntimeClass", "spec.placement.runtimeClassName"),
    ("PriorityClass", "spec.placement.priorityClassName"),
    ("PodSecurity", ""),
)


def why_unscheduled(
    pod: Manifest, accelerator: str, accelerators: int, free: Accelerators | None, *, draining: int
) -> Problem | None:
    """Why the pod has no node; None when the scheduler has not spoken. `draining` = own pods on their way out."""
    condition = condition_of(pod, "PodScheduled")
    if not condition or condition.get("status") != "False":
        return None
    name, text = pod["metadata"]["name"], str(condition.get("message") or "")
    since = moment(condition.get("lastTransitionTime"))
    if condition.get("reason") == "SchedulingGated":
        return Problem("Queued", f"pod {name} is held back: {text}", time=since, pod=name)
    if claim := _MISSING_CLAIM.search(text):
        return missing_claim(pod, claim["name"], text)
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
        if draining:
            return Problem(
                "WaitingForDrain",
                f"pod {name} waits for {accelerators} {accelerator} that {draining} stopping pod(s) of this service still hold",
                time=since,
                pod=name,
            )
        counts = f"; {free.free} of {free.total} are free, at most {free.largest_free} on one node" if free else ""
        return Problem(
            "InsufficientAccelerators",
            f"pod {name} needs {accelerators} {accelerator}: {_first_sentence(text)}{counts}",
            time=since,
            pod=name,
        )
    field = "spec.resources" if "Insufficient" in text else "spec.placement"
    return Problem("Unschedulable", f"no node fits pod {name}: {_first_sentence(text)}", field, time=since, pod=name)


def why_no_pods(deployment: Manifest) -> Problem | None:
    """What keeps the Deployment from making pods, if admission refused them."""
    condition = condition_of(deployment, "ReplicaFailure")
    if not condition or condition.get("status") != "True":
        return None
    text, since = str(condition.get("message") or ""), moment(condition.get("lastTransitionTime"))
    if "exceeded quota" in text or "must specify" in text:
        return Problem("QuotaExceeded", f"no pod could be made: {text}", time=since)
    field = next((field for word, field in _REJECTED_FIELDS if word in text), "spec.placement")
    return Problem("PodRejected", f"no pod could be made: {text}", field, time=since)


def is_overdue(deployment: Manifest) -> bool:
    """Whether the rollout went past its deadline without progress."""
    condition = condition_of(deployment, "Progressing") or {}
    return condition.get("status") == "False" and condition.get("reason") == "ProgressDeadlineExceeded"


def evicted(pod: Manifest) -> Problem | None:
    """A pod that the kubelet gave up: for lack of something on the node, or because it could not take it at all."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed" or not status.get("reason"):
        return None
    name = pod["metadata"]["name"]
    return Problem(
        "Evicted",
        f"pod {name} was taken off its node ({status['reason']}): {status.get('message', '')}".rstrip(": "),
        pod=name,
    )


def condition_of(manifest: Manifest, kind: str) -> dict[str, Any] | None:
    """The condition of this type in an object's status."""
    conditions = manifest.get("status", {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == kind), None)


def _first_sentence(text: str) -> str:
    """The scheduler goes on about preemption, which helps nobody."""
    return text.partition(" preemption:")[0].strip().rstrip(".")
