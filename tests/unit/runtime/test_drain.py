"""From SIGTERM to the last answer."""

import asyncio
import socket
import time

import httpx
import pytest
from prometheus_client import CollectorRegistry

from fairlead_runtime.drain import HAND_OVER_SECONDS, Admission, Client, Gate, drain
from fairlead_runtime.exchange import GRACE_SECONDS, Exchange, Message
from fairlead_runtime.metrics import Metrics
from unit.runtime.serving_app import Port, ScriptedEngine, serving

PROMPT = {"prompt": "a"}
POOLED, OTHER = ("10.0.0.1", 40000), ("10.0.0.1", 40001)


async def _running(port: Port) -> "asyncio.Task[httpx.Response]":
    request = asyncio.create_task(port.client.post("/generate", json=PROMPT))
    await asyncio.wait_for(port.engine.started.wait(), 5)
    return request


async def _until(port: Port, admission: Admission) -> None:
    async with asyncio.timeout(5):
        while port.gate.admission is not admission:  # noqa: ASYNC110 - the condition is an attribute
            await asyncio.sleep(0)


async def test_the_lame_duck_serves_then_new_requests_are_refused_and_running_ones_finish() -> None:
    async with serving(ScriptedEngine(held=True)) as port:
        running = await _running(port)
        stopping = asyncio.create_task(drain(port.gate, drain_seconds=30, hurry=asyncio.Event(), lame_duck_seconds=0.3))
        await _until(port, Admission.LAME_DUCK)
        assert (await port.client.get("/v1/models")).headers["connection"] == "close"
        await _until(port, Admission.REFUSING)
        late = await port.client.post("/generate", json=PROMPT)
        assert (late.status_code, late.json()["error"]["code"], late.headers["retry-after"]) == (503, "stopping", "1")
        assert not stopping.done()

        port.engine.release.set()
        answer = await running
        await asyncio.wait_for(stopping, 5)

        assert (answer.status_code, answer.json()["text"], answer.headers["connection"]) == (200, "all well", "close")


async def test_what_does_not_finish_in_time_is_ended_honestly() -> None:
    async with serving(ScriptedEngine(held=True)) as port:
        running = await _running(port)
        await drain(port.gate, drain_seconds=0.1, hurry=asyncio.Event(), lame_duck_seconds=0)
        answer = await running

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopping")
        await asyncio.wait_for(port.engine.aborted.wait(), 5)
        assert port.sample("fairlead_aborted_requests_total", reason="drain") == 1


async def test_a_second_sigterm_ends_everything_at_once() -> None:
    async with serving(ScriptedEngine(held=True)) as port:
        running = await _running(port)
        hurry = asyncio.Event()
        hurry.set()
        started = time.monotonic()
        await drain(port.gate, drain_seconds=3600, hurry=hurry, lame_duck_seconds=3600)

        assert (await running).status_code == 503
        assert time.monotonic() - started < 5


async def test_a_stream_that_is_cut_says_so() -> None:
    async with serving(ScriptedEngine(held=True)) as port, port.client.stream("POST", "/v1/completions") as answer:
        await asyncio.wait_for(port.engine.started.wait(), 5)
        await drain(port.gate, drain_seconds=0, hurry=asyncio.Event(), lame_duck_seconds=0)
        text = (await answer.aread()).decode()

        assert "stopping" in text
        assert "[DONE]" not in text


async def test_nothing_running_means_no_waiting_after_the_lame_duck() -> None:
    async with serving() as port:
        await asyncio.wait_for(drain(port.gate, drain_seconds=3600, hurry=asyncio.Event(), lame_duck_seconds=0), 5)
        assert port.gate.admission is Admission.REFUSING


#: More than the server reads of it before it has to.
LARGE = b"a" * 3_000_000
LARGE_HEAD = b"POST /generate HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(LARGE)


