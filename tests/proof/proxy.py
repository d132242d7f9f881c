"""Between an operator and the API server: counts what is written, and lets a test do harm at any request or watch event.

    with Proxy(plane.user(access.USER), folder, hooks) as proxy:
        OperatorProcess(proxy.kubeconfig, ...)          # plain HTTP on loopback; the proxy speaks TLS as that user
        proxy.writes                                    # every counted write that was answered, with the API server's code
        proxy.hooks = other                             # at any time
        proxy.number                                    # of the last counted request that came

`Hooks` is the whole interface; subclass it and override what is needed. All hooks run in the proxy's own thread and loop, may
await (a delay is an `asyncio.sleep`), and see requests in parallel, as they come:

    before(request) -> Answer | None    None forwards; an Answer is given instead, and the API server never hears of it
    after(request, answer) -> Answer    what the operator gets for an answer of the API server
    event(request, event) -> [event]    what the operator sees of one watch event: none, several, others, in any order

Each may raise `Cut`: the connection to the operator ends without a word (TCP reset), also in the middle of a watch. `event` may
raise `End` to end the watch properly. From the test's thread, `proxy.tell(resource, event, ...)` adds events to open watches and
can end them: `proxy.tell("pods", EXPIRED, end=True)`. What a hook raises beside these is raised at the end of the block.

`counted` says which requests get a number and go into `writes`: by default all writes but the Lease's and events.
A request keeps its number when it is answered by a hook, then with the hook's code; a cut one before it was forwarded has code 0.
Requests of a killed operator that the proxy has forwarded are carried through, as the API server would.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web

from api.client import credentials
from proof.requests import Answer, Manifest, Request

#: Not passed on: they belong to one connection, and nothing is compressed, so that hooks can read it.
_OWN_HEADERS = frozenset(
    {"connection", "host", "accept-encoding", "content-length", "transfer-encoding", "keep-alive", "te", "date"}
)
#: Largest body of a request, in bytes.
LARGEST = 16 * 2**20
#: Seconds for the proxy to start or to end.
TURN = 30.0
#: Seconds that requests and connections get to end by themselves.
PARTING = 5.0


class Cut(Exception):  # noqa: N818 - an order, not an error
    """The connection to the operator ends here."""


class End(Exception):  # noqa: N818 - an order, not an error
    """The watch ends properly here."""


class Hooks:
    """Does nothing: everything is passed through."""

    async def before(self, request: Request) -> Answer | None:
        """Called with every request before it is forwarded."""
        return None

    async def after(self, request: Request, answer: Answer) -> Answer:
        """Called with every whole answer of the API server, not with watches."""
        return answer

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        """Called with every event of a watch, bookmarks and errors included."""
        return [event]


@dataclass(frozen=True)
class Write:
    """One counted write. code: what the operator was told, 0 where it was told nothing and the API server neither."""

    number: int
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int

    def __str__(self) -> str:
        what = "/".join(filter(None, (self.resource, self.subresource)))
        return f"{self.number}: {self.verb} {what} {self.name}"


def children_and_status(request: Request) -> bool:
    """All writes but the Lease's and events."""
    return request.is_write and request.target.resource not in {"leases", "events"}


@dataclass(eq=False)
class _Watch:
    request: Request
    response: web.StreamResponse
    task: "asyncio.Task[Any]"

    async def say(self, event: Manifest) -> None:
        await self.response.write(json.dumps(event).encode() + b"\n")


