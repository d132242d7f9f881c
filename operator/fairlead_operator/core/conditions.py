"""The conditions: a table of types with pure checks. The first check that speaks decides; Ready is derived from the others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from fairlead_operator.core.autoscaled import autoscaled
from fairlead_operator.core.build.workload import MAX_UNAVAILABLE
from fairlead_operator.core.causes import CAUSES, insists, of_condition, of_pods, problems, remedied
from fairlead_operator.core.giving_up import GIVEN_UP
from fairlead_operator.core.observe import is_flapping
from fairlead_operator.core.phase import phase_of
from fairlead_operator.core.progress import how, warning, why_blocked, why_mixed
from fairlead_operator.core.reasons import ACCEPTED, AUTOSCALED, ENGINE, MODEL, REASONS, SCHEDULED, UP_TO_DATE
from fairlead_operator.core.refusal import WRITE_FAILED, told
from fairlead_operator.core.seen import Observed, Problem

READY: Final = "Ready"
AVAILABLE: Final = "Available"
SECURED: Final = "Secured"
RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"


@dataclass(frozen=True)
class Verdict:
    """status is True, False or Unknown, as the API writes it."""

    status: str
    reason: str
    message: str


Check = Callable[[Observed], Verdict | None]


@dataclass(frozen=True)
class Row:
    """One condition type: its checks in order of priority, and what holds when none of them speaks."""

    type: str
    checks: tuple[Check, ...]
    otherwise: Verdict


def conditions(seen: Observed) -> dict[str, Verdict]:
    """Every condition that exists now, by type."""
    found = {row.type: _decide(row, seen) for row in TABLE}
    if scaling := autoscaled(seen):
        found[AUTOSCALED] = Verdict(*scaling)
    found[AVAILABLE] = _available(seen, found)
    found[READY] = _ready(seen, found)
    if verdict := _stalled(seen, found):
        found[STALLED] = verdict
    elif verdict := _reconciling(seen, found):
        found[RECONCILING] = verdict
    return found


def _decide(row: Row, seen: Observed) -> Verdict:
    return next((verdict for check in row.checks if (verdict := check(seen))), row.otherwise)


def _problem_verdict(problem: Problem | None, others: Iterable[Problem] = ()) -> Verdict | None:
    return Verdict("False", problem.code, remedied(problem, others)) if problem else None


def _told(found: Iterable[Problem], condition: str) -> Verdict | None:
    mine = of_condition(found, condition)
    return _problem_verdict(mine[0], mine[1:]) if mine else None


def generated_key_is_refused(seen: Observed) -> Verdict | None:
    """A pod misses the key that the operator makes, and the operator gets no further: to wait some seconds would be no advice."""
    mine = of_condition(of_pods(seen), ACCEPTED)
    if not mine or mine[0].code != "APIKeyMissing" or seen.refusal is None:
        return None
    remedy = f"see condition {UP_TO_DATE}: until the operator can {seen.refusal.request} it makes none"
    return _problem_verdict(replace(mine[0], remedy=remedy), mine[1:])


def _pod_problem(condition: str) -> Check:
    def check(seen: Observed) -> Verdict | None:
        return _told(of_pods(seen), condition)

    return check


def spec_was_rejected(seen: Observed) -> Verdict | None:
    """The operator cannot render the spec, or the API server refuses what was rendered."""
    if seen.rejection is None:
        return None
    field, message = seen.rejection.field, seen.rejection.message
    return Verdict("False", seen.rejection.reason, message if field in message else f"{field}: {message}")


def not_accepted(seen: Observed) -> Verdict | None:
    """Nothing was made of this spec yet, so there is nothing to say."""
    if seen.rejection and not seen.active:
        return Verdict("Unknown", "NotAccepted", "nothing runs before the spec is accepted; see condition Accepted")
    return None


def nothing_wanted(seen: Observed) -> Verdict | None:
    """No replica is wanted, so none is missing."""
    return _asleep(seen, "True") if seen.wanted == 0 and not seen.rejection else None


def nothing_to_read(seen: Observed) -> Verdict | None:
    """Without a pod nobody can tell whether the weights are there."""
    return _asleep(seen, "Unknown") if seen.wanted == 0 and not seen.rejection else None


def _asleep(seen: Observed, status: str) -> Verdict:
    if seen.suspended:
        return Verdict(status, "Suspended", "suspended; set spec.suspend to false to serve again")
    return Verdict(status, "ScaledToZero", "no replica is wanted; raise spec.replicas to serve")


def gave_up_for(condition: str) -> Check:
    """The failure stays told although its pods are gone."""

    def check(seen: Observed) -> Verdict | None:
        mine = seen.given_up and REASONS[seen.given_up.code].condition == condition
        return _problem_verdict(seen.given_up) if mine else None

    return check


def no_pod_is_kept(seen: Observed) -> Verdict | None:
    """Given up: nothing can be said of pods that are not made."""
    if seen.given_up is None:
        return None
    cause = REASONS[seen.given_up.code].condition
    return Verdict("Unknown", GIVEN_UP, f"no pod is kept for this spec any longer; see condition {cause}")


def pods_were_refused(seen: Observed) -> Verdict | None:
    """Quota or admission keeps the Deployment from making pods, or a node gave one back."""
    return _told(seen.workload_problems, SCHEDULED)


def pods_have_no_node_yet(seen: Observed) -> Verdict | None:
    """The scheduler, or the Deployment's controller, has not come to it."""
    placed = sum(1 for pod in seen.current if pod.scheduled)
    if placed >= seen.wanted:
        return None
    return Verdict("Unknown", "Scheduling", f"{placed} of {seen.wanted} pods have a node; wait for the scheduler")