def _sent_before_reading(port: int) -> bytes:
    """The answer to a large request, of a client that looks for none before all is sent."""
    with socket.socket() as client:
        client.settimeout(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        client.connect(("127.0.0.1", port))
        client.sendall(LARGE_HEAD + LARGE)
        answer = b""
        while chunk := client.recv(65_536):
            answer += chunk
    return answer


async def test_who_sends_a_large_body_is_told_the_refusal_too() -> None:
    async with serving(body_limit=len(LARGE)) as port:
        port.gate.refuse(0, ())

        answer = await asyncio.to_thread(_sent_before_reading, port.client.base_url.port or 0)

        assert answer.startswith(b"HTTP/1.1 503")
        assert b"connection: close" in answer
        assert b'"stopping"' in answer


async def test_a_body_that_is_refused_holds_up_no_drain_and_is_not_waited_for_without_end() -> None:
    async with serving(body_limit=len(LARGE)) as port:
        port.gate.refuse(0, ())
        reader, writer = await asyncio.open_connection("127.0.0.1", port.client.base_url.port)
        writer.write(LARGE_HEAD)

        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503")
        assert not len(port.gate)
        await asyncio.wait_for(reader.read(), 3 * GRACE_SECONDS)
        writer.close()


@pytest.mark.parametrize(
    ("client", "deadline", "drain_seconds", "expected"),
    [
        pytest.param(POOLED, 60, 60, [True, False], id="on a connection that was not told to close: once"),
        pytest.param(OTHER, 60, 60, [False, False], id="on a new connection"),
        pytest.param(POOLED, 60, 0, [False, False], id="no time is left"),
    ],
)
async def test_who_is_served_although_new_requests_are_refused(
    client: Client, deadline: float, drain_seconds: float, expected: list[bool]
) -> None:
    gate = Gate(Metrics(CollectorRegistry()))

    gate.refuse(drain_seconds, [POOLED])

    assert [gate.hands_over(client, deadline) for _ in range(2)] == expected


@pytest.mark.parametrize(
    ("passed", "deadline", "expected"),
    [
        pytest.param(20, 300, True, id="in the first half of the drain: whatever its deadline"),
        pytest.param(40, 10, True, id="in the second half: one that ends before the drain"),
        pytest.param(40, 30, False, id="in the second half: one that may not end before the drain"),
    ],
)
async def test_there_must_be_time_for_who_is_served_although_new_requests_are_refused(
    monkeypatch: pytest.MonkeyPatch, passed: float, deadline: float, *, expected: bool
) -> None:
    gate, began = Gate(Metrics(CollectorRegistry())), time.monotonic()

    gate.refuse(60, [POOLED])
    monkeypatch.setattr(time, "monotonic", lambda: began + passed)

    assert gate.hands_over(POOLED, deadline) == expected


async def test_the_drain_waits_a_moment_for_the_request_that_follows_a_response() -> None:
    gate = Gate(Metrics(CollectorRegistry()))
    gate.refuse(60, [POOLED, OTHER])
    emptied = asyncio.create_task(gate.emptied())
    refused, following = (_exchange() for _ in range(2))

    gate.enter(following)
    assert gate.hands_over(POOLED, 60)
    done, _ = await asyncio.wait({emptied}, timeout=1.5 * HAND_OVER_SECONDS)
    gate.leave(following)

    assert not done
    async with asyncio.timeout(2 * HAND_OVER_SECONDS):
        while not emptied.done():
            # Those who are refused do not hold it up.
            gate.enter(refused)
            gate.leave(refused)
            await asyncio.sleep(HAND_OVER_SECONDS / 10)


async def test_the_drain_lasts_until_answers_are_taken_and_what_they_let_follow_is_answered() -> None:
    gate, following = Gate(Metrics(CollectorRegistry())), _exchange()
    asked, taken = asyncio.Event(), asyncio.Event()
    waits = iter((True, False))

    async def sent() -> bool:
        asked.set()
        await taken.wait()
        return next(waits)

    draining = asyncio.create_task(
        drain(gate, drain_seconds=60, hurry=asyncio.Event(), lame_duck_seconds=0, let_go=lambda: [POOLED], sent=sent)
    )
    await asyncio.wait_for(asked.wait(), 5)
    gate.enter(following)
    assert gate.hands_over(POOLED, 60)
    taken.set()
    assert not (await asyncio.wait({draining}, timeout=0.2))[0]
    gate.leave(following)
    await asyncio.wait_for(draining, 5)

    assert not following.aborted


@pytest.mark.parametrize(
    ("signals", "drain_seconds"),
    [
        pytest.param(1, 0.1, id="its time is over"),
        pytest.param(2, 3600, id="a second SIGTERM"),
    ],
)
async def test_an_answer_that_is_not_taken_holds_the_drain_no_longer_than_a_request_does(
    signals: int, drain_seconds: float
) -> None:
    hurry = asyncio.Event()
    if signals > 1:
        hurry.set()

    async def sent() -> bool:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    gate = Gate(Metrics(CollectorRegistry()))
    await asyncio.wait_for(drain(gate, drain_seconds=drain_seconds, hurry=hurry, lame_duck_seconds=0, sent=sent), 5)

    assert gate.admission is Admission.REFUSING


async def test_nobody_is_handed_over_once_nobody_is_waited_for() -> None:
    gate, hurry = Gate(Metrics(CollectorRegistry())), asyncio.Event()
    hurry.set()

    await drain(gate, drain_seconds=3600, hurry=hurry, lame_duck_seconds=0, let_go=lambda: [POOLED])

    assert not gate.hands_over(POOLED, 60)


def _exchange() -> Exchange:
    return Exchange(_nothing, _swallow, body_limit=1, headers=[], closing=lambda: True)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _swallow(_: Message) -> None:
    pass
