"""How often and how many at a time: the limits of the serving port, over real HTTP."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fairlead_runtime.config import RateLimit
from fairlead_runtime.guard import Guard
from fairlead_runtime.queue_limit import QueueLimit
from fairlead_runtime.rate_limit import RateLimiter
from unit.runtime.serving_app import ScriptedEngine, serving

KEY = {"Authorization": "Bearer sesame"}
PROMPT = {"prompt": "open the door"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text("sesame\nother-key\n")
    return path


def rate(requests: int) -> RateLimiter:
    """That many requests, and no more while a test runs."""
    return RateLimiter(RateLimit(requests_per_second=1, burst=requests), lambda: 0.0)


async def test_each_key_may_send_as_often_as_its_bucket_allows(keys: Path) -> None:
    async with serving(keys=keys, rate=rate(2)) as port:
        for key in ("sesame", "other-key"):
            answers = [
                await port.client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}) for _ in range(3)
            ]
            assert [answer.status_code for answer in answers] == [200, 200, 429]
            refused = answers[-1]
            assert (refused.json()["error"]["code"], refused.headers["retry-after"]) == ("rate_limit_exceeded", "1")
        assert len(port.reached) == 4
        assert port.sample("fairlead_refused_requests_total", reason="rate_limit_exceeded") == 2
        assert port.sample("fairlead_requests_total", route="/v1/models", code="429") == 2


async def test_without_keys_the_port_has_one_bucket() -> None:
    async with serving(rate=rate(2)) as port:
        headers = [{"Authorization": f"Bearer {name}"} for name in "abc"]
        answers = [await port.client.get("/v1/models", headers=caller) for caller in headers]

        assert [answer.status_code for answer in answers] == [200, 200, 429]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        pytest.param("GET", "/health", {}, id="a probe"),
        pytest.param("GET", "/v1/models", {"Authorization": "Bearer wrong"}, id="a wrong key"),
        pytest.param("GET", "/nothing", KEY, id="no route"),
        pytest.param("GET", "/generate", KEY, id="another method"),
        pytest.param("POST", "/generate", {**KEY, "X-Request-Timeout": "never"}, id="a deadline that is none"),
    ],
)
async def test_what_is_not_served_uses_up_no_limit(keys: Path, method: str, path: str, headers: dict[str, str]) -> None:
    async with serving(keys=keys, rate=rate(1)) as port:
        statuses = {(await port.client.request(method, path, headers=headers)).status_code for _ in range(5)}

        assert len(statuses) == 1
        assert 429 not in statuses
        assert (await port.client.get("/v1/models", headers=KEY)).status_code == 200


def queue(runs: int, waits: int) -> QueueLimit:
    return QueueLimit(runs=runs, waits=waits, unfinished=lambda: 0)


async def test_two_thousand_at_once_get_the_places_there_are_and_no_more() -> None:
    statuses: list[int] = []

    async def ask(guard: Guard) -> None:
        body = iter([{"type": "http.request", "body": b'{"prompt": "a"}', "more_body": False}])

        async def receive() -> Any:
            return next(body, None) or await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {"type": "http", "method": "POST", "path": "/generate", "headers": [], "query_string": b""}
        await guard(scope, receive, send)

    async with serving(ScriptedEngine(held=True), queue=queue(runs=8, waits=24)) as port:
        asking = [asyncio.create_task(ask(port.guard)) for _ in range(2000)]
        async with asyncio.timeout(20):
            while len(port.engine.ids) < 32:  # noqa: ASYNC110 - the condition is a list
                await asyncio.sleep(0)
        port.engine.release.set()
        await asyncio.gather(*asking)

        assert (statuses.count(200), statuses.count(503)) == (32, 1968)
        assert port.sample("fairlead_refused_requests_total", reason="queue_full") == 1968


async def test_a_full_queue_says_when_to_come_back_and_lets_the_rest_through() -> None:
    async with serving(ScriptedEngine(held=True), queue=queue(runs=1, waits=0)) as port:
        running = asyncio.create_task(port.client.post("/generate", json=PROMPT))
        await asyncio.wait_for(port.engine.started.wait(), 5)

        full = await port.client.post("/generate", json=PROMPT)
        assert (full.status_code, full.json()["error"]["code"], full.headers["retry-after"]) == (503, "queue_full", "1")
        assert (await port.client.get("/v1/models")).status_code == 200
        assert (await port.client.get("/health")).status_code == 200

        port.engine.release.set()
        assert (await running).status_code == 200
        assert (await port.client.post("/generate", json=PROMPT)).status_code == 200


async def test_a_full_queue_uses_up_nothing_of_the_callers_rate() -> None:
    async with serving(ScriptedEngine(held=True), queue=queue(runs=1, waits=0), rate=rate(2)) as port:
        running = asyncio.create_task(port.client.post("/generate", json=PROMPT))
        await asyncio.wait_for(port.engine.started.wait(), 5)

        full = [(await port.client.post("/generate", json=PROMPT)).status_code for _ in range(5)]
        port.engine.release.set()
        await running

        assert full == [503] * 5
        assert (await port.client.post("/generate", json=PROMPT)).status_code == 200


@pytest.mark.parametrize("end", ["client leaves", "deadline"])
async def test_a_place_is_free_again_however_its_request_ended(end: str) -> None:
    async with serving(ScriptedEngine(held=True), queue=queue(runs=1, waits=0)) as port:
        headers = {"X-Request-Timeout": "0.1"} if end == "deadline" else {}
        running = asyncio.create_task(port.client.post("/generate", json=PROMPT, headers=headers))
        await asyncio.wait_for(port.engine.started.wait(), 5)
        if end == "client leaves":
            running.cancel()
        await asyncio.wait({running})
        await asyncio.wait_for(port.gate.emptied(), 5)
        port.engine.release.set()

        assert (await port.client.post("/generate", json=PROMPT)).status_code == 200
