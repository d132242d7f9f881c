"""POST /generate/batch against a scripted engine."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import pytest

from fairlead_runtime.batch import CONCURRENT_ITEMS, MAX_ITEMS
from fairlead_runtime.drain import drain
from fairlead_runtime.generate import Origin, Prompt, Step
from fairlead_runtime.refusals import Refusal, RefusedError
from unit.runtime.serving_app import Port, ScriptedEngine, serving

#: Prompts that the engine treats in a way of its own; any other is answered at once.
SLOW = {"prompt": "slow"}
FULL = {"prompt": "full"}
BROKEN = {"prompt": "broken"}
ABORTED = {"prompt": "aborted"}


@dataclass
class BatchEngine(ScriptedEngine):
    """running, most: requests in the engine, now and at most. answered: set with each answer."""

    running: int = 0
    most: int = 0
    answered: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def generate(
        self, prompt: Prompt, sampling: Mapping[str, Any], origin: Origin, *, output: Literal["whole", "deltas"]
    ) -> AsyncGenerator[Step]:
        await self._count(1)
        try:
            match prompt.rendered:
                case "slow":
                    await self.release.wait()
                case "full":
                    raise RefusedError(Refusal(503, "The queue is full.", "overloaded", retry_after=1))
                case "broken":
                    raise RuntimeError("by design")
                case "aborted":
                    yield Step("al", 1, "abort")
                    return
            yield Step(f"{prompt.rendered}!", 1, "stop")
            self.answered.append(prompt.rendered)
        finally:
            await self._count(-1)

    async def _count(self, change: int) -> None:
        self.running += change
        self.most = max(self.most, self.running)
        async with self.changed:
            self.changed.notify_all()

    async def runs(self, requests: int, *, answered: int) -> None:
        """Returns once so many are in the engine and so many were answered."""
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: self.running == requests and len(self.answered) == answered)


async def posted(port: Port, items: Any, **headers: str) -> httpx.Response:
    return await port.client.post("/generate/batch", json=items, headers=headers)


def told(answer: httpx.Response) -> list[Any]:
    """Each item's text, or its status and code."""
    return [
        (item["error"]["status"], item["error"]["code"]) if "error" in item else item["text"] for item in answer.json()
    ]


async def test_answers_come_in_the_order_of_the_requests_and_not_of_their_ends() -> None:
    engine = BatchEngine()
    async with serving(engine) as port:
        request = asyncio.create_task(posted(port, [SLOW, {"prompt": "one"}, {"prompt": "two"}]))
        await engine.runs(1, answered=2)
        engine.release.set()
        answer = await request

        assert (answer.status_code, told(answer)) == (200, ["slow!", "one!", "two!"])


async def test_an_item_is_answered_as_by_generate_under_an_id_of_its_own() -> None:
    async with serving() as port:
        alone = (await port.client.post("/generate", json={"prompt": "how is it", "max_tokens": 5})).json()
        answer = await posted(
            port, [{"prompt": "a"}, {"prompt": "how is it", "max_tokens": 5}], **{"X-Request-Id": "x"}
        )
        _, item = answer.json()

        assert answer.headers["x-request-id"] == "x"
        assert item["request_id"] == port.engine.ids[-1] == "x-1"
        await asyncio.wait_for(port.gate.emptied(), 5)
        assert port.engine.samplings[-1] == {"stop": [], "max_tokens": 5}
        measured = ("latency_seconds", "tokens_per_second", "request_id")
        assert {**item, **dict.fromkeys(measured)} == {**alone, **dict.fromkeys(measured)}
        assert port.sample("fairlead_requests_total", route="/generate/batch", code="200") == 1


