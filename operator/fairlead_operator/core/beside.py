"""What keeps a pod from being Ready although its engine has not failed: a container that somebody's policy has added to it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from fairlead_operator.core import names
from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import Problem
from fairlead_operator.core.waiting import CREATE, PULL

#: Waiting for anything else it is on its way.
_STUCK: Final = frozenset({"CreateContainerConfigError", *PULL, *CREATE})
#: So many ends are a loop, and who runs for so long is out of it: the kubelet's longest wait between two starts is 5 minutes.
_ENDS: Final = 2
_OUT_OF_IT: Final = timedelta(minutes=10)


def why_another_container_waits(pod: Manifest, now: datetime) -> Problem | None:
    """The first one that cannot run; init containers come first, for the engine is not started before they have ended.

    Its end is none of the engine's: it is neither dated nor counted, so that nothing is given up or taken back for it.
    """
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    problems = (_problem(pod["metadata"]["name"], one, now) for one in containers if one["name"] != names.CONTAINER)
    return next((problem for problem in problems if problem), None)


def _problem(pod: str, container: Mapping[str, Any], now: datetime) -> Problem | None:
    """The same words at each try: the kubelet's own tell how long it waits, or change between two ways to say it."""
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    said = f"container {container['name']} of pod {pod}, which is not the engine's,"
    if reason in _STUCK:
        why = f"its image {container.get('image')} cannot be pulled" if reason in PULL else waiting.get("message")
        remedy = "correct what the message names where that container is added"
        return Problem("UnknownFailure", f"{said} cannot start: {why or reason}", "", remedy, pod=pod)
    ended = _ends_again_and_again(container, now)
    if ended is None:
        return None
    remedy = f"read its log, kubectl logs {pod} -c {container['name']}; it is started again by itself"
    code = ended.get("exitCode", "unknown")
    return Problem("UnknownFailure", f"{said} ends again and again, with exit code {code}", "", remedy, pod=pod)


def _ends_again_and_again(container: Mapping[str, Any], now: datetime) -> Mapping[str, Any] | None:
    """Its last end, whether it waits for the next start, runs for a moment or has just ended; None when it is well."""
    state = container.get("state") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    began = moment((state.get("running") or {}).get("startedAt"))
    # An init container that has done its work ends well, and for good.
    if container.get("restartCount", 0) < _ENDS or not ended or ended.get("exitCode") == 0:
        return None
    return None if began and now - began >= _OUT_OF_IT else ended
