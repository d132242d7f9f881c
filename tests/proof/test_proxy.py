"""The proxy before a stand-in that answers as the API server does: what passes, and what harm can be done."""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
import yaml
from aiohttp import ClientConnectionResetError, web

from api.cluster import eventually
from fairlead_cli.local.credentials import Credentials
from proof.proxy import Cut, End, Hooks, Proxy, Write
from proof.requests import EXPIRED, Answer, Manifest, Request, refusal

PODS = "/api/v1/namespaces/a/pods"


class Upstream:
    """Remembers what it was asked, and streams what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.open = 0
        self.over = asyncio.Event()
        self.events: asyncio.Queue[bytes] = asyncio.Queue()
        self.port = 0
        self.started = threading.Event()

    def run(self, tls: ssl.SSLContext) -> None:
        asyncio.run(self.serve(tls))

    async def serve(self, tls: ssl.SSLContext) -> None:
        self.loop = asyncio.get_running_loop()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.port = runner.addresses[0][1]
        self.started.set()
        await self.over.wait()
        await runner.cleanup()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs, await request.read()))
        if request.query.get("watch") != "true":
            return web.json_response({"kind": "Pod", "metadata": {"name": "b"}}, headers={"Warning": "kept"})
        response = web.StreamResponse()
        await response.prepare(request)
        self.open += 1
        try:
            while True:
                await response.write(await self.events.get())
        finally:
            self.open -= 1

    def say(self, text: bytes) -> None:
        self.loop.call_soon_threadsafe(self.events.put_nowait, text)


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    credentials = Credentials.create(tmp_path / "pki", ["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(credentials.path("ca.crt")))
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(credentials.path("apiserver.crt"), credentials.path("apiserver.key"))
    there = Upstream()
    thread = threading.Thread(target=there.run, args=(tls,))
    thread.start()
    assert there.started.wait(20)
    credentials.kubeconfig(tmp_path / "user.yaml", f"https://127.0.0.1:{there.port}", "operator")
    yield there
    there.loop.call_soon_threadsafe(there.over.set)
    thread.join()


@pytest.fixture
def proxy(upstream: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(tmp_path / "user.yaml", tmp_path) as started:
        yield started


@pytest.fixture
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    server = yaml.safe_load(proxy.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    with httpx.Client(base_url=server, timeout=20) as http:
        yield http


def test_what_is_asked_and_answered_passes_unchanged(client: httpx.Client, upstream: Upstream) -> None:
    answer = client.post(PODS, params={"fieldManager": "x y"}, json={"metadata": {"name": "b"}})

    assert upstream.asked == [("POST", f"{PODS}?fieldManager=x+y", b'{"metadata":{"name":"b"}}')]
    assert answer.json()["metadata"]["name"] == "b"
    assert answer.headers["Warning"] == "kept"


def test_writes_are_numbered_and_kept(client: httpx.Client, proxy: Proxy) -> None:
    client.get(f"{PODS}/b")
    client.put(f"{PODS}/b/status", json={})
    client.put("/apis/coordination.k8s.io/v1/namespaces/a/leases/l", json={})
    client.post("/apis/events.k8s.io/v1/namespaces/a/events", json={})
    client.delete(f"{PODS}/b")

    assert proxy.writes == [
        Write(1, "update", "pods", "status", "a", "b", 200),
        Write(2, "delete", "pods", "", "a", "b", 200),
    ]
    assert str(proxy.writes[0]) == "1: update pods/status b"


def test_an_answer_of_a_hook_never_reaches_the_api_server(
    client: httpx.Client, proxy: Proxy, upstream: Upstream
) -> None:
    class Throttled(Hooks):
        async def before(self, request: Request) -> Answer | None:
            return refusal(429, Retry_After="7") if request.verb == "create" else None

    proxy.hooks = Throttled()

    answer = client.post(PODS, json={"metadata": {"name": "b"}})

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert upstream.asked == []
    assert [write.code for write in proxy.writes] == [429]


@pytest.mark.parametrize(("late", "code"), [(False, 0), (True, 200)])
def test_a_connection_is_cut_before_or_after_the_write(client: httpx.Client, proxy: Proxy, upstream: Upstream, late: bool, code: int) -> None:  # noqa: FBT001  # fmt: skip
    class Cutting(Hooks):
        async def before(self, request: Request) -> Answer | None:
            if not late:
                raise Cut
            return None

        async def after(self, request: Request, answer: Answer) -> Answer:
            raise Cut

    proxy.hooks = Cutting()

    with pytest.raises(httpx.TransportError):
        client.put(f"{PODS}/b", json={})

    assert len(upstream.asked) == late
    assert [write.code for write in proxy.writes] == [code]


class Watched(Hooks):
    """Drops bookmarks, tells twice what is named twice, ends at `end` and cuts at `cut`."""

    async def event(self, request: Request, event: Manifest) -> Sequence[Manifest]:
        match event["object"]["name"]:
            case "end":
                raise End
            case "cut":
                raise Cut
            case "twice":
                return [event, event]
        return [] if event["type"] == "BOOKMARK" else [event]


def line(name: str, kind: str = "ADDED") -> bytes:
    return json.dumps({"type": kind, "object": {"name": name}}).encode() + b"\n"


def test_events_pass_one_by_one_as_a_hook_wants_them(client: httpx.Client, proxy: Proxy, upstream: Upstream) -> None:
    proxy.hooks = Watched()

    with client.stream("GET", PODS, params={"watch": "true"}) as answer:
        lines = answer.iter_lines()
        upstream.say(line("one")[:9])
        upstream.say(line("one")[9:])
        assert json.loads(next(lines))["object"] == {"name": "one"}, "before the next event is there"
        upstream.say(line("none", "BOOKMARK") + line("x" * 300_000))
        assert len(json.loads(next(lines))["object"]["name"]) == 300_000
        upstream.say(line("twice") + line("end") + line("lost"))
        assert [json.loads(text)["object"]["name"] for text in lines] == ["twice", "twice"]


def test_a_watch_is_cut_in_the_middle(client: httpx.Client, proxy: Proxy, upstream: Upstream) -> None:
    proxy.hooks = Watched()

    with client.stream("GET", PODS, params={"watch": "true"}) as answer:
        upstream.say(line("one") + line("cut"))
        with pytest.raises(httpx.TransportError):
            list(answer.iter_lines())


def test_a_watcher_that_has_gone_unnoticed_is_not_told(
    client: httpx.Client, proxy: Proxy, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.StreamResponse, "write", gone)
    with client.stream("GET", PODS, params={"watch": "true"}):
        eventually(lambda: proxy.watched("pods") == 1, "the watch")

        assert proxy.tell("pods", EXPIRED, end=True) == 0

        eventually(lambda: proxy.watched("pods") == 0, "the end of the watch")


def test_the_test_adds_events_and_ends_watches(client: httpx.Client, proxy: Proxy, upstream: Upstream) -> None:
    with client.stream("GET", PODS, params={"watch": "true"}) as answer:
        eventually(lambda: proxy.watched("pods") == 1, "the watch")
        assert proxy.tell("services", EXPIRED, end=True) == 0
        assert proxy.tell("pods", EXPIRED, end=True) == 1
        assert [json.loads(text)["object"]["code"] for text in answer.iter_lines()] == [410]
    eventually(lambda: upstream.open == 0, "the end of the watch of the API server")


def test_a_watch_ends_with_the_one_who_asked(client: httpx.Client, proxy: Proxy, upstream: Upstream) -> None:
    with client.stream("GET", PODS, params={"watch": "true"}):
        eventually(lambda: proxy.watched("pods") == upstream.open == 1, "the watch")

    eventually(lambda: proxy.watched("pods") == upstream.open == 0, "its end")


def test_a_broken_hook_is_told(upstream: Upstream, tmp_path: Path) -> None:
    class Broken(Hooks):
        async def before(self, request: Request) -> Answer | None:
            raise ZeroDivisionError

    proxy = Proxy(tmp_path / "user.yaml", tmp_path, Broken())
    proxy.__enter__()
    server = yaml.safe_load(proxy.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]

    with pytest.raises(httpx.TransportError):
        httpx.get(server + PODS)

    with pytest.raises(ZeroDivisionError):
        proxy.__exit__(None, None, None)
