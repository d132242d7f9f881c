from typing import Any

import pytest

from fairlead_operator.controller.freshness import PATIENCE, Freshness
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, PODS, WATCHED, Kind
from fairlead_operator.controller.store import Key, Store
from unit.operator.controller.objects import Clock, child, obj


class Listing:
    """Stands in for Cluster: what a metadata listing answers, by kind."""

    def __init__(self) -> None:
        self.items: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in WATCHED}
        self.revision = 100

    async def list_versions(self, kind: Kind, namespace: str | None) -> tuple[list[dict[str, Any]], int]:
        return self.items[kind], self.revision


@pytest.fixture
def listing() -> Listing:
    return Listing()


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def freshness(listing: Listing, told: list[Any], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Freshness:
    monkeypatch.setattr("fairlead_operator.controller.freshness.RETRY", 0.0)

    def changed(key: Key) -> None:
        told.append(key)

    return Freshness(Store(), listing, (), lambda: told.append("restart"), changed, now=clock)  # type: ignore[arg-type]


async def compare(freshness: Freshness) -> None:
    freshness._judge(await freshness._settle())


async def test_an_empty_cluster_is_synced_at_once(freshness: Freshness) -> None:
    assert "not synced" in freshness.unready()

    await compare(freshness)

    assert freshness.synced.is_set()
    assert freshness.unready() == ""


async def test_what_the_watches_have_not_shown_keeps_it_unsynced(freshness: Freshness, listing: Listing) -> None:
    listing.items[INFERENCE_SERVICES] = [obj(version=7)]
    await compare(freshness)
    assert "InferenceService ns/mistral" in freshness.unready()

    freshness.store.observe(INFERENCE_SERVICES, obj(version=6))
    await compare(freshness)
    assert freshness.unready()

    freshness.store.observe(INFERENCE_SERVICES, obj(version=7))
    await compare(freshness)
    assert freshness.unready() == ""


async def test_what_is_gone_is_dropped_and_its_service_told(freshness: Freshness, told: list[Any]) -> None:
    freshness.store.observe(PODS, child("a", version=99, uid="a"))
    freshness.store.observe(PODS, child("b", version=101, uid="b"))

    await compare(freshness)

    assert [pod["metadata"]["name"] for pod in freshness.store.all(PODS)] == ["b"], "b is younger than the listing"
    assert told == [("ns", "mistral")]


async def test_a_store_that_stays_behind_is_red_and_restarts_the_watches(
    freshness: Freshness, listing: Listing, clock: Clock, told: list[Any]
) -> None:
    await compare(freshness)
    listing.items[PODS] = [child(version=50)]
    await compare(freshness)
    assert freshness.overdue() == ""
    assert told == []

    clock.time += PATIENCE + 1
    await compare(freshness)
    assert "Pod ns/mistral" in freshness.overdue()
    assert told == ["restart"]
    await compare(freshness)
    assert told == ["restart"], "once a minute at most"

    freshness.store.observe(PODS, child(version=50))
    await compare(freshness)
    assert freshness.overdue() == ""
