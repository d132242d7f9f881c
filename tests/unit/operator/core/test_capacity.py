"""How many accelerators are free, and where."""

import pytest

from fairlead_operator.core.capacity import Capacity, count, lacking
from fairlead_operator.core.conditions import conditions
from fairlead_operator.core.nodes import Node
from fairlead_operator.core.seen import Accelerators
from unit.operator.builders import observed, ready, service, unscheduled

GPU = "nvidia.com/gpu"
WORDS = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu. preemption: 0/4 nodes are available."


def nodes(*free: int, of: int = 8, **more: Node) -> Capacity:
    """Nodes a, b, c ... with so many free ones each."""
    names = [chr(ord("a") + index) for index in range(len(free))]
    each = tuple(Node(name, {}, {GPU: of}) for name in names)
    held = {name: {GPU: of - number} for name, number in zip(names, free, strict=True)}
    return Capacity(each + tuple(more.values()), held)


@pytest.mark.parametrize(
    ("message", "resource"),
    [
        pytest.param(WORDS, GPU, id="the scheduler's sentence"),
        pytest.param("3 Insufficient amd.com/gpu, 1 Insufficient cpu.", "amd.com/gpu", id="another vendor, beside CPU"),
        pytest.param("1 Insufficient cpu, 1 Insufficient memory.", "", id="CPU is no accelerator"),
        pytest.param("1 node(s) had untolerated taint(s).", "", id="another cause"),
    ],
)
def test_what_a_pod_lacks(message: str, resource: str) -> None:
    assert lacking(unscheduled(message).of(service())) == resource


def test_a_pod_with_a_node_lacks_nothing() -> None:
    assert lacking(ready().of(service())) == ""


@pytest.mark.parametrize(
    ("capacity", "expected"),
    [
        pytest.param(nodes(0, 2, 1), Accelerators(24, 3, 2, 8, (("b", 2), ("c", 1)), 0), id="free on two of three"),
        pytest.param(nodes(1, 1, 1, 1, 1), Accelerators(40, 5, 1, 8, (("a", 1), ("b", 1), ("c", 1)), 0), id="three are named"),
        pytest.param(nodes(0, x=Node("x", {}, {GPU: 4}, healthy=False)), Accelerators(8, 0, 0, 8, (), 4), id="free on a node that takes nothing"),
        pytest.param(nodes(3, x=Node("x", {}, {"amd.com/gpu": 4})), Accelerators(8, 3, 3, 8, (("a", 3),), 0), id="another vendor's do not count"),
        pytest.param(Capacity(()), Accelerators(0, 0, 0), id="none anywhere"),
        pytest.param(Capacity((Node("a", {}, {GPU: 2}),), {"a": {GPU: 5}}), Accelerators(2, 0, 0, 2), id="a device that broke: never less than none"),
    ],
)  # fmt: skip
def test_count(capacity: Capacity, expected: Accelerators) -> None:
    assert count(capacity, GPU, unscheduled(WORDS).of(service())) == expected


@pytest.mark.parametrize(
    ("tensor", "capacity", "said"),
    [
        pytest.param(1, nodes(0), "; 0 of 8 are free; add or free accelerators, or ask for fewer by spec.replicas or spec.parallelism", id="all are taken"),
        pytest.param(4, nodes(2, 1), "; 3 of 16 are free (2 on a, 1 on b); add or free accelerators, or ask for fewer by spec.replicas or spec.parallelism", id="scattered"),
        pytest.param(2, nodes(1, 1, 1, 1, 1), "; 5 of 40 are free (1 on a, 1 on b, 1 on c, 2 on other nodes); add or free accelerators, or ask for fewer by spec.replicas or spec.parallelism", id="on many nodes"),
        pytest.param(16, nodes(8), "; 8 of 8 are free (8 on a); no node has more than 8: lower spec.parallelism to that, or add a larger node", id="no node is large enough"),
        pytest.param(1, Capacity(()), "; 0 of 0 are free; add nodes with a device plugin that offers it, or correct spec.resources.acceleratorName", id="nobody offers it"),
        pytest.param(2, nodes(0, x=Node("x", {}, {GPU: 4}, ({"key": "team", "effect": "NoSchedule"},))), "; 0 of 8 are free; 4 on nodes that do not admit this pod; let spec.placement allow a node that has room, or free accelerators", id="room behind a taint"),
    ],
)  # fmt: skip
def test_the_message_says_how_many_are_asked_free_and_where(tensor: int, capacity: Capacity, said: str) -> None:
    asked = service().spec("parallelism", tensor=tensor)
    pod = unscheduled(WORDS)
    free = count(capacity, GPU, pod.of(asked))

    verdict = conditions(observed(asked, pod, accelerators=free))["Scheduled"]

    begin = f"pod mistral-0 needs {tensor} {GPU}: 0/4 nodes are available: 4 Insufficient nvidia.com/gpu"
    assert (verdict.reason, verdict.message) == ("InsufficientAccelerators", begin + said)


#: Where the scheduler knows claims for devices too.
CLAIMS = WORDS.replace(" preemption:", " no new claims to deallocate, preemption:")


@pytest.mark.parametrize("words", [WORDS, CLAIMS])
def test_where_nodes_may_not_be_read_the_schedulers_words_stand_alone(words: str) -> None:
    assert conditions(observed(service(), unscheduled(words)))["Scheduled"].message == (
        "pod mistral-0 needs 1 nvidia.com/gpu: 0/4 nodes are available: 4 Insufficient nvidia.com/gpu; "
        "add or free accelerators, or ask for fewer by spec.replicas or spec.parallelism"
    )
