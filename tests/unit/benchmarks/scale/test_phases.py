"""What a run asks and how it tells that all is well."""

import json
from typing import Any

from scale.ground import sharing_an_address
from scale.phases import is_available, is_ready, looks, names, renamed

from simulated.fates import STAGES


def test_names_are_of_one_length_and_all_different() -> None:
    assert names(3) == ["s0000", "s0001", "s0002"]
    assert {len(name) for name in names(20_000)} == {6}
    assert len(set(names(20_000))) == 20_000


def test_a_copy_of_a_deployment_shares_nothing_with_it() -> None:
    labels = {"fairlead.dev/service": "s0001"}
    original = {
        "kind": "Deployment",
        "metadata": {
            "name": "s0001", "namespace": "scale", "labels": labels, "uid": "u", "resourceVersion": "7",
            "ownerReferences": [{"name": "s0001"}], "annotations": {"deployment.kubernetes.io/revision": "1"},
        },
        "spec": {"selector": {"matchLabels": labels}, "volumes": [{"configMap": {"name": "s0001-ab12"}}]},
        "status": {"replicas": 1},
    }  # fmt: skip

    made = renamed(original, "s0042")

    assert "s0001" not in json.dumps(made)
    assert made["metadata"] == {"name": "s0042", "namespace": "scale", "labels": {"fairlead.dev/service": "s0042"}}
    assert made["spec"]["volumes"][0]["configMap"]["name"] == "s0042-ab12"
    assert "status" not in made
    assert original["metadata"]["uid"] == "u"  # type: ignore[index]


def ready(status: str, generation: int) -> dict[str, Any]:
    seen = {"type": "Ready", "status": status, "observedGeneration": generation}
    return {"metadata": {"generation": 2}, "status": {"conditions": [seen]}}


def test_only_the_present_generation_counts_as_ready() -> None:
    assert is_ready(ready("True", 2))
    assert not is_ready(ready("True", 1))
    assert not is_ready(ready("False", 2))
    assert not is_ready({"metadata": {"generation": 1}})


def test_a_deployment_is_available_when_all_its_pods_are_of_the_present_template() -> None:
    spec = {"replicas": 1}

    assert is_available({"spec": spec, "status": {"availableReplicas": 1, "updatedReplicas": 1}})
    assert not is_available({"spec": spec, "status": {"availableReplicas": 1}})
    assert not is_available({"spec": spec})


def test_reconciles_of_every_outcome_are_looks() -> None:
    text = (
        'fairlead_reconcile_duration_seconds_count{outcome="Done"} 7.0\n'
        'fairlead_reconcile_duration_seconds_count{outcome="NotYet"} 2.0\n'
        'fairlead_reconcile_duration_seconds_sum{outcome="Done"} 100.0\n'
    )

    assert looks(text) == 9


def test_all_pods_have_their_nodes_address() -> None:
    before, after = json.dumps(STAGES), json.dumps(sharing_an_address(STAGES))

    assert "PodIPWith .spec.nodeName false" in before
    assert "PodIPWith .spec.nodeName false" not in after
    assert len(before) - len(after) == before.count("PodIPWith .spec.nodeName false")
