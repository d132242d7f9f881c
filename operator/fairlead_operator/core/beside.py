"""What keeps a pod from being Ready although its engine has not failed: a container that somebody's policy has added to it."""

from collections.abc import Mapping
from typing import Any, Final

from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import Problem
from fairlead_operator.core.waiting import CREATE, PULL

#: Waiting for anything else it is on its way.
_STUCK: Final = frozenset({"CrashLoopBackOff", "CreateContainerConfigError", *PULL, *CREATE})


def why_another_container_waits(pod: Manifest) -> Problem | None:
    """The first one that cannot run; init containers come first, for the engine is not started before they have ended.

    Its end is none of the engine's: it is neither dated nor counted, so that nothing is given up or taken back for it.
    """
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    problems = (_problem(pod["metadata"]["name"], one) for one in containers if one["name"] != names.CONTAINER)
    return next((problem for problem in problems if problem), None)


def _problem(pod: str, container: Mapping[str, Any]) -> Problem | None:
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    if reason not in _STUCK:
        return None
    said = f"container {container['name']} of pod {pod}, which is not the engine's,"
    if reason != "CrashLoopBackOff":
        remedy = "correct what the message names where that container is added"
        return Problem(
            "UnknownFailure", f"{said} cannot start: {waiting.get('message') or reason}", "", remedy, pod=pod
        )
    # The kubelet's own words tell how long it waits, which changes with each try.
    ended = (container.get("lastState") or {}).get("terminated") or {}
    remedy = f"read its log, kubectl logs {pod} -c {container['name']}; it is started again by itself"
    code = ended.get("exitCode", "unknown")
    return Problem("UnknownFailure", f"{said} ends again and again, with exit code {code}", "", remedy, pod=pod)