def weights_were_read(seen: Observed) -> Verdict | None:
    """A pod whose startup probe has passed has decoded a token with them."""
    if any(pod.started for pod in seen.current):
        return Verdict("True", "Loaded", "the weights were found and read")
    return None


def an_engine_flaps(seen: Observed) -> Verdict | None:
    """It runs again, but restarted often and has not stayed Ready: a truth that Ready alone would hide."""
    return _problem_verdict(next((pod.last_end for pod in seen.current if is_flapping(pod, seen.now)), None))


def spec_is_not_rendered(seen: Observed) -> Verdict | None:
    """Running pods follow the last accepted spec."""
    if seen.rejection:
        return Verdict("Unknown", "NotAccepted", "running pods follow the last accepted spec; see condition Accepted")
    return None


def writes_fail(seen: Observed) -> Verdict | None:
    """What this spec asks for cannot be brought about: neither pods nor rollout say anything of it."""
    return Verdict("False", WRITE_FAILED, told(seen.refusal)) if seen.refusal else None


def rollout_is_blocked(seen: Observed) -> Verdict | None:
    """The new pods fail, or did not become Ready in time."""
    blocked = why_blocked(seen)
    return Verdict("False", "RolloutBlocked", blocked) if blocked else None


def pods_are_being_replaced(seen: Observed) -> Verdict | None:
    """Pods of this spec are missing, pods of an earlier one or of another ReplicaSet are still there, or their places are empty yet."""
    current, active = len(seen.current), len(seen.active)
    replacing = seen.rollout is not None and seen.rollout.under_way and not seen.rollout.surge
    if current >= seen.wanted and current == active and not replacing and not seen.behind:
        return None
    count = f"{current} of {active} pods run this spec"
    if current == active:
        count = f"{current} of {seen.wanted} pods of this spec exist"
    if current == active >= seen.wanted and seen.behind:
        count = f"{seen.behind} pods are replaced by others of the same spec, as after kubectl rollout restart"
    # The first pods of all replace nothing.
    way = how(seen) if active > current or replacing or seen.behind else ""
    return Verdict(
        "False", "RollingOut", "; ".join(part for part in (count, way, REASONS["RollingOut"].remedy) if part)
    )


