"""Which connections a server that stops lets go, and which it waits for, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from fairlead_runtime import uvicorn_server
from fairlead_runtime.request_heads import BoundedHttp
from fairlead_runtime.uvicorn_server import Server

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#: More than the kernel holds of it for a client that does not read.
LARGE = b"a" * 12_000_000


class Application:
    """Answers when it may."""

    def __init__(self) -> None:
        self.asked, self.may = asyncio.Event(), asyncio.Event()
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        self.asked.set()
        await self.may.wait()
        headers = [(b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


@asynccontextmanager
async def served(http: Any) -> AsyncIterator[tuple[Server, Application, int]]:
    application = Application()
    server = Server(uvicorn.Config(application, port=0, http=http, lifespan="off", log_level="critical"))
    serving = asyncio.create_task(server.serve())
    await server.listening.wait()
    try:
        yield server, application, server.servers[0].sockets[0].getsockname()[1]
    finally:
        application.may.set()
        server.should_exit = True
        await serving


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """It takes little more of an answer than it is asked to read."""
    taking = socket.create_connection(("127.0.0.1", port))
    taking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    reader, writer = await asyncio.open_connection(sock=taking, limit=65_536)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def _accepted(server: Server) -> None:
    async with asyncio.timeout(5):
        while not server.server_state.connections:  # noqa: ASYNC110 - the condition is an attribute
            await asyncio.sleep(0)


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_an_idle_connection_ends_and_one_that_carries_a_request_carries_one_more(http: str) -> None:
    async with (
        served(http) as (server, application, port),
        connection(port) as (idle, asks),
        connection(port) as (busy, writes),
    ):
        application.may.set()
        asks.write(REQUEST)
        await idle.readuntil(b"\r\n\r\n")
        application.may.clear()
        application.asked.clear()
        writes.write(REQUEST)
        await application.asked.wait()

        left = server.let_go()

        assert left == {writes.get_extra_info("sockname")}
        assert await asyncio.wait_for(idle.read(), 5) == b""
        application.may.set()
        assert (await busy.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writes.write(REQUEST)
        assert (await busy.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        # Nothing follows: the server closes it by itself.
        assert await asyncio.wait_for(busy.read(), 5) == b""


async def test_a_request_that_has_arrived_unread_keeps_its_connection() -> None:
    async with served("h11") as (server, application, port), connection(port) as (reader, writer):
        application.may.set()
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        # Sent past the loop, which does not run between this and the look at it.
        writer.get_extra_info("socket")._sock.send(REQUEST)

        left = server.let_go()

        assert left == {writer.get_extra_info("sockname")}
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_connection_whose_first_request_is_on_its_way_carries_it(http: str) -> None:
    async with served(http) as (server, application, port), connection(port) as (reader, writer):
        application.may.set()
        await _accepted(server)

        left = server.let_go()

        assert left == {writer.get_extra_info("sockname")}
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_connection_on_which_a_part_of_a_head_has_come_carries_its_request() -> None:
    async with served(BoundedHttp) as (server, application, port), connection(port) as (reader, writer):
        application.may.set()
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        (protocol,) = server._connections()
        writer.write(REQUEST[:20])
        async with asyncio.timeout(5):
            while not protocol.head_began:  # noqa: ASYNC110 - the condition is an attribute
                await asyncio.sleep(0)

        left = server.let_go()

        assert left == {writer.get_extra_info("sockname")}
        writer.write(REQUEST[20:])
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_connection_that_closes_already_fails_nothing() -> None:
    async with served("h11") as (server, application, port), connection(port) as (reader, writer):
        application.may.set()
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        (protocol,) = server.server_state.connections
        protocol.transport.abort()

        server.let_go()

        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1)


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize(
    ("asked", "goes_on"),
    [
        pytest.param(REQUEST, 1, id="another request may follow"),
        pytest.param(LAST_REQUEST, 0, id="the connection closes behind it"),
    ],
)
async def test_an_answer_that_its_client_still_reads_is_not_cut_and_is_waited_for(
    http: str, asked: bytes, goes_on: int
) -> None:
    async with served(http) as (server, application, port), connection(port) as (reader, writer):
        application.body = LARGE
        application.may.set()
        writer.write(asked)
        await reader.readuntil(b"\r\n\r\n")

        left = server.let_go()
        sent = asyncio.create_task(server.sent())

        assert left == set([writer.get_extra_info("sockname")][:goes_on])
        assert not (await asyncio.wait({sent}, timeout=0.3))[0]
        assert await asyncio.wait_for(reader.readexactly(len(LARGE)), 20) == LARGE
        assert await asyncio.wait_for(sent, 5)
        assert not await server.sent()


async def test_a_client_that_takes_nothing_is_not_waited_for_and_one_that_takes_a_little_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uvicorn_server, "UNREAD_SECONDS", 1.0)
    async with served("httptools") as (server, application, port), connection(port) as (reader, writer):
        application.body = LARGE
        application.may.set()
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")

        sent = asyncio.create_task(server.sent())
        for _ in range(20):
            await reader.readexactly(100_000)
            await asyncio.wait({sent}, timeout=0.1)
        assert not sent.done()

        assert await asyncio.wait_for(sent, 5)
        assert not await server.sent()
