import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead_operator.api.autoscaling import Autoscaling
from fairlead_operator.controller.engines import ALARM, LONGEST_ANSWER, UNREADABLE, Engines, worth_asking
from fairlead_operator.controller.kinds import PODS
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.store import Store
from fairlead_operator.core.autoscale import Replica, decide
from fairlead_operator.core.load import Load
from fairlead_operator.core.seen import EngineState
from fairlead_operator.core.status import build_status
from unit.operator.builders import NOW, observed, ready, service, snapshot
from unit.operator.controller.objects import child

READY = [{"type": "Ready", "status": "True"}]
RUNNING: list[dict[str, Any]] = [{"state": {"running": {}}}]
ARRIVED = EngineState(datetime(2026, 11, 24, tzinfo=UTC), phase="ready")


def pod(**status: Any) -> dict[str, Any]:
    return {**child(), "status": {"podIP": "127.0.0.1", "containerStatuses": RUNNING, **status}}


@pytest.mark.parametrize(
    ("given", "known", "worth"),
    [
        pytest.param(pod(), None, True, id="it starts"),
        pytest.param(pod(conditions=READY), None, True, id="Ready, but its numbers are not known yet"),
        pytest.param(pod(conditions=READY), ARRIVED, False, id="Ready, and known"),
        pytest.param(pod(), ARRIVED, True, id="it was ready and is not Ready any more"),
        pytest.param(pod(podIP=None), None, False, id="no address"),
        pytest.param(pod(containerStatuses=[{"state": {"waiting": {}}}]), None, False, id="no container runs"),
        pytest.param({**pod(), "metadata": {"deletionTimestamp": "now"}}, None, False, id="on its way out"),
    ],
)
def test_which_pods_are_asked(given: dict[str, Any], known: EngineState | None, worth: bool) -> None:  # noqa: FBT001
    assert worth_asking(given, known) == worth


def test_an_autoscaled_pod_is_asked_for_ever() -> None:
    assert worth_asking(pod(conditions=READY), ARRIVED, autoscaled=True)
    assert not worth_asking(pod(conditions=READY, podIP=None), ARRIVED, autoscaled=True)


@pytest.fixture
async def ask() -> AsyncIterator[Callable[[Any], Awaitable[tuple[Engines, list[Any]]]]]:
    """Asks a pod that answers `body`; returns the poller and whom it told."""
    servers = []

    async def question(*bodies: Any) -> tuple[Engines, list[Any]]:
        answers = iter(bodies)

        async def state(_: web.Request) -> web.Response:
            return web.Response(text=next(answers))

        app = web.Application()
        app.router.add_get("/state", state)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        told: list[Any] = []

        async def unreachable(_: Any, pod: Any) -> None:
            told.append(pod["metadata"]["name"])

        engines = Engines(Store(), Metrics(), told.append, unreachable, port=server.port or 0)
        engines.store.observe(PODS, pod())
        async with aiohttp.ClientSession() as session:
            for _ in bodies:
                await engines._ask(session, asyncio.Semaphore(1), pod())
        return engines, told

    yield question
    for server in servers:
        await server.close()


async def test_news_is_kept_and_told_once(ask: Callable[..., Awaitable[tuple[Engines, list[Any]]]]) -> None:
    loading, warming = '{"version":1,"phase":"loading"}', '{"version":1,"phase":"warming"}'

    engines, told = await ask(loading, loading, warming)

    assert engines.states["c1"].phase == "warming"
    assert told == [("ns", "mistral")] * 2


async def test_long_silence_is_told_once(ask: Callable[..., Awaitable[tuple[Engines, list[Any]]]]) -> None:
    _, told = await ask(*["nonsense"] * (ALARM + 3))

    assert told == ["mistral"]


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        "x" * (LONGEST_ANSWER + 1),
        "not json",
        '{"version":2}',
        "[]",
        '{"version":1,"startedAt":"x"}',
        '{"version":1,"startedAt":' + "9" * 400 + "}",
        '{"version":1,"phase":"ready","inflight":{"running":1e999}}',
        '{"version":1,"phase":"ready","inflight":{"running":NaN}}',
        '{"version":1,"startup":{"loaded":1e999}}',
        '{"version":1,"startup":[3]}',
        '{"version":1,"engine":"vLLM"}',
        '{"version":1,"model":{"name":"\\ud800"}}',
    ],
)
async def test_nonsense_changes_nothing(ask: Callable[..., Awaitable[tuple[Engines, list[Any]]]], body: str) -> None:
    engines, told = await ask(body)

    assert engines.states == {}
    assert told == []
    assert engines.metrics.engines_unreachable._value.get() == 1


NUMBERS = st.sampled_from([0, -1, 3, 2**31, 2**63, 10**400, 0.5, -1e300, 1e300, float("inf"), float("nan"), True])
VALUES = NUMBERS | st.none() | st.text(max_size=3) | st.just("x" * 5000) | st.lists(st.integers(0, 9), max_size=2)
STATES = st.fixed_dictionaries(
    {"version": st.just(1), "phase": st.sampled_from(["ready", "loading"]) | VALUES},
    optional={
        "startedAt": VALUES,
        "startup": VALUES | st.dictionaries(st.sampled_from(["imported", "loaded", "ready"]), VALUES),
        "model": VALUES | st.dictionaries(st.sampled_from(["name", "parameters", "maxModelLen", "revision"]), VALUES),
        "memory": VALUES | st.dictionaries(st.sampled_from(["weightsBytes", "kvCacheTokens", "maxConcurrency"]), VALUES),
        "engine": VALUES | st.dictionaries(st.sampled_from(["version", "command"]), VALUES, min_size=1),
        "effective": VALUES | st.fixed_dictionaries({"engine.maxNumSeqs": VALUES | st.fixed_dictionaries({"value": VALUES})}),
        "inflight": VALUES
        | st.dictionaries(st.sampled_from(["running", "waiting", "kvCacheUsagePercent", "idleSeconds"]), VALUES),
    },
)  # fmt: skip


