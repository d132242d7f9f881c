import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fairlead_operator.controller.freshness import LONGEST_LISTING, PATIENCE, Freshness
from fairlead_operator.controller.kinds import DEPLOYMENTS, INFERENCE_SERVICES, PODS, WATCHED, Kind
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.store import Key, Listed, Store
from unit.operator.controller.objects import Clock, child, obj


class Listing:
    """Stands in for Cluster: what a metadata listing answers, by kind."""

    def __init__(self) -> None:
        self.items: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in WATCHED}
        self.revision = 100
        #: What may not be read, by kind and namespace.
        self.forbidden: set[tuple[Kind, str | None]] = set()

    async def list_versions(self, kind: Kind, namespace: str | None) -> tuple[list[Listed], int]:
        if (kind, namespace) in self.forbidden:
            raise ApiError(403, "Forbidden", f"{kind.plural} is forbidden in {namespace}")
        found = [item for item in self.items[kind] if namespace in {None, item["metadata"]["namespace"]}]
        return [Listed.of(item) for item in found], self.revision


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

    return Freshness(Store(now=clock), listing, (), lambda: told.append("restart"), changed, now=clock)  # type: ignore[arg-type]


async def compare(freshness: Freshness) -> None:
    freshness._judge(await freshness._settle())


async def lag(freshness: Freshness, listing: Listing) -> None:
    """In sync, and then a pod that no watch shows."""
    await compare(freshness)
    listing.items[PODS] = [child(version=50)]
    await compare(freshness)


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
    await lag(freshness, listing)
    assert freshness.overdue() == ""
    assert told == []

    clock.time += PATIENCE + 1
    await compare(freshness)
    assert "Pod ns/mistral" in freshness.overdue()
    assert told == ["restart"]
    await compare(freshness)
    assert told == ["restart"], "once a minute at most"
    assert freshness.behind() == "", "and then nothing more is wrong with them for a minute"

    clock.time += PATIENCE + 1
    assert freshness.behind() == freshness.overdue()

    freshness.store.observe(PODS, child(version=50))
    await compare(freshness)
    assert freshness.overdue() == freshness.behind() == ""


async def test_an_api_server_that_is_away_is_red_but_no_reason_to_restart_anything(
    freshness: Freshness, listing: Listing, clock: Clock, told: list[Any]
) -> None:
    """The kubelet would restart the operator again and again, for as long as the API server is away."""
    await compare(freshness)
    freshness._judge("it cannot be listed", listed=False)
    clock.time += PATIENCE + 1
    freshness._judge("it cannot be listed", listed=False)

    assert freshness.unready() == "it cannot be listed"
    assert freshness.behind() == ""
    assert told == []

    listing.items[PODS] = [child(version=50)]
    await compare(freshness)
    assert freshness.behind() == "", "the watches have their time from when it is back"
    clock.time += PATIENCE + 1
    await compare(freshness)
    assert "Pod ns/mistral" in freshness.overdue()
    assert freshness.behind() == "", "just restarted"
    assert told == ["restart"]


async def test_what_was_dropped_is_not_brought_back_by_late_news(freshness: Freshness) -> None:
    freshness.store.observe(PODS, child("a", version=90, uid="a"))
    await compare(freshness)

    assert not freshness.store.observe(PODS, child("a", version=95, uid="a"))
    assert freshness.store.observe(PODS, child("a", version=101, uid="a")), (
        "younger than the listing: it was there again"
    )


async def test_watches_that_begin_anew_are_a_reason_to_compare(freshness: Freshness) -> None:
    """Not only after the interval: what was deleted while nothing was watched is not told by any watch."""
    run = asyncio.create_task(freshness.run())
    await asyncio.wait_for(freshness.synced.wait(), 30)
    freshness.store.observe(PODS, child("a", version=90, uid="a"))

    freshness.look()

    async with asyncio.timeout(30):
        while freshness.store.count(PODS):  # noqa: ASYNC110 - the comparison empties it
            await asyncio.sleep(0)
    run.cancel()


def test_the_first_listings_are_no_reason(freshness: Freshness) -> None:
    freshness.look()

    assert not freshness._asked.is_set()


async def test_what_ended_after_it_was_listed_is_owed_no_more(
    freshness: Freshness, listing: Listing, clock: Clock
) -> None:
    listing.items[PODS] = [child("a", version=5, uid="p1")]
    assert "Pod ns/a" in await freshness._settle()
    freshness.store.end(PODS, ("ns", "a"), "p1", 7)

    listing.items[PODS] = []

    assert await freshness._settle() == ""


