"""SIGTERM while thousands are served, with the real guard, drain, uvicorn and supervisor as processes: nobody is cut, nobody is left."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from fairlead_runtime.drain import LAME_DUCK_SECONDS
from fairlead_runtime.serving import CLOSE_SECONDS
from serving.client import Answer, Connection, once, says
from serving.process import Runtime, running

pytestmark = [pytest.mark.counted, pytest.mark.timeout(400)]

STREAMS, WHOLE, MANY = 2000, 100, 50
#: Prompts in one request of many.
PROMPTS = 4
#: Kept-alive connections that had an answer before SIGTERM, each good for one request after it.
POOL = 250
#: Requests on their way here after SIGTERM: one of each kind in so many seconds, until as many of each were refused.
PAUSE, REFUSED = 0.05, 10


@dataclass
class Seen:
    """What the clients got, and what the management port showed from SIGTERM on."""

    before: "list[tuple[int, Answer]]" = field(default_factory=list)
    pooled: list[Answer] = field(default_factory=list)
    fresh: list[Answer] = field(default_factory=list)
    draining: list[float] = field(default_factory=list)
    in_flight: list[float] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)


def tokens(number: int) -> int:
    """Each request asks for its own number, so that an answer that is another's does not pass."""
    return 50 + number % 20


async def numbered(number: int, answer: Awaitable[Answer]) -> tuple[int, Answer]:
    return number, await answer


async def stopped_under_load(runtime: Runtime) -> Seen:
    """Streams, whole answers and requests of many prompts; SIGTERM in the middle; new ones come until they are refused."""
    seen, begun = Seen(), asyncio.Semaphore(0)
    pool = [Connection(runtime.port) for _ in range(POOL)]
    await asyncio.gather(*(connection.ask("/v1/completions", {"max_tokens": 1}) for connection in pool))
    work = [
        *(
            once(
                runtime.port,
                "/generate" if number % 4 == 0 else "/v1/completions",
                {"prompt": "a", "stream": True, "max_tokens": tokens(number)},
                begun=begun.release,
            )
            for number in range(STREAMS)
        ),
        *(
            once(
                runtime.port,
                "/generate" if number % 2 else "/v1/completions",
                {"prompt": "a", "max_tokens": tokens(number)},
            )
            for number in range(WHOLE)
        ),
        *(
            once(runtime.port, "/v1/completions", {"prompt": ["a"] * PROMPTS, "max_tokens": tokens(number)})
            if number % 2
            else once(runtime.port, "/generate/batch", [{"prompt": "a", "max_tokens": tokens(number)}] * PROMPTS)
            for number in range(MANY)
        ),
    ]
    answers = [asyncio.create_task(numbered(number, answer)) for number, answer in enumerate(work)]
    for _ in range(STREAMS):
        await begun.acquire()
    runtime.stop()
    await says(runtime.management, "/state", '"phase": "draining"')
    watching = asyncio.create_task(watch(runtime, seen))
    await arrive(runtime, pool, seen)
    seen.before = list(await asyncio.gather(*answers))
    watching.cancel()
    for connection in pool:
        connection.close()
    return seen


async def arrive(runtime: Runtime, pool: list[Connection], seen: Seen) -> None:
    asked: list[asyncio.Task[None]] = []

    async def note(answers: list[Answer], answer: Awaitable[Answer]) -> None:
        answers.append(await answer)

    body = {"prompt": "late", "stream": True, "max_tokens": 2}
    for connection in pool:
        asked.append(asyncio.create_task(note(seen.pooled, connection.ask("/v1/completions", body))))
        asked.append(asyncio.create_task(note(seen.fresh, once(runtime.port, "/v1/completions", body))))
        await asyncio.sleep(PAUSE)
        if min(sum(answer.status != 200 for answer in kind) for kind in (seen.pooled, seen.fresh)) >= REFUSED:
            break
    await asyncio.gather(*asked)


async def watch(runtime: Runtime, seen: Seen) -> None:
    while True:
        metrics = (await once(runtime.management, "/metrics")).body.decode()
        seen.draining += samples(metrics, "fairlead_draining")
        seen.in_flight += samples(metrics, "fairlead_requests_in_flight")
        state = await once(runtime.management, "/state")
        if state.whole:
            seen.states.append(json.loads(state.body))
        await asyncio.sleep(PAUSE)


def samples(metrics: str, name: str) -> list[float]:
    return [float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith(f"{name} ")]


@pytest.fixture(scope="module", name="load")
def load_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, Seen]]:
    """One stop under load, and after it the process that has ended."""
    with running(tmp_path_factory.mktemp("drain"), requestTimeoutSeconds=300, drainSeconds=240) as runtime:
        seen = uvloop.run(stopped_under_load(runtime))
        runtime.process.wait(20)
        yield runtime, seen


