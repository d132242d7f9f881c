"""What must hold for any accepted spec, said by the status and by the children that are there."""

from collections.abc import Sequence
from typing import Final

from api.cluster import Manifest, conditions
from fairlead_operator.core.reasons import ACCEPTED, ENGINE, MODEL, REASONS, SCHEDULED, UP_TO_DATE, Retry
from proof.explore.rules import Spec
from proof.explore.specs import replicas

_ALWAYS: Final = frozenset({"Ready", "Available", ACCEPTED, SCHEDULED, MODEL, ENGINE, UP_TO_DATE, "Secured"})
#: Something moves, and will be something else soon.
_MOVING: Final = "RollingOut"
_ONCE: Final = ("Deployment", "Service")
_AT_LEAST_ONE: Final = ("ConfigMap", "ControllerRevision")


def moving(service: Manifest | None) -> str:
    """What is still on its way with a service; "" once it is Ready, Stalled, or waits for something that it names."""
    if service is None:
        return "it is not there"
    metadata, status = service["metadata"], service.get("status") or {}
    if status.get("observedGeneration") != metadata["generation"]:
        return f"generation {metadata['generation']} is not observed: {status.get('observedGeneration')}"
    found = conditions(service)
    ready = found["Ready"]
    if ready["status"] == "True" or "Stalled" in found:
        return ""
    reason = REASONS.get(ready["reason"])
    if reason is None or ready["reason"] == _MOVING:
        return f"Ready is {ready['status']}, {ready['reason']}: {ready['message']}"
    return ""


def unready(service: Manifest | None) -> str:
    """The same, where waiting and failing do not count as rest; "" once it is Ready."""
    ready = conditions(service).get("Ready", {})
    why = moving(service)
    return why or ("" if ready["status"] == "True" else f"{ready['reason']}: {ready['message']}")


def refused(service: Manifest) -> bool:
    """Whether the operator carries nothing of the spec out, and says so."""
    return conditions(service)[ACCEPTED]["status"] == "False" and "Stalled" in conditions(service)


def wrong(service: Manifest, children: Sequence[Manifest]) -> list[str]:
    """Every untruth about a service that has come to rest."""
    found, spec = conditions(service), service["spec"]
    complaints = [*_status(service), *_words(found)]
    if found[ACCEPTED]["status"] == "True":
        complaints += _children(spec, children, given_up=found[UP_TO_DATE]["reason"] == "GivenUp")
    elif found[UP_TO_DATE]["reason"] == "NotAccepted" and service["metadata"]["generation"] == 1:
        # What the API server refuses is the Deployment, the last of them.
        complaints += [
            "a Deployment of a spec that was never accepted" for child in children if child["kind"] == "Deployment"
        ]
    uid = service["metadata"]["uid"]
    complaints += [
        f"{child['kind']} {child['metadata']['name']} is not owned by it"
        for child in children
        if [owner["uid"] for owner in child["metadata"].get("ownerReferences", ())] != [uid]
    ]
    return complaints


def _status(service: Manifest) -> list[str]:
    found, generation = conditions(service), service["metadata"]["generation"]
    complaints = [f"condition {kind} is missing" for kind in sorted(_ALWAYS - found.keys())]
    complaints += [
        f"{kind} is about generation {item['observedGeneration']} of {generation}"
        for kind, item in found.items()
        if item["observedGeneration"] != generation
    ]
    if {"Reconciling", "Stalled"} <= found.keys():
        complaints.append("Reconciling and Stalled at once")
    if found["Ready"]["status"] == "True" and {"Reconciling", "Stalled"} & found.keys():
        complaints.append("Ready, and Reconciling or Stalled")
    if found["Ready"]["status"] == "True" and service["status"]["readyReplicas"] != replicas(service["spec"]):
        complaints.append(f"Ready with {service['status']['readyReplicas']} of {replicas(service['spec'])} replicas")
    return complaints


def _words(found: dict[str, Manifest]) -> list[str]:
    """A failure says what to do; one that only the user can end names what to change."""
    complaints = []
    for kind, item in found.items():
        if not item["message"].strip():
            complaints.append(f"{kind} has no message")
        reason = REASONS.get(item["reason"])
        if item["status"] == "False" and reason and reason.retry is Retry.USER:
            named = reason.field or "spec."
            if not any(word in item["message"] for word in (named, "spec.", "metadata.", "engine.")):
                complaints.append(f"{kind} names no field: {item['message']}")
    return complaints


def _children(spec: Spec, children: Sequence[Manifest], *, given_up: bool) -> list[str]:
    kinds = [child["kind"] for child in children]
    complaints = [f"{kinds.count(kind)} of {kind}" for kind in _ONCE if kinds.count(kind) != 1]
    complaints += [f"no {kind}" for kind in _AT_LEAST_ONE if kind not in kinds]
    wanted = 0 if given_up else replicas(spec)
    complaints += [
        f"a Deployment of {child['spec']['replicas']} replicas, wanted are {wanted}"
        for child in children
        if child["kind"] == "Deployment" and child["spec"]["replicas"] != wanted
    ]
    budget = wanted > 1 or (wanted == 1 and spec.get("disruption") == "Block")
    if kinds.count("PodDisruptionBudget") != int(budget):
        complaints.append(f"{kinds.count('PodDisruptionBudget')} budgets for {wanted} replicas")
    return complaints