@given(STATES)
@example({"version": 1, "phase": "ready", "inflight": {"running": 10**400, "waiting": 1}})
@example({"version": 1, "phase": "loading", "startup": {"loaded": 10**400}, "engine": {"version": "0.33.0"}})
@example({"version": 1, "phase": "x" * 5000, "engine": {"command": 3}})
@example({"version": 1, "model": {"parameters": 10**400, "maxModelLen": 2**31}, "engine": {"version": "0.33.0"}})
def test_whatever_a_pod_says_is_refused_or_can_be_told_and_scaled_on(body: dict[str, Any]) -> None:
    try:
        state = EngineState.from_json(json.loads(json.dumps(body)), NOW)
    except UNREADABLE:
        return

    replicas = [Replica(ready=True, load=state.load)]
    decide(Autoscaling.model_validate({"maxReplicas": 8}), 1, replicas, None, NOW)
    seen: dict[str, Any] = {"states": {"uid-mistral-0": state}}
    pods = service(), ready()
    build_status(snapshot(*pods, **seen), service().outcome, observed(*pods, **seen))


async def test_a_bug_about_one_pod_is_said_each_time_and_the_others_are_asked(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Engines):
        async def _fetch(self, session: aiohttp.ClientSession, pod: dict[str, Any]) -> EngineState:
            if pod["metadata"]["name"] == "odd":
                raise ZeroDivisionError
            return ARRIVED

    engines = Broken(Store(), Metrics(), lambda _: None, None)  # type: ignore[arg-type]
    for name in ("even", "odd"):
        engines.store.observe(PODS, {**pod(), "metadata": child(name, uid=name)["metadata"]})
    asking = asyncio.create_task(engines.run())

    await asyncio.wait([asking, asyncio.create_task(engines.polled.wait())], return_when=asyncio.FIRST_COMPLETED)

    assert not asking.done()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert engines.states == {"even": ARRIVED}
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.exc_info
    assert said.exc_info[0] is ZeroDivisionError


async def test_who_answers_in_time_is_known_and_nobody_else_is_waited_for() -> None:
    async def state(request: web.Request) -> web.Response:
        if request.host.startswith("127.0.0.2"):
            await asyncio.sleep(60)
        return web.json_response({"version": 1, "phase": "ready", "inflight": {"running": 2, "waiting": 1}})

    app = web.Application()
    app.router.add_get("/state", state)
    async with TestServer(app, host="0.0.0.0", handler_cancellation=True) as server:
        engines = Engines(Store(), Metrics(), lambda _: None, None, port=server.port or 0)  # type: ignore[arg-type]
        answering, silent, gone, pending = (
            {**pod(podIP=address), "metadata": {**child()["metadata"], "uid": address or "pending"}}
            for address in ("127.0.0.1", "127.0.0.2", "::ffff:0.0.0.1", None)
        )

        loads = await engines.loads([answering, silent, gone, pending], within=1.5)

    assert loads == {"127.0.0.1": Load(2, 1)}


async def test_a_pod_with_an_ipv6_address_is_asked_at_it() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")

    async def state(_: web.Request) -> web.Response:
        return web.json_response({"version": 1, "phase": "ready", "inflight": {"running": 2, "waiting": 1}})

    app = web.Application()
    app.router.add_get("/state", state)
    async with TestServer(app, host="::1") as server:
        engines = Engines(Store(), Metrics(), lambda _: None, None, port=server.port or 0)  # type: ignore[arg-type]

        loads = await engines.loads([pod(podIP="::1")], within=5)

    assert list(loads.values()) == [Load(2, 1)]


async def test_pods_that_do_not_answer_delay_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A NetworkPolicy drops the questions to as many as are asked at a time; each costs its whole time."""
    monkeypatch.setattr("fairlead_operator.controller.engines.INTERVAL", 0.0)
    asked: list[str] = []
    answered = asyncio.Event()

    class Dropped(Engines):
        async def _fetch(self, session: aiohttp.ClientSession, pod: dict[str, Any]) -> EngineState:
            asked.append(pod["metadata"]["name"])
            if pod["metadata"]["name"] == "silent":
                await asyncio.Event().wait()
            if asked.count("talking") == 5:
                answered.set()
            return EngineState(NOW, phase="loading")

    engines = Dropped(Store(), Metrics(), lambda _: None, None)  # type: ignore[arg-type]
    for name in ("talking", "silent"):
        engines.store.observe(PODS, {**pod(), "metadata": child(name, uid=name)["metadata"]})
    engines._unanswered["silent"] = ALARM
    asking = asyncio.create_task(engines.run())

    async with asyncio.timeout(30):
        await answered.wait()

    assert asked.count("silent") == 1
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
