"""How the pods get from the revision that runs to the one that is wanted: decided anew at every look, from what is seen.

What must outlive a restart stands in the objects themselves: that a rollout replaces and why, in the Deployment; that a
revision failed and the former one was restored, in the failed revision. The scheduler is asked, not modelled: a pod more
is made, and what becomes of it says whether there is room.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from fairlead_operator.api.rollout import DEFAULT_SURGE_WAIT_SECONDS, OnFailure, Strategy
from fairlead_operator.api.rollout import Rollout as Asked
from fairlead_operator.core import names
from fairlead_operator.core.causes import PERSISTS, first, insists, problems
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.revisions import Failure, Pinned, Revision, Rollout, hash_of
from fairlead_operator.core.scheduling import draining
from fairlead_operator.core.seen import Observed, Problem

#: What the scheduler says where one pod less would help; a wrong label or a taint stays wrong however many pods go.
_CROWDED: Final = re.compile(
    r"Insufficient |Too many pods|free ports|anti-affinity|topology spread|max volume count|ReadWriteOncePod|Multi-Attach error"
)
#: What pods miss that others make, and not the pods' template.
_APPLIED_BESIDE: Final = frozenset({"SecretNotFound", "VolumeNotFound"})
#: Characters of a cause that are kept in an annotation.
_KEPT: Final = 1024


@dataclass(frozen=True)
class Step:
    """How one pod takes the place of another; the fields are those of Rollout."""

    surge: bool
    no_room: str = ""
    look_at: datetime | None = None


def decide(seen: Observed, pinned: Pinned, asked: Asked) -> Rollout:
    """What the Deployment is to run now, and by which steps it gets there."""
    serves = seen.wanted > 0 and sum(1 for pod in seen.current if pod.ready) >= seen.wanted
    if pinned.target is not pinned.wanted:
        step = _step(seen, asked, ended=serves, fresh=False)
        return _rollout(pinned, step, pinned.wanted.failure, ended=serves)
    served = pinned.wanted.served or serves
    wanted = replace(
        pinned.wanted,
        served=served,
        # It leaves the revision by the write that says that it serves: an annotation less makes no write of its own.
        failure=None if served else pinned.wanted.failure,
        commit=pinned.wanted.commit or _resolved(seen),
    )
    pinned = replace(pinned, wanted=wanted)
    ended = wanted.served or seen.wanted == 0 or not (pinned.former or _old(seen))
    step = _step(seen, asked, ended=ended, fresh=_runs(seen) != seen.template)
    due = _due(seen, pinned, step)
    failure = None if ended else _failure(seen, pinned, due)
    if seen.overdue and due and due > seen.now and not ended:
        step = replace(step, look_at=min(due, step.look_at or due))
    on_failure = asked.on_failure or (OnFailure.HOLD if step.surge else OnFailure.RESTORE)
    if failure and pinned.former and on_failure is OnFailure.RESTORE:
        pinned = replace(pinned, wanted=replace(wanted, failure=failure))
    return _rollout(pinned, step, failure, ended=ended)


def _rollout(pinned: Pinned, step: Step, failure: Failure | None, *, ended: bool) -> Rollout:
    return Rollout(pinned.wanted, pinned.target, step.surge, step.no_room, failure, step.look_at, under_way=not ended)


def _resolved(seen: Observed) -> str:
    """The commit that the first pod which told one has made of a branch or a tag; the oldest speaks first."""
    told = [pod for pod in seen.current if pod.commit and _takes_a_pin(pod.raw)]
    return min(told, key=lambda pod: (not pod.ready, pod.created, pod.name)).commit if told else ""


def _takes_a_pin(pod: Manifest) -> bool:
    return any(volume["name"] == names.VOLUME_PINNED for volume in pod["spec"].get("volumes") or ())


def _old(seen: Observed) -> bool:
    return any(not pod.current for pod in seen.active)


def _runs(seen: Observed) -> str:
    """The hash of the template that the Deployment has now."""
    return hash_of(seen.deployment["spec"]["template"]) if seen.deployment else ""


def _step(seen: Observed, asked: Asked, *, ended: bool, fresh: bool) -> Step:
    """`fresh`: nothing of this rollout has been seen yet, so that the Deployment's strategy is that of another one."""
    if asked.strategy is not Strategy.AUTO:
        return Step(surge=asked.strategy is Strategy.SURGE)
    if (ended and not seen.behind) or fresh or seen.deployment is None:
        return Step(surge=True)
    if seen.deployment["spec"]["strategy"].get("rollingUpdate", {}).get("maxSurge") == 0:
        known = (seen.deployment["metadata"].get("annotations") or {}).get(names.NO_ROOM, "")
        return Step(surge=False, no_room=known)
    problem = without_room(seen)
    if problem is None or problem.time is None:
        return Step(surge=True)
    wait = asked.surge_wait_seconds or DEFAULT_SURGE_WAIT_SECONDS
    until = problem.time + timedelta(seconds=wait + _drain(seen))
    if seen.now < until:
        return Step(surge=True, look_at=until)
    return Step(surge=False, no_room=f"no room was found for one more pod in {wait} s: {problem.message}"[:_KEPT])