class Proxy:
    """See the module. A context manager; `kubeconfig` is there once it is entered."""

    def __init__(
        self,
        upstream: Path,
        folder: Path,
        hooks: Hooks | None = None,
        counted: Callable[[Request], bool] = children_and_status,
    ) -> None:
        self.hooks = hooks or Hooks()
        self.writes: list[Write] = []
        self.kubeconfig = folder / "through-proxy.yaml"
        self._server, self._tls = credentials(upstream)
        self._counted = counted
        #: Of the last counted request that came.
        self.number = 0
        self._watches: set[_Watch] = set()
        #: Requests that somebody still waits for.
        self._asking: dict[asyncio.Task[Any], tuple[float, Request]] = {}
        self._wrong: list[BaseException] = []
        self._carried: set[asyncio.Task[Any]] = set()
        self._over = asyncio.Event()
        self._started: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name="proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        server = f"http://127.0.0.1:{self._started.result(TURN)}"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "proxy", "cluster": {"server": server}}],
                    "users": [{"name": "proxy", "user": {}}],
                    "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
                    "current-context": "proxy",
                }
            )
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(TURN)
        if self._wrong and error is None:
            raise self._wrong[0]

    def tell(self, resource: str, *events: Manifest, end: bool = False) -> int:
        """Send events to every open watch of a resource, past the hooks, then end those watches or not; returns how many."""
        return asyncio.run_coroutine_threadsafe(self._tell(resource, events, end), self._loop).result(TURN)

    def watched(self, resource: str) -> int:
        """How many watches of it are open."""
        return sum(watch.request.target.resource == resource for watch in tuple(self._watches))

    def unanswered(self) -> list[tuple[float, Request]]:
        """Requests, watches aside, that somebody still waits for, and since when on the clock time.monotonic."""
        return list(self._asking.values())

    async def _tell(self, resource: str, events: Sequence[Manifest], end: bool) -> int:  # noqa: FBT001
        told = 0
        for watch in [watch for watch in self._watches if watch.request.target.resource == resource]:
            # Who watched may have gone, and nobody here has noticed yet.
            with contextlib.suppress(ConnectionError):
                for event in events:
                    await watch.say(event)
                told += 1
            if end:
                watch.task.cancel()
        return told

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - raised in the test's thread
            self._wrong.append(failure)
            if not self._started.done():
                self._started.set_exception(failure)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as self._session:
            application = web.Application(client_max_size=LARGEST)
            application.router.add_route("*", "/{path:.*}", self._handle)
            # Watches of a killed operator must not stay open.
            runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._started.set_result(runner.addresses[0][1])
            await self._over.wait()
            for watch in tuple(self._watches):
                watch.task.cancel()
            await runner.cleanup()
            if self._carried:
                await asyncio.wait(self._carried, timeout=PARTING)
            for task in self._carried:
                task.cancel()
            await asyncio.gather(*self._carried, return_exceptions=True)
            await connector.close(abort_ssl=True)
        await self._closed()

    async def _closed(self) -> None:
        """End whatever connection is left, and wait until every socket but the loop's own is closed.

        A TLS connection that is closed properly waits for the peer's word, and the loop ends before that comes.
        """
        selector, transports = vars(self._loop)["_selector"], vars(self._loop)["_transports"]
        deadline = self._loop.time() + PARTING
        while len(selector.get_map()) > 1 and self._loop.time() < deadline:
            for transport in tuple(transports.values()):
                transport.abort()
            await asyncio.sleep(0.01)

    async def _handle(self, incoming: web.Request) -> web.StreamResponse:
        body = await incoming.read()
        request = Request(incoming.method, incoming.path, dict(incoming.query), incoming.headers, body)
        if self._counted(request):
            self.number += 1
            request = replace(request, number=self.number)
        if request.verb == "watch":
            return await self._watch(incoming, request)
        # A forwarded request is carried through, whatever becomes of the one who asked.
        task = asyncio.create_task(self._ask(request, incoming.path_qs))
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)
        self._asking[task] = time.monotonic(), request
        try:
            answer = await self._guarded(asyncio.shield(task))
        finally:
            del self._asking[task]
        if answer is None:
            return _cut(incoming)
        return web.Response(status=answer.status, body=answer.body, headers=_passed(answer.headers))

    async def _guarded(self, work: Awaitable[Answer]) -> Answer | None:
        """None where the connection is to be cut: by order, because the API server is gone, or because a hook is broken."""
        try:
            return await work
        except (Cut, aiohttp.ClientError):
            return None
        except Exception as failure:  # noqa: BLE001 - raised at the end of the block
            self._wrong.append(failure)
            return None

    async def _ask(self, request: Request, url: str) -> Answer:
        told = 0
        try:
            answer = await self.hooks.before(request)
            if answer is None:
                headers = _passed(request.headers)
                async with self._session.request(
                    request.method, self._server + url, data=request.body or None, headers=headers
                ) as response:
                    answer = Answer(response.status, await response.read(), response.headers)
                told = answer.status
                answer = await self.hooks.after(request, answer)
            told = answer.status
            return answer
        finally:
            if request.number:
                about = request.target
                self.writes.append(
                    Write(
                        request.number,
                        request.verb,
                        about.resource,
                        about.subresource,
                        about.namespace,
                        request.name,
                        told,
                    )
                )

    async def _watch(self, incoming: web.Request, request: Request) -> web.StreamResponse:
        try:
            answer = await self.hooks.before(request)
            if answer is not None:
                return web.Response(status=answer.status, body=answer.body, headers=_passed(answer.headers))
            headers = _passed(request.headers)
            async with self._session.get(self._server + incoming.path_qs, headers=headers) as upstream:
                response = web.StreamResponse(status=upstream.status, headers=_passed(upstream.headers))
                await response.prepare(incoming)
                if upstream.status == 200:
                    try:
                        await self._relay(request, upstream, response)
                    finally:
                        _abort(upstream)
                else:
                    await response.write(await upstream.read())
                return response
        except (Cut, aiohttp.ClientError):
            return _cut(incoming)
        except ConnectionError:  # the operator has gone
            return _cut(incoming)
        except Exception as failure:  # noqa: BLE001 - raised at the end of the block
            self._wrong.append(failure)
            return _cut(incoming)

    async def _relay(self, request: Request, upstream: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        """Event by event, none held back; ends with the watch, by order of a hook, or of `tell`."""
        task = asyncio.create_task(self._events(request, upstream, response))
        watch = _Watch(request, response, task)
        self._watches.add(watch)
        try:
            await asyncio.wait([task])  # a cancelled task is a watch that was ended: no reason to be cancelled as well
            if not task.cancelled():
                task.result()
        except End:
            pass
        finally:
            task.cancel()
            self._watches.discard(watch)

    async def _events(self, request: Request, upstream: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        pending = b""
        async for chunk in upstream.content.iter_any():
            *lines, pending = (pending + chunk).split(b"\n")
            for line in filter(None, lines):
                for event in await self.hooks.event(request, json.loads(line)):
                    await response.write(json.dumps(event).encode() + b"\n")


def _passed(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OWN_HEADERS}


def _abort(upstream: aiohttp.ClientResponse) -> None:
    """A watch that ends early has no proper end that the API server would wait for."""
    if upstream.connection is not None and upstream.connection.transport is not None:
        upstream.connection.transport.abort()


def _cut(incoming: web.Request) -> web.Response:
    """End the connection; what is returned reaches nobody."""
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response(status=500)
