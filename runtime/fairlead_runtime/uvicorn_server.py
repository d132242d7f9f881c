"""uvicorn, as far as fairlead wants something else of it: no signal handlers, a word when it listens, an end without a lost request."""

import asyncio
import contextlib
import logging
import os
import select
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from fairlead_runtime.drain import HAND_OVER_SECONDS, Client

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """One serving port. `listening` is set when it does."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The drain owns SIGTERM."""
        yield

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    def let_go(self) -> set[Client]:
        """Closes idle connections. The others close when no request follows the one that they carry: whose they are."""
        left = set()
        # h11's and httptools' classes have these names; what has them not is not HTTP/1.1, and ends with the server.
        connections: tuple[Any, ...] = tuple(self.server_state.connections)
        for connection in (one for one in connections if hasattr(one, "cycle")):
            if (connection.cycle is None or connection.cycle.response_complete) and _ended(connection.transport):
                connection.shutdown()
            else:
                connection.timeout_keep_alive = HAND_OVER_SECONDS
                left.add(connection.client)
        return left


def http() -> Any:
    """uvicorn.Config's `http`: with limits to request heads, or uvicorn's own choice where its httptools protocol is another or missing.

    That choice is h11 then, which limits a head's size by itself.
    """
    try:
        from fairlead_runtime.request_heads import BoundedHttp  # noqa: PLC0415 - see above
    except ImportError as error:
        logger.warning("The limits to request heads are uvicorn's own: %s", error)
        return "auto"
    return BoundedHttp


def _ended(transport: asyncio.Transport) -> bool:
    """Tells the other end at once that nothing more will be sent, unless a request has come that was not read yet.

    A transport's own close() waits for its loop's next turn: on a busy one long enough for a request to be sent in vain.
    """
    # Closed already, or reset by the other end: whatever fails here must not fail the drain.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(_descriptor(transport))) as connection:
        arrived = select.poll()
        arrived.register(connection, select.POLLIN)
        if arrived.poll(0):
            return False
        connection.shutdown(socket.SHUT_WR)
    return True


def _descriptor(transport: asyncio.Transport) -> int:
    return int(transport.get_extra_info("socket").fileno())
