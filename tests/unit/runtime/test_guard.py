"""The serving port's outer layer, over real HTTP."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fairlead_runtime import exchange
from fairlead_runtime.drain import Admission
from fairlead_runtime.exchange import Exchange
from fairlead_runtime.guard_routes import ROUTES
from fairlead_runtime.refusals import Refusal
from unit.runtime.serving_app import Port, ScriptedEngine, application, serving

KEY = {"Authorization": "Bearer sesame"}
PROMPT = {"prompt": "open the door"}
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH")


def codes(port: Port) -> dict[tuple[str, str], float]:
    """What was counted, by route and status."""
    return {
        (sample.labels["route"], sample.labels["code"]): sample.value
        for metric in port.metrics.requests.collect()
        for sample in metric.samples
        if sample.name == "fairlead_requests_total"
    }


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text("sesame\n\nother-key\n")
    return path


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="no key"),
        pytest.param("Bearer wrong", id="a wrong key"),
        pytest.param("Bearer", id="an empty key does not match the file's blank line"),
        pytest.param("Basic sesame", id="another scheme"),
        pytest.param("sesame", id="no scheme"),
        pytest.param("Bearer sesame other-key", id="two keys at once"),
    ],
)
async def test_without_a_valid_key_every_route_but_health_is_401(keys: Path, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    paths = {getattr(route, "path", "/") for route in application(ScriptedEngine(), []).routes}
    async with serving(keys=keys) as port:
        for path in sorted(paths | set(ROUTES) | {"/", "/nothing", "/v1/models/", "/%761/models"}):
            for method in METHODS:
                answer = await port.client.request(method, path, headers=headers)
                expected = 200 if (method, path) == ("GET", "/health") else 401
                assert answer.status_code == expected, (method, path)
        assert port.reached == []


@pytest.mark.parametrize("key", ["sesame", "other-key"])
async def test_each_line_of_the_file_is_a_key(keys: Path, key: str) -> None:
    async with serving(keys=keys) as port:
        answer = await port.client.get("/v1/models", headers={"Authorization": f"bearer {key}"})

        assert answer.json() == {"object": "list"}


async def test_rotated_keys_hold_from_the_next_request_on(keys: Path, tmp_path: Path) -> None:
    async with serving(keys=keys) as port:
        assert (await port.client.get("/v1/models", headers=KEY)).status_code == 200
        fresh = tmp_path / "fresh"
        fresh.write_text("mesase\n\nother-key\n")  # the same size: the kubelet's swap shows in the inode
        fresh.replace(keys)

        assert (await port.client.get("/v1/models", headers=KEY)).status_code == 401
        assert (await port.client.get("/v1/models", headers={"Authorization": "Bearer mesase"})).status_code == 200


@pytest.mark.parametrize("content", [None, "", "\n \n"], ids=["missing", "empty", "blank lines"])
async def test_a_key_file_without_a_key_accepts_nobody(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
    async with serving(keys=path) as port:
        for value in ("Bearer", "Bearer sesame"):
            assert (await port.client.get("/v1/models", headers={"Authorization": value})).status_code == 401
        assert (await port.client.get("/health")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", "/collective_rpc", 404, id="an administration route of the application"),
        pytest.param("GET", "/metrics", 404, id="metrics are on the management port only"),
        pytest.param("GET", "/docs", 404, id="documentation pages"),
        pytest.param("GET", "/v1/models/", 404, id="no redirect for a slash too many"),
        pytest.param("GET", "/%25761/models", 404, id="decoded once, not twice"),
        pytest.param("GET", "/v1/completions", 405, id="another method of a served route"),
        pytest.param("OPTIONS", "/v1/completions", 405, id="no preflight without CORS"),
        pytest.param("HEAD", "/health", 405, id="HEAD"),
    ],
)
async def test_what_is_not_listed_does_not_exist(method: str, path: str, status: int) -> None:
    async with serving() as port:
        answer = await port.client.request(method, path)

        assert (answer.status_code, port.reached) == (status, [])
        route = path if path in ROUTES else "other"
        assert port.sample("fairlead_requests_total", route=route, code=str(status)) == 1


async def test_a_path_is_decoded_once() -> None:
    async with serving() as port:
        assert (await port.client.get("/%76%31/models")).status_code == 200


async def test_websockets_are_closed_with_a_policy_violation() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async with serving() as port:
        await port.guard({"type": "websocket", "path": "/v1/realtime", "headers": []}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("form", ["announced", "chunked"])
async def test_a_body_over_the_limit_is_413(form: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 1000

    async with serving(body_limit=4096) as port:
        answer = await port.client.post("/generate", content=chunks() if form == "chunked" else b"x" * 5000)

        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
        assert port.engine.ids == []


async def test_a_body_that_does_not_arrive_holds_its_place_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_SECONDS", 0.1)

    async with serving() as port:
        url = port.client.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b'POST /generate HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"prompt"')
        answer = await asyncio.wait_for(reader.readuntil(b"}}"), 5)
        writer.close()
        await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"request_timeout" in answer
        await asyncio.wait_for(port.gate.emptied(), 5)
        assert port.sample("fairlead_aborted_requests_total", reason="body") == 1


async def test_an_answer_may_take_longer_than_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_SECONDS", 0.05)
    async with serving(ScriptedEngine(held=True)) as port:
        asking = asyncio.create_task(port.client.post("/generate", json=PROMPT))
        await asyncio.wait({asking}, timeout=0.2)
        port.engine.release.set()

        assert (await asking).status_code == 200


async def test_the_deadline_of_an_answer_is_504_and_aborts_in_the_engine() -> None:
    async with serving(ScriptedEngine(held=True), timeout_seconds=0.2) as port:
        answer = await port.client.post("/generate", json=PROMPT)

        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        await asyncio.wait_for(port.engine.aborted.wait(), 5)
        await asyncio.wait_for(port.gate.emptied(), 5)
        assert port.sample("fairlead_aborted_requests_total", reason="deadline") == 1
        assert port.sample("fairlead_requests_in_flight") == 0


async def test_the_deadline_of_a_stream_is_an_error_event_and_a_proper_end() -> None:
    async with serving(ScriptedEngine(held=True), timeout_seconds=0.2) as port:
        answer = await port.client.post("/v1/completions")  # httpx raises if the body is cut

        assert answer.status_code == 200
        assert answer.text.startswith('data: "all "\n\ndata: {"error"')
        assert "deadline_exceeded" in answer.text
        assert "[DONE]" not in answer.text
        await asyncio.wait_for(port.engine.aborted.wait(), 5)


async def test_the_last_word_comes_after_a_chunk_that_is_on_its_way() -> None:
    taken: list[bytes] = []
    slow = asyncio.Event()

    async def send(message: Any) -> None:
        if message.get("body") == b"chunk":
            await slow.wait()
        taken.append(message.get("body", b"head"))

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def streams(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"chunk", "more_body": True})
        await send({"type": "http.response.body", "body": b"too late", "more_body": True})

    exchange = Exchange(receive, send, body_limit=1, headers=[], closing=lambda: False)
    late = Refusal(504, "late", "deadline_exceeded")
    running = asyncio.create_task(exchange.run(streams, {}, deadline=0.05, late=late))
    asyncio.get_running_loop().call_later(0.2, slow.set)
    await running

    assert taken == [b"head", b"chunk", late.event()]


async def test_a_caller_may_lower_the_deadline_but_not_raise_it() -> None:
    async with serving(ScriptedEngine(held=True), timeout_seconds=0.3) as port:
        for asked, effective in (("0.1", "0.1"), ("3600", "0.3")):
            answer = await port.client.post("/generate", json=PROMPT, headers={"X-Request-Timeout": asked})
            assert answer.status_code == 504
            assert f"of {effective} s" in answer.json()["error"]["message"]


@pytest.mark.parametrize("asked", ["soon", "0", "-1", "nan", "inf"])
async def test_a_deadline_that_is_none_is_400(asked: str) -> None:
    async with serving() as port:
        answer = await port.client.post("/generate", json=PROMPT, headers={"X-Request-Timeout": asked})

        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "X-Request-Timeout")


async def test_a_client_that_leaves_is_counted_and_frees_the_engine() -> None:
    async with serving(ScriptedEngine(held=True)) as port:
        request = asyncio.create_task(port.client.post("/generate", json=PROMPT))
        await asyncio.wait_for(port.engine.started.wait(), 5)
        request.cancel()

        await asyncio.wait_for(port.engine.aborted.wait(), 5)
        await asyncio.wait_for(port.gate.emptied(), 5)
        assert port.sample("fairlead_aborted_requests_total", reason="client") == 1


async def test_what_is_answered_after_the_client_left_is_no_success() -> None:
    async with serving() as port:
        request = asyncio.create_task(port.client.post("/v1/chat/completions", json={}))
        await asyncio.wait_for(port.engine.started.wait(), 5)
        request.cancel()

        await asyncio.wait_for(port.gate.emptied(), 5)
        assert codes(port) == {("/v1/chat/completions", "499"): 1}
        assert port.sample("fairlead_aborted_requests_total", reason="client") == 1


@pytest.mark.parametrize("path", ["/generate", "/generate/batch"])
async def test_a_client_that_breaks_off_in_its_body_is_nobodys_failure(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    came = iter([{"type": "http.request", "body": b'[{"prompt"', "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(came)

    async def send(_: Any) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
    async with serving() as port:
        # What comes out of the guard is logged with its stack.
        await port.guard(scope, receive, send)

        assert codes(port) == {(path, "499"): 1}
        assert port.sample("fairlead_aborted_requests_total", reason="client") == 1
        assert [record for record in caplog.records if record.name.startswith("fairlead")] == []


async def test_a_stream_is_not_buffered() -> None:
    async with serving(ScriptedEngine(held=True)) as port, port.client.stream("POST", "/v1/completions") as answer:
        lines = answer.aiter_lines()
        assert await asyncio.wait_for(anext(lines), 5) == 'data: "all "'  # the engine still holds the rest
        port.engine.release.set()
        assert [line async for line in lines if line] == ['data: "well"', "data: [DONE]"]


async def test_an_exception_of_the_application_is_500_and_leaves_nothing_behind() -> None:
    async with serving() as port:
        answer = await port.client.post("/tokenize")

        assert answer.status_code == 500
        assert len(port.gate) == 0


@pytest.mark.parametrize(
    ("admission", "health", "status", "connection"),
    [
        pytest.param(Admission.STARTING, 503, 503, None, id="not ready yet"),
        pytest.param(Admission.SERVING, 200, 200, None, id="serving"),
        pytest.param(Admission.LAME_DUCK, 200, 200, "close", id="lame duck: serves, and sends clients away"),
        pytest.param(Admission.REFUSING, 503, 503, "close", id="refusing"),
    ],
)
async def test_admission(admission: Admission, health: int, status: int, connection: str | None) -> None:
    async with serving(admission=admission) as port:
        answer = await port.client.post("/generate", json=PROMPT)

        assert (await port.client.get("/health")).status_code == health
        assert (answer.status_code, answer.headers.get("connection")) == (status, connection)
        assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_stuck_engine_is_not_ready() -> None:
    async with serving() as port:
        port.gate.healthy = False

        assert (await port.client.get("/health")).status_code == 503


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        pytest.param("POST", "/generate", {}, 200, id="an answer"),
        pytest.param("POST", "/v1/completions", {}, 200, id="a stream"),
        pytest.param("GET", "/health", {}, 200, id="health"),
        pytest.param("GET", "/health", {"Authorization": ""}, 200, id="health without a key"),
        pytest.param("POST", "/generate", {"X-Request-Timeout": "soon"}, 400, id="a bad request"),
        pytest.param("POST", "/generate", {"Authorization": ""}, 401, id="no key"),
        pytest.param("GET", "/nothing", {}, 404, id="no route"),
        pytest.param("GET", "/generate", {}, 405, id="another method"),
        pytest.param("POST", "/generate", {}, 413, id="too large"),
        pytest.param("POST", "/tokenize", {}, 500, id="a failure"),
        pytest.param("POST", "/generate", {"X-Request-Timeout": "0.00001"}, 504, id="too late"),
    ],
)
async def test_every_answer_carries_the_callers_request_id(
    keys: Path, method: str, path: str, more: dict[str, str], status: int
) -> None:
    async with serving(keys=keys) as port:
        headers = {**KEY, "X-Request-Id": "trace-1", "Content-Type": "application/json", **more}
        content = b"x" * 5000 if status == 413 else b'{"prompt": "a"}'
        answer = await port.client.request(method, path, headers=headers, content=content)

        assert (answer.status_code, answer.headers["x-request-id"]) == (status, "trace-1")


async def test_an_answer_that_is_not_ready_carries_the_callers_request_id() -> None:
    async with serving(admission=Admission.STARTING) as port:
        answer = await port.client.post("/generate", json=PROMPT, headers={"X-Request-Id": "trace-1"})

        assert (answer.status_code, answer.headers["x-request-id"]) == (503, "trace-1")


async def test_the_request_id_goes_in_and_out() -> None:
    async with serving() as port:
        given = await port.client.post("/generate", json=PROMPT, headers={"X-Request-Id": "trace-1"})
        odd = await port.client.get("/nothing", headers={"X-Request-Id": "a b"})

        assert (given.headers["x-request-id"], given.json()["request_id"]) == ("trace-1", "trace-1")
        assert port.engine.ids == ["trace-1"]
        assert odd.headers["x-request-id"] not in ("", "a b")


async def test_a_secrets_volume_is_rotated_as_the_kubelet_does_it(tmp_path: Path) -> None:
    """The file is a link into `..data`, which is a link to a folder: the swap of that one link changes all files at once."""

    def write(version: str, content: str) -> None:
        folder = tmp_path / version
        folder.mkdir()
        (folder / "keys").write_text(content)
        fresh = tmp_path / "..data_tmp"
        fresh.symlink_to(version)
        fresh.replace(tmp_path / "..data")

    async def accepted(*keys: str) -> list[bool]:
        answers = [await port.client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}) for key in keys]
        return [answer.status_code == 200 for answer in answers]

    write("..2026_01_01_00_00_00.1", "first\nlasting\n")
    (tmp_path / "keys").symlink_to("..data/keys")
    async with serving(keys=tmp_path / "keys") as port:
        assert await accepted("first", "lasting", "other") == [True, True, False]

        write("..2026_01_01_00_01_00.2", "other\nlasting\n")
        assert await accepted("first", "lasting", "other") == [False, True, True]

        shutil.rmtree(tmp_path / "..2026_01_01_00_00_00.1")
        write("..2026_01_01_00_02_00.3", "first\nlasting\n")
        assert await accepted("first", "lasting", "other") == [True, True, False]


async def test_a_length_with_more_digits_than_python_reads_is_too_large() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async with serving() as port:
        headers = [(b"content-length", b"9" * 5000)]
        await port.guard({"type": "http", "method": "POST", "path": "/generate", "headers": headers}, receive, send)

    assert sent[0]["status"] == 413