def test_two_thousand_streams_are_complete(load: tuple[Runtime, Seen]) -> None:
    wrong = [
        (number, answer)
        for number, answer in load[1].before[:STREAMS]
        if not (answer.status == 200 and answer.whole and answer.done)
        or answer.stream_of() != (tokens(number), tokens(number), ["length"])
    ]

    assert len(load[1].before) == STREAMS + WHOLE + MANY
    assert (len(wrong), wrong[:1]) == (0, [])


def test_whole_answers_and_those_of_many_prompts_are_complete(load: tuple[Runtime, Seen]) -> None:
    for number, answer in load[1].before[STREAMS:]:
        assert (answer.status, answer.whole) == (200, True), answer
        said, sequences = json.loads(answer.body), 1 if number < STREAMS + WHOLE else PROMPTS
        parts = said if isinstance(said, list) else said.get("choices", [said])
        assert [part["finish_reason"] for part in parts] == ["length"] * sequences
        if isinstance(said, dict) and "usage" in said:
            made = said["usage"]["completion_tokens"]
        else:
            made = sum(part["tokens_generated"] for part in parts)
        assert made == sequences * tokens((number - STREAMS) % WHOLE)


@pytest.mark.parametrize("kind", ["pooled", "fresh"])
def test_who_comes_after_sigterm_is_served_or_sent_away_and_never_cut(load: tuple[Runtime, Seen], kind: str) -> None:
    answers: list[Answer] = getattr(load[1], kind)
    served = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 503]

    assert len(served) + len(refused) == len(answers)
    assert min(len(served), len(refused)) >= REFUSED
    assert all(answer.whole and answer.done and answer.stream_of() == (2, 2, ["length"]) for answer in served)
    assert {answer.headers.get("connection") for answer in answers} == {"close"}
    assert {(answer.error, answer.headers.get("retry-after"), answer.whole) for answer in refused} == {
        ("stopping", "1", True)
    }


def test_the_drain_and_what_is_left_are_visible(load: tuple[Runtime, Seen]) -> None:
    seen = load[1]

    assert set(seen.draining) <= {0, 1}
    assert seen.draining == sorted(seen.draining)
    assert seen.draining.count(1) > 10
    assert max(seen.in_flight) >= STREAMS
    assert min(seen.in_flight) < STREAMS
    assert {state["draining"] for state in seen.states} == {True}
    assert not any(state["ready"] for state in seen.states)
    assert max(state["inflight"]["running"] for state in seen.states) >= STREAMS


def test_it_ends_in_order_and_leaves_nothing_in_the_engine(load: tuple[Runtime, Seen]) -> None:
    runtime, seen = load
    late = sum(answer.status == 200 for answer in (*seen.pooled, *seen.fresh))
    warm_up = 5

    assert runtime.process.returncode == 0
    assert runtime.record is None
    assert runtime.left == {
        "left": 0,
        "aborted": 0,
        "finished": warm_up + POOL + STREAMS + WHOLE + MANY * PROMPTS + late,
    }


#: Streams that are longer than the lame duck: more than 5 ms a token.
LONG = {"prompt": "a", "max_tokens": 1000, "stream": True}
SHORT = {"prompt": "a", "max_tokens": 7, "stream": True}
KEPT = 40


async def on_kept_connections(runtime: Runtime) -> tuple[list[Answer], list[Answer], bool]:
    """Streams that begin before SIGTERM and end in the drain; what their clients get, who ask again at once on the same connection.

    Then whether a connection is open that was idle all that time.
    """
    busy, idle, begun = [Connection(runtime.port) for _ in range(KEPT)], Connection(runtime.port), asyncio.Semaphore(0)
    await idle.ask("/v1/models")

    async def twice(connection: Connection) -> tuple[Answer, Answer, bool]:
        first = await connection.ask("/v1/completions", LONG, begun=begun.release)
        return first, await connection.ask("/v1/completions", SHORT), idle.open

    asked = [asyncio.create_task(twice(connection)) for connection in busy]
    for _ in asked:
        await begun.acquire()
    runtime.stop()
    answers = await asyncio.gather(*asked)
    for connection in (*busy, idle):
        connection.close()
    return [first for first, *_ in answers], [second for _, second, _ in answers], answers[0][2]


