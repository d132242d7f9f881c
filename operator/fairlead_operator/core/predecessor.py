"""Pods of a deleted InferenceService of the same name: for a moment they outlive it, and carry the labels by which ours are found.

Garbage collection takes the Deployment first, its ReplicaSets then, and the pods last. Counted as ours they would be Ready for a
spec that never ran, and their failures would be this spec's.
"""

from collections.abc import Iterable
from dataclasses import replace

from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import Snapshot


def might_be_a_predecessors(snapshot: Snapshot) -> bool:
    """Whether there are pods that no Deployment of ours can have made, as far as times tell.

    They do not tell enough: API servers' clocks differ, and a Deployment adopts ReplicaSets that were orphaned.
    """
    made = snapshot.deployment
    return any(not made or _created(pod) < _created(made) for pod in _staying(snapshot))


def without_predecessors(snapshot: Snapshot, replica_sets: Iterable[Manifest]) -> Snapshot:
    """Without the pods whose ReplicaSet another Deployment controls, or is gone already; those on their way out stay.

    A ReplicaSet that nobody controls was orphaned: our Deployment adopts it, or has not come to it yet.
    """
    made = snapshot.deployment
    ours = {"", made["metadata"]["uid"]} if made else {""}
    stay = {"", *(each["metadata"]["uid"] for each in replica_sets if names.controller_uid(each) in ours)}
    strangers = {id(pod) for pod in _staying(snapshot) if names.controller_uid(pod) not in stay}
    return replace(snapshot, pods=tuple(pod for pod in snapshot.pods if id(pod) not in strangers))


def _created(obj: Manifest) -> str:
    """As the API server writes it: later times are larger."""
    return str(obj["metadata"].get("creationTimestamp", ""))


def _staying(snapshot: Snapshot) -> list[Manifest]:
    return [pod for pod in snapshot.pods if not pod["metadata"].get("deletionTimestamp")]
