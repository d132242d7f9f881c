"""Which of our children are no longer wanted."""

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import Snapshot


def surplus(snapshot: Snapshot, intent: Sequence[Manifest]) -> list[Manifest]:
    """Children that our ownerReference controls, that the intent lacks, and that no pod needs any more.

    A ConfigMap stays while a pod or a ReplicaSet with replicas mounts it: a pod of the old revision that restarts in a
    rollout must find its own.
    """
    uid = snapshot.service["metadata"]["uid"]
    wanted = {_identity(manifest) for manifest in intent}
    used = _mounted(snapshot)
    return [
        child
        for child in snapshot.children
        if names.is_controlled_by(child, uid)
        and _identity(child) not in wanted
        and not (child["kind"] == "ConfigMap" and child["metadata"]["name"] in used)
        and not child["metadata"].get("deletionTimestamp")
    ]


def _identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _mounted(snapshot: Snapshot) -> frozenset[str]:
    templates = [pod.get("spec", {}) for pod in snapshot.pods]
    templates += [
        replica_set["spec"]["template"]["spec"]
        for replica_set in snapshot.replica_sets
        if replica_set["spec"].get("replicas", 1) or replica_set.get("status", {}).get("replicas", 0)
    ]
    # The Deployment too: its newest template may have no ReplicaSet yet.
    templates += [child["spec"]["template"]["spec"] for child in snapshot.children if child["kind"] == "Deployment"]
    volumes = (volume for template in templates for volume in template.get("volumes") or ())
    return frozenset(volume["configMap"]["name"] for volume in volumes if "configMap" in volume)
