"""The warm-up's own requests, against a small ASGI application."""

import json
import logging
from typing import Any

import pytest

from fairlead_runtime.warmup import Application, Message, requests, warm_up


def application(seen: list[tuple[str, str, dict[str, object]]], status: int = 200) -> Application:
    async def answer(scope: Message, receive: object, send: object) -> None:
        message = await receive()  # type: ignore[operator]
        seen.append((scope["method"], scope["path"], json.loads(message["body"])))
        await send({"type": "http.response.start", "status": status, "headers": []})  # type: ignore[operator]
        for more in (True, False):
            await send({"type": "http.response.body", "body": b"x", "more_body": more})  # type: ignore[operator]

    return answer


async def test_every_kind_of_request_is_asked_once() -> None:
    seen: list[tuple[str, str, dict[str, object]]] = []
    await warm_up(application(seen), "tiny", 512)

    assert [(method, path, body["stream"]) for method, path, body in seen] == [
        ("POST", "/v1/completions", True),
        ("POST", "/v1/completions", False),
        ("POST", "/v1/chat/completions", True),
        ("POST", "/v1/chat/completions", False),
    ]
    assert {str(body["model"]) for _, _, body in seen} == {"tiny"}


async def test_a_model_that_refuses_to_chat_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await warm_up(application([], status=400), "tiny", 512)

    assert "The warm-up request to /v1/chat/completions was answered with 400" in caplog.text


async def test_a_request_that_fails_keeps_no_other_from_being_asked(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[tuple[str, str, dict[str, object]]] = []
    answer, fail = application(seen), application(seen, status=500)

    async def chats_badly(scope: Message, receive: Any, send: Any) -> None:
        if scope["path"] != "/v1/chat/completions":
            return await answer(scope, receive, send)
        # As Starlette does: the answer is sent, and the exception raised again.
        await fail(scope, receive, send)
        raise RuntimeError("no such token in the tokenizer")

    await warm_up(chats_badly, "tiny", 512)

    assert [path for _, path, _ in seen] == ["/v1/completions"] * 2 + ["/v1/chat/completions"] * 2
    assert caplog.text.count("no such token in the tokenizer") >= 2


@pytest.mark.parametrize("length", [1, 8, 64, 4096])
def test_the_requests_fit_the_context(length: int) -> None:
    for _, body in requests("tiny", length):
        text = body.get("prompt") or body["messages"][0]["content"]

        assert len(text) + body["max_tokens"] <= max(2, length)
