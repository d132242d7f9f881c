"""Whose the pods are that carry a service's label."""

from dataclasses import replace
from typing import Any

import pytest

from fairlead_operator.core.moments import rfc3339
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.predecessor import might_be_a_predecessors, without_predecessors
from fairlead_operator.core.seen import Snapshot
from unit.operator.builders import CREATED, PodBuilder, deployment, ready, service, snapshot

OLDER, YOUNGER = ready().aged(3600), ready().aged(600)


def of(pod: PodBuilder, replica_set: str) -> Manifest:
    """Controlled by the ReplicaSet with this uid."""
    made = pod.of(service())
    owner = {"kind": "ReplicaSet", "uid": replica_set, "controller": True}
    return {**made, "metadata": {**made["metadata"], "ownerReferences": [owner]}}


def look(*pods: Manifest, there: bool = True) -> Snapshot:
    """At these pods, and a Deployment that was made half an hour ago, or none."""
    made = deployment(service())
    made["metadata"]["creationTimestamp"] = rfc3339(CREATED)
    return snapshot(service(), *pods, children=(made,) if there else ())


def replica_set(uid: str, deployment: str = "uid-deployment") -> dict[str, Any]:
    """Controlled by the Deployment with this uid; by nobody for ""."""
    owner = [{"kind": "Deployment", "uid": deployment, "controller": True}] if deployment else []
    return {"metadata": {"uid": uid, "ownerReferences": owner}}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(look(of(YOUNGER, "a")), False, id="younger than our Deployment"),
        pytest.param(look(of(OLDER, "a")), True, id="older than our Deployment"),
        pytest.param(look(of(OLDER.deleting(), "a")), False, id="on its way out"),
        pytest.param(look(of(YOUNGER, "a"), there=False), True, id="there is no Deployment of ours"),
        pytest.param(look(there=False), False, id="nothing is there"),
    ],
)
def test_nobody_is_asked_where_times_tell_enough(at: Snapshot, expected: bool) -> None:  # noqa: FBT001
    assert might_be_a_predecessors(at) == expected


def test_only_pods_of_our_deployment_are_ours() -> None:
    """An orphaned ReplicaSet that it adopted is one of its own, however old its pods."""
    adopted, stranger = of(OLDER.named("adopted"), "ours"), of(OLDER.named("stranger"), "theirs")
    leaving, orphan = of(OLDER.named("leaving").deleting(), "theirs"), of(OLDER.named("orphan"), "nobody's")
    left, bare = of(OLDER.named("left"), "gone"), OLDER.named("bare").of(service())
    sets = [replica_set("ours"), replica_set("theirs", "uid-of-the-former"), replica_set("nobody's", "")]

    found = without_predecessors(look(adopted, stranger, leaving, orphan, left, bare), sets)

    assert found == replace(look(), pods=(adopted, leaving, orphan, bare))


def test_without_a_deployment_only_what_was_orphaned_is() -> None:
    orphan, stranger = of(YOUNGER.named("orphan"), "a"), of(YOUNGER.named("stranger"), "b")

    found = without_predecessors(look(orphan, stranger, there=False), [replica_set("a", ""), replica_set("b")])

    assert found.pods == (orphan,)
