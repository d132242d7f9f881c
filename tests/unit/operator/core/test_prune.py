"""What is no longer wanted."""

from copy import deepcopy

import pytest

from fairlead_operator.core.build import build_objects
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.prune import surplus
from unit.operator.builders import ready, service, snapshot

WANTED = service()
FORMER = service().spec("engine", seed=1)


def _names(manifests: list[Manifest]) -> list[str]:
    return [f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in manifests]


def _config() -> Manifest:
    return build_objects(FORMER.resolved)[0]


def _replica_set(replicas: int) -> Manifest:
    template = build_objects(FORMER.resolved)[-1]["spec"]["template"]
    return {
        "kind": "ReplicaSet",
        "metadata": {"name": "rs"},
        "spec": {"replicas": replicas, "template": template},
        "status": {},
    }


def test_a_budget_goes_when_one_replica_is_left() -> None:
    budget = build_objects(service().replicas(2).resolved)[2]
    intent = build_objects(WANTED.resolved)
    seen = snapshot(WANTED, children=(*intent, budget))

    assert _names(surplus(seen, intent)) == ["PodDisruptionBudget/mistral"]


def test_what_is_not_ours_stays() -> None:
    foreign = deepcopy(_config())
    foreign["metadata"]["ownerReferences"][0]["uid"] = "somebody else"

    assert surplus(snapshot(WANTED, children=(foreign,)), build_objects(WANTED.resolved)) == []


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
    intent = build_objects(WANTED.resolved)
    seen = snapshot(WANTED, *pods, children=(*intent, _config()), replica_sets=replica_sets)

    assert len(surplus(seen, intent)) == gone
