"""What a node offers, and whom it admits."""

from typing import Any

import pytest

from fairlead_operator.core.nodes import Node, admits, held_by, read_node

GPU = "nvidia.com/gpu"


def manifest(**changes: Any) -> dict[str, Any]:
    """A node with eight accelerators."""
    return {
        "metadata": {"name": "node-a", "labels": {"pool": "gpu", "nvidia.com/gpu.memory": "81559"}},
        "spec": changes.get("spec", {}),
        "status": {
            "allocatable": {"cpu": "64", "memory": "512Gi", "hugepages-2Mi": "0", GPU: "8", "x.kubernetes.io/y": "1"},
            "conditions": [{"type": "Ready", "status": changes.get("ready", "True")}],
        },
    }


def test_a_node_is_read() -> None:
    node = read_node(manifest())

    assert (node.name, node.accelerators, node.healthy) == ("node-a", {GPU: 8}, True)
    assert node.accelerator_memory == 81559 * 2**20


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"ready": "Unknown"}, id="its kubelet is silent"),
        pytest.param({"ready": "False"}, id="not ready"),
        pytest.param({"spec": {"unschedulable": True}}, id="cordoned"),
    ],
)
def test_a_node_that_takes_nothing_admits_nobody(changes: dict[str, Any]) -> None:
    assert not admits(read_node(manifest(**changes)), {})


@pytest.mark.parametrize("label", [None, "", "80Gi", "-1"])
def test_memory_that_nobody_tells_is_none(label: str | None) -> None:
    labels = {} if label is None else {"nvidia.com/gpu.memory": label}

    assert Node("n", labels, {}).accelerator_memory is None


def _affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def _by(operator: str, *values: str, key: str = "pool") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("pod", "admitted"),
    [
        pytest.param({}, True, id="nothing asked"),
        pytest.param({"nodeSelector": {"pool": "gpu"}}, True, id="its label"),
        pytest.param({"nodeSelector": {"pool": "cpu"}}, False, id="another value"),
        pytest.param(_affinity(_by("In", "cpu", "gpu")), True, id="one of these values"),
        pytest.param(_affinity(_by("NotIn", "gpu")), False, id="not this value"),
        pytest.param(_affinity(_by("NotIn", "x", key="zone")), True, id="an absent label has no value"),
        pytest.param(_affinity(_by("Exists", key="zone")), False, id="a label that is not there"),
        pytest.param(_affinity(_by("DoesNotExist", key="zone")), True, id="a label that must not be there"),
        pytest.param(_affinity(_by("Gt", "40959", key="nvidia.com/gpu.memory")), True, id="enough memory"),
        pytest.param(_affinity(_by("Gt", "81559", key="nvidia.com/gpu.memory")), False, id="more means more"),
        pytest.param(_affinity(_by("Lt", "81560", key="nvidia.com/gpu.memory")), True, id="less"),
        pytest.param(_affinity(_by("Gt", "1", key="pool")), False, id="a word is not more than a number"),
        pytest.param(_affinity(_by("In", "cpu"), _by("In", "gpu")), True, id="terms are alternatives"),
        pytest.param(_affinity({}), False, id="an empty term matches nothing"),
        pytest.param(_affinity({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-b"]}]}), False, id="another node by name"),
    ],
)  # fmt: skip
def test_labels(pod: dict[str, Any], admitted: bool) -> None:  # noqa: FBT001
    assert admits(read_node(manifest()), pod) == admitted


@pytest.mark.parametrize(
    ("toleration", "admitted"),
    [
        pytest.param(None, False, id="none"),
        pytest.param({"operator": "Exists"}, True, id="everything"),
        pytest.param({"key": GPU, "operator": "Exists"}, True, id="the key, whatever its value"),
        pytest.param({"key": GPU, "value": "present"}, True, id="key and value; Equal is the default"),
        pytest.param({"key": GPU, "value": "absent"}, False, id="another value"),
        pytest.param({"key": "other", "operator": "Exists"}, False, id="another key"),
        pytest.param({"key": GPU, "operator": "Exists", "effect": "NoExecute"}, False, id="another effect"),
    ],
)
def test_taints(toleration: dict[str, Any] | None, admitted: bool) -> None:  # noqa: FBT001
    taint = {"key": GPU, "value": "present", "effect": "NoSchedule"}
    disliked = {"key": "x", "effect": "PreferNoSchedule"}
    node = read_node(manifest(spec={"taints": [taint, disliked]}))

    assert admits(node, {"tolerations": [toleration] if toleration else []}) == admitted


def test_what_a_pod_holds() -> None:
    def container(count: int) -> dict[str, Any]:
        return {"resources": {"limits": {"cpu": "1", GPU: str(count)}}}

    assert held_by({"spec": {"containers": [container(1), container(2)], "initContainers": [container(2)]}}) == {GPU: 3}
    assert held_by({"spec": {"containers": [container(1)], "initContainers": [container(4)]}}) == {GPU: 4}
    assert held_by({"spec": {"containers": [{}]}}) == {}