async def test_its_end_alone_is_enough_while_the_listing_still_has_it(freshness: Freshness, listing: Listing) -> None:
    listing.items[PODS] = [child("a", version=5, uid="p1")]
    freshness.store.end(PODS, ("ns", "a"), "p1", 7)

    assert await freshness._settle() == ""


async def change_for_minutes(freshness: Freshness, listing: Listing, clock: Clock, *, shown_late: bool) -> None:
    """At every look a pod has a version that no watch has shown; after it one has, or none ever does."""
    await compare(freshness)
    for number in range(20):
        pod = child("a", version=number + 5, uid="p1")
        listing.items[PODS] = [pod]
        await compare(freshness)
        if shown_late:
            freshness.store.observe(PODS, pod)
        clock.time += 10


async def test_watches_that_lag_with_ever_other_objects_are_not_dead(
    freshness: Freshness, listing: Listing, clock: Clock, told: list[Any]
) -> None:
    """In a mass update something is behind at every look, and each time it is something else."""
    await change_for_minutes(freshness, listing, clock, shown_late=True)

    assert told == []
    assert freshness.unready() == ""


async def test_a_watch_that_never_shows_what_goes_on_changing_is_dead(
    freshness: Freshness, listing: Listing, clock: Clock, told: list[Any]
) -> None:
    await change_for_minutes(freshness, listing, clock, shown_late=False)

    assert "restart" in told
    assert "Pod ns/a" in freshness.unready()


