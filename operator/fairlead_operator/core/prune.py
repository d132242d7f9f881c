"""Which of our children are no longer wanted."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fairlead_operator.core import names, revisions
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import Snapshot


def surplus(snapshot: Snapshot, intent: Sequence[Manifest]) -> list[Manifest]:
    """Children that our ownerReference controls, that the intent lacks, and that no pod needs any more.

    A ConfigMap stays while a pod, a ReplicaSet with replicas or a kept revision mounts it: a pod of the old revision that
    restarts in a rollout must find its own.
    """
    uid = snapshot.service["metadata"]["uid"]
    wanted = {_identity(manifest) for manifest in intent}
    kept = _kept(snapshot, [name for kind, name in wanted if kind == "ControllerRevision"])
    used = _mounted(snapshot).union(*(revisions.config_maps(revision.template.pod) for revision in kept))
    stays = {"ConfigMap": used, "ControllerRevision": {revision.name for revision in kept}}
    return [
        child
        for child in snapshot.children
        if names.is_controlled_by(child, uid)
        and _identity(child) not in wanted
        and child["metadata"]["name"] not in stays.get(child["kind"], ())
        and not child["metadata"].get("deletionTimestamp")
    ]


def _identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _kept(snapshot: Snapshot, wanted: Collection[str]) -> tuple[revisions.Revision, ...]:
    deployments = (child["spec"]["template"] for child in snapshot.children if child["kind"] == "Deployment")
    running = {revisions.hash_of(template) for template in (*snapshot.pods, *deployments)}
    return revisions.kept(revisions.read(snapshot.children), wanted, running)


def _mounted(snapshot: Snapshot) -> frozenset[str]:
    templates = [*snapshot.pods]
    templates += [
        replica_set["spec"]["template"]
        for replica_set in snapshot.replica_sets
        if replica_set["spec"].get("replicas", 1) or replica_set.get("status", {}).get("replicas", 0)
    ]
    # The Deployment too: its newest template may have no ReplicaSet yet.
    templates += [child["spec"]["template"] for child in snapshot.children if child["kind"] == "Deployment"]
    return frozenset().union(*(revisions.config_maps(template) for template in templates))
