"""uvicorn's HTTP/1.1 with limits to request heads: the guard, which has all other limits, sees a request once its head is complete.

httptools joins what comes of a header and uvicorn keeps every one, without end: whoever reaches the port, with a key or without, could
fill the pod's memory with a single head, or hold a connection for ever with one that never ends.
"""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead_runtime.refusals import Refusal

logger = logging.getLogger(__name__)

#: First line and headers of one request; and what else of it is neither head nor body: trailers, a chunk's frame.
HEAD_LIMIT_BYTES = 64 * 1024
#: From connecting, or from a later head's first byte, to the end of the head; seconds. As long as a body may take.
HEAD_SECONDS = 30.0
#: How long a refused client may go on sending until its connection is closed: a close at once could take the refusal from it. Seconds.
LINGER_SECONDS = 2.0

if missing := [
    name
    for name in ("data_received", "on_headers_complete", "on_body", "on_message_complete", "shutdown")
    if not hasattr(HttpToolsProtocol, name)
]:
    # Counted by other names, heads would end connections that did nothing wrong.
    raise ImportError(f"uvicorn's HttpToolsProtocol has no {', '.join(missing)}")


class BoundedHttp(HttpToolsProtocol):
    """As its base class. A head that is too large is answered with 431, and one that does not end ends its connection."""

    #: Bytes of which the parser has made nothing whole yet: no head, no piece of a body, no end of a request.
    _loose = 0
    #: What comes next is, or begins, a head.
    _in_head = True
    #: From now on nothing is read any more.
    _refused = False
    _ending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._end_in(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._go_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        room = HEAD_LIMIT_BYTES - self._loose
        if self._in_head and len(data) > room:
            # Cut where the limit is, which is then the same however the bytes came.
            self._parse(data[:room])
            if self._loose == HEAD_LIMIT_BYTES:
                self._refuse()
                return
            data = data[room:]
        self._parse(data)
        if self._loose > HEAD_LIMIT_BYTES:
            self._refuse()
        elif not self._answering:
            # A request that is being answered has its own deadlines.
            self._await_more()

    def on_headers_complete(self) -> None:
        self._loose, self._in_head = 0, False
        self._go_on()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._loose = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._loose, self._in_head = 0, True
        super().on_message_complete()

    @property
    def head_began(self) -> bool:
        """Whether a part of a head has come, and its end has not."""
        return self._in_head and self._loose > 0

    @property
    def _answering(self) -> bool:
        # None before the first request, whatever its type says.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _parse(self, data: bytes) -> None:
        # A head that cannot be parsed has closed the connection.
        if not self.transport.is_closing():
            self._loose += len(data)
            super().data_received(data)

    def _await_more(self) -> None:
        if self._in_head and not self._loose:
            # The rest of a body that was answered before it came: uvicorn has taken it for the next request's beginning.
            self._end_in(self.timeout_keep_alive)
        elif self._ending is None:
            self._end_in(HEAD_SECONDS)

    def _refuse(self) -> None:
        self._refused = True
        logger.warning("%s sent a request head of more than %d bytes", self.client, HEAD_LIMIT_BYTES)
        if self._answering:
            # An answer that is on its way, to this request or the one before, ends the connection.
            self.shutdown()
            return
        if self._in_head:
            self.transport.write(_refusal())
        self.transport.write_eof()
        self._end_in(LINGER_SECONDS)

    def _end_in(self, seconds: float) -> None:
        self._go_on()
        self._ending = asyncio.get_running_loop().call_later(seconds, self.transport.close)

    def _go_on(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None


def _refusal() -> bytes:
    message = f"The request's head is larger than {HEAD_LIMIT_BYTES} bytes; send fewer headers, or shorter ones."
    refusal = Refusal(431, message, "head_too_large")
    body = refusal.body()
    headers = [*refusal.headers(), (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    lines = [b"HTTP/1.1 431 Request Header Fields Too Large", *(name + b": " + value for name, value in headers)]
    return b"\r\n".join([*lines, b"", body])