async def test_one_listing_waits_for_as_long_as_what_it_showed_goes_on_coming(
    freshness: Freshness, listing: Listing, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_operator.controller.freshness.RETRY", 5.0)
    names = [f"p{number}" for number in range(9)]
    listing.items[PODS] = [child(name, version=5, uid=name) for name in names]

    async def sleep(_: float) -> None:
        clock.time += 4
        if len(names) > 1:
            name = names.pop()
            freshness.store.observe(PODS, child(name, version=5, uid=name))

    monkeypatch.setattr("fairlead_operator.controller.freshness.asyncio.sleep", sleep)

    assert "1 objects were not shown by the watches, Pod ns/p0" in await freshness._settle()
    assert names == ["p0"]


async def arriving(freshness: Freshness, listing: Listing, clock: Clock) -> AsyncIterator[int]:
    """A large cluster on its way: every half a minute a comparison, and then another pod has come; yields how many are left."""
    names = [f"p{number}" for number in range(9)]
    listing.items[PODS] = [child(name, version=5, uid=name) for name in names]
    while names:
        await compare(freshness)
        yield len(names)
        clock.time += 30
        name = names.pop()
        freshness.store.observe(PODS, child(name, version=5, uid=name))
    await compare(freshness)
    yield 0


async def test_a_first_listing_that_takes_minutes_is_no_reason_to_end_the_process(
    freshness: Freshness, listing: Listing, clock: Clock
) -> None:
    async for left in arriving(freshness, listing, clock):
        assert freshness.behind() == ""
        assert freshness.synced.is_set() == (left == 0)


async def test_watches_that_were_restarted_get_their_time(
    freshness: Freshness, listing: Listing, clock: Clock, told: list[Any]
) -> None:
    await compare(freshness)
    listing.items[PODS] = [child("p8", version=4, uid="p8")]
    await compare(freshness)
    clock.time += PATIENCE + 1
    await compare(freshness)
    assert told == ["restart"]

    async for _ in arriving(freshness, listing, clock):
        assert freshness.behind() == ""
    assert told == ["restart"]


async def test_a_first_listing_of_which_nothing_comes_is_red_after_a_minute(
    freshness: Freshness, listing: Listing, clock: Clock
) -> None:
    arrivals = arriving(freshness, listing, clock)
    for _ in range(3):
        await anext(arrivals)

    clock.time += PATIENCE + 1

    await compare(freshness)
    assert "objects were not shown" in freshness.behind()


async def test_what_never_comes_is_hidden_by_what_does_for_some_minutes_only(
    freshness: Freshness, listing: Listing, clock: Clock, told: list[Any]
) -> None:
    """After a restart of the watches, with changes that never end."""
    await compare(freshness)
    freshness._listing_until = clock.time + LONGEST_LISTING
    for number in range(40):
        changing = child("a", version=number + 5, uid="p1")
        listing.items[PODS] = [child("lost", version=5, uid="p0"), changing]
        await compare(freshness)
        freshness.store.observe(PODS, changing)
        clock.time += 30

    assert told == ["restart"]


async def test_watches_that_show_again_what_is_known_get_their_time_for_what_was_lost(
    freshness: Freshness, listing: Listing, clock: Clock, told: list[Any]
) -> None:
    """Of a store that is full nothing is owed but one object, and its page comes last."""
    known = [child(f"p{number}", version=5, uid=f"p{number}") for number in range(9)]
    listing.items[PODS] = known
    for pod in known:
        freshness.store.observe(PODS, pod)
    await compare(freshness)
    lost = child("p0", version=6, uid="p0")
    listing.items[PODS] = [lost, *known[1:]]
    await compare(freshness)
    clock.time += PATIENCE + 1
    await compare(freshness)
    assert told == ["restart"]

    for pod in known[1:]:
        clock.time += 30
        freshness.store.observe(PODS, pod)
        await compare(freshness)
        assert freshness.behind() == ""
    freshness.store.observe(PODS, lost)
    await compare(freshness)

    assert told == ["restart"]
    assert freshness.unready() == ""


async def test_watches_that_stay_dead_after_two_restarts_are_for_the_kubelet(
    freshness: Freshness, listing: Listing, clock: Clock, told: list[Any]
) -> None:
    await lag(freshness, listing)
    for _ in range(2):
        assert freshness.behind() == ""
        clock.time += PATIENCE + 1
        await compare(freshness)

    assert told == ["restart"] * 2
    for _ in range(6):
        clock.time += 10
        await compare(freshness)
        assert "Pod ns/mistral" in freshness.behind(), "for as long as the kubelet looks"

    freshness.store.observe(PODS, child(version=50))
    await compare(freshness)
    assert freshness.behind() == ""


@pytest.fixture
def two(freshness: Freshness) -> Freshness:
    """Of two named namespaces."""
    freshness.namespaces = ("ns", "other")
    return freshness


def closed(*namespaces: str) -> set[tuple[Kind, str | None]]:
    """Namespaces whose Role is gone with them."""
    return {(kind, namespace) for kind in WATCHED for namespace in namespaces}


async def test_a_namespace_that_is_gone_keeps_no_other_from_being_served(two: Freshness, listing: Listing) -> None:
    listing.forbidden = closed("other")
    listing.items[PODS] = [child(version=50)]
    two.store.observe(PODS, child(version=50))

    await compare(two)

    assert two.unready() == ""


OTHER = {**obj(version=50), "metadata": {**obj(version=50)["metadata"], "namespace": "other"}}
OF_OTHER = {**child(version=51), "metadata": {**child(version=51)["metadata"], "namespace": "other"}}


@pytest.fixture
def served(two: Freshness, listing: Listing) -> Freshness:
    """In the second namespace there are a service and a child of it."""
    for kind, item in ((INFERENCE_SERVICES, OTHER), (DEPLOYMENTS, OF_OTHER)):
        listing.items[kind] = [item]
        two.store.observe(kind, item)
    return two


async def test_services_of_a_closed_namespace_are_forgotten_after_a_while(
    served: Freshness, listing: Listing, told: list[Any], clock: Clock
) -> None:
    """An API server in its start refuses too. A service that comes back must meet its children."""
    listing.forbidden = closed("other")
    for _ in range(3):
        await compare(served)
    assert served.store.count(INFERENCE_SERVICES) == 1

    clock.time += PATIENCE + 1
    await compare(served)
    assert (served.store.count(INFERENCE_SERVICES), served.store.count(DEPLOYMENTS)) == (0, 1)
    assert told == [("other", "mistral")]

    listing.forbidden = set()
    assert "InferenceService other/mistral" in await served._settle(), "the watches have to show it again"


async def test_an_open_namespace_between_two_refusals_begins_anew(
    served: Freshness, listing: Listing, clock: Clock
) -> None:
    for forbidden in (closed("other"), set(), closed("other")):
        listing.forbidden = forbidden
        await compare(served)
        clock.time += PATIENCE + 1

    assert served.store.count(INFERENCE_SERVICES) == 1


async def test_an_api_server_that_refuses_everything_makes_nothing_forgotten(
    served: Freshness, listing: Listing, clock: Clock
) -> None:
    listing.forbidden = closed("ns", "other")
    for _ in range(3):
        with pytest.raises(ApiError):
            await served._settle()
        clock.time += PATIENCE + 1

    assert served.store.count(INFERENCE_SERVICES) == 1


@pytest.mark.parametrize(
    "forbidden", [closed("ns", "other"), {(PODS, "other")}], ids=["all namespaces", "one kind of one namespace"]
)
async def test_rights_that_are_missing_are_told(
    two: Freshness, listing: Listing, forbidden: set[tuple[Kind, str | None]]
) -> None:
    """A namespace that is gone refuses everything; a Role that lacks something would make us lie."""
    listing.forbidden = forbidden

    with pytest.raises(ApiError, match="forbidden"):
        await two._settle()
