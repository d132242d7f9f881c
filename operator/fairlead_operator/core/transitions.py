"""Events: one for each change of a condition that somebody may want to know about, with the condition's own reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fairlead_operator.core.giving_up import GIVEN_UP

#: What events.k8s.io accepts.
MAX_NOTE: Final = 1024
ACTION: Final = "Reconcile"
#: Becoming True is news for these; of the others only trouble is.
_GOOD_NEWS: Final = ("Accepted", "Available", "Ready")
_TROUBLE: Final = (
    "Accepted", "Scheduled", "ModelAvailable", "EngineHealthy", "UpToDate", "Autoscaled", "Available", "Ready",
)  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One event about the InferenceService, in the fields of events.k8s.io/v1."""

    type: str
    reason: str
    note: str
    action: str = ACTION


def events(previous: Mapping[str, Any] | None, status: Mapping[str, Any]) -> list[Event]:
    """What changed between two statuses; a reason that several conditions took at once is told once."""
    before = {condition["type"]: condition for condition in (previous or {}).get("conditions") or ()}
    found: dict[str, Event] = {}
    changed = {condition["type"]: condition for condition in _changed(before, status)}
    for condition in changed.values():
        kind, state, reason = condition["type"], condition["status"], condition["reason"]
        if state == "False" and kind in _TROUBLE:
            calm = reason in {"Starting", "RollingOut", "ScaledToZero", "Suspended", "Deleting"}
            found.setdefault(reason, Event("Normal" if calm else "Warning", reason, condition["message"][:MAX_NOTE]))
        elif state == "True" and kind in _GOOD_NEWS and not _goes_without_saying(kind, before, changed):
            found.setdefault(reason, Event("Normal", reason, condition["message"][:MAX_NOTE]))
    if (given_up := _given_up(before, status)) is not None:
        found.setdefault(given_up.reason, given_up)
    if rescaled := _new_decision(previous or {}, status):
        found.setdefault(rescaled.reason, rescaled)
    if failure := _new_failure(previous or {}, status):
        found.setdefault(failure.reason, failure)
    return list(found.values())


def _changed(before: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The conditions whose status or reason is another than before."""
    for condition in status.get("conditions") or ():
        was = before.get(condition["type"], {})
        if (was.get("status"), was.get("reason")) != (condition["status"], condition["reason"]):
            yield condition


def _goes_without_saying(kind: str, before: Mapping[str, Any], changed: Mapping[str, Any]) -> bool:
    """Good news that other news of the same moment holds already: a new service that starts is accepted, one that is Ready is available."""
    if kind == "Accepted":
        return not before and "Available" in changed
    return kind == "Available" and changed.get("Ready", {}).get("status") == "True"


def _given_up(before: Mapping[str, Any], status: Mapping[str, Any]) -> Event | None:
    """No pod is kept any longer: no condition turns with that, they were False before."""
    now = {condition["type"]: condition for condition in status.get("conditions") or ()}
    if now.get("Scheduled", {}).get("reason") != GIVEN_UP or before.get("Scheduled", {}).get("reason") == GIVEN_UP:
        return None
    return Event("Warning", GIVEN_UP, str(now.get("Stalled", now["Scheduled"])["message"])[:MAX_NOTE])


def _new_decision(previous: Mapping[str, Any], status: Mapping[str, Any]) -> Event | None:
    """The built-in autoscaler changed the number of replicas."""
    decided = ((status.get("autoscaling") or {}).get("decisions") or [None])[0]
    if not decided or (previous.get("autoscaling") or {}).get("lastScaleTime") == decided["time"]:
        return None
    return Event(
        "Normal", "Rescaled", f"from {decided['from']} to {decided['to']} replicas: {decided['reason']}"[:MAX_NOTE]
    )


def _new_failure(previous: Mapping[str, Any], status: Mapping[str, Any]) -> Event | None:
    """A container ended again: told each time, even if the condition was False for the same reason already."""
    failure = status.get("lastFailure")
    if not failure or (previous.get("lastFailure") or {}).get("time") == failure["time"]:
        return None
    note = f"pod {failure['pod']}: {failure['message']}"
    return Event("Warning", failure["code"], note[:MAX_NOTE])
