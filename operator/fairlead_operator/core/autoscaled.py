"""What is told about the built-in autoscaler: the condition Autoscaled, and its decisions in status.

Neither changes while no decision does: the numbers that change all the time are in the pods' metrics.
"""

from collections.abc import Sequence
from typing import Final

from fairlead_operator.api.autoscaling import Autoscaling
from fairlead_operator.api.status import MAX_DECISIONS, AutoscalingReport, ScalingDecision
from fairlead_operator.core.autoscale import State
from fairlead_operator.core.reasons import AUTOSCALED, REASONS
from fairlead_operator.core.seen import Observed

_STATUS: Final = {
    State.ACTIVE: "True",
    State.AT_MINIMUM: "True",
    State.ASLEEP: "True",
    State.AT_MAXIMUM: "False",
    State.UNAVAILABLE: "False",
    State.STARTING: "Unknown",
    State.SUSPENDED: "Unknown",
}


def autoscaled(seen: Observed) -> tuple[str, str, str] | None:
    """Autoscaled, as status, reason and message. True: the load sets the replicas, within bounds. Absent while it is not configured. Does not block Ready.

    False: AtMaximum, MetricsUnavailable. Unknown: NotAccepted, Suspended, NoReplicaReady, Starting.
    """
    rules = seen.autoscaling
    if rules is None:
        return None
    if seen.rejection:
        return ("Unknown", "NotAccepted", "nothing is scaled before the spec is accepted; see condition Accepted")
    if seen.scaling is None:
        # After a start of the operator: what was true is not less true because nobody has looked yet.
        before = next((c for c in seen.previous.get("conditions") or () if c["type"] == AUTOSCALED), None)
        if before and before["reason"] != "NotAccepted":
            return (before["status"], before["reason"], before["message"])
        return ("Unknown", "Starting", "the pods have not been asked yet; wait some seconds")
    state = seen.scaling.outlook.state
    return (_STATUS[state], state, _message(state, rules, decisions(seen)))


def _message(state: State, rules: Autoscaling, made: Sequence[ScalingDecision]) -> str:
    match state:
        case State.ASLEEP:
            return "asleep at 0 replicas; raise spec.replicas, with kubectl scale for example, to wake it"
        case State.SUSPENDED:
            return "suspended; set spec.suspend to false to serve again"
        case State.STARTING:
            return "no replica is Ready, so there is no load to go by; see condition Ready"
        case State.UNAVAILABLE:
            return f"no Ready replica answers on its management port; {REASONS[state].remedy}"
        case State.AT_MAXIMUM:
            return f"the load asks for more than maxReplicas {rules.max_replicas}; {REASONS[state].remedy}"
    last = (
        f"the last change, from {made[0].from_} to {made[0].to}: {made[0].reason}"
        if made
        else "nothing was changed yet"
    )
    bounds = f"by load, between {rules.min_replicas} and {rules.max_replicas} replicas"
    at = f", and now at minReplicas {rules.min_replicas}" if state is State.AT_MINIMUM else ""
    return f"{bounds}{at}; {last}"


def report(seen: Observed) -> AutoscalingReport | None:
    """status.autoscaling."""
    if seen.autoscaling is None:
        return None
    made = decisions(seen)
    return AutoscalingReport(
        desired_replicas=seen.replicas, last_scale_time=made[0].time if made else None, decisions=made
    )


def decisions(seen: Observed) -> tuple[ScalingDecision, ...]:
    """Those that status has, and before them those that it does not have yet; newest first."""
    old = [
        ScalingDecision.model_validate(one) for one in (seen.previous.get("autoscaling") or {}).get("decisions") or ()
    ]
    new = [one for one in (seen.scaling.decisions if seen.scaling else ()) if not old or one.time > old[0].time]
    return tuple([*new, *old][:MAX_DECISIONS])
