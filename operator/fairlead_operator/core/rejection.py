"""A spec that cannot be carried out: the user must act, and until then no running pod is touched."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

#: Messages of the API server about content, whatever status code they came with: typed patches answer 400 or even 500.
_CONTENT: Final = re.compile(
    r"failed to create typed patch|error decoding YAML|field not declared in schema|strict decoding error|is invalid:"
)
#: An admission webhook or policy said no. Without this word a 403 means that the operator lacks a right.
_DENIED: Final = re.compile(r"admission webhook \S+ denied the request|denied request:")


class Rejection(NamedTuple):
    """`reason` is one of core/reasons.py; `message` ends with what to do; `field` is the path of the spec to change, or ""."""

    reason: str
    message: str
    field: str = ""


def verdict_of(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """The condition Accepted of this generation; empty where none is told yet."""
    generation = service["metadata"].get("generation")
    for condition in (service.get("status") or {}).get("conditions") or ():
        if (condition["type"], condition.get("observedGeneration")) == ("Accepted", generation):
            found: Mapping[str, Any] = condition
            return found
    return {}


def refused_by_api_server(kind: str, status: int, message: str) -> Rejection | None:
    """The rejection for an apply of `kind` that the API server refused for its content; None when trying again may help."""
    denied = status in {400, 403} and _DENIED.search(message)
    if status != 422 and not denied and not (status in {400, 500} and _CONTENT.search(message)):
        return None
    field = next((path for word, path in _FIELDS if word in message), "")
    remedy = f"correct {field}" if field else "correct the spec"
    return Rejection("InvalidSpec", f"the API server refuses the {kind}: {message.strip()[:1500]}; {remedy}", field)


#: Where in the spec a refused field of the pod comes from.
_FIELDS: Final = (
    ("ffinity", "spec.placement.affinity"),
    ("oleration", "spec.placement.tolerations"),
    ("nodeSelector", "spec.placement.nodeSelector"),
    ("kueue.x-k8s.io/queue-name", "spec.placement.queueName"),
    ("priorityClassName", "spec.placement.priorityClassName"),
    ("runtimeClassName", "spec.placement.runtimeClassName"),
    ("supplementalGroups", "spec.placement.supplementalGroups"),
    ("resources", "spec.resources"),
    ("image", "spec.image"),
)


def name_taken(kind: str, name: str, references: Sequence[Mapping[str, Any]] = ()) -> Rejection:
    """For a child's name that somebody else's object holds; `references` are that object's owners."""
    owner = next((reference for reference in references if reference.get("controller")), None)
    holder = (
        f"belongs to {_full_kind(owner)} {owner['name']}" if owner else "is not controlled by this InferenceService"
    )
    return Rejection(
        "NameTaken",
        f"{kind} {name} exists and {holder}; delete or rename it, or give this resource another name",
        "metadata.name",
    )


def predecessor_kept(told: str) -> Rejection:
    """For what is left of a deleted InferenceService and does not go; `told` names it."""
    return Rejection(
        "NameTaken", f"{told}; look at its finalizers, or give this resource another name", "metadata.name"
    )


def _full_kind(reference: Mapping[str, Any]) -> str:
    """With its group, for other groups have kinds of the same name: InferenceService.serving.kserve.io."""
    group, slash, _ = str(reference["apiVersion"]).partition("/")
    return f"{reference['kind']}.{group}" if slash else str(reference["kind"])
