"""What is wrong with a service: the first cause that its conditions name, and the pods' failures behind it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fairlead_cli.why.acting import Acting
from fairlead_cli.why.pods import Failure, Replica
from fairlead_operator.core.causes import CAUSES
from fairlead_operator.core.moments import moment
from fairlead_operator.core.reasons import ENGINE

ASLEEP: Final = ("Suspended", "ScaledToZero")
#: Reasons of Ready that are no trouble, the first two of them unless a pod fails.
ON_ITS_WAY: Final = ("Starting", "RollingOut")
CALM: Final = (*ON_ITS_WAY, "Deleting", *ASLEEP)
#: No condition has this one: the status is about an earlier spec, or there is none.
NOT_SEEN_YET: Final = "NotSeenYet"
#: A rollout is stopped by what its new pods say: that is what to mend.
_STOPPED_BY_PODS: Final = ("RolloutBlocked",)


@dataclass(frozen=True)
class Trouble:
    """What is wrong. `condition` is "" where no condition says it; `since` None where nothing dates it."""

    condition: str
    reason: str
    message: str
    since: datetime | None


def find_trouble(
    conditions: Mapping[str, Any], act: Acting, pods: Sequence[Replica], *, healthy: bool
) -> Trouble | None:
    """The first cause. None: nothing is wrong."""
    ready = conditions.get("Ready", {})
    if healthy:
        # Ready again, but an engine that restarts over and over is told all the same.
        flaps = conditions.get(ENGINE, {})
        return _row(flaps) if flaps.get("status") == "False" else None
    failure = next((pod.failure for pod in pods if pod.failure and pod.wanted is not False), None)
    if act.current and ready and ready["status"] != "True":
        rows = (conditions.get(kind, {}) for kind in CAUSES)
        same = (row for row in rows if (row.get("status"), row.get("reason")) == ("False", ready["reason"]))
        if failure is None or ready["reason"] not in ON_ITS_WAY:
            return _row(next(same, ready))
    if failure and (act.current or act.nobody):
        # The status lags behind, or nobody writes it, but the pods speak for themselves.
        return Trouble("", failure.code, failure.message, failure.since)
    if act.current:
        # Healthy with the pods' own word, so they deny it, or may not be read.
        return Trouble(
            "", "StatusOutdated", "the status says Ready, which the pods do not bear out, and nobody corrects it", None
        )
    return Trouble("", NOT_SEEN_YET, "the operator has not looked at this spec yet", act.changed)


def _row(row: Mapping[str, Any]) -> Trouble:
    return Trouble(row["type"], row["reason"], row["message"], moment(row.get("lastTransitionTime")))


def find_cause(trouble: Trouble | None, failures: Sequence[Failure], status: Mapping[str, Any]) -> Failure | None:
    """The pods' failure behind the trouble: live, else the last one that the status remembers."""
    if trouble is None:
        return None
    if found := next((failure for failure in failures if failure.code == trouble.reason), None):
        return found
    last = status.get("lastFailure") or {}
    remembered = (
        Failure(last["code"], last["message"], last.get("field") or "", ended=True, since=moment(last.get("time")))
        if last
        else None
    )
    if trouble.reason in _STOPPED_BY_PODS:
        return next(iter(failures), remembered)
    return remembered if remembered and remembered.code == trouble.reason else None


def others(trouble: Trouble | None, cause: Failure | None, failures: Sequence[Failure]) -> dict[str, tuple[int, str]]:
    """What other pods fail of."""
    told = {trouble.reason if trouble else "", cause.code if cause else ""}
    found: dict[str, tuple[int, str]] = {}
    for failure in failures:
        if failure.code not in told:
            count, message = found.get(failure.code, (0, failure.message))
            found[failure.code] = (count + 1, message)
    return found
