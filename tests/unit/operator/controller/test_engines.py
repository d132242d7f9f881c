import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fairlead_operator.controller.engines import ALARM, LONGEST_ANSWER, Engines, worth_asking
from fairlead_operator.controller.kinds import PODS
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.store import Store
from fairlead_operator.core.load import Load
from fairlead_operator.core.seen import EngineState
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
    import asyncio  # noqa: PLC0415

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
    ["[" * 100_000, "x" * (LONGEST_ANSWER + 1), "not json", '{"version":2}', "[]", '{"version":1,"startedAt":"x"}'],
)
async def test_nonsense_changes_nothing(ask: Callable[..., Awaitable[tuple[Engines, list[Any]]]], body: str) -> None:
    engines, told = await ask(body)

    assert engines.states == {}
    assert told == []
    assert engines.metrics.engines_unreachable._value.get() == 1


async def test_who_answers_in_time_is_known_and_nobody_else_is_waited_for() -> None:
    import asyncio  # noqa: PLC0415

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
