"""What a request's head may cost, over real sockets."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead_runtime import request_heads
from fairlead_runtime.request_heads import HEAD_LIMIT_BYTES, BoundedHttp
from fairlead_runtime.uvicorn_server import Server, http
from unit.runtime.serving_app import serving

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#: Its body comes later, or never. The application answers it without.
POST = b"POST /at-once HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST /at-once HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
TOO_MUCH = b"a" * (2 * HEAD_LIMIT_BYTES)


@dataclass
class Application:
    """Answers with its request's length, once it may; a request to /at-once is answered unread."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        length, more = 0, scope["path"] != "/at-once"
        while more:
            message = await receive()
            length, more = length + len(message["body"]), message["more_body"]
        await self.may.wait()
        body = b"%d" % length
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Client:
    """One connection to the application. Nothing here waits for more than 5 seconds."""

    application: Application
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes, *, pieces: int | None = None) -> None:
        """In pieces of that many bytes, each on its way before the next; what a closed connection does not take is no failure."""
        size = pieces or len(data) or 1
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(data), size):
                self.writer.write(data[start : start + size])
                await self.writer.drain()
                await asyncio.sleep(0)

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Status, head and body."""
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            return int(head.split()[1]), head, await self.reader.readexactly(length)

    async def closed(self) -> bool:
        """Whether nothing more comes."""
        return await asyncio.wait_for(self.reader.read(), 5) == b""

    async def left_open(self, seconds: float) -> bool:
        """Whether the connection is still open after that time."""
        try:
            return await asyncio.wait_for(self.reader.read(1), seconds) != b""
        except TimeoutError:
            return True


@asynccontextmanager
async def connected(*, keep_alive_seconds: int = 60) -> AsyncIterator[Client]:
    application = Application()
    config = uvicorn.Config(
        application,
        port=0,
        http=BoundedHttp,
        lifespan="off",
        log_level="critical",
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    running = asyncio.create_task(server.serve())
    await server.listening.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.servers[0].sockets[0].getsockname()[1])
    try:
        yield Client(application, reader, writer)
    finally:
        application.may.set()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        server.should_exit = True
        await running


@pytest.mark.parametrize("pieces", [None, 1000], ids=["at once", "in pieces"])
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /" + TOO_MUCH, id="a long address"),
        pytest.param(b"GET / HTTP/1.1\r\na: " + TOO_MUCH, id="a long header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * HEAD_LIMIT_BYTES, id="many headers"),
        pytest.param(b"GET / HTTP/1.1\r\n" + TOO_MUCH, id="a header without a value"),
        pytest.param(b"\r\n" * HEAD_LIMIT_BYTES, id="blank lines"),
    ],
)
async def test_a_head_without_end_is_431(head: bytes, pieces: int | None) -> None:
    async with connected() as client:
        await client.send(head, pieces=pieces)
        status, said, body = await client.answer()

        assert (status, json.loads(body)["error"]["code"]) == (431, "head_too_large")
        assert b"connection: close" in said
        assert await client.closed()
        assert not client.application.asked.is_set()


@pytest.mark.parametrize("pieces", [None, 1000], ids=["at once", "in pieces"])
@pytest.mark.parametrize(("size", "status"), [(HEAD_LIMIT_BYTES, 200), (HEAD_LIMIT_BYTES + 1, 431)])
async def test_the_limit_is_for_the_head_alone_and_the_same_however_it_comes(
    size: int, status: int, pieces: int | None
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\na: "
    head += b"a" * (size - len(head) - 4) + b"\r\n\r\n"
    async with connected() as client:
        client.application.may.set()
        await client.send(head + b"b" * 300_000, pieces=pieces)
        answer = await client.answer()

        assert answer[0] == status
        assert (answer[2] == b"300000") == (status == 200)


async def test_requests_sent_ahead_are_answered_however_many_come_at_once() -> None:
    request = GET.replace(b"\r\n\r\n", b"\r\na: " + b"a" * 1000 + b"\r\n\r\n")
    async with connected() as client:
        client.application.may.set()
        sending = asyncio.create_task(client.send(request * 300))
        answers = [await client.answer() for _ in range(300)]
        await sending

        assert {status for status, *_ in answers} == {200}


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(GET + b"GET /", id="the next head"),
        pytest.param(CHUNKED + b"a: ", id="a trailer"),
        pytest.param(CHUNKED.removesuffix(b"0\r\n") + b"1;a=", id="a chunk's frame"),
    ],
)
async def test_what_is_too_large_behind_a_head_leaves_the_answer_whole(begin: bytes) -> None:
    async with connected() as client:
        await client.send(begin)
        await client.application.asked.wait()
        await client.send(TOO_MUCH * 4, pieces=HEAD_LIMIT_BYTES)
        client.application.may.set()

        assert (await client.answer())[0] == 200
        assert await client.closed()


@pytest.mark.parametrize(
    ("before", "head"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"", b"GET / HTTP/1.1\r\n", id="a first head"),
        pytest.param(b"", b"\r\n", id="blank lines"),
        pytest.param(GET, b"GET / HTTP/1.1\r\n", id="a later head"),
        pytest.param(GET, b"\r\n", id="blank lines after an answer"),
        pytest.param(POST, b"1", id="a body that was answered already"),
    ],
)
async def test_who_never_ends_a_head_is_cut_off(monkeypatch: pytest.MonkeyPatch, before: bytes, head: bytes) -> None:
    monkeypatch.setattr(request_heads, "HEAD_SECONDS", 0.3)
    async with connected() as client:
        client.application.may.set()
        if before:
            await client.send(before)
            await client.answer()
        await client.send(head)
        ended = asyncio.create_task(client.closed())
        # A byte now and then does not put it off.
        while not (await asyncio.wait({ended}, timeout=0.1))[0]:
            await client.send(head[:1])

        assert ended.result()


async def test_who_has_ended_a_head_has_all_the_time_of_the_request_and_of_keep_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_heads, "HEAD_SECONDS", 0.1)
    async with connected() as client:
        await client.send(GET + b"GET / HT")
        assert await client.left_open(0.4)
        client.application.may.set()
        assert (await client.answer())[0] == 200
        await client.send(b"TP/1.1\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert await client.left_open(0.4)
        await client.send(GET)
        assert (await client.answer())[0] == 200


async def test_a_connection_is_kept_and_no_longer_than_others_when_its_body_came_after_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_heads, "HEAD_SECONDS", 0.1)
    async with connected(keep_alive_seconds=1) as client:
        client.application.may.set()
        await client.send(POST)
        assert (await client.answer())[0] == 200
        await client.send(b"0123456789")

        assert await client.left_open(0.4)
        assert await client.closed()


async def test_a_websocket_is_no_more_than_any_request() -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YQ==\r\n"
    async with serving() as port:
        url = port.client.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET /v1/realtime HTTP/1.1\r\nHost: a\r\n" + upgrade + b"\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"}}"), 5)
        writer.close()
        await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("lacking", ["httptools", "a method"])
def test_a_uvicorn_that_is_another_keeps_its_own_limits(monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    assert http() is BoundedHttp

    monkeypatch.delitem(sys.modules, request_heads.__name__)
    if lacking == "httptools":
        monkeypatch.setitem(sys.modules, HttpToolsProtocol.__module__, None)
    else:
        monkeypatch.delattr(HttpToolsProtocol, "on_body")

    assert http() == "auto"
