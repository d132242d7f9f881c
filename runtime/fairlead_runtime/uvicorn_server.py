"""uvicorn, as far as fairlead wants something else of it: no signal handlers, a word when it listens, an end without a lost request.

For uvicorn an answer is over when its transport has it. It is in this process until its client has read what came before: megabytes, to
a slow one for minutes.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import select
import socket
import struct
import termios
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from fairlead_runtime.drain import HAND_OVER_SECONDS, Client

logger = logging.getLogger(__name__)

#: A client that takes nothing of its answer for so long does not read slowly, it has stopped or is gone; seconds.
UNREAD_SECONDS = 30.0
#: Transports have no event for it; seconds.
UNREAD_POLL_SECONDS = 0.1


class Server(uvicorn.Server):
    """One serving port. `listening` is set when it does."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        #: Of connections with an answer that was not taken: bytes left, and since when as many.
        self._untaken: dict[Any, tuple[int, float]] = {}

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The drain owns SIGTERM."""
        yield

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    def let_go(self) -> set[Client]:
        """Closes idle connections. The others close when no request follows the one that they carry or wait for: whose they are."""
        left = set()
        # Who was told that the connection closes, and only has to read the rest, sends nothing any more.
        for connection in (one for one in self._connections() if not one.transport.is_closing()):
            # Whose first request is lost does not send it again, as one does on a connection that was idle.
            began = connection.cycle is None or getattr(connection, "head_began", False)
            idle = not began and connection.cycle.response_complete
            if idle and not connection.transport.get_write_buffer_size() and _ended(connection.transport):
                connection.shutdown()
            else:
                connection.timeout_keep_alive = HAND_OVER_SECONDS
                left.add(connection.client)
        return left

    async def sent(self) -> bool:
        """Returns once the clients have taken their answers, but for those that take nothing for UNREAD_SECONDS. Whether any had to."""
        waited = False
        while self._being_taken():
            waited = True
            await asyncio.sleep(UNREAD_POLL_SECONDS)
        return waited

    def _being_taken(self) -> bool:
        now, known = time.monotonic(), self._untaken
        self._untaken = {}
        for connection in self._connections():
            if left := _unsent(connection.transport):
                before, since = known.get(connection, (0, now))
                self._untaken[connection] = (left, since if left == before else now)
        return any(now - since < UNREAD_SECONDS for _, since in self._untaken.values())

    def _connections(self) -> list[Any]:
        """h11's and httptools' classes have this name; what has it not is not HTTP/1.1, and ends with the server."""
        connections: tuple[Any, ...] = tuple(self.server_state.connections)
        return [one for one in connections if hasattr(one, "cycle")]


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


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that this process still holds, and then those in the kernel too: there it shows first that the client reads."""
    held = transport.get_write_buffer_size()
    if held:
        with contextlib.suppress(OSError):
            (queued,) = struct.unpack("i", fcntl.ioctl(_descriptor(transport), termios.TIOCOUTQ, bytes(4)))
            held += queued
    return held


def _descriptor(transport: asyncio.Transport) -> int:
    return int(transport.get_extra_info("socket").fileno())
