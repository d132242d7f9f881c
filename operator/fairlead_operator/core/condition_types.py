"""What each condition type states: for people, see docs/conditions.md. The checks that decide it are in core/conditions.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from fairlead_operator.core.reasons import ACCEPTED, AUTOSCALED, ENGINE, MODEL, SCHEDULED, UP_TO_DATE


@dataclass(frozen=True)
class ConditionType:
    """`states` are reasons that are no failure, with what each means; failures are in core/reasons.py."""

    name: str
    true_when: str
    #: How Ready depends on it.
    ready: str
    #: When it does not exist.
    absent: str = "never"
    states: Mapping[str, str] = field(default_factory=dict)


_NOT_ACCEPTED: Final = "nothing can be said before the spec is accepted; running pods follow the last accepted one"
_GIVEN_UP: Final = (
    "no pod is kept after five equal failures of a spec that never served; the failing condition has the cause"
)
_ASLEEP: Final = MappingProxyType({
    "ScaledToZero": "no replica is wanted", "Suspended": "`spec.suspend` is true",
})  # fmt: skip

TYPES: Final = (
    ConditionType("Ready", "every wanted replica runs this spec and has answered a real request", "-", states={
        "AllReplicasReady": "all of them have", **_ASLEEP, "Starting": "replicas are on their way and nothing has failed",
        "Deleting": "the service is deleted and its pods finish their requests",
    }),
    ConditionType("Available", "it serves now, with whatever revision: at most one replica is missing, and never the last", "none", states={
        "Serving": "it does", **_ASLEEP, "Starting": "replicas are on their way and nothing has failed",
    }),
    ConditionType(ACCEPTED, "the spec can be carried out, and what it refers to exists", "blocks it", states={"Valid": "it can be, and it does"}),
    ConditionType(SCHEDULED, "all wanted pods have nodes", "blocks it, for a pod without a node is not Ready", states={
        "AllScheduled": "they have", "Scheduling": "the scheduler has not decided yet", **_ASLEEP, "NotAccepted": _NOT_ACCEPTED, "GivenUp": _GIVEN_UP,
    }),
    ConditionType(MODEL, "the weights were found and read", "blocks it likewise", states={
        "Loaded": "they were", "Loading": "no replica has read them yet", **_ASLEEP, "NotAccepted": _NOT_ACCEPTED, "GivenUp": _GIVEN_UP,
    }),
    ConditionType(ENGINE, "no engine has failed without recovering; after three restarts only ten minutes of service are recovery", "none by itself", states={
        "NoFailure": "none has", "NotAccepted": _NOT_ACCEPTED,
    }),
    ConditionType(UP_TO_DATE, "every pod runs this generation's template, and whatever else belongs to it is written", "blocks it", states={
        "AllPodsCurrent": "they do", "NotAccepted": _NOT_ACCEPTED, "GivenUp": _GIVEN_UP,
    }),
    ConditionType(AUTOSCALED, "the load sets the replicas, within the bounds", "none", "while `spec.autoscaling` is not set", states={
        "ScalingActive": "it does", "AtMinimum": "it does, and the least replicas are enough", "Asleep": "it was idle and waits to be scaled",
        "NoReplicaReady": "there is no load to go by", "Starting": "the pods have not been asked yet", "Suspended": "`spec.suspend` is true",
        "NotAccepted": _NOT_ACCEPTED,
    }),
    ConditionType("Secured", "a key guards every route of the serving port", "none", states={
        "APIKeyRequired": "it does", "NoAPIKey": "whoever reaches the Service may use it",
    }),
    ConditionType("Reconciling", "something moves: it is on its way to what was asked for; its reason is that of Ready", "-", "while nothing moves"),
    ConditionType("Stalled", "nothing moves before you change something; its reason is the cause", "-", "while something moves, or all is done"),
)  # fmt: skip
