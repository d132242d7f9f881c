"""The conditions: a table of types with pure checks. The first check that speaks decides; Ready is derived from the others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from fairlead_operator.core.build.workload import MAX_UNAVAILABLE
from fairlead_operator.core.observe import is_flapping
from fairlead_operator.core.phase import phase_of
from fairlead_operator.core.reasons import ACCEPTED, ENGINE, MODEL, REASONS, SCHEDULED, UP_TO_DATE, Retry
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
    found[AVAILABLE] = _available(seen, found)
    found[READY] = _ready(seen, found)
    if verdict := _stalled(seen, found):
        found[STALLED] = verdict
    elif verdict := _reconciling(seen, found):
        found[RECONCILING] = verdict
    return found


def _decide(row: Row, seen: Observed) -> Verdict:
    return next((verdict for check in row.checks if (verdict := check(seen))), row.otherwise)


def remedied(problem: Problem) -> str:
    """What happened, and what to do about it."""
    return f"{problem.message.strip().rstrip('.;')}; {problem.remedy or REASONS[problem.code].remedy}"


def _problem_verdict(problem: Problem | None) -> Verdict | None:
    return Verdict("False", problem.code, remedied(problem)) if problem else None


def _oldest(problems: Iterable[Problem], condition: str) -> Problem | None:
    """The one that is told: the oldest, since later ones often follow from it; undated ones come last."""
    mine = [problem for problem in problems if REASONS[problem.code].condition == condition]
    return min(mine, key=lambda problem: (problem.time is None, problem.time or 0, problem.pod), default=None)


def _pod_problem(condition: str) -> Check:
    def check(seen: Observed) -> Verdict | None:
        return _problem_verdict(_oldest((p for pod in seen.current for p in pod.problems), condition))

    return check


def spec_was_rejected(seen: Observed) -> Verdict | None:
    """The operator cannot render the spec, or the API server refuses what was rendered."""
    return Verdict("False", seen.rejection.reason, seen.rejection.message) if seen.rejection else None


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


def pods_were_refused(seen: Observed) -> Verdict | None:
    """Quota or admission keeps the Deployment from making pods, or a node gave one back."""
    return _problem_verdict(_oldest(seen.workload_problems, SCHEDULED))


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


def rollout_is_blocked(seen: Observed) -> Verdict | None:
    """New pods did not become Ready in time while old ones are still there."""
    old = [pod for pod in seen.active if not pod.current]
    if not (seen.overdue and old):
        return None
    cause = _first_problem(seen)
    because = f": {cause.code}, {cause.message.rstrip('.;')}" if cause else ""
    return Verdict(
        "False", "RolloutBlocked", f"new pods do not become Ready{because}; {REASONS['RolloutBlocked'].remedy}"
    )


def pods_are_being_replaced(seen: Observed) -> Verdict | None:
    """Pods of this spec are missing, or pods of an earlier one are still there."""
    current, active = len(seen.current), len(seen.active)
    if current >= seen.wanted and current == active:
        return None
    if current == active:
        return Verdict(
            "False", "RollingOut", f"{current} of {seen.wanted} pods of this spec exist; wait for the others to be made"
        )
    return Verdict(
        "False",
        "RollingOut",
        f"{current} of {active} pods run this spec, a new one before an old one goes; {REASONS['RollingOut'].remedy}",
    )


def key_is_required(seen: Observed) -> Verdict | None:
    """Requests need a key."""
    return Verdict("True", "APIKeyRequired", "every route of the serving port asks for a key") if seen.secured else None


#: Order is the order of causes: Ready and Available name the first type that is False.
TABLE: Final = (
    #: Accepted. True: the spec can be rendered and what it refers to exists. Never absent. Blocks Ready.
    #: False: InvalidSpec, DeniedArgument, UnknownEngineArgument, InvalidConfig, MissingAPI, NameTaken, SecretNotFound.
    Row(ACCEPTED, (spec_was_rejected, _pod_problem(ACCEPTED)), Verdict("True", "Valid", "the spec is carried out")),
    #: Scheduled. True: all wanted pods have nodes. Never absent. Blocks Ready, since pods without nodes are not Ready.
    #: False: InsufficientAccelerators, Queued, QuotaExceeded, PodRejected, Evicted, WaitingForDrain, Unschedulable.
    Row(
        SCHEDULED,
        (not_accepted, nothing_wanted, _pod_problem(SCHEDULED), pods_were_refused, pods_have_no_node_yet),
        Verdict("True", "AllScheduled", "every wanted pod has a node"),
    ),
    #: ModelAvailable. True: the weights were found and read. Unknown while they are loaded. Never absent. Blocks Ready likewise.
    #: False: ModelNotFound, Unauthorized, RevisionNotFound, HubUnreachable, WeightsCorrupt, DiskFull, PermissionDenied, VolumeNotFound.
    Row(
        MODEL,
        (not_accepted, nothing_to_read, _pod_problem(MODEL), weights_were_read),
        Verdict("Unknown", "Loading", "no replica has read the weights yet; wait, or look at status.replicaStates"),
    ),
    #: EngineHealthy. True: no wanted pod's engine has failed and not recovered. Never absent. Does not block Ready by itself.
    #: False: every other reason of a termination record, HostOutOfMemory, EngineDied, ImagePullFailed, UnknownFailure.
    Row(
        ENGINE,
        (not_accepted, _pod_problem(ENGINE), an_engine_flaps),
        Verdict("True", "NoFailure", "no engine of this spec has failed"),
    ),
    #: UpToDate. True: every pod runs this generation's template. Never absent. Blocks Ready.
    #: False: RollingOut, RolloutBlocked.
    Row(
        UP_TO_DATE,
        (spec_is_not_rendered, rollout_is_blocked, pods_are_being_replaced),
        Verdict("True", "AllPodsCurrent", "every pod runs this spec"),
    ),
    #: Secured. True: a key guards the serving port. False: NoAPIKey. Never absent. Does not block Ready.
    Row(SECURED, (key_is_required,), Verdict("False", "NoAPIKey", "whoever reaches the Service may use it; set spec.serving.apiKeySecretRef to ask for a key")),
)  # fmt: skip
_CAUSES: Final = (ACCEPTED, SCHEDULED, MODEL, ENGINE, UP_TO_DATE)


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
    return next((found[cause] for cause in _CAUSES if found[cause].status == "False"), None)


def _starting(seen: Observed) -> Verdict:
    ready = sum(1 for pod in seen.current if pod.ready)
    phases = [f"{pod.name} is {phase_of(pod)}" for pod in seen.current if not pod.ready][:3]
    detail = f" ({', '.join(phases)})" if phases else ""
    return Verdict(
        "False",
        "Starting",
        f"{ready} of {seen.wanted} replicas are Ready{detail}; wait, or look at status.replicaStates",
    )


def _first_problem(seen: Observed) -> Problem | None:
    found = [*(problem for pod in seen.current for problem in pod.problems), *seen.workload_problems]
    return next((problem for condition in _CAUSES if (problem := _oldest(found, condition))), None)


def _stalled(seen: Observed, found: dict[str, Verdict]) -> Verdict | None:
    """Stalled. True: nothing moves without the user. Absent otherwise, and while the object goes away."""
    if seen.deleting:
        return None
    if seen.rejection or found[UP_TO_DATE].reason == "RolloutBlocked":
        cause = found[ACCEPTED] if seen.rejection else found[UP_TO_DATE]
        return Verdict("True", cause.reason, cause.message)
    last = seen.previous.get("lastFailure") or {}
    for problem in (*(p for pod in seen.current for p in pod.problems), *seen.workload_problems):
        if REASONS[problem.code].retry is not Retry.USER:
            continue
        before = (
            int(last.get("count", 0))
            if last.get("template") == seen.template and last.get("code") == problem.code
            else 0
        )
        if max(problem.count, before) >= 2:
            return Verdict("True", problem.code, remedied(problem))
    return None


def _reconciling(seen: Observed, found: dict[str, Verdict]) -> Verdict | None:
    """Reconciling. True: it is on its way to what was asked for. Absent otherwise; never beside Stalled."""
    if seen.deleting or found[READY].status != "True" or found[UP_TO_DATE].status != "True":
        return Verdict("True", found[READY].reason, found[READY].message)
    return None
