"""kopf's requests over the wire, against a server that ends each watch at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from fairlead_operator.controller.bucket import TokenBucket
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.pacing import IN_A_ROW, Pacing

PODS, SERVICES = "/api/v1/pods", "/api/v1/services"


@pytest.fixture
async def asked() -> AsyncIterator[tuple[TestServer, Counter[str]]]:
    counted: Counter[str] = Counter()

    async def handle(request: web.Request) -> web.Response:
        counted[request.path_qs] += 1
        return web.Response(status=500 if "broken" in request.query else 200)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(app)
    await server.start_server()
    yield server, counted
    await server.close()


async def ask(session: ClientSession, url: str, times: int) -> None:
    for _ in range(times):
        async with session.get(url):
            pass


async def test_one_watch_that_ends_at_once_is_asked_for_slowly_and_delays_no_other(
    asked: tuple[TestServer, Counter[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, counted = asked
    monkeypatch.setattr("fairlead_operator.controller.pacing.SECONDS", 600.0)
    pacing = Pacing(TokenBucket(1000, 1000), Metrics(), lambda: None)
    async with ClientSession(server.make_url(""), middlewares=(pacing,)) as session:
        hurried = asyncio.create_task(ask(session, f"{PODS}?watch=true", 1000))
        while counted[f"{PODS}?watch=true"] < IN_A_ROW:  # noqa: ASYNC110 - the server counts them
            await asyncio.sleep(0)

        await ask(session, PODS, 1)
        await ask(session, f"{SERVICES}?watch=true", IN_A_ROW)
        await ask(session, f"{PODS}?continue=x", 20)

        hurried.cancel()
    assert counted == {
        f"{PODS}?watch=true": IN_A_ROW,
        PODS: 1,
        f"{SERVICES}?watch=true": IN_A_ROW,
        f"{PODS}?continue=x": 20,
    }


async def test_a_new_listing_is_told_and_all_is_counted(asked: tuple[TestServer, Counter[str]]) -> None:
    server, _ = asked
    told: list[str] = []
    pacing = Pacing(TokenBucket(1000, 1000), Metrics(), lambda: told.append("listed"))
    async with ClientSession(server.make_url(""), middlewares=(pacing,)) as session:
        await ask(session, f"{PODS}?watch=true", 2)
        await ask(session, f"{PODS}?broken", 1)
        assert told == []
        await ask(session, PODS, 1)
    assert told == ["listed"]

    def requests(verb: str, code: str) -> float | None:
        labels = {"verb": verb, "resource": "pods", "code": code}
        return pacing.metrics.registry.get_sample_value("fairlead_api_requests_total", labels)

    assert (requests("watch", "200"), requests("list", "200"), requests("list", "500")) == (2, 1, 1)


async def test_it_shares_the_operators_bucket(asked: tuple[TestServer, Counter[str]]) -> None:
    server, counted = asked
    bucket = TokenBucket(1 / 600, 1)
    bucket.reserve()
    pacing = Pacing(bucket, Metrics(), lambda: None)
    async with ClientSession(server.make_url(""), middlewares=(pacing,)) as session:
        waiting = asyncio.create_task(ask(session, PODS, 1))
        await asyncio.sleep(0.1)

        assert counted == {}
        waiting.cancel()


async def test_no_answer_is_counted_as_code_0() -> None:
    pacing = Pacing(TokenBucket(1000, 1000), Metrics(), lambda: None)
    async with ClientSession("http://127.0.0.1:1", middlewares=(pacing,)) as session:
        with pytest.raises(OSError, match="Cannot connect"):
            await ask(session, PODS, 1)

    labels = {"verb": "list", "resource": "pods", "code": "0"}
    assert pacing.metrics.registry.get_sample_value("fairlead_api_requests_total", labels) == 1