def replicas_serve_different_weights(seen: Observed) -> Verdict | None:
    """A branch or a tag was resolved at different times by pods that started together."""
    mixed = why_mixed(seen)
    return Verdict("False", "MixedRevisions", mixed) if mixed else None


def next_rollout_interrupts(seen: Observed) -> Verdict | None:
    """Every pod is current; what the next change will cost is said before it is made."""
    cost = warning(seen)
    return Verdict("True", "AllPodsCurrent", f"every pod runs this spec; {cost}") if cost else None


def former_pods_ask_for_no_key(seen: Observed) -> Verdict | None:
    """The spec asks for one, but is not carried out, or not yet: a rollout is held, undone, or on its way."""
    if not seen.key_wanted or not seen.unguarded:
        return None
    who = ", ".join(seen.unguarded[:3])
    more = f" and {len(seen.unguarded) - 3} more" if len(seen.unguarded) > 3 else ""
    why = ACCEPTED if seen.rejection else UP_TO_DATE
    told = f"whoever reaches {who}{more} may use it, although the spec asks for a key; see condition {why}"
    return Verdict("False", "NoAPIKey", told)


def key_is_required(seen: Observed) -> Verdict | None:
    """Requests need a key, whether this spec asks for it or a former one, whose pods go on."""
    if seen.unguarded:
        return None
    end = "" if seen.key_wanted else "; the spec no longer does, and new pods will ask for none"
    return Verdict("True", "APIKeyRequired", f"every route of the serving port asks for a key{end}")


#: Order is the order of causes: Ready and Available name the first type that is False.
TABLE: Final = (
    #: Accepted. True: the spec can be rendered and what it refers to exists. Never absent. Blocks Ready.
    #: False: InvalidSpec, DeniedArgument, UnknownEngineArgument, InvalidConfig, MissingAPI, NameTaken, SecretNotFound, APIKeyMissing.
    Row(ACCEPTED, (spec_was_rejected, gave_up_for(ACCEPTED), generated_key_is_refused, _pod_problem(ACCEPTED)), Verdict("True", "Valid", "the spec can be carried out")),
    #: Scheduled. True: all wanted pods have nodes. Never absent. Blocks Ready, since pods without nodes are not Ready.
    #: False: InsufficientAccelerators, Queued, QuotaExceeded, PodRejected, Evicted, NodeLost, WaitingForDrain, Unschedulable.
    Row(
        SCHEDULED,
        (not_accepted, nothing_wanted, no_pod_is_kept, _pod_problem(SCHEDULED), pods_were_refused, pods_have_no_node_yet),
        Verdict("True", "AllScheduled", "every wanted pod has a node"),
    ),
    #: ModelAvailable. True: the weights were found and read. Unknown while they are loaded. Never absent. Blocks Ready likewise.
    #: False: ModelNotFound, Unauthorized, RevisionNotFound, HubUnreachable, WeightsCorrupt, DiskFull, PermissionDenied, VolumeNotFound.
    Row(
        MODEL,
        (not_accepted, nothing_to_read, gave_up_for(MODEL), no_pod_is_kept, _pod_problem(MODEL), weights_were_read),
        Verdict("Unknown", "Loading", "no replica has read the weights yet; wait, or look at status.replicaStates"),
    ),
    #: EngineHealthy. True: no wanted pod's engine has failed and not recovered. Never absent. Does not block Ready by itself.
    #: False: every other reason of a termination record, HostOutOfMemory, EngineDied, ImagePullFailed, UnknownFailure.
    Row(
        ENGINE,
        (not_accepted, gave_up_for(ENGINE), _pod_problem(ENGINE), an_engine_flaps),
        Verdict("True", "NoFailure", "no engine of this spec has failed"),
    ),
    #: UpToDate. True: every pod runs this generation's template, and whatever else belongs to it is written. Never absent.
    #: Blocks Ready. False: WriteFailed, RollingOut, RolloutBlocked, MixedRevisions.
    Row(
        UP_TO_DATE,
        (spec_is_not_rendered, writes_fail, no_pod_is_kept, rollout_is_blocked, pods_are_being_replaced, replicas_serve_different_weights, next_rollout_interrupts),
        Verdict("True", "AllPodsCurrent", "every pod runs this spec"),
    ),
    #: Secured. True: every pod asks for a key. False: NoAPIKey. Never absent. Does not block Ready.
    Row(SECURED, (former_pods_ask_for_no_key, key_is_required), Verdict("False", "NoAPIKey", "whoever reaches the Service may use it; set spec.serving.apiKeySecretRef, or spec.serving.apiKey to Generate, to ask for a key")),
)  # fmt: skip