def test_who_asks_again_on_a_connection_that_was_not_told_to_close_is_served_once_more(tmp_path: Path) -> None:
    with running(tmp_path, requestTimeoutSeconds=60) as runtime:
        firsts, seconds, idle = uvloop.run(on_kept_connections(runtime))

        assert {(*answer.stream_of()[:2], answer.done, answer.headers.get("connection")) for answer in firsts} == {
            (1000, 1000, True, None)
        }
        assert {
            (answer.broken, answer.status, *answer.stream_of()[:2], answer.headers.get("connection"))
            for answer in seconds
        } == {("", 200, 7, 7, "close")}
        assert not idle
        assert runtime.process.wait(20) == 0
        assert (runtime.left["left"], runtime.left["aborted"]) == (0, 0)


ENDLESS = {"prompt": "a", "max_tokens": 4000}
CUT_STREAMS, CUT_WHOLE = 200, 50


async def cut(runtime: Runtime, signals: int) -> tuple[list[Answer], list[Answer], Answer]:
    """Streams, whole answers and a batch that no drain can wait for, and `signals` SIGTERMs."""
    begun = asyncio.Semaphore(0)
    streams = [
        asyncio.create_task(once(runtime.port, path, {**ENDLESS, "stream": True}, begun=begun.release))
        for path in ("/generate", "/v1/completions") * (CUT_STREAMS // 2)
    ]
    whole = [
        asyncio.create_task(once(runtime.port, path, ENDLESS))
        for path in ("/generate", "/v1/completions") * (CUT_WHOLE // 2)
    ]
    items = [{"prompt": "a", "max_tokens": 1}, ENDLESS]
    batch = asyncio.create_task(once(runtime.port, "/generate/batch", items))
    for _ in streams:
        await begun.acquire()
    # All are in the engine, and the batch's first item has its token.
    await says(runtime.management, "/state", f'"running": {CUT_STREAMS + CUT_WHOLE + 1},')
    for number in range(signals):
        if number:
            # Two that are sent together are one to the kernel.
            await says(runtime.management, "/state", '"phase": "draining"')
        runtime.stop()
    return await asyncio.gather(*streams), await asyncio.gather(*whole), await batch


@pytest.mark.parametrize(
    ("signals", "drain_seconds"),
    [
        pytest.param(1, 1, id="the drain's deadline"),
        pytest.param(2, 600, id="a second SIGTERM"),
    ],
)
def test_what_cannot_be_waited_for_is_told_so(tmp_path: Path, signals: int, drain_seconds: int) -> None:
    with running(tmp_path, requestTimeoutSeconds=600, drainSeconds=drain_seconds) as runtime:
        streams, whole, batch = uvloop.run(cut(runtime, signals))

        assert {(answer.status, answer.whole, answer.done, answer.error) for answer in streams} == {
            (200, True, False, "stopping")
        }
        assert {(answer.status, answer.error, answer.headers.get("retry-after")) for answer in whole} == {
            (503, "stopping", "1")
        }
        finished, unfinished = json.loads(batch.body)
        assert (finished["finish_reason"], unfinished["error"]["code"]) == ("length", "stopping")
        assert runtime.process.wait(20) == 0
        assert runtime.record is None
        assert (runtime.left["left"], runtime.left["aborted"]) == (0, CUT_STREAMS + CUT_WHOLE + 1)


#: More than the kernel holds of it for a client that does not read.
LARGE = {"prompt": "a" * 7_500_000, "max_tokens": 1, "echo": True}
#: Longer than a stop takes that waits for requests alone. The client sips at its answer so many times meanwhile.
SLOWLY, SIPS, SIP_BYTES = LAME_DUCK_SECONDS + CLOSE_SECONDS + 4, 100, 10_000


async def slowly(runtime: Runtime) -> bytes:
    """The body of a large answer that is complete before SIGTERM, to a client that only then begins to read it."""
    with socket.create_connection(("127.0.0.1", runtime.port)) as taking:
        taking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        reader, writer = await asyncio.open_connection(sock=taking, limit=65_536)
        asked = json.dumps(LARGE).encode()
        writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(asked) + asked)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await says(runtime.management, "/metrics", "\nfairlead_requests_in_flight 0.0\n")
        runtime.stop()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        body = b""
        for _ in range(SIPS):
            body += await reader.readexactly(SIP_BYTES)
            await asyncio.sleep(SLOWLY / SIPS)
        body += await reader.readexactly(length - len(body))
        writer.close()
    return body


def test_an_answer_that_its_client_reads_slowly_is_complete(tmp_path: Path) -> None:
    with running(tmp_path, requestTimeoutSeconds=60) as runtime:
        body = uvloop.run(slowly(runtime))

        (choice,) = json.loads(body)["choices"]
        assert choice["text"] == f"{LARGE['prompt']}t1 "
        assert runtime.process.wait(20) == 0
        assert runtime.record is None
