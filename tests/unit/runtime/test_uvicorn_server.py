"""Which connections a server that stops lets go, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from fairlead_runtime.uvicorn_server import Server

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Application:
    """Answers when it may."""

    def __init__(self) -> None:
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        self.asked.set()
        await self.may.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


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
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


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
