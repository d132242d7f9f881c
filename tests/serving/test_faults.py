"""The engine dies under load: everyone is told, and so is the kubelet."""

import asyncio
from pathlib import Path

import uvloop

from serving.client import Answer, once
from serving.engine import DEADLY
from serving.process import Runtime, running

STREAMS, WHOLE = 500, 50


async def deadly(runtime: Runtime) -> list[Answer]:
    begun = asyncio.Semaphore(0)

    async def one(number: int) -> Answer:
        body = {"prompt": "a", "max_tokens": 4000, "stream": number < STREAMS}
        return await once(runtime.port, "/v1/completions", body, begun=begun.release)

    answers = [asyncio.create_task(one(number)) for number in range(STREAMS + WHOLE)]
    for _ in range(STREAMS):
        await begun.acquire()
    last = await once(runtime.port, "/v1/completions", {"prompt": DEADLY})
    return [*await asyncio.gather(*answers), last]


def test_everyone_is_told_of_a_dead_engine(tmp_path: Path) -> None:
    with running(tmp_path, requestTimeoutSeconds=600) as runtime:
        answers = uvloop.run(deadly(runtime))
        code = runtime.process.wait(20)

        assert {(answer.status, answer.whole) for answer in answers[:STREAMS]} == {(200, True)}
        assert all("error" in str(answer.events) for answer in answers[:STREAMS])
        assert {answer.stream_of()[2] == [] for answer in answers[:STREAMS]} == {True}
        assert {answer.status for answer in answers[STREAMS:]} == {500}
        assert code == 1
        assert runtime.record is not None
        assert (runtime.record["code"], runtime.record["phase"]) == ("EngineDied", "ready")
