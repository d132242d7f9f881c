from typing import Any

import pytest

from fairlead_operator.core.load import Load
from fairlead_operator.core.scale_down import DELETION_COST, costs, held_back, shrinks


def pod(name: str, cost: str = "", **metadata: Any) -> dict[str, Any]:
    annotations = {"annotations": {DELETION_COST: cost}} if cost else {}
    return {"metadata": {"name": name, "uid": name, **annotations, **metadata}}


@pytest.mark.parametrize(
    ("pods", "loads", "expected"),
    [
        pytest.param(
            [pod("a"), pod("b")], {"a": Load(3, 1), "b": Load(1, 0)}, {"a": "4", "b": "1"}, id="running and waiting"
        ),
        pytest.param([pod("a"), pod("b")], {"a": Load(), "b": Load()}, {}, id="idle pods need no annotation"),
        pytest.param([pod("a", "4"), pod("b", "7")], {"a": Load(4), "b": Load(2)}, {"b": "2"}, id="only what changed"),
        pytest.param([pod("a", "4")], {"a": Load()}, {"a": "0"}, id="an old cost is taken back"),
        pytest.param(
            [pod("a"), pod("b"), pod("c")],
            {"a": Load(5), "b": Load(1)},
            {"a": "5", "b": "1", "c": "5"},
            id="one that says nothing counts as the busiest",
        ),
        pytest.param([pod("a", "3"), pod("b")], {}, {"a": "0"}, id="nothing is known of any"),
        pytest.param([pod("a", deletionTimestamp="now")], {"a": Load(3)}, {}, id="one on its way out is no candidate"),
        pytest.param(
            [pod("a"), {**pod("b"), "status": {"phase": "Failed"}}],
            {"a": Load(3)},
            {"a": "3"},
            id="nor is a finished one",
        ),
        pytest.param([pod("a")], {"a": Load(2**40)}, {"a": str(2**31 - 1)}, id="the annotation is an int32"),
        pytest.param([], {}, {}, id="no pods"),
    ],
)
def test_costs(pods: list[dict[str, Any]], loads: dict[str, Load], expected: dict[str, str]) -> None:
    assert costs(pods, loads) == expected


def deployment(replicas: int | None) -> dict[str, Any]:
    return {"kind": "Deployment", "spec": {"template": {}, **({} if replicas is None else {"replicas": replicas})}}


@pytest.mark.parametrize(
    ("wanted", "live", "expected"),
    [
        pytest.param(1, deployment(3), True, id="some go"),
        pytest.param(3, deployment(3), False, id="none goes"),
        pytest.param(4, deployment(3), False, id="one comes"),
        pytest.param(0, deployment(3), False, id="all go: there is no choice"),
        pytest.param(1, None, False, id="there is none yet"),
        pytest.param(1, deployment(None), False, id="one by default"),
    ],
)
def test_shrinks(wanted: int, live: dict[str, Any] | None, expected: bool) -> None:  # noqa: FBT001
    assert shrinks(deployment(wanted), live) == expected


def test_what_is_held_back_is_the_number_alone() -> None:
    intent = deployment(1)

    assert held_back({**intent, "spec": {**intent["spec"], "template": {"new": 1}}}, deployment(3)) == {
        "kind": "Deployment",
        "spec": {"template": {"new": 1}, "replicas": 3},
    }
    assert intent == deployment(1)
