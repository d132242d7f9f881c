"""How a rollout is told: which way it goes, why that one, and what serves meanwhile."""

from fairlead_operator.api.rollout import Strategy
from fairlead_operator.core import names
from fairlead_operator.core.reasons import REASONS
from fairlead_operator.core.revisions import Rollout
from fairlead_operator.core.rollout import without_room
from fairlead_operator.core.seen import Observed


def why_blocked(seen: Observed) -> str:
    """What keeps the new pods from becoming Ready, and what was done about it; "" while they may."""
    rollout = seen.rollout
    if rollout is None or rollout.failure is None:
        return ""
    cause = rollout.failure.message
    if rollout.failure.code != "RolloutBlocked":
        cause = f"{rollout.failure.code}, {cause}"
    if rollout.restored:
        return (
            f"new pods did not become Ready: {cause}; the former revision {rollout.target.name} is restored: correct the spec,"
            f" its next change is tried, or a new value of annotation {names.RETRY}"
        )
    serving = sum(1 for pod in seen.active if not pod.current and pod.ready)
    left = f"{serving} former pod(s) go on serving" if serving else "no former pod is left to serve"
    return f"new pods do not become Ready: {cause}; {left}; {REASONS['RolloutBlocked'].remedy}"


def why_mixed(seen: Observed) -> str:
    """Which replicas serve another commit of the model than the others; "" when all serve the same."""
    commits = {pod.commit for pod in seen.current if pod.commit}
    if len(commits) < 2 or seen.rollout is None:
        return ""
    pinned = seen.rollout.target.commit or min(commits)
    others = [f"{pod.name} serves {pod.commit[:12]}" for pod in seen.current if pod.commit not in {"", pinned}]
    return f"the model's revision moved while pods started: {pinned[:12]} is pinned, {', '.join(others[:3])}; {REASONS['MixedRevisions'].remedy}"


def how(seen: Observed) -> str:
    """The strategy of a rollout under way, and why; "" when none is known."""
    rollout = seen.rollout
    if rollout is None:
        return ""
    return _surging(seen) if rollout.surge else _replacing(seen, rollout)


def _surging(seen: Observed) -> str:
    if problem := without_room(seen):
        otherwise = (
            "the rollout waits for it, as spec.rollout.strategy asks"
            if seen.strategy is Strategy.SURGE
            else f"if none is found soon, old pods give way one by one, and {_meanwhile(seen)}"
        )
        return f"surging, but no room is found yet for one more pod ({problem.message}); {otherwise}"
    if any(pod.scheduled for pod in seen.current):
        room = "one accelerator set is free" if seen.accelerators else "there is room for one more pod"
        return f"surging, {room}: a new pod is Ready before an old one goes"
    return "surging: a new pod is to be Ready before an old one goes"


def _replacing(seen: Observed, rollout: Rollout) -> str:
    asked = "as spec.rollout.strategy asks" if seen.strategy is Strategy.REPLACE else "as it began"
    why = f"since {rollout.no_room}" if rollout.no_room else asked
    return f"replacing one by one, {why}; {_meanwhile(seen)}"


def _meanwhile(seen: Observed) -> str:
    if seen.wanted > 1:
        return f"{seen.wanted - 1} of {seen.wanted} replicas serve meanwhile"
    return "no replica serves until the new one is Ready"


def warning(seen: Observed) -> str:
    """What the next rollout will cost, where that is all the service has; "" where it costs nothing."""
    if seen.strategy is not Strategy.REPLACE or seen.wanted != 1:
        return ""
    return (
        "the next rollout replaces the only replica, so none will serve until the new one is Ready;"
        " set spec.rollout.strategy to Auto or Surge, or spec.replicas to 2, if that must not be"
    )
