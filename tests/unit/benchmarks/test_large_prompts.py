"""Gaps between tokens while large prompts arrive: a stream that breaks is no stream without gaps."""

import asyncio

import httpx
import pytest
from large_prompts import Pace, all_go_on

TOKEN = 'data: {"choices": [{"text": "\\"error\\""}]}\n\n'


async def streamed(status: int, body: str) -> None:
    """One stream after the other, each answered so, for a moment."""

    async def engine(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        return httpx.Response(status, text=body)

    async with httpx.AsyncClient(base_url="http://engine", transport=httpx.MockTransport(engine)) as client:
        pace = Pace()
        stream = asyncio.create_task(pace.stream(client, "tiny"))
        well = asyncio.create_task(asyncio.Event().wait())
        try:
            await all_go_on([well, stream], 0.1)
        finally:
            stream.cancel()
            well.cancel()


async def test_streams_that_come_to_their_end_are_begun_again() -> None:
    await streamed(200, f"{TOKEN}{TOKEN}data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(503, "", id="refused"),
        pytest.param(200, TOKEN + 'data: {"error": {"message": "stopping"}}\n\n', id="cut in so many words"),
    ],
)
async def test_a_stream_that_breaks_ends_the_measurement(status: int, body: str) -> None:
    with pytest.raises((httpx.HTTPStatusError, RuntimeError), match=r"503|stopping"):
        await streamed(status, body)
