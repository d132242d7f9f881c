"""What users have: the openai package, through the guard with a key, before a real engine."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from asking import until

from .serving import ENDLESS, LONG, MAX_MODEL_LEN, freed
from .starts import Started

pytestmark = pytest.mark.timeout(400)

MESSAGES: Any = [{"role": "user", "content": "What is a fairlead?"}]
CHAT: dict[str, Any] = {"model": "tiny", "messages": MESSAGES, "temperature": 0}
ENDLESS_CHAT: dict[str, Any] = {**CHAT, "max_tokens": ENDLESS, "extra_body": {"ignore_eos": True}}
#: Four times as many sequences as run at once: a minute of work, so that no pause of this process lets it be done before its client gives up.
ENDLESS_TEXT: dict[str, Any] = {
    "model": "tiny",
    "prompt": LONG["prompt"],
    "n": 32,
    "max_tokens": ENDLESS,
    "extra_body": {"ignore_eos": True},
}

#: Everything in it is bounded, so that any model comes to its end.
PLACE: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "enum": [1, 7]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
#: Without `strict` vLLM holds a call to its form, and its arguments to nothing.
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": PLACE, "strict": True}}
NAMED: Any = {"type": "function", "function": {"name": "weather"}}


@pytest.fixture(scope="module")
def guided(runtime: Started) -> dict[str, Any]:
    """A chat whose answer is held to a form. JSON may have blanks between its parts, and left to itself the tiny model writes no end of them."""
    with runtime.client() as client:
        blanks = client.post(
            "/tokenize", json={"model": "tiny", "prompt": " \t\r\n", "add_special_tokens": False}
        ).json()
    return {**CHAT, "max_tokens": 200, "logit_bias": dict.fromkeys(map(str, blanks["tokens"]), -100)}


def holds_to_the_schema(text: str) -> bool:
    value = json.loads(text)
    return set(value) == {"city", "days"} and value["city"] in {"Oslo", "Rome"} and value["days"] in {1, 7}


def test_a_key_is_needed(runtime: Started) -> None:
    with runtime.openai() as client:
        stranger = client.with_options(api_key="wrong")
        with pytest.raises(openai.AuthenticationError, match="valid API key"):
            stranger.chat.completions.create(**CHAT)
        assert [model.id for model in client.models.list()] == ["tiny"]


def test_completions_unary_and_streaming(runtime: Started) -> None:
    asked: dict[str, Any] = {"model": "tiny", "prompt": "fairlead is", "max_tokens": 12, "temperature": 0}
    with runtime.openai() as client:
        unary = client.completions.create(**asked)
        chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))

    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.text for choice in choices) == unary.choices[0].text
    assert choices[-1].finish_reason == unary.choices[0].finish_reason
    assert chunks[-1].usage is not None
    assert unary.usage is not None
    assert chunks[-1].usage.completion_tokens == unary.usage.completion_tokens


def test_chat_unary_and_streaming(runtime: Started) -> None:
    with runtime.openai() as client:
        unary = client.chat.completions.create(**CHAT)
        chunks = list(client.chat.completions.create(**CHAT, stream=True))

    text = unary.choices[0].message.content
    assert text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    assert chunks[-1].choices[0].finish_reason == unary.choices[0].finish_reason == "stop"


def test_what_vllm_refuses_has_the_clients_own_error(runtime: Started) -> None:
    with runtime.openai() as client, pytest.raises(openai.BadRequestError, match=str(MAX_MODEL_LEN)):
        client.completions.create(model="tiny", prompt="word " * (2 * MAX_MODEL_LEN), max_tokens=1)


def test_a_stream_that_is_cancelled_frees_the_engine(runtime: Started) -> None:
    with freed(runtime), runtime.openai() as client:
        stream = client.chat.completions.create(**ENDLESS_CHAT, stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        assert runtime.sample("vllm:kv_cache_usage_perc") > 0
        stream.close()


def test_a_client_that_has_waited_long_enough_frees_the_engine(runtime: Started) -> None:
    with freed(runtime), runtime.openai() as client, pytest.raises(openai.APITimeoutError):
        pytest.fail(f"answered: {client.completions.create(**ENDLESS_TEXT, timeout=0.5)!r:.500}")
    until(lambda: runtime.sample("fairlead_requests_in_flight") == 0, "the guard has left it too", 5)


def asked_unary(client: openai.OpenAI, headers: dict[str, str]) -> None:
    client.completions.create(**ENDLESS_TEXT, extra_headers=headers)


def asked_streaming(client: openai.OpenAI, headers: dict[str, str]) -> None:
    list(client.chat.completions.create(**ENDLESS_CHAT, stream=True, extra_headers=headers))


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        pytest.param(asked_unary, openai.InternalServerError, id="unary: 504"),
        pytest.param(asked_streaming, openai.APIError, id="streaming: an error event"),
    ],
)
def test_a_deadline_is_the_clients_own_error(
    runtime: Started, ask: Callable[[openai.OpenAI, dict[str, str]], None], error: type[openai.APIError]
) -> None:
    with freed(runtime), runtime.openai() as client, pytest.raises(error) as raised:
        ask(client, {"X-Request-Timeout": "0.5"})

    assert "deadline of 0.5 s" in raised.value.message
    assert raised.value.code == "deadline_exceeded"


@pytest.mark.parametrize("choice", [pytest.param(NAMED, id="a named tool"), pytest.param("required", id="some tool")])
def test_a_tool_is_called_with_arguments_of_its_schema(runtime: Started, guided: dict[str, Any], choice: Any) -> None:
    asked = {**guided, "tools": [WEATHER], "tool_choice": choice, "parallel_tool_calls": False}
    with runtime.openai() as client:
        answer = client.chat.completions.create(**asked)

    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "weather"
    assert holds_to_the_schema(call.function.arguments)


def test_a_tool_is_called_in_a_stream(runtime: Started, guided: dict[str, Any]) -> None:
    asked = {**guided, "tools": [WEATHER], "tool_choice": NAMED, "parallel_tool_calls": False}
    with runtime.openai() as client:
        chunks = list(client.chat.completions.create(**asked, stream=True))

    calls = [call.function for chunk in chunks for call in chunk.choices[0].delta.tool_calls or () if call.function]
    assert [call.name for call in calls if call.name] == ["weather"]
    assert holds_to_the_schema("".join(call.arguments or "" for call in calls))


def test_tools_that_may_be_called_need_not_be(runtime: Started) -> None:
    """The parser is at work, and the tiny model knows no tools."""
    with runtime.openai() as client:
        answer = client.chat.completions.create(**CHAT, tools=[WEATHER], tool_choice="auto")

    assert answer.choices[0].message.content
    assert not answer.choices[0].message.tool_calls


def test_an_answer_holds_to_a_json_schema(runtime: Started, guided: dict[str, Any]) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE, "strict": True}}
    with runtime.openai() as client:
        answer = client.chat.completions.create(**guided, response_format=form)

    assert holds_to_the_schema(answer.choices[0].message.content or "")


@pytest.mark.parametrize(
    ("constraint", "allowed"),
    [
        pytest.param({"choice": ["port", "starboard"]}, {"port", "starboard"}, id="a choice"),
        pytest.param({"regex": "(red|green) buoy"}, {"red buoy", "green buoy"}, id="a regular expression"),
    ],
)
def test_an_answer_holds_to_vllms_own_constraints(runtime: Started, constraint: Any, allowed: set[str]) -> None:
    with runtime.openai() as client:
        answer = client.chat.completions.create(**CHAT, max_tokens=50, extra_body={"structured_outputs": constraint})

    assert answer.choices[0].message.content in allowed
