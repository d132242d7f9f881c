"""A server whose answers have exact times: what two benchmarks must see alike, and what both can be compared with.

paced_server.py PORT. The first chunk comes 20 ms after the request, every other one 5 ms after the one before; one token each.
"""

import asyncio
import json
import sys
import time

from aiohttp import web

#: Seconds.
FIRST, GAP = 0.020, 0.005


async def models(_: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": "tiny"}]})


async def health(_: web.Request) -> web.Response:
    return web.Response()


async def complete(request: web.Request) -> web.StreamResponse:
    """As vLLM's: the last token's chunk has the finish_reason, and the usage comes after it."""
    due = time.monotonic() + FIRST
    asked = await request.json()
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for left in reversed(range(asked["max_tokens"])):
        # Each by the clock and not by the chunk before: lateness does not add up.
        await asyncio.sleep(due - time.monotonic())
        due += GAP
        choice = {"index": 0, "text": " word", "finish_reason": None if left else "length"}
        await answer.write(event({"object": "text_completion", "model": "tiny", "choices": [choice]}))
    usage = {"prompt_tokens": len(asked["prompt"].split()), "completion_tokens": asked["max_tokens"]}
    await answer.write(event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n")
    return answer


def event(content: object) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def main() -> None:
    app = web.Application()
    app.add_routes([web.get("/v1/models", models), web.get("/health", health)])
    app.add_routes([web.post("/v1/completions", complete)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=lambda *_: None)


if __name__ == "__main__":
    main()
