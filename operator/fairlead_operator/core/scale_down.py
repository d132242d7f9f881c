"""Which replicas go first when there are to be fewer: those with the fewest requests.

The ReplicaSet controller takes away pods without a node or not Ready first, then those of the least
controller.kubernetes.io/pod-deletion-cost. https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost
"""

from collections.abc import Mapping, Sequence
from typing import Final

from fairlead_operator.core.load import Load
from fairlead_operator.core.names import Manifest, is_active

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
#: The annotation is an int32.
_HIGHEST: Final = 2**31 - 1


def shrinks(intent: Manifest, live: Manifest | None) -> bool:
    """Whether some pods, but not all, would be taken away: only then is there a choice."""
    return live is not None and 0 < int(intent["spec"]["replicas"]) < int(live["spec"].get("replicas", 1))


def held_back(intent: Manifest, live: Manifest) -> Manifest:
    """The intent with as many replicas as there are."""
    return {**intent, "spec": {**intent["spec"], "replicas": live["spec"].get("replicas", 1)}}


def costs(pods: Sequence[Manifest], loads: Mapping[str, Load]) -> dict[str, str]:
    """The annotation's new value, by pod uid, where it is not what it should be. `loads` is by uid.

    A pod that nobody heard of counts as the busiest: its requests are not known to be few. No annotation means 0.
    """
    candidates = {pod["metadata"]["uid"]: pod["metadata"] for pod in pods if is_active(pod)}
    busiest = max((loads[uid].requests for uid in candidates if uid in loads), default=0)
    wanted = {uid: loads[uid].requests if uid in loads else busiest for uid in candidates}
    values = {uid: str(min(_HIGHEST, requests)) for uid, requests in wanted.items()}
    return {
        uid: value
        for uid, value in values.items()
        if (candidates[uid].get("annotations") or {}).get(DELETION_COST, "0") != value
    }