@pytest.mark.parametrize(
    ("item", "status", "param", "says"),
    [
        pytest.param({}, 400, "[1].prompt", "missing", id="no prompt"),
        pytest.param({"prompt": "a", "max_tokens": 0}, 400, "[1].max_tokens", "greater than", id="a bad field"),
        pytest.param({"prompt": "a", "max_tokens": True}, 400, "[1].max_tokens", "integer", id="true is no number"),
        pytest.param({"prompt": "a", "temperature": 3}, 400, "[1].temperature", "less than", id="too hot"),
        pytest.param({"prompt": "a", "n": 2}, 400, "[1].n", "not a field", id="an unknown field"),
        pytest.param({"prompt": "a", "stop": [1]}, 400, "[1].stop", "string", id="a stop that is no text"),
        pytest.param({"prompt": "word " * 17}, 400, "[1].prompt", "too long", id="a prompt over the model's length"),
        pytest.param({"prompt": "a", "max_tokens": 16}, 400, "[1].max_tokens", "at most 15", id="an answer over it"),
        pytest.param({"prompt": "a", "stream": True}, 400, "[1].stream", "cannot be streamed", id="a stream"),
        pytest.param("a", 400, "[1]", "JSON object", id="a text instead of a request"),
        pytest.param(None, 400, "[1]", "JSON object", id="null"),
        pytest.param(FULL, 503, None, "full", id="the engine is full"),
        pytest.param(ABORTED, 503, None, "aborted", id="the engine gave up"),
        pytest.param(BROKEN, 500, None, "its log says why", id="the engine raised"),
    ],
)
async def test_an_item_that_fails_fails_alone(item: Any, status: int, param: str | None, says: str) -> None:
    async with serving(BatchEngine()) as port:
        answer = await posted(port, [{"prompt": "one"}, item, {"prompt": "two"}])
        first, failed, last = answer.json()
        error = failed["error"]

        assert (answer.status_code, first["text"], last["text"]) == (200, "one!", "two!")
        assert (error["status"], error["param"]) == (status, param)
        assert error["type"] == ("invalid_request_error" if status == 400 else "server_error")
        assert says in error["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param("[", "not JSON", id="broken JSON"),
        pytest.param('{"prompt": "a"}', "JSON list", id="one request instead of a list"),
        pytest.param("[]", "empty", id="no request"),
        pytest.param(json.dumps([{}] * (MAX_ITEMS + 1)), f"more than {MAX_ITEMS}", id="more than are taken"),
    ],
)
async def test_what_is_no_batch_is_400(body: str, says: str) -> None:
    async with serving() as port:
        answer = await port.client.post("/generate/batch", content=body)
        error = answer.json()["error"]

        assert (answer.status_code, error["param"], port.engine.ids) == (400, None, [])
        assert says in error["message"]


async def test_a_batch_as_long_as_is_taken_has_a_bounded_part_in_the_engine() -> None:
    engine = BatchEngine()
    async with serving(engine, body_limit=1 << 20) as port:
        request = asyncio.create_task(posted(port, [SLOW] * MAX_ITEMS))
        await engine.runs(CONCURRENT_ITEMS, answered=0)
        engine.release.set()

        assert told(await request) == ["slow!"] * MAX_ITEMS
        assert engine.most == CONCURRENT_ITEMS


async def test_the_deadline_takes_no_answer_that_is_there() -> None:
    engine = BatchEngine()
    async with serving(engine) as port:
        items = [{"prompt": "one"}, *[SLOW] * CONCURRENT_ITEMS, {"prompt": "behind them"}]
        answer = await posted(port, items, **{"X-Request-Timeout": "1"})

        late = (504, "deadline_exceeded")
        assert (answer.status_code, told(answer)) == (200, ["one!", *[late] * CONCURRENT_ITEMS, late])
        assert "deadline of 1 s" in answer.json()[1]["error"]["message"]
        assert engine.running == 0
        await asyncio.wait_for(port.gate.emptied(), 5)
        assert port.sample("fairlead_aborted_requests_total", reason="deadline") == 1


async def test_the_end_of_a_drain_takes_no_answer_that_is_there() -> None:
    engine = BatchEngine()
    async with serving(engine) as port:
        request = asyncio.create_task(posted(port, [SLOW, {"prompt": "one"}]))
        await engine.runs(1, answered=1)
        await drain(port.gate, drain_seconds=0, hurry=asyncio.Event(), lame_duck_seconds=0)
        answer = await request

        assert (answer.status_code, told(answer)) == (200, [(503, "stopping"), "one!"])
        assert (answer.headers["connection"], engine.running) == ("close", 0)
        assert port.sample("fairlead_aborted_requests_total", reason="drain") == 1


async def test_a_drain_lets_a_batch_finish() -> None:
    engine = BatchEngine()
    async with serving(engine) as port:
        request = asyncio.create_task(posted(port, [SLOW, {"prompt": "one"}]))
        await engine.runs(1, answered=1)
        draining = asyncio.create_task(drain(port.gate, drain_seconds=30, hurry=asyncio.Event(), lame_duck_seconds=0))
        engine.release.set()

        assert told(await request) == ["slow!", "one!"]
        await asyncio.wait_for(draining, 5)


async def test_a_client_that_leaves_frees_the_engine_of_all_items() -> None:
    engine = BatchEngine()
    async with serving(engine) as port:
        request = asyncio.create_task(posted(port, [SLOW] * (CONCURRENT_ITEMS + 1)))
        await engine.runs(CONCURRENT_ITEMS, answered=0)
        request.cancel()

        await engine.runs(0, answered=0)
        await asyncio.wait_for(port.gate.emptied(), 5)
        assert port.sample("fairlead_aborted_requests_total", reason="client") == 1
        assert engine.most == CONCURRENT_ITEMS
