"""One request: what counts as success, and which tokens and times are taken."""

from typing import Any

import pytest

from fairlead_cli.bench.asking import Outcome, Question, _Stream, ask
from fairlead_cli.bench.load import session
from fairlead_cli.bench.target import Api, Target
from unit.cli.bench import answering
from unit.cli.bench.answering import Script


def question(server: Script, api: Api = Api.COMPLETIONS, *, stream: bool = True, tokens: int = 6) -> Question:
    return Question(Target(f"{server.url}{api}", api, "tiny"), tokens, stream)


async def asked(script: Script, api: Api = Api.COMPLETIONS, *, stream: bool = True, within: float = 20) -> Outcome:
    with answering.answering(script) as server:
        async with session({}, within) as connections:
            return await ask(connections, question(server, api, stream=stream), "one two three")


@pytest.mark.parametrize("api", list(Api))
@pytest.mark.parametrize("per_chunk", [1, 4])
async def test_tokens_are_the_servers_count_and_not_the_chunks(api: Api, per_chunk: int) -> None:
    outcome = await asked(Script(per_chunk=per_chunk), api)

    assert (outcome.error, outcome.tokens, outcome.prompt_tokens) == ("", 6, 3)
    assert len(outcome.gaps) == {1: 5, 4: 1}[per_chunk]
    assert outcome.first is not None
    assert 0 < outcome.first <= outcome.first + sum(outcome.gaps) <= outcome.seconds


@pytest.mark.parametrize("api", list(Api))
async def test_a_unary_answer_has_tokens_and_no_first_token(api: Api) -> None:
    outcome = await asked(Script(), api, stream=False)

    assert (outcome.error, outcome.tokens, outcome.first, outcome.gaps) == ("", 6, None, [])
    assert outcome.prompt_tokens == (None if api is Api.GENERATE else 3)


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        pytest.param(answering.CUT, "cut: the connection ended", id="a stream that is cut"),
        pytest.param(answering.UNFINISHED, "ended without a finish_reason", id="[DONE] alone is no end"),
        pytest.param(answering.ABORTED, "finish_reason abort", id="aborted under 200"),
        pytest.param(answering.ERROR_EVENT, "error event: the deadline came", id="an error event"),
        pytest.param(answering.NO_USAGE, "no usage", id="tokens that nobody counted"),
        pytest.param(answering.BROKEN, "HTTP 500: the engine died", id="an error's status"),
        pytest.param(answering.HANGING, "timed out", id="a server that hangs"),
    ],
)
async def test_what_is_no_whole_stream_has_failed(behaviour: str, told: str) -> None:
    outcome = await asked(Script(behave=lambda _: behaviour), within=0.5)

    assert told in outcome.error


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        pytest.param(answering.UNFINISHED, "ended without a finish_reason", id="no reason"),
        pytest.param(answering.ABORTED, "finish_reason abort", id="aborted"),
        pytest.param(answering.NO_USAGE, "no usage", id="no tokens counted"),
        pytest.param(answering.NO_JSON, "not the answer of such a route", id="another kind of server"),
    ],
)
async def test_what_is_no_whole_answer_has_failed(behaviour: str, told: str) -> None:
    outcome = await asked(Script(behave=lambda _: behaviour), stream=False)

    assert told in outcome.error


async def test_a_server_that_went_away_is_an_error_and_no_exception() -> None:
    async with session({}, 5) as connections:
        outcome = await ask(
            connections, Question(Target("http://127.0.0.1:1/generate", Api.GENERATE, ""), 1, True), "a"
        )

    assert "ClientConnectorError" in outcome.error


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        pytest.param(
            Api.COMPLETIONS,
            {"model": "m", "prompt": "a", "ignore_eos": True, "stream_options": {"include_usage": True}},
            id="completions",
        ),
        pytest.param(
            Api.CHAT,
            {
                "model": "m",
                "messages": [{"role": "user", "content": "a"}],
                "ignore_eos": True,
                "stream_options": {"include_usage": True},
            },
            id="chat",
        ),
        pytest.param(Api.GENERATE, {"prompt": "a"}, id="generate refuses fields that it does not know"),
    ],
)
def test_the_body_is_the_routes(api: Api, expected: dict[str, Any]) -> None:
    body = Question(Target("", api, "m"), 8, True).body("a")

    assert body == {"max_tokens": 8, "temperature": 0.0, "stream": True, **expected}


def test_events_are_read_however_their_bytes_come() -> None:
    whole = (
        b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n: ping\n\n'
        b'data: {"choices":[{"delta":{"content":"a"}}]}\r\n\r\n'
        b'data: {"choices":[{"delta":{"content":""}}]}\n\n'
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":3}}\n\ndata: [DONE]\n\n'
    )
    outcome = Outcome(100.0)
    stream = _Stream(outcome)
    for at, byte in enumerate(whole):
        stream.feed(bytes([byte]), 101.0 + at)
    stream.close()

    opening = whole.index(b'data: {"choices":[{"delta":{"content":"a"')
    assert outcome.first == 1.0 + whole.index(b"\n", opening)
    assert (outcome.error, outcome.tokens, len(outcome.gaps)) == ("", 3, 2)
