"""When a service is looked at, and what is written. What is decided is in core/test_autoscale.py."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead_operator.controller.autoscaler import FRESH, Autoscaler
from fairlead_operator.controller.engines import Engines
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, PODS
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.store import Store
from fairlead_operator.core.autoscale import State
from fairlead_operator.core.load import Load
from fairlead_operator.core.seen import EngineState
from unit.operator.controller.objects import child, obj

KEY = ("ns", "mistral")
START = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
BUSY = Load(running=4, waiting=31)


def service(version: int = 1, *, replicas: Any = 1, uid: str = "cr", **spec: Any) -> dict[str, Any]:
    rules = {"autoscaling": {"maxReplicas": 6}}
    return {**obj(version=version, uid=uid), "spec": {"replicas": replicas, **rules, **spec}}


def pod(**status: Any) -> dict[str, Any]:
    return {**child(), "status": {"conditions": [{"type": "Ready", "status": "True"}], **status}}


class Server:
    """Stands in for Cluster."""

    def __init__(self) -> None:
        self.wrote: list[tuple[str, int]] = []
        self.refuses: ApiError | None = None

    async def scale(self, service: dict[str, Any], replicas: int) -> int:
        if self.refuses:
            raise self.refuses
        self.wrote.append((service["metadata"]["resourceVersion"], replicas))
        return int(service["metadata"]["resourceVersion"]) + 1


class World:
    """One service of one pod, which is busy."""

    def __init__(self) -> None:
        self.server, self.told, self.now, self.leads = Server(), list[Any](), START, True
        store = Store()
        self.engines = Engines(store, Metrics(), lambda _: None, None)  # type: ignore[arg-type]
        self.autoscaler = Autoscaler(
            store,
            self.server,  # type: ignore[arg-type]
            self.engines,
            self.told.append,
            lambda: self.leads,
            lambda: self.now,
        )
        store.observe(INFERENCE_SERVICES, service())
        store.observe(PODS, pod())
        self.hears(BUSY)

    @property
    def store(self) -> Store:
        return self.autoscaler.store

    def hears(self, load: Load | None) -> None:
        self.engines.states["c1"] = EngineState(self.now, phase="ready", load=load)

    async def look(self) -> list[int]:
        """What is written now."""
        before = len(self.server.wrote)
        await self.autoscaler.look()
        self.now += timedelta(seconds=5)
        return [replicas for _, replicas in self.server.wrote[before:]]


@pytest.fixture
def world() -> World:
    return World()


async def test_the_version_that_was_decided_on_is_scaled(world: World) -> None:
    await world.look()

    assert world.server.wrote == [("1", 4)]
    assert world.told == [KEY]
    (decision,) = world.autoscaler.progress[KEY].decisions
    assert (decision.time, decision.from_, decision.to) == (START, 1, 4)


async def test_nothing_is_decided_before_the_watch_has_shown_the_last_decision(world: World) -> None:
    await world.look()
    world.hears(Load(4, 500))

    assert await world.look() == []
    world.store.observe(INFERENCE_SERVICES, service(2, replicas=4))
    assert await world.look() == [6]


async def test_a_write_in_between_is_looked_at_anew(world: World) -> None:
    world.server.refuses = ApiError(409, "Conflict", "the object has been modified")
    assert await world.look() == []
    assert world.autoscaler.progress[KEY].decisions == ()

    world.server.refuses = None

    assert await world.look() == [4]


async def test_a_bug_about_one_service_is_said_each_time_and_the_others_are_scaled(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    odd = service(uid="odd", replicas="many")
    world.store.observe(INFERENCE_SERVICES, {**odd, "metadata": {**odd["metadata"], "name": "a"}})

    assert await world.look() == [4]
    assert await world.look() == []
    said = [record.exc_info for record in caplog.records if record.exc_info]
    assert [bug[0] for bug in said] == [ValueError, ValueError]


@pytest.mark.parametrize("code", [0, 403, 500])
async def test_a_refusal_ends_nothing(world: World, code: int) -> None:
    world.server.refuses = ApiError(code, "", "no")

    assert await world.look() == []


async def test_only_news_is_told(world: World) -> None:
    for running in range(5):
        world.hears(Load(running, 0))
        await world.look()

    assert world.told == [KEY]
    world.engines.states.clear()
    await world.look()
    assert world.told == [KEY, KEY]
    assert world.autoscaler.progress[KEY].outlook.state is State.UNAVAILABLE


async def test_an_answer_grows_old(world: World) -> None:
    world.now += FRESH + timedelta(seconds=1)

    assert await world.look() == []
    assert world.autoscaler.progress[KEY].outlook.state is State.UNAVAILABLE


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda world: world.store.observe(INFERENCE_SERVICES, service(2, autoscaling=None)), id="not autoscaled"),
        pytest.param(lambda world: world.store.observe(INFERENCE_SERVICES, service(2, autoscaling={"maxReplicas": "x"})), id="unreadable rules"),
        pytest.param(lambda world: world.store.observe(INFERENCE_SERVICES, service(2, suspend=True)), id="suspended"),
        pytest.param(lambda world: world.store.observe(INFERENCE_SERVICES, service(2, replicas=0)), id="asleep"),
        pytest.param(lambda world: world.store.observe(INFERENCE_SERVICES, {**service(2), "status": {"conditions": [{"type": "Accepted", "status": "False"}]}}), id="refused"),
        pytest.param(lambda world: world.store.observe(INFERENCE_SERVICES, {**service(2), "metadata": {**service(2)["metadata"], "deletionTimestamp": "now"}}), id="on its way out"),
        pytest.param(lambda world: world.store.observe(PODS, {**pod(), "metadata": {**child(version=2)["metadata"], "deletionTimestamp": "now"}}), id="the pod is on its way out"),
        pytest.param(lambda world: world.store.observe(PODS, {**pod(phase="Failed"), "metadata": child(version=2)["metadata"]}), id="the pod is finished"),
    ],
)  # fmt: skip
async def test_what_is_not_scaled(world: World, change: Callable[[World], None]) -> None:
    change(world)

    assert await world.look() == []


async def test_a_pods_trouble_does_not_stop_it(world: World) -> None:
    """A Secret that the new pods miss makes Accepted False while the former ones serve."""
    said = [{"type": "Accepted", "status": "False", "reason": "SecretNotFound"}, {"type": "UpToDate", "status": "False", "reason": "RollingOut"}]  # fmt: skip
    world.store.observe(INFERENCE_SERVICES, {**service(2), "status": {"conditions": said}})

    assert await world.look() == [4]
    assert world.autoscaler.progress[KEY].of == "cr"


async def test_what_is_remembered_goes_with_the_service(world: World) -> None:
    await world.look()
    world.store.remove(INFERENCE_SERVICES, KEY, "cr")
    await world.look()

    assert world.autoscaler.progress == {}
    world.store.observe(INFERENCE_SERVICES, service(1, uid="successor"))
    assert await world.look() == [4]


async def test_a_standby_only_looks_when_it_leads(world: World) -> None:
    import asyncio  # noqa: PLC0415

    world.leads = False
    task = asyncio.create_task(world.autoscaler.run())
    for leads, expected in ((False, []), (True, [("1", 4)])):
        world.leads = leads
        world.engines.polled.set()
        while world.engines.polled.is_set():  # noqa: ASYNC110 - until it has taken notice
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)

        assert world.server.wrote == expected
    task.cancel()