def without_room(seen: Observed) -> Problem | None:
    """Why a new pod gets no node although the old ones are still there; None while that may change by itself.

    What a stopping pod of ours holds comes free; until then nobody can say that there is no room. From a node that is lost nothing
    comes.
    """
    if draining((pod.raw for pod in seen.pods), seen.now).comes_free or not (_old(seen) or seen.behind):
        return None
    return first(_crowded(seen))


def _crowded(seen: Observed) -> Iterator[Problem]:
    for problem in problems(seen):
        match problem.code:
            case "QuotaExceeded" if "must specify" in problem.message:
                pass  # no pod that goes makes room for what this one does not say
            case "InsufficientAccelerators" if _fits_nowhere(seen):
                pass
            case "InsufficientAccelerators" | "Queued" | "QuotaExceeded":
                yield problem
            case "Unschedulable" if _CROWDED.search(problem.message):
                yield problem


def _fits_nowhere(seen: Observed) -> bool:
    """Whether no node would have enough, if it were empty."""
    free = seen.accelerators_free
    return bool(free and free.total and free.largest < seen.accelerators)


def _drain(seen: Observed) -> int:
    """Seconds in which an old pod that went for a new one may have drained: the next new pod waited for that, not for room.

    How long it really took is written nowhere once the pod is gone.
    """
    if not any(pod.scheduled for pod in seen.current):
        return 0
    return max((_grace(pod.raw) for pod in seen.active if not pod.current), default=0)


def _grace(pod: Manifest) -> int:
    """Seconds that a pod, or one of this template, may take to stop."""
    return int(pod["spec"].get("terminationGracePeriodSeconds", 30))


def _due(seen: Observed, pinned: Pinned, step: Step) -> datetime | None:
    """When the new pods have had the time that a start may take; None while there are none.

    The Deployment counts it from a pod's creation. A pod whose accelerators an old one holds until it has drained can only
    begin when that one has gone, and gets all of its time then.
    """
    if seen.deployment is None:
        return None
    start = timedelta(seconds=int(seen.deployment["spec"].get("progressDeadlineSeconds", 0)))
    takes_a_place = not step.surge or any(pod.scheduled for pod in seen.current)
    drain = timedelta(seconds=_grace((pinned.former or pinned.wanted).template.pod) if takes_a_place else 0)
    return max(
        ((pod.scheduled_since or pod.created + drain) + start for pod in seen.current if not pod.ready), default=None
    )


def _failure(seen: Observed, pinned: Pinned, due: datetime | None) -> Failure | None:
    """Why the new pods do not become Ready, once waiting is of no use. `due`: until then no deadline of theirs has passed."""
    if _runs(seen) != seen.template:
        return None
    hopeless = first(
        problem for problem in problems(seen) if insists(seen, problem) and not _may_be_applied_yet(seen, problem)
    )
    if hopeless is None and not (seen.overdue and seen.settled and (due is None or due <= seen.now)):
        return None
    cause = hopeless or first(problems(seen))
    if cause is None:
        return Failure("RolloutBlocked", "no new pod became Ready in time", pinned.attempt)
    if cause.code == "Queued" and _queue(pinned.wanted) == _queue(pinned.former or pinned.wanted):
        return None  # the former revision's pods would stand at the end of the same queue
    lacks_room = cause.code == "WaitingForDrain" or cause in _crowded(seen)
    if hopeless is None and lacks_room and any(pod.ready for pod in seen.current) and not _old(seen):
        return None  # it serves where it found room, and there is nothing better to go back to
    return Failure(cause.code, cause.message.strip().rstrip(".;")[:_KEPT], pinned.attempt)


def _may_be_applied_yet(seen: Observed, problem: Problem) -> bool:
    """What a pod misses may come a little later than the pod, and the kubelet looks for it several times in the first seconds."""
    if problem.ended or problem.code not in _APPLIED_BESIDE:
        return False
    placed = next((pod.scheduled_since for pod in seen.current if pod.name == problem.pod), None)
    return placed is not None and seen.now - placed < PERSISTS


def _queue(revision: Revision) -> str:
    return str(revision.template.pod["metadata"]["labels"].get(names.QUEUE_LABEL, ""))
