"""Which of several problems is the one that is told, how, and which one nobody but the user can solve."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from fairlead_operator.core.moments import moment
from fairlead_operator.core.reasons import ACCEPTED, ENGINE, MODEL, REASONS, SCHEDULED, UP_TO_DATE, Retry
from fairlead_operator.core.seen import Observed, Problem

#: The order of causes: what comes later often follows from what comes before.
CAUSES: Final = (ACCEPTED, SCHEDULED, MODEL, ENGINE, UP_TO_DATE)
#: What scheduler and admission have refused for so long, they have refused more than once: both try again within seconds. A
#: disk that is still being made, or an object applied a little later, must not count as the user's fault.
PERSISTS: Final = timedelta(minutes=5)


def problems(seen: Observed) -> list[Problem]:
    """What is wrong with the pods that are to be, and with the making of them."""
    return [*of_pods(seen), *seen.workload_problems]


def of_pods(seen: Observed) -> list[Problem]:
    """What is wrong with the pods that are to be, the oldest pod's first."""
    pods = sorted(seen.current, key=lambda pod: (pod.created, pod.name))
    return [problem for pod in pods for problem in pod.problems]


def of_condition(found: Iterable[Problem], condition: str) -> list[Problem]:
    """Those that the condition tells, the one that matters most first.

    What only the user can remove comes before what may pass by itself, or a pod that was killed an hour ago would hide that
    the newest one can never start. Among equals the first: problems come in the order of the pods' age, which a further
    crash does not change, so that the message stays.
    """
    mine = [problem for problem in found if REASONS[problem.code].condition == condition]
    return sorted(mine, key=lambda problem: REASONS[problem.code].retry is not Retry.USER)


def first(found: Iterable[Problem]) -> Problem | None:
    """The first cause of all."""
    found = list(found)
    return next((problem for condition in CAUSES for problem in of_condition(found, condition)), None)


def remedied(problem: Problem, others: Iterable[Problem] = ()) -> str:
    """What happened, what else of the same condition happens to other pods, and what to do about the first.

    Where only the user can do it, the field is named.
    """
    reason = REASONS[problem.code]
    codes = sorted({other.code for other in others} - {problem.code})
    beside = f" (other pods: {', '.join(codes)})" if codes else ""
    text = f"{problem.message.strip().rstrip('.;')}{beside}; {problem.remedy or reason.remedy}"
    field = problem.field or reason.field
    return f"{text} ({field})" if field not in text and reason.retry is Retry.USER else text


def insists(seen: Observed, problem: Problem) -> bool:
    """Whether only the user can solve it, and it was seen twice on the current template, be it on two pods."""
    if REASONS[problem.code].retry is not Retry.USER:
        return False
    last = seen.previous.get("lastFailure") or {}
    last = last if last.get("template") == seen.template else {}
    if problem.ended:
        return _ended_twice(seen, problem, last)
    same = last.get("code") == problem.code
    persists = problem.time is not None and seen.now - problem.time >= PERSISTS
    return persists or max(problem.count, int(last.get("count", 0)) if same else 0) >= 2


def _ended_twice(seen: Observed, problem: Problem, last: Mapping[str, Any]) -> bool:
    """Whether this is the second end of this cause, by what the status tells of those before; `last` is the last of them, or empty.

    The kubelet counts ends of whatever cause, and a pod's second end may be the first of this cause: its number serves only where
    no end is known.
    """
    others = (other for pod in seen.current for other in pod.problems if other.pod != problem.pod)
    if any(other.ended and other.code == problem.code for other in others):
        return True
    if not last:
        return problem.count >= 2
    if _was_told(seen, problem):
        return True
    in_a_row = int(last["count"]) if (last["code"], last.get("attempt")) == (problem.code, seen.attempt) else 0
    at, known = problem.time, moment(last.get("time"))
    if at is None or known is None or at <= known:
        return in_a_row >= 2
    # It ended just now. Ends of other pods may have come between this pod's.
    return in_a_row >= 1 or _failed_before(seen, problem.pod) == problem.code


def _was_told(seen: Observed, problem: Problem) -> bool:
    """Whether it was said to insist already: another try counts anew, and what has not changed since must not come and go."""
    conditions = seen.previous.get("conditions") or ()
    stalled = next((each for each in conditions if each["type"] == "Stalled" and each["status"] == "True"), None)
    return stalled is not None and stalled["reason"] in {problem.code, "RolloutBlocked"}


def _failed_before(seen: Observed, pod: str) -> str:
    """The cause that was told of the pod last; "" for none."""
    states = seen.previous.get("replicaStates") or ()
    return next((state["failure"]["code"] for state in states if state["pod"] == pod and "failure" in state), "")


def due_at(problem: Problem) -> datetime | None:
    """When a problem that was seen once begins to insist, if time alone can bring that."""
    waits = REASONS[problem.code].retry is Retry.USER and not problem.ended and problem.count < 2
    return problem.time + PERSISTS if waits and problem.time else None
