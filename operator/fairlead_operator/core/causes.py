"""Which of several problems is the one that is told, how, and which one nobody but the user can solve."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

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
    same = last.get("template") == seen.template and last.get("code") == problem.code
    persists = not problem.ended and problem.time is not None and seen.now - problem.time >= PERSISTS
    return persists or max(problem.count, int(last.get("count", 0)) if same else 0) >= 2


def due_at(problem: Problem) -> datetime | None:
    """When a problem that was seen once begins to insist, if time alone can bring that."""
    waits = REASONS[problem.code].retry is Retry.USER and not problem.ended and problem.count < 2
    return problem.time + PERSISTS if waits and problem.time else None
