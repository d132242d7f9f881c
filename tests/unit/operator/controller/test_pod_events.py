from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead_operator.controller.kinds import Kind
from fairlead_operator.controller.pod_events import MOST, PodEvents, creating_since, pod_event
from unit.operator.controller.objects import Clock

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def pod(seconds: float = 30, **status: Any) -> dict[str, Any]:
    """A pod that got its node so many seconds before noon."""
    moment = (NOON - timedelta(seconds=seconds)).isoformat()
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": moment}
    return {
        "metadata": {"namespace": "ns", "name": "p", "uid": "u"},
        "status": {"phase": "Pending", "conditions": [scheduled], **status},
    }


def waiting(reason: str) -> dict[str, Any]:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason}}}]}


@pytest.mark.parametrize(
    ("given", "creating"),
    [
        pytest.param(pod(), True, id="no container status yet"),
        pytest.param(pod(**waiting("ContainerCreating")), True, id="containers are being created"),
        pytest.param(pod(**waiting("ErrImagePull")), False, id="the pod itself says what is wrong"),
        pytest.param(pod(phase="Running"), False, id="running"),
        pytest.param(pod(conditions=[]), False, id="no node"),
        pytest.param({**pod(), "metadata": {"deletionTimestamp": "now", "uid": "u"}}, False, id="on its way out"),
    ],
)
def test_which_pods_wait_for_their_containers(given: dict[str, Any], creating: bool) -> None:  # noqa: FBT001
    assert (creating_since(given) is not None) == creating


class Events:
    """Stands in for Cluster, and counts."""

    def __init__(self) -> None:
        self.listings: list[str] = []

    async def list_all(self, kind: Kind, namespace: str | None, **query: str) -> list[dict[str, Any]]:
        self.listings.append(query["fieldSelector"])
        raw = {"type": "Warning", "reason": "FailedMount", "message": "no", "count": 3, "metadata": {}}
        return [{**raw, "lastTimestamp": "2026-11-24T11:59:00Z"}]


async def test_events_are_listed_for_late_pods_only_and_remembered() -> None:
    events, time = Events(), [NOON]
    asked = PodEvents(events, now=lambda: time[0])  # type: ignore[arg-type]

    early, again = await asked.of((pod(seconds=5),))
    assert early == {}
    assert again == NOON + timedelta(seconds=10)
    assert events.listings == []

    found, _ = await asked.of((pod(seconds=11),))
    await asked.of((pod(seconds=11),))
    assert found["u"][0].reason == "FailedMount"
    assert events.listings == ["involvedObject.uid=u"]

    time[0] += timedelta(seconds=16)
    await asked.of((pod(seconds=11),))
    assert len(events.listings) == 2


def container(**status: Any) -> dict[str, Any]:
    return {"containerStatuses": [status]}


def ended(code: int, **status: Any) -> dict[str, Any]:
    return container(lastState={"terminated": {"exitCode": code}}, state={"running": {}}, **status)


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        pytest.param(pod(**waiting("ImagePullBackOff")), True, id="an image that cannot be pulled"),
        pytest.param(pod(**waiting("CreateContainerConfigError")), True, id="a Secret that is not there"),
        pytest.param(pod(phase="Running", **waiting("CrashLoopBackOff")), False, id="a crash has left a record"),
        pytest.param(pod(phase="Running", **ended(137)), True, id="killed, perhaps by a probe"),
        pytest.param(pod(phase="Running", **ended(0)), True, id="stopped, perhaps by a probe"),
        pytest.param(pod(phase="Running", **ended(1)), False, id="ended by itself"),
        pytest.param(pod(phase="Running", **ended(137, ready=True)), False, id="killed once, and Ready again"),
        pytest.param(pod(phase="Running", **ended(137, ready=True, restartCount=3)), True, id="killed often"),
        pytest.param({**pod(**waiting("ErrImagePull")), "metadata": {"deletionTimestamp": "now", "uid": "u"}}, False, id="on its way out"),
    ],
)  # fmt: skip
async def test_which_pods_events_are_listed(given: dict[str, Any], listed: bool) -> None:  # noqa: FBT001
    events = Events()

    found, _ = await PodEvents(events, now=lambda: NOON).of((given,))  # type: ignore[arg-type]

    assert (events.listings != []) == listed
    assert ("u" in found) == listed


async def test_a_refused_container_is_looked_at_again_for_its_count_and_a_killed_one_is_not() -> None:
    asked = PodEvents(Events(), now=lambda: NOON)  # type: ignore[arg-type]

    assert (await asked.of((pod(**waiting("ErrImagePull")),)))[1] == NOON + timedelta(seconds=15)
    assert (await asked.of((pod(phase="Running", **ended(137)),)))[1] is None


async def test_a_thousand_failing_pods_cost_a_handful_of_listings() -> None:
    events = Events()
    many = [{**pod(**waiting("ErrImagePull")), "metadata": {"namespace": "ns", "name": "p", "uid": f"u{n}", "creationTimestamp": f"{n:05}"}} for n in range(1000)]  # fmt: skip

    found, _ = await PodEvents(events, now=lambda: NOON).of(tuple(reversed(many)))  # type: ignore[arg-type]

    assert sorted(found) == sorted(f"u{n}" for n in range(MOST))


