"""The limits of the serving port under a burst, over real sockets."""

import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from serving.client import PATIENCE, Answer, once, says
from serving.process import running

BURST = 2000
RUN, WAIT = 40, 60
#: Runs until its client goes: no place is given away before all have come, however long that takes.
ENDLESS = 4000
NOBODY = "\nfairlead_requests_in_flight 0.0\n"


async def at_once(port: int, requests: int, **body: Any) -> list[Answer]:
    """Each on a connection of its own."""
    return await asyncio.gather(*(once(port, "/v1/completions", {"prompt": "a", **body}) for _ in range(requests)))


def outcomes(answers: list[Answer]) -> Counter[tuple[int, str, str | None]]:
    return Counter((answer.status, answer.error, answer.headers.get("retry-after")) for answer in answers)


async def sent_away(port: int, management: int) -> list[Answer]:
    """Those of a burst that are refused, while every place is taken; the others' clients go then."""
    answered: asyncio.Queue[Answer] = asyncio.Queue()

    async def ask() -> None:
        answered.put_nowait(await once(port, "/v1/completions", {"prompt": "a", "max_tokens": ENDLESS}))

    asking = [asyncio.create_task(ask()) for _ in range(BURST)]
    refused = [await answered.get() for _ in range(BURST - RUN - WAIT)]
    await says(management, "/metrics", f"\nfairlead_requests_in_flight {float(RUN + WAIT)}\n")
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    await says(management, "/metrics", NOBODY)
    return refused


def test_a_burst_fills_the_queue_to_its_last_place_and_no_further(tmp_path: Path) -> None:
    with running(tmp_path, max_num_seqs=RUN, maxQueuedRequests=WAIT) as runtime:
        refused = uvloop.run(sent_away(runtime.port, runtime.management))

        assert outcomes(refused) == {(503, "queue_full", "1"): BURST - RUN - WAIT}
        assert outcomes(uvloop.run(at_once(runtime.port, RUN + WAIT, max_tokens=1))) == {(200, "", None): RUN + WAIT}
        metrics = runtime.managed("/metrics")[1]
        assert f'fairlead_refused_requests_total{{reason="queue_full"}} {float(BURST - RUN - WAIT)}' in metrics


async def beside_one_of_many(port: int, management: int) -> list[Answer]:
    """Beside one request of as many prompts as may be inside, once the engine has it."""
    large = asyncio.create_task(at_once(port, 1, prompt=["a"] * (RUN + WAIT), max_tokens=ENDLESS))
    await says(management, "/metrics", f"\nvllm:num_requests_waiting {float(WAIT)}\n")
    answers = await at_once(port, 5, max_tokens=1)
    large.cancel()
    await asyncio.wait({large})
    await says(management, "/metrics", NOBODY)
    return answers + await at_once(port, 5, max_tokens=1)


def test_a_request_of_many_prompts_takes_as_many_places(tmp_path: Path) -> None:
    with running(tmp_path, max_num_seqs=RUN, maxQueuedRequests=WAIT) as runtime:
        answers = uvloop.run(beside_one_of_many(runtime.port, runtime.management))

        assert outcomes(answers[:5]) == {(503, "queue_full", "1"): 5}
        assert outcomes(answers[5:]) == {(200, "", None): 5}


def test_a_rate_lets_its_burst_through_and_tells_the_rest_when_to_come_back(tmp_path: Path) -> None:
    with running(tmp_path, rateLimit={"requestsPerSecond": 1, "burst": 50}) as runtime:
        found = outcomes(uvloop.run(at_once(runtime.port, 200, max_tokens=1)))

        # A second or two may pass while two hundred are asked on a busy machine: a token comes back in each.
        assert found.keys() == {(200, "", None), (429, "rate_limit_exceeded", "1")}
        assert 50 <= found[(200, "", None)] <= 55
        assert runtime.managed("/readyz")[0] == 200


async def without_end(port: int) -> bytes:
    """What is answered to a head that goes on until somebody says something."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.read())
    writer.write(b"GET / HTTP/1.1\r\na: ")
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while not answer.done():
                writer.write(b"a" * 65_536)
                await writer.drain()
                await asyncio.sleep(0)
    writer.close()
    return await answer


def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as runtime:
        assert uvloop.run(without_end(runtime.port)).startswith(b"HTTP/1.1 431 ")
        assert outcomes(uvloop.run(at_once(runtime.port, 5, max_tokens=1))) == {(200, "", None): 5}
