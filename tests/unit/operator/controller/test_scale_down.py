"""When a smaller number of replicas may be applied. The whole way is proved in tests/api."""

from typing import Any

import pytest

from fairlead_operator.controller.kinds import DEPLOYMENTS, PODS
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.scale_down import CATCH_UP, SETTLE, STALE, ScaleDown
from fairlead_operator.controller.store import Store
from fairlead_operator.core.load import Load
from fairlead_operator.core.scale_down import DELETION_COST
from unit.operator.controller.objects import Clock, child

KEY = ("ns", "mistral")


def deployment(replicas: int) -> dict[str, Any]:
    return {**child(uid="d"), "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": replicas}}


class Server:
    """Stands in for Cluster."""

    def __init__(self) -> None:
        self.costs: dict[str, str] = {}
        self.refuses: ApiError | None = None
        self.version = 10

    async def merge(self, _: Any, key: tuple[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if self.refuses:
            raise self.refuses
        self.version += 1
        self.costs[key[1]] = body["metadata"]["annotations"][DELETION_COST]
        written = child(key[1], self.version, uid=key[1])
        written["metadata"]["annotations"] = body["metadata"]["annotations"]
        return written


class Pods:
    """Stands in for Engines."""

    def __init__(self) -> None:
        self.says: dict[str, Load] = {}
        self.asked = 0

    async def loads(self, _: Any, within: float) -> dict[str, Load]:
        self.asked += 1
        return self.says


@pytest.fixture
def gate() -> ScaleDown:
    """Two pods, of which one computes three requests, and a Deployment that wants both."""
    clock = Clock()
    store = Store(now=clock)
    for name in ("a", "b"):
        store.observe(PODS, child(name, uid=name))
    store.observe(DEPLOYMENTS, deployment(2))
    pods = Pods()
    pods.says = {"a": Load(3), "b": Load(0)}
    return ScaleDown(store, Server(), pods, now=clock)  # type: ignore[arg-type]


async def applied(gate: ScaleDown, replicas: int = 1) -> int:
    """What may be applied now."""
    (manifest,), again = await gate.gate(KEY, [deployment(replicas)])
    assert (again is None) == (manifest["spec"]["replicas"] == replicas)
    return int(manifest["spec"]["replicas"])


def wait(gate: ScaleDown, seconds: float) -> None:
    gate.now.time += seconds  # type: ignore[attr-defined]


def watch_shows(gate: ScaleDown) -> None:
    for pod in list(gate.store.owned(PODS, KEY)):
        gate.store.observe(PODS, pod)


async def test_the_number_follows_a_second_after_the_watch_has_shown_the_costs(gate: ScaleDown) -> None:
    assert await applied(gate) == 2
    assert gate.cluster.costs == {"a": "3"}  # type: ignore[attr-defined]
    wait(gate, SETTLE)
    assert await applied(gate) == 2, "the watch has not shown it"

    watch_shows(gate)
    assert await applied(gate) == 2
    wait(gate, SETTLE)

    assert await applied(gate) == 1


async def test_pods_are_asked_once_though_their_numbers_never_stand_still(gate: ScaleDown) -> None:
    await applied(gate)
    watch_shows(gate)
    gate.engines.says = {"a": Load(8), "b": Load(9)}  # type: ignore[attr-defined]
    await applied(gate)
    wait(gate, SETTLE)

    assert await applied(gate) == 1
    assert gate.engines.asked == 1  # type: ignore[attr-defined]


async def test_idle_pods_go_at_once(gate: ScaleDown) -> None:
    gate.engines.says = {"a": Load(), "b": Load()}  # type: ignore[attr-defined]

    assert await applied(gate) == 1


async def test_a_watch_that_shows_nothing_does_not_hold_it_back_for_ever(gate: ScaleDown) -> None:
    await applied(gate)
    wait(gate, CATCH_UP + 0.1)
    await applied(gate)
    wait(gate, SETTLE)

    assert await applied(gate) == 1


async def test_a_cost_that_cannot_be_written_does_not_hold_it_back(gate: ScaleDown) -> None:
    gate.cluster.refuses = ApiError(403, "Forbidden", "no")  # type: ignore[attr-defined]
    await applied(gate)
    wait(gate, SETTLE)

    assert await applied(gate) == 1


async def test_a_change_of_mind_needs_no_wait(gate: ScaleDown) -> None:
    await applied(gate)

    assert await applied(gate, replicas=3) == 3
    assert await applied(gate, replicas=0) == 0


async def test_a_judgement_that_was_not_acted_on_is_made_anew_and_acted_on_at_once(
    gate: ScaleDown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is so long that each look comes too late: the number would stay for as long as it is."""
    monkeypatch.setattr("fairlead_operator.controller.scale_down.SETTLE", 0.0)
    await applied(gate)
    wait(gate, STALE + 1)
    other = {**deployment(2), "metadata": {**deployment(2)["metadata"], "name": "other", "uid": "other"}}
    gate.store.observe(DEPLOYMENTS, other)
    await gate.gate(("ns", "other"), [{**other, "spec": {"replicas": 1}}])
    gate.engines.says = {"a": Load(0), "b": Load(6)}  # type: ignore[attr-defined]

    assert await applied(gate) == 1
    assert gate.cluster.costs == {"a": "0", "b": "6"}  # type: ignore[attr-defined]