async def test_finished_pods_take_nobodys_place() -> None:
    """Evicted pods stay for days, and are the oldest."""
    gone = [{**pod(phase="Failed", **ended(137)), "metadata": {"namespace": "ns", "name": "p", "uid": f"u{n}", "creationTimestamp": f"{n:05}"}} for n in range(MOST)]  # fmt: skip
    late = {**pod(), "metadata": {"namespace": "ns", "name": "q", "uid": "late", "creationTimestamp": "99999"}}

    found, _ = await PodEvents(Events(), now=lambda: NOON).of((*gone, late))  # type: ignore[arg-type]

    assert found.keys() == {"late"}


async def test_where_listings_take_long_they_are_few_and_what_was_seen_is_still_told() -> None:
    """The API server reads all events of the namespace for each: with thousands of pods that pull their images they would be all it does."""
    events, time, clock = Events(), [NOON], Clock()
    asked = PodEvents(events, now=lambda: time[0], clock=clock)  # type: ignore[arg-type]
    listed = events.list_all

    async def slowly(kind: Kind, namespace: str | None, **query: str) -> list[dict[str, Any]]:
        clock.time += 1.5
        return await listed(kind, namespace, **query)

    events.list_all = slowly  # type: ignore[method-assign]
    many = tuple({**pod(), "metadata": {"namespace": "ns", "name": "p", "uid": f"u{n}", "creationTimestamp": f"{n}"}} for n in range(4))  # fmt: skip

    found, _ = await asked.of(many)
    assert {key: len(seen) for key, seen in found.items()} == {"u0": 1, "u1": 1, "u2": 0, "u3": 0}

    time[0] += timedelta(seconds=16)
    found, again = await asked.of(many)
    assert {key: len(seen) for key, seen in found.items()} == {"u0": 1, "u1": 1, "u2": 0, "u3": 0}
    assert again is not None
    assert len(events.listings) == 2

    clock.time += 60
    found, _ = await asked.of(many)
    assert len(events.listings) == 4, "three seconds are earned in a minute, and two may be spent at once"
    assert all(found.values()), "those that were never listed came first"


async def test_a_killed_pod_whose_events_could_not_be_listed_is_looked_at_again() -> None:
    clock = Clock()
    asked = PodEvents(Events(), now=lambda: NOON, clock=clock)  # type: ignore[arg-type]
    killed = pod(phase="Running", **ended(137))
    asked._allowance = (0.0, clock.time)

    assert await asked.of((killed,)) == ({"u": ()}, NOON + timedelta(seconds=15))
    clock.time += 60
    found, again = await asked.of((killed,))
    assert len(found["u"]) == 1
    assert again is None


async def test_a_listing_that_waited_for_its_turn_costs_no_more_than_is_spent_at_once() -> None:
    """The API server asked somebody for silence, and is as quick as ever."""
    events, clock = Events(), Clock()
    asked = PodEvents(events, now=lambda: NOON, clock=clock)  # type: ignore[arg-type]
    listed = events.list_all

    async def after_silence(kind: Kind, namespace: str | None, **query: str) -> list[dict[str, Any]]:
        clock.time += 30
        return await listed(kind, namespace, **query)

    events.list_all = after_silence  # type: ignore[method-assign]
    await asked.of((pod(),))
    events.list_all = listed  # type: ignore[method-assign]
    clock.time += 1

    await asked.of(({**pod(), "metadata": {"namespace": "ns", "name": "q", "uid": "v"}},))

    assert len(events.listings) == 2


@pytest.mark.parametrize(
    ("reason", "path", "told"),
    [
        pytest.param("Failed", "spec.containers{engine}", True, id="the engine's image"),
        pytest.param("Failed", None, True, id="an image volume's"),
        pytest.param("Failed", "spec.initContainers{vault}", False, id="an image that somebody added"),
        pytest.param("Killing", "spec.containers{istio-proxy}", False, id="a probe that somebody added"),
        pytest.param("Pulled", "spec.initContainers{vault}", True, id="what went well says how far the pod is"),
    ],
)
async def test_failures_of_containers_that_somebody_added_are_not_the_engines(
    reason: str,
    path: str | None,
    told: bool,  # noqa: FBT001
) -> None:
    events = Events()

    async def list_all(*_: Any, **__: Any) -> list[dict[str, Any]]:
        about = {"involvedObject": {"fieldPath": path}} if path else {}
        return [{"reason": reason, "message": "x", "metadata": {}, "lastTimestamp": "2026-11-24T11:59:00Z", **about}]

    events.list_all = list_all  # type: ignore[method-assign]

    found, _ = await PodEvents(events, now=lambda: NOON).of((pod(),))  # type: ignore[arg-type]

    assert len(found["u"]) == told


async def test_nothing_is_looked_up_when_no_pod_waits() -> None:
    events = Events()

    assert await PodEvents(events, now=lambda: NOON).of((pod(phase="Running"),)) == ({}, None)  # type: ignore[arg-type]
    assert events.listings == []


def test_both_forms_of_an_event_are_read() -> None:
    series = {"metadata": {}, "reason": "R", "series": {"count": 7, "lastObservedTime": "2026-11-24T11:00:00.5Z"}}
    old = {"metadata": {"creationTimestamp": "2026-11-24T10:00:00Z"}, "reason": "R"}

    assert (pod_event(series).count, pod_event(series).last_seen.microsecond) == (7, 500_000)
    assert (pod_event(old).count, pod_event(old).last_seen.hour) == (1, 10)
