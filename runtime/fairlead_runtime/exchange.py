"""One HTTP request on its way through the guard: what came in, what went out, and how it is ended early.

An engine's request is only aborted when the application hears `http.disconnect`; cancelling the task around it does not reach
vLLM's handlers, which run in tasks of their own. So ending a request early means: a synthetic disconnect towards the application,
and an honest last word towards the client (a status if none was sent, an error event on a stream). An application that has finished
parts of its answer can take the end over and say the last word itself.
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

#: How long an application may take to come to its end after its disconnect, a slow client to take the last word, and the rest of a
#: refused body to arrive; seconds.
GRACE_SECONDS = 2.0
#: How long a body may take to arrive: until then its request holds a place that others wait for; seconds.
BODY_SECONDS = 30.0
#: What a client that went away before its answer is counted as; nobody receives it. nginx's number for the same.
CLIENT_CLOSED_REQUEST = 499
#: The extension in a request's scope that holds Exchange.take_over.
EARLY_END = "fairlead.early_end"
#: The extension that holds Exchange.direct.
CHUNKS = "fairlead.chunks"


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
        loop = asyncio.get_running_loop()
        #: An early end is asked for; the refusal is what the client is to hear.
        self._ended: asyncio.Future[Refusal] = loop.create_future()
        #: From here on the application hears a disconnect, and what it sends is swallowed.
        self._cut: asyncio.Future[None] = loop.create_future()
        self._taken_over = False
        #: The application's messages that the server has not taken yet, and what is set once there are none: see _last_word.
        self._sending = 0
        self._sent = asyncio.Event()
        self._body_read = False
        self._event_stream = False
        self._finished = False
        #: The status sent, or None while nothing was; None for ever once the client has left without one.
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
            if not self._taken_over:
                self._cut.set_result(None)

    def take_over(self) -> "asyncio.Future[Refusal]":
        """For an application that has something to save from an early end, called before there is one.

        When the end is asked for, the future holds what the client is to hear about what is not finished, and the application has
        GRACE_SECONDS for its own answer before it is cut like any other.
        """
        self._taken_over = not self._ended.done()
        return self._ended

    async def run(self, application: Application, scope: Scope, *, deadline: float, late: Refusal) -> None:
        """Runs the application for at most `deadline` seconds; then `late` is the answer."""
        extensions = {**scope.get("extensions", {}), EARLY_END: self.take_over, CHUNKS: self.direct}
        task = asyncio.ensure_future(application({**scope, "extensions": extensions}, self.receive, self.send))
        try:
            await _first(task, self._ended, seconds=min(deadline, BODY_SECONDS))
            if deadline > BODY_SECONDS and not (task.done() or self._ended.done()):
                if self._body_read:
                    await _first(task, self._ended, seconds=deadline - BODY_SECONDS)
                else:
                    self.end(body_too_slow(), reason="body")
            if not task.done():
                self.end(late, reason="deadline")
            if self._ended.done():
                if not self._cut.done():
                    await asyncio.wait({task}, timeout=GRACE_SECONDS)
                    self._cut.set_result(None)
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
        await self._say(refusal, ends=True)

    async def refuse_unread(self, refusal: Refusal, *, said: Callable[[], None]) -> None:
        """As `refuse`, of a request whose body may still be on its way. said: called once the client has its answer.

        A server that closes a connection with a body unread resets it, and the refusal may be lost with it: the rest is read first.
        """
        closes = self._closing()
        await self._say(refusal, ends=not closes)
        said()
        if closes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    while (await self._receive()).get("more_body", False):
                        pass
            await self._deliver({"type": "http.response.body", "body": b"", "more_body": False})

    async def _say(self, refusal: Refusal, *, ends: bool) -> None:
        body = refusal.body()
        headers = [*refusal.headers(), (b"content-length", str(len(body)).encode())]
        await self._deliver({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self._deliver({"type": "http.response.body", "body": body, "more_body": not ends})

    async def receive(self) -> Message:
        """The client's next message, or a disconnect once the request was cut."""
        if self._cut.done():
            return {"type": "http.disconnect"}
        message = asyncio.ensure_future(self._receive())
        try:
            await _first(message, self._cut)
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
        elif not received.get("more_body", False):
            self._body_read = True
        return received

    async def send(self, message: Message) -> None:
        """What the application answers; swallowed once the request was cut."""
        if self._cut.done():
            return
        # A count and no lock: this runs for every chunk of every stream.
        self._sending += 1
        try:
            await self._send(self._outgoing(message))
        finally:
            self._sending -= 1
            if not self._sending:
                self._sent.set()

    def direct(self) -> Send | None:
        """The way out for the chunks of a stream that has begun; None while its start is still on its way through the application."""
        return None if self.status is None else self.send

    def _over_limit(self, message: Message) -> bool:
        self._body_left -= len(message.get("body", b""))
        return self._body_left < 0

    async def _last_word(self, refusal: Refusal) -> None:
        """A client that does not read holds up the message before or this one: it gets no word, and the server closes its connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while self._sending:
                    self._sent.clear()
                    await self._sent.wait()
                if self.status is None:
                    await self.refuse(refusal)
                elif self._event_stream and not self._finished:
                    # No "[DONE]" follows: who waits for it must not take this for a complete answer.
                    await self._deliver({"type": "http.response.body", "body": refusal.event(), "more_body": False})
                # Any other body has a length that can no longer be kept: returning without its end cuts the connection.

    async def _deliver(self, message: Message) -> None:
        await self._send(self._outgoing(message))

    def _outgoing(self, message: Message) -> Message:
        """`message` as it goes out, and what is known of the response from then on."""
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
            if not self.client_left:
                # What vLLM answers a client that has gone is `200 null`: it reaches nobody, and was no success.
                self.status = message["status"]
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._finished = True
        return message


async def _first(*futures: asyncio.Future[Any], seconds: float | None = None) -> None:
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def too_large(limit: int) -> Refusal:
    """413 naming the limit in bytes."""
    return Refusal(
        413,
        f"The request body is larger than {limit} bytes; send a shorter prompt, or split the batch.",
        "request_too_large",
    )


def body_too_slow() -> Refusal:
    """408 naming the time in seconds."""
    message = f"The request body did not arrive within {BODY_SECONDS:g} s; send it at once."
    return Refusal(408, message, "request_timeout")
