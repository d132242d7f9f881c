"""Chunks go straight out, starts and ends through the application's layers."""

import sys
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import pytest
from starlette.responses import StreamingResponse
from starlette.types import Message

from fairlead_runtime.exchange import CHUNKS
from fairlead_runtime.streams import DirectStream, install


async def answer() -> AsyncIterator[str | bytes]:
    yield "data: ä\n\n"
    yield b"data: b\n\n"


async def sent_by(response: StreamingResponse, scope: dict[str, Any]) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("a server of this version of ASGI is not listened to")

    async def send(message: Message) -> None:
        sent.append(message)

    await response({"type": "http", "asgi": {"spec_version": "2.4"}, **scope}, receive, send)
    return sent


async def test_chunks_take_the_direct_way_and_the_rest_does_not() -> None:
    direct: list[Message] = []

    async def chunks(message: Message) -> None:
        direct.append(message)

    sent = await sent_by(
        DirectStream(answer(), media_type="text/event-stream"), {"extensions": {CHUNKS: lambda: chunks}}
    )

    assert [message["body"] for message in direct] == ["data: ä\n\n".encode(), b"data: b\n\n"]
    assert all(message["more_body"] for message in direct)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[-1]["body"], sent[-1]["more_body"]) == (b"", False)


@pytest.mark.parametrize(
    "scope", [{}, {"extensions": {CHUNKS: lambda: None}}], ids=["no guard", "the start is held back"]
)
async def test_without_a_direct_way_it_sends_what_its_base_class_sends(scope: dict[str, Any]) -> None:
    direct = await sent_by(DirectStream(answer(), media_type="text/event-stream"), scope)

    assert direct == await sent_by(StreamingResponse(answer(), media_type="text/event-stream"), {})
    assert len(direct) == 4


@pytest.fixture
def router() -> Iterator[ModuleType]:
    module = ModuleType("a_router_of_streams")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_routers_answer_with_it(router: ModuleType) -> None:
    vars(router)["StreamingResponse"] = StreamingResponse

    assert install((router.__name__,)) == [router.__name__]
    assert router.StreamingResponse is DirectStream
    assert install((router.__name__,)) == [router.__name__], "a second service in one process"


@pytest.mark.parametrize("named", [None, dict], ids=["has none", "names something else so"])
def test_a_router_that_differs_keeps_its_own(
    router: ModuleType, named: type[Any] | None, caplog: pytest.LogCaptureFixture
) -> None:
    if named:
        vars(router)["StreamingResponse"] = named

    assert install((router.__name__, "no.such.module")) == []

    assert getattr(router, "StreamingResponse", None) is named
    assert "no.such.module" in caplog.text
