"""The real kopf before a server that plays the API: what it asks when no watch lives, and what it tells."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from fairlead_operator.controller import pacing as pacing_module
from fairlead_operator.controller.bucket import TokenBucket
from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.informer import Informer
from fairlead_operator.controller.kinds import WATCHED
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.pacing import IN_A_ROW, Pacing
from unit.operator.controller.objects import child

EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}
POD_LIST, POD_WATCH = ("/api/v1/pods", False), ("/api/v1/pods", True)


class Api:
    """Serves every watched kind; pods are as `pods` says. `watch` answers each watch; when `silent` none is answered."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.pods: list[dict[str, Any]] = []
        self.watch: Callable[[], web.Response | None] = lambda: None
        self.silent = False
        self.over = asyncio.Event()

    def times(self, what: tuple[str, bool]) -> int:
        return self.asked.count(what)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path, watched = request.path, "watch" in request.query
        self.asked.append((path, watched))
        if watched:
            if self.silent:
                await self.over.wait()
            answer = self.watch()
            if answer is not None:
                return answer
            stream = web.StreamResponse()
            await stream.prepare(request)
            await self.over.wait()
            return stream
        return web.json_response(self.discovery(path) or self.listing(path))

    @staticmethod
    def discovery(path: str) -> dict[str, Any] | None:
        if path == "/api":
            return {"versions": ["v1"]}
        if path == "/apis":
            groups = {(kind.group, kind.version) for kind in WATCHED if kind.group}
            return {
                "groups": [
                    {"name": group, "versions": [{"version": version}], "preferredVersion": {"version": version}}
                    for group, version in sorted(groups)
                ]
            }
        here = [kind for kind in WATCHED if path in {f"/api/{kind.version}", f"/apis/{kind.group}/{kind.version}"}]
        verbs = ["get", "list", "watch"]
        found = [
            {"name": kind.plural, "singularName": "", "namespaced": True, "kind": kind.name, "verbs": verbs}
            for kind in here
            if path.endswith(f"{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}")
        ]
        if path == "/api/v1":  # kopf waits until it knows them
            found += [{**found[0], "name": "namespaces", "kind": "Namespace", "namespaced": False}]
            found += [{**found[0], "name": "events", "kind": "Event"}]
        return {"resources": found} if found else None

    def listing(self, path: str) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "100"}, "items": self.pods if path == POD_LIST[0] else []}


@pytest.fixture
async def api() -> Api:
    return Api()


@pytest.fixture
async def seen() -> list[str]:
    return []


@pytest.fixture
async def informer(api: Api, seen: list[str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Informer]:
    monkeypatch.setattr(pacing_module, "SECONDS", 600.0)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    server = TestServer(app)
    await server.start_server()
    configuration = client.Configuration(host=str(server.make_url("")).rstrip("/"))

    async def load() -> client.Configuration:
        return configuration

    monkeypatch.setattr("fairlead_operator.controller.connection.load", load)
    bucket, metrics = TokenBucket(1000, 1000), Metrics()
    cluster = Cluster(configuration, bucket, metrics, lambda: None)
    informer = Informer(
        (),
        cluster,
        metrics,
        Pacing(bucket, metrics, lambda: seen.append("listed")),
        lambda kind, obj: seen.append(f"seen {kind.name} {obj['metadata']['name']}"),
        lambda kind, obj: seen.append(f"gone {kind.name} {obj['metadata']['name']}"),
    )
    running = asyncio.create_task(informer.run())
    yield informer
    api.over.set()
    await informer.stop()
    await running
    await cluster.close()
    await server.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not holds():  # noqa: ASYNC110 - another loop's requests
            await asyncio.sleep(0.01)


async def test_what_is_listed_is_seen(api: Api, informer: Informer, seen: list[str]) -> None:
    api.pods = [child("a")]

    await until(lambda: "seen Pod a" in seen)

    assert "listed" in seen
    assert informer.trouble == ""


async def test_watches_that_expire_at_once_are_no_flood(api: Api, informer: Informer, seen: list[str]) -> None:
    """kopf lists and watches anew ten times a second, for each kind."""
    api.watch = lambda: web.Response(body=json.dumps(EXPIRED).encode() + b"\n")

    await until(lambda: api.times(POD_WATCH) >= IN_A_ROW)
    await asyncio.sleep(1)  # of silence: whoever is asked too often is asked now

    assert (api.times(POD_LIST), api.times(POD_WATCH)) == (IN_A_ROW, IN_A_ROW)
    assert len(api.asked) < 3 * IN_A_ROW * len(WATCHED)


async def test_watches_that_end_at_once_are_no_flood(api: Api, informer: Informer, seen: list[str]) -> None:
    """kopf watches anew without any pause."""
    api.watch = lambda: web.Response(body=b"")

    await until(lambda: api.times(POD_WATCH) >= IN_A_ROW)
    await asyncio.sleep(1)  # of silence: whoever is asked too often is asked now

    assert (api.times(POD_LIST), api.times(POD_WATCH)) == (1, IN_A_ROW)


async def test_an_error_within_a_watch_starts_kopf_anew(
    api: Api, informer: Informer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kopf itself may hang then: its other watches wait for a new login that nobody makes any more."""
    monkeypatch.setattr("fairlead_operator.controller.informer.LONGEST_WAIT", 0.1)
    monkeypatch.setattr("fairlead_operator.controller.informer.STOP_TIMEOUT", 2.0)
    broken = {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd"}}
    answers = [web.Response(body=json.dumps(broken).encode() + b"\n")]
    api.watch = lambda: answers.pop() if answers else None

    await until(lambda: api.times(POD_LIST) == 2)

    assert informer.metrics.watch_restarts._value.get() == 1


async def test_an_end_while_watches_wait_for_their_answer_is_no_error(
    api: Api, informer: Informer, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback of kopf fails then, and asyncio tells so with a traceback."""
    api.silent = True
    await until(lambda: api.times(POD_WATCH) == 1)

    informer.restart()

    await until(lambda: "the watches: Exception in callback" in caplog.text)
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.WARNING] == []
