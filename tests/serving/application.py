"""vLLM's OpenAI routes as the guard sees them: streams that end with [DONE], whole answers that stop when their client goes."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from serving.engine import Engine, EngineDeadError, RequestOutputKind, SamplingParams


def build_app(_args: Any, _tasks: Any, _model_config: Any) -> FastAPI:
    """The routes; the engine comes with the state."""
    app = FastAPI()
    app.add_api_route("/v1/models", models)
    app.add_api_route("/v1/completions", completions, methods=["POST"], response_model=None)
    app.add_api_route("/v1/chat/completions", completions, methods=["POST"], response_model=None)
    return app


async def init_app_state(engine: Engine, state: Any, _args: Any, _tasks: Any) -> None:
    """As vLLM names it."""
    state.engine_client = engine


async def models() -> dict[str, str]:
    return {"object": "list"}


async def completions(request: Request) -> Response:
    """`prompt` is one or many; `stream` takes the first alone; `echo` puts them before their answers, which makes large ones."""
    asked = await request.json()
    prompts = asked.get("prompt") or "chat"
    engine, tokens = request.app.state.engine_client, asked.get("max_tokens", 16)
    if asked.get("stream"):
        return StreamingResponse(events(engine, prompts, tokens), media_type="text/event-stream")
    many = [prompts] if isinstance(prompts, str) else prompts
    return await while_connected(request, whole(engine, many, tokens, echo=asked.get("echo", False)))


async def events(engine: Engine, prompt: str, tokens: int) -> AsyncIterator[bytes]:
    made = 0
    try:
        async with contextlib.aclosing(sequence(engine, prompt, tokens, RequestOutputKind.DELTA)) as steps:
            async for step in steps:
                (output,) = step.outputs
                made += len(output.token_ids)
                choice = {"index": 0, "text": output.text, "finish_reason": output.finish_reason}
                yield event({"object": "text_completion", "choices": [choice]})
        yield event({"object": "text_completion", "choices": [], "usage": {"completion_tokens": made}})
    except EngineDeadError:
        yield event({"error": {"message": "EngineCore encountered an issue.", "code": 500}})
    yield b"data: [DONE]\n\n"


async def whole(engine: Engine, prompts: list[str], tokens: int, *, echo: bool) -> Response:
    async def one(prompt: str) -> dict[str, Any]:
        async with contextlib.aclosing(sequence(engine, prompt, tokens, RequestOutputKind.FINAL_ONLY)) as steps:
            async for step in steps:
                (output,) = step.outputs
        text = prompt + output.text if echo else output.text
        return {"text": text, "finish_reason": output.finish_reason, "tokens": len(output.token_ids)}

    try:
        choices = await asyncio.gather(*(one(prompt) for prompt in prompts))
    except EngineDeadError:
        return JSONResponse({"error": {"message": "EngineCore encountered an issue.", "code": 500}}, 500)
    made = sum(choice["tokens"] for choice in choices)
    return JSONResponse({"choices": choices, "usage": {"completion_tokens": made}})


def sequence(engine: Engine, prompt: str, tokens: int, kind: RequestOutputKind) -> Any:
    rendered = {"prompt": prompt, "prompt_token_ids": prompt.split()}
    return engine.generate(rendered, SamplingParams(max_tokens=tokens, output_kind=kind), uuid.uuid4().hex)


def event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


async def while_connected(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Cancels `work` when the client goes."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    for task in (working, leaving):
        task.cancel()
    await asyncio.wait({working, leaving})
    return Response(status_code=499) if working.cancelled() else working.result()
