"""POST /generate against a scripted engine."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from fairlead_runtime.generate import Step
from unit.runtime.serving_app import ScriptedEngine, serving


async def test_a_prompt_is_answered_with_its_numbers() -> None:
    async with serving() as port:
        answer = (await port.client.post("/generate", json={"prompt": "how is it"})).json()

    assert {key: answer[key] for key in ("text", "tokens_generated", "model", "finish_reason")} == {
        "text": "all well",
        "tokens_generated": 2,
        "model": "scripted",
        "finish_reason": "stop",
    }
    assert answer["tokens_per_second"] == pytest.approx(2 / answer["latency_seconds"], rel=0.05)
    assert answer["request_id"]


async def test_sampling_goes_to_the_engine_as_it_was_asked() -> None:
    asked = {"temperature": 0, "top_p": 0.5, "top_k": 3, "stop": ["a", "b"], "max_tokens": 13}
    async with serving() as port:
        assert (await port.client.post("/generate", json={"prompt": "how is it", **asked})).status_code == 200
        assert port.engine.samplings == [asked]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/generate", {"prompt": "a"}, id="one prompt"),
        pytest.param("/generate", {"prompt": "a", "stream": True}, id="a stream"),
        pytest.param("/generate/batch", [{"prompt": "a"}, {"prompt": "b"}], id="each of a batch"),
    ],
)
async def test_the_callers_trace_goes_to_the_engine(path: str, body: Any) -> None:
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1"}
    async with serving() as port:
        answer = await port.client.post(path, json=body, headers={**trace, "X-Other": "x"})
        assert answer.status_code == 200
        assert port.engine.traces == [trace] * (len(body) if isinstance(body, list) else 1)
        await port.client.post(path, json=body)
        assert port.engine.traces[-1] == {}


async def test_unset_sampling_stays_unset_and_the_answer_may_fill_the_room() -> None:
    async with serving() as port:
        await port.client.post("/generate", json={"prompt": "how is it"})
        assert port.engine.samplings == [{"stop": [], "max_tokens": 13}]


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        pytest.param("{", None, "not JSON", id="broken JSON"),
        pytest.param("[]", None, "JSON object", id="not an object"),
        pytest.param({}, "prompt", "missing", id="no prompt"),
        pytest.param({"prompt": ""}, "prompt", "at least 1", id="empty prompt"),
        pytest.param({"prompt": ["a"]}, "prompt", "string", id="a list of prompts"),
        pytest.param({"prompt": "word " * 17}, "prompt", "too long", id="prompt over the model's length"),
        pytest.param({"prompt": "word " * 16}, "prompt", "at least one must be left", id="prompt that leaves no room"),
        pytest.param(
            {"prompt": "a b", "max_tokens": 15}, "max_tokens", "at most 14", id="answer over the model's length"
        ),
        pytest.param({"prompt": "a", "max_tokens": 0}, "max_tokens", "greater than or equal to 1", id="no token"),
        pytest.param({"prompt": "a", "max_tokens": "5"}, "max_tokens", "integer", id="a number as text"),
        pytest.param({"prompt": "a", "max_tokens": True}, "max_tokens", "integer", id="true is no number"),
        pytest.param({"prompt": "a", "temperature": 2.1}, "temperature", "less than or equal to 2", id="too hot"),
        pytest.param({"prompt": "a", "temperature": -0.1}, "temperature", "greater than or equal to 0", id="too cold"),
        pytest.param('{"prompt": "a", "temperature": NaN}', "temperature", "finite", id="not a number"),
        pytest.param({"prompt": "a", "top_p": 0}, "top_p", "greater than 0", id="nothing to sample from"),
        pytest.param({"prompt": "a", "top_k": -1}, "top_k", "greater than or equal to 0", id="negative top_k"),
        pytest.param(
            {"prompt": "a", "top_k": 2**31}, "top_k", "less than or equal to", id="more than the engine counts"
        ),
        pytest.param({"prompt": "a", "stop": list("abcde")}, "stop", "at most 4", id="five stops"),
        pytest.param({"prompt": "a", "stop": [""]}, "stop", "at least 1", id="an empty stop"),
        pytest.param({"prompt": "a", "n": 2}, "n", "not a field", id="unknown field"),
    ],
)
async def test_bad_input_is_400_naming_the_parameter(body: Any, param: str | None, says: str) -> None:
    async with serving() as port:
        answer = await port.client.post("/generate", content=body if isinstance(body, str) else json.dumps(body))
        error = answer.json()["error"]

        assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
        assert says in error["message"]
        assert port.engine.ids == []


async def test_a_stream_ends_with_its_reason_its_usage_and_done() -> None:
    async with serving() as port:
        answer = await port.client.post("/generate", json={"prompt": "how is it", "stream": True})
    *events, done = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    *texts, last = [json.loads(event) for event in events]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [text["text"] for text in texts] == ["all ", "well"]
    assert last["finish_reason"] == "stop"
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert done == "[DONE]"


@pytest.mark.parametrize(("reason", "status"), [("abort", 503), ("error", 500)])
async def test_what_the_engine_gave_up_is_no_200(reason: str, status: int) -> None:
    async with serving(ScriptedEngine(steps=(Step("al", 1, reason),))) as port:
        assert (await port.client.post("/generate", json={"prompt": "a"})).status_code == status

        stream = (await port.client.post("/generate", json={"prompt": "a", "stream": True})).text
        assert '"error"' in stream
        assert "[DONE]" not in stream


@dataclass
class FailingEngine(ScriptedEngine):
    """Raises after its first step."""

    async def generate(self, *asked: Any, output: Literal["whole", "deltas"]) -> AsyncGenerator[Step]:
        async for step in super().generate(*asked, output=output):
            yield step
            raise RuntimeError("by design")


async def test_a_stream_that_fails_says_so_in_its_last_event() -> None:
    async with serving(FailingEngine()) as port:
        answer = await port.client.post("/generate", json={"prompt": "a", "stream": True})

    first, last = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    assert first == {"text": "all "}
    assert last["error"]["code"] == "internal_error"
    assert "by design" not in answer.text
