"""One word for where a pod is, for people who look at it."""

from fairlead_operator.core.seen import PodView


def phase_of(pod: PodView) -> str:
    """Terminating, Ready, Failed, Pending, Starting, the runtime's own phase, or NotReady after it was Ready once."""
    if pod.deleting:
        return "Terminating"
    if pod.ready:
        return "Ready"
    if pod.problems:
        return "Failed" if any(problem.ended for problem in pod.problems) else "Waiting"
    if not pod.scheduled:
        return "Pending"
    if pod.state and pod.state.phase and pod.state.phase != "ready":
        return pod.state.phase
    return "NotReady" if pod.started else "Starting"
