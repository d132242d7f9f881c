"""A small server with OpenAI's routes and /generate, in a thread, whose answers are scripted."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

#: What a route can do.
WELL, CUT, UNFINISHED, ABORTED, ERROR_EVENT, NO_USAGE, BROKEN, HANGING, NO_JSON = (
    "well",
    "cut",
    "unfinished",
    "aborted",
    "error event",
    "no usage",
    "broken",
    "hanging",
    "no json",
)


@dataclass
class Script:
    """behave: what the n-th request (from 0) meets. Tokens come `per_chunk` at a time. A word of a prompt is `per_word` tokens."""

    behave: Callable[[int], str] = lambda _: WELL
    per_chunk: int = 1
    per_word: int = 1
    template: int = 0
    key: str = ""
    models: list[str] = field(default_factory=lambda: ["tiny"])
    bodies: list[dict[str, Any]] = field(default_factory=list)
    running: int = 0
    most: int = 0
    url: str = ""


@contextlib.contextmanager
def answering(script: Script) -> Iterator[Script]:
    """`script` with its url; serves until the end of the block."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(application(script), handler_cancellation=True, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        script.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield script
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def application(script: Script) -> web.Application:
    async def models(request: web.Request) -> web.Response:
        if script.key and request.headers.get("Authorization") != f"Bearer {script.key}":
            return web.json_response({"error": {"message": "no"}}, status=401)
        return web.json_response({"data": [{"id": name} for name in script.models]})

    async def complete(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        number = len(script.bodies)
        script.bodies.append(body)
        script.running += 1
        script.most = max(script.most, script.running)
        try:
            return await answer(request, body, script.behave(number))
        finally:
            script.running -= 1

    async def answer(request: web.Request, body: dict[str, Any], behaviour: str) -> web.StreamResponse:
        if behaviour == HANGING:
            await asyncio.Event().wait()
        if behaviour == BROKEN:
            return web.json_response({"error": {"message": "the engine died", "code": "engine_dead"}}, status=500)
        if behaviour == NO_JSON:
            return web.Response(text="hello")
        if not body["stream"]:
            return web.json_response(unary(request.path, body, behaviour))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for event in events(request.path, body, behaviour):
            await response.write(f"data: {event if event == '[DONE]' else json.dumps(event)}\n\n".encode())
        if behaviour == CUT and request.transport is not None:
            request.transport.close()
        return response

    def usage(body: dict[str, Any]) -> dict[str, int]:
        text = body.get("prompt") or body["messages"][0]["content"]
        return {
            "prompt_tokens": script.template + script.per_word * len(text.split()),
            "completion_tokens": body["max_tokens"],
        }

    def unary(path: str, body: dict[str, Any], behaviour: str) -> dict[str, Any]:
        finish = {ABORTED: "abort", UNFINISHED: None}.get(behaviour, "length")
        if path == "/generate":
            return {"text": "so", "tokens_generated": body["max_tokens"], "finish_reason": finish}
        counted = {} if behaviour == NO_USAGE else usage(body)
        return {"choices": [{"text": "so", "finish_reason": finish}], "usage": {"completion_tokens": 0, **counted}}

    async def events(path: str, body: dict[str, Any], behaviour: str) -> AsyncIterator[Any]:
        chat = path.endswith("chat/completions")
        if chat:
            yield {"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
        chunks = -(-body["max_tokens"] // script.per_chunk)
        for at in range(chunks):
            await asyncio.sleep(0)
            last = at == chunks - 1
            if at == 1 and behaviour in (CUT, ERROR_EVENT):
                break
            finish = None if not last or behaviour == UNFINISHED else "abort" if behaviour == ABORTED else "length"
            if path == "/generate":
                yield {"text": "so "}
            elif chat:
                yield {"choices": [{"delta": {"content": "so "}, "finish_reason": finish}]}
            else:
                yield {"choices": [{"text": "so ", "finish_reason": finish}]}
        if behaviour == CUT:
            return
        if behaviour == ERROR_EVENT:
            yield {"error": {"message": "the deadline came", "code": "deadline_exceeded"}}
        elif path == "/generate":
            yield {"text": "", "finish_reason": "length", "usage": usage(body)}
        elif behaviour != NO_USAGE:
            yield {"choices": [], "usage": usage(body)}
        yield "[DONE]"

    app = web.Application()
    app.router.add_get("/v1/models", models)
    for path in ("/v1/completions", "/v1/chat/completions", "/generate"):
        app.router.add_post(path, complete)
    return app