def _available(seen: Observed, found: dict[str, Verdict]) -> Verdict:
    """Available. True: it serves now, with pods of whatever revision. False: ScaledToZero, Suspended, or the first cause.

    Never absent. Does not block Ready; alerts rest on it.
    """
    if seen.wanted == 0 and not seen.rejection:
        return _asleep(seen, "False")
    ready = sum(1 for pod in seen.active if pod.ready)
    if seen.wanted and ready >= max(1, seen.wanted - MAX_UNAVAILABLE):
        return Verdict("True", "Serving", f"{ready} of {seen.wanted} replicas serve")
    return _first_cause(found) or _starting(seen)


def _ready(seen: Observed, found: dict[str, Verdict]) -> Verdict:
    """Ready. True: accepted, up to date, and every wanted replica of this generation has answered a real decode.

    Rests on the pods' own Ready condition. Never absent. False: Deleting, the first cause, or Starting.
    """
    if seen.deleting:
        return Verdict("False", "Deleting", "the service is being deleted; wait for its pods to finish their requests")
    ready = sum(1 for pod in seen.current if pod.ready)
    if found[ACCEPTED].status == "True" and found[UP_TO_DATE].status == "True" and ready >= seen.wanted:
        if seen.wanted == 0:
            return _asleep(seen, "True")
        return Verdict("True", "AllReplicasReady", f"{seen.wanted} of {seen.wanted} replicas have answered a decode")
    return _first_cause(found) or _starting(seen)


def _first_cause(found: dict[str, Verdict]) -> Verdict | None:
    return next((found[cause] for cause in CAUSES if found[cause].status == "False"), None)


def _starting(seen: Observed) -> Verdict:
    ready = sum(1 for pod in seen.current if pod.ready)
    phases = [f"{pod.name} is {phase_of(pod)}" for pod in seen.current if not pod.ready][:3]
    detail = f" ({', '.join(phases)})" if phases else ""
    return Verdict(
        "False",
        "Starting",
        f"{ready} of {seen.wanted} replicas are Ready{detail}; wait, or look at status.replicaStates",
    )


def _stalled(seen: Observed, found: dict[str, Verdict]) -> Verdict | None:
    """Stalled. True: nothing moves without the user. Absent otherwise, and while the object goes away."""
    if seen.deleting:
        return None
    if seen.rejection:
        return Verdict("True", found[ACCEPTED].reason, found[ACCEPTED].message)
    if seen.given_up:
        return Verdict("True", seen.given_up.code, remedied(seen.given_up))
    # UpToDate may have something else to say first: a refused write is tried again, and unblocks no rollout.
    if blocked := rollout_is_blocked(seen):
        return Verdict("True", blocked.reason, blocked.message)
    for problem in problems(seen):
        if insists(seen, problem):
            return Verdict("True", problem.code, remedied(problem))
    return None


def _reconciling(seen: Observed, found: dict[str, Verdict]) -> Verdict | None:
    """Reconciling. True: it is on its way to what was asked for. Absent otherwise; never beside Stalled."""
    if seen.deleting or found[READY].status != "True" or found[UP_TO_DATE].status != "True":
        return Verdict("True", found[READY].reason, found[READY].message)
    return None
