"""One HTTP request on its way through the guard: what came in, what went out, and how it is ended early.

An engine's request is only aborted when the application hears `http.disconnect`; cancelling the task around it does not reach
vLLM's handlers, which run in tasks of their own. So ending a request early means: a synthetic disconnect towards the application,
and an honest last word towards the client (a status if none was sent, an error event on a stream).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fairlead_runtime.refusals import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: How long an application may take to come to its end after its disconnect, and a slow client to take the last word; seconds.
GRACE_SECONDS = 2.0
#: What a client that went away before its answer is counted as; nobody receives it. nginx's number for the same.
CLIENT_CLOSED_REQUEST = 499


class Exchange:
    """The application's `receive` and `send` for one request, with a body limit and an early end.

    headers: added to the response, whoever makes it. closing: asked at the response's start; True adds `Connection: close`.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        body_limit: int,
        headers: list[tuple[bytes, bytes]],
        closing: Callable[[], bool],
    ) -> None:
        self._receive = receive
        self._send = send
        self._body_left = body_limit
        self._body_limit = body_limit
        self._headers = headers
        self._closing = closing
        self._ended: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
        self._sending = asyncio.Lock()
        self._event_stream = False
        self._finished = False
        #: The status sent, or None while nothing was.
        self.status: int | None = None
        #: The client went away before its response was complete.
        self.client_left = False
        #: Why the request was ended early: `deadline`, `drain`, `engine` or `body`; "" when it was not.
        self.aborted = ""

    def end(self, refusal: Refusal, *, reason: str) -> None:
        """Asks for an early end. The first one counts; nothing happens to a request that is over."""
        if not self._ended.done() and not self._finished:
            self.aborted = reason
            self._ended.set_result(refusal)

    async def run(self, application: Application, scope: Scope, *, deadline: float, late: Refusal) -> None:
        """Runs the application for at most `deadline` seconds; then `late` is the answer."""
        task = asyncio.ensure_future(application(scope, self.receive, self.send))
        try:
            await _first(task, self._ended, seconds=deadline)
            if not task.done():
                self.end(late, reason="deadline")
            if self._ended.done():
                await self._last_word(self._ended.result())
                await asyncio.wait({task}, timeout=GRACE_SECONDS)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if self._ended.done():
            # The application was told that its client has gone: what it raises about that is nobody's concern.
            with contextlib.suppress(asyncio.CancelledError, Exception):
                task.result()
        elif not task.cancelled():
            task.result()

    async def refuse(self, refusal: Refusal) -> None:
        """Answers with `refusal`; the application is not asked."""
        body = refusal.body()
        headers = [*refusal.headers(), (b"content-length", str(len(body)).encode())]
        await self._deliver({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self._deliver({"type": "http.response.body", "body": body, "more_body": False})

    async def receive(self) -> Message:
        """The client's next message, or a disconnect once the request was ended early."""
        if self._ended.done():
            return {"type": "http.disconnect"}
        message = asyncio.ensure_future(self._receive())
        try:
            await _first(message, self._ended)
        finally:
            if not message.done():
                message.cancel()
        if not message.done() or message.cancelled():
            return {"type": "http.disconnect"}
        received = message.result()
        if received["type"] == "http.disconnect":
            self.client_left = self.client_left or not self._finished
        elif self._over_limit(received):
            self.end(too_large(self._body_limit), reason="body")
            return {"type": "http.disconnect"}
        return received

    async def send(self, message: Message) -> None:
        """What the application answers; swallowed once the request was ended early."""
        async with self._sending:
            if not self._ended.done():
                await self._deliver(message)

    def _over_limit(self, message: Message) -> bool:
        self._body_left -= len(message.get("body", b""))
        return self._body_left < 0

    async def _last_word(self, refusal: Refusal) -> None:
        """A client that does not read holds the lock or the send: it gets no word, and its connection is closed by the server."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS), self._sending:
                if self.status is None:
                    await self.refuse(refusal)
                elif self._event_stream and not self._finished:
                    # No "[DONE]" follows: who waits for it must not take this for a complete answer.
                    await self._deliver({"type": "http.response.body", "body": refusal.event(), "more_body": False})
                # Any other body has a length that can no longer be kept: returning without its end cuts the connection.

    async def _deliver(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            headers += [header for header in self._headers if header[0] not in present]
            if self._closing():
                headers = [header for header in headers if header[0].lower() != b"connection"]
                headers.append((b"connection", b"close"))
            self._event_stream = any(
                name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
            )
            self.status = message["status"]
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._finished = True
        await self._send(message)


async def _first(*futures: asyncio.Future[Any], seconds: float | None = None) -> None:
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def too_large(limit: int) -> Refusal:
    """413 naming the limit in bytes."""
    return Refusal(413, f"The request body is larger than {limit} bytes; send a shorter prompt.", "request_too_large")
