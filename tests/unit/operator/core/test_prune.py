"""What is no longer wanted."""

from copy import deepcopy
from dataclasses import replace

import pytest

from fairlead_operator.core.build.revision import build_revision
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.prune import surplus
from unit.operator.builders import ready, service, snapshot

WANTED = service()
FORMER = service().spec("engine", seed=1)


def _names(manifests: list[Manifest]) -> list[str]:
    return [f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in manifests]


def _config() -> Manifest:
    return FORMER.child("ConfigMap")


def _replica_set(replicas: int) -> Manifest:
    template = FORMER.child("Deployment")["spec"]["template"]
    return {
        "kind": "ReplicaSet",
        "metadata": {"name": "rs"},
        "spec": {"replicas": replicas, "template": template},
        "status": {},
    }


def test_a_budget_goes_when_one_replica_is_left() -> None:
    budget = service().replicas(2).child("PodDisruptionBudget")
    intent = WANTED.objects
    seen = snapshot(WANTED, children=(*intent, budget))

    assert _names(surplus(seen, intent)) == ["PodDisruptionBudget/mistral"]


def test_what_is_not_ours_stays() -> None:
    foreign = deepcopy(_config())
    foreign["metadata"]["ownerReferences"][0]["uid"] = "somebody else"

    assert surplus(snapshot(WANTED, children=(foreign,)), WANTED.objects) == []


@pytest.mark.parametrize(
    ("pods", "replica_sets", "gone"),
    [
        pytest.param((), (), 1, id="nothing refers to it"),
        pytest.param((), (_replica_set(0),), 1, id="a ReplicaSet without replicas"),
        pytest.param((), (_replica_set(1),), 0, id="a ReplicaSet that may still make pods"),
        pytest.param((ready().of(FORMER),), (), 0, id="a pod that may restart"),
    ],
)
def test_a_former_configuration_goes_when_nothing_needs_it(
    pods: tuple[Manifest, ...], replica_sets: tuple[Manifest, ...], gone: int
) -> None:
    intent = WANTED.objects
    seen = snapshot(WANTED, *pods, children=(*intent, _config()), replica_sets=replica_sets)

    assert len(surplus(seen, intent)) == gone


def test_a_former_configuration_stays_while_a_kept_revision_names_it() -> None:
    """Going back to it must find the rendering as it was."""
    intent = WANTED.objects
    former = build_revision(FORMER.resolved, replace(FORMER.revision, served=True))
    unproven = build_revision(FORMER.resolved, FORMER.revision)

    assert surplus(snapshot(WANTED, children=(*intent, former, _config())), intent) == []
    assert surplus(snapshot(WANTED, children=(*intent, unproven, _config())), intent) == [unproven, _config()]
