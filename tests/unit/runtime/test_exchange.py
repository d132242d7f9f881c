"""An application that takes its early end over. What becomes of one that does not is in test_guard.py and test_drain.py."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fairlead_runtime import exchange
from fairlead_runtime.exchange import EARLY_END, Exchange, Message, Receive, Scope, Send
from fairlead_runtime.refusals import Refusal

LATE = Refusal(504, "too late", "deadline_exceeded")


async def answering(send: Send, body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def says_what_it_has(scope: Scope, _: Receive, send: Send) -> None:
    ended = await scope["extensions"][EARLY_END]()
    await answering(send, f"half, {ended.message}".encode())


async def says_nothing(scope: Scope, receive: Receive, _: Send) -> None:
    scope["extensions"][EARLY_END]()
    assert (await receive())["type"] == "http.disconnect"


async def speaks_too_late(scope: Scope, receive: Receive, send: Send) -> None:
    scope["extensions"][EARLY_END]()
    await receive()
    await answering(send, b"nobody hears this")


async def ends_before_its_end(scope: Scope, _: Receive, send: Send) -> None:
    scope["extensions"][EARLY_END]()
    await answering(send, b"all")


async def fails(scope: Scope, _: Receive, __: Send) -> None:
    await scope["extensions"][EARLY_END]()
    raise RuntimeError("by design")


@pytest.mark.parametrize(
    ("application", "status", "body", "aborted"),
    [
        pytest.param(says_what_it_has, 200, b"half, too late", "deadline", id="it says the last word"),
        pytest.param(says_nothing, 504, LATE.body(), "deadline", id="it says nothing, and is cut"),
        pytest.param(speaks_too_late, 504, LATE.body(), "deadline", id="its word after the cut is swallowed"),
        pytest.param(fails, 504, LATE.body(), "deadline", id="it fails"),
        pytest.param(ends_before_its_end, 200, b"all", "", id="it was done before"),
    ],
)
async def test_an_early_end_taken_over(
    monkeypatch: pytest.MonkeyPatch, application: Callable[..., Any], status: int, body: bytes, aborted: str
) -> None:
    monkeypatch.setattr(exchange, "GRACE_SECONDS", 0.2)
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    one = Exchange(receive, send, body_limit=10, headers=[], closing=lambda: False)
    await asyncio.wait_for(one.run(application, {"type": "http"}, deadline=0.05, late=LATE), 5)

    assert [message.get("status", message.get("body")) for message in sent] == [status, body]
    assert one.aborted == aborted
