"""The outermost layer of the serving port: pure ASGI, deny by default.

Order: key, then route, then admission, then limits. Without a key nobody learns which routes exist, and what is refused for another
reason uses up no limit. Nothing is buffered: a stream's chunks pass as they come. It wraps vLLM's application from outside because that has already built its own middleware stack.
"""

import logging
import math
import re
import time
import uuid
from collections.abc import Mapping

from starlette.requests import ClientDisconnect

from fairlead_runtime.drain import RETRY_AFTER_SECONDS, Admission, Client, Gate, stopping
from fairlead_runtime.exchange import CLIENT_CLOSED_REQUEST, Application, Exchange, Receive, Scope, Send, too_large
from fairlead_runtime.guard_routes import GENERATING, HEALTH, OTHER, allowed_method
from fairlead_runtime.keys import ApiKeys
from fairlead_runtime.metrics import Metrics
from fairlead_runtime.queue_limit import QueueLimit
from fairlead_runtime.rate_limit import RateLimiter
from fairlead_runtime.refusals import Refusal, RefusedError, bad_request, internal_error

logger = logging.getLogger(__name__)

#: A megabyte of text is 250,000 tokens and more: room for every context there is, and for JSON's escapes.
BODY_LIMIT_BYTES = 8 * 1024 * 1024
#: Of a Content-Length: 64 bits have no more, and Python reads no number of some thousands.
MOST_DIGITS = 20
#: Policy violation, RFC 6455.
WEBSOCKET_REFUSED = 1008
#: What may come in as X-Request-Id: it goes into logs and headers.
REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class Guard:
    """keys: None leaves the port open. request_timeout_seconds: the deadline; a caller may lower it by X-Request-Timeout.

    rate, queue: None for no limit. The rate counts every request that is served but GET /health; the queue those that generate.
    """

    def __init__(
        self,
        application: Application,
        *,
        gate: Gate,
        keys: ApiKeys | None,
        request_timeout_seconds: float,
        metrics: Metrics,
        rate: RateLimiter | None = None,
        queue: QueueLimit | None = None,
        body_limit: int = BODY_LIMIT_BYTES,
    ) -> None:
        self._application = application
        self._gate = gate
        self._keys = keys
        self._request_timeout = request_timeout_seconds
        self._metrics = metrics
        self._rate = rate
        self._queue = queue
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": WEBSOCKET_REFUSED})
            case _:
                await self._application(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        request_id = _request_id(headers)
        exchange = Exchange(
            receive,
            send,
            body_limit=self._body_limit,
            headers=[(b"x-request-id", request_id)],
            closing=lambda: self._gate.closing,
        )
        path = scope["path"]
        route = path if allowed_method(path) else OTHER
        self._gate.enter(exchange)
        try:
            try:
                caller = self._caller(scope["method"], path, headers)
                deadline = self._admit(scope["method"], path, headers, _client(scope))
                self._limit(exchange, path, caller)
            except RefusedError as refused:
                self._metrics.refused.labels(refused.refusal.code).inc()
                # Nobody's drain waits for a body that is not wanted.
                await exchange.refuse_unread(refused.refusal, said=lambda: self._gate.leave(exchange))
                return
            if (scope["method"], path) == HEALTH:
                await self._health(exchange)
                return
            await self._pass_on(exchange, _with_request_id(scope, request_id), deadline)
        finally:
            if self._queue is not None:
                self._queue.leave(exchange)
            self._gate.leave(exchange)
            self._count(exchange, route, time.perf_counter() - started)

    def _caller(self, method: str, path: str, headers: Mapping[bytes, bytes]) -> bytes:
        """Whose request it is; b"" where nobody is asked for a key. Raises RefusedError."""
        if self._keys is None or (method, path) == HEALTH:
            return b""
        caller = self._keys.caller(headers.get(b"authorization"))
        if caller is None:
            message = "A valid API key is needed: send the header `Authorization: Bearer KEY`."
            raise RefusedError(Refusal(401, message, "invalid_api_key"))
        return caller

    def _admit(self, method: str, path: str, headers: Mapping[bytes, bytes], client: Client) -> float:
        """The request's deadline in seconds. Raises RefusedError."""
        allowed = allowed_method(path)
        if allowed is None:
            raise RefusedError(Refusal(404, f"There is no route {method} {path[:200]}.", "not_found"))
        if method != allowed:
            raise RefusedError(Refusal(405, f"{path} answers to {allowed}, not to {method}.", "method_not_allowed"))
        if path == HEALTH[1]:
            return self._request_timeout
        if self._gate.admission is Admission.STARTING:
            message = "The engine is not ready yet; send the request again."
            raise RefusedError(Refusal(503, message, "not_ready", retry_after=RETRY_AFTER_SECONDS))
        deadline = _deadline(headers.get(b"x-request-timeout"), self._request_timeout)
        if not self._gate.admits and not self._gate.hands_over(client, deadline):
            raise RefusedError(stopping())
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > MOST_DIGITS or int(length) > self._body_limit:
            raise RefusedError(too_large(self._body_limit))
        return deadline

    def _limit(self, exchange: Exchange, path: str, caller: bytes) -> None:
        """Raises RefusedError when the queue is full or `caller` asks too often; a full queue uses up nothing of anybody's rate."""
        queue = self._queue if path in GENERATING else None
        if queue is not None:
            queue.check()
        if self._rate is not None and path != HEALTH[1]:
            self._rate.take(caller)
        if queue is not None:
            queue.enter(exchange)

    async def _health(self, exchange: Exchange) -> None:
        if self._gate.ready:
            await exchange.send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await exchange.send({"type": "http.response.body", "body": b""})
            return
        state = self._gate.admission if self._gate.healthy else "stalled"
        await exchange.refuse(Refusal(503, f"Not ready: {state}.", "not_ready", retry_after=RETRY_AFTER_SECONDS))

    async def _pass_on(self, exchange: Exchange, scope: Scope, deadline: float) -> None:
        message = (
            f"The request took longer than its deadline of {deadline:g} s; ask for fewer tokens or raise the deadline."
        )
        try:
            await exchange.run(
                self._application, scope, deadline=deadline, late=Refusal(504, message, "deadline_exceeded")
            )
        except Exception as error:
            if exchange.client_left and isinstance(error, ClientDisconnect):
                return  # it broke off while it sent its body: nobody failed, and nobody waits for a word
            if exchange.status is not None:
                raise  # the server logs it and cuts the connection
            logger.exception("%s %s failed", scope["method"], scope["path"])
            await exchange.refuse(internal_error())

    def _count(self, exchange: Exchange, route: str, seconds: float) -> None:
        reason = exchange.aborted or ("client" if exchange.client_left else "")
        if reason:
            self._metrics.aborted.labels(reason).inc()
        code = CLIENT_CLOSED_REQUEST if exchange.status is None else exchange.status
        self._metrics.requests.labels(route, str(code)).inc()
        self._metrics.duration.labels(route).observe(seconds)


def _client(scope: Scope) -> Client:
    """One whose address a proxy's header replaced has the port 0: that is no connection."""
    host, port = scope.get("client") or ("", 0)
    return host, port


def _request_id(headers: Mapping[bytes, bytes]) -> bytes:
    given = headers.get(b"x-request-id", b"")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex.encode()


def _with_request_id(scope: Scope, request_id: bytes) -> Scope:
    """Both vLLM and /generate name the engine's request after this header."""
    others = [header for header in scope["headers"] if header[0] != b"x-request-id"]
    return {**scope, "headers": [*others, (b"x-request-id", request_id)]}


def _deadline(asked: bytes | None, longest: float) -> float:
    if asked is None:
        return longest
    try:
        seconds = float(asked)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise bad_request("X-Request-Timeout must be a number of seconds above 0.", param="X-Request-Timeout")
    return min(seconds, longest)
