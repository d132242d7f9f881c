"""POST /generate: the shortest way to text. One prompt in, one answer out, every number in tokens of the model's own tokenizer.

Answers {"text", "tokens_generated", "latency_seconds", "tokens_per_second", "request_id", "model", "finish_reason"}. With
`stream: true` server-sent events: {"text"} as it is decoded, then one with finish_reason and usage, then [DONE]. Errors have OpenAI's
shape and name the parameter. Imports no engine: the engine is whatever has the methods of TextEngine.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairlead_runtime.exchange import CLIENT_CLOSED_REQUEST
from fairlead_runtime.refusals import Refusal, RefusedError, bad_request

#: Tokens generated when the request does not say, if the context has room for them.
DEFAULT_MAX_TOKENS = 256
#: The engine's own limit (VLLM_MAX_STOP_STRINGS).
MAX_STOPS = 4

Stop = Annotated[str, Field(min_length=1, max_length=1000)]


class GenerateRequest(BaseModel):
    """Unset sampling fields mean the model's own generation_config, then vLLM's defaults, as on the OpenAI routes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    prompt: Annotated[str, Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    #: 0 considers every token.
    top_k: Annotated[int, Field(ge=0)] | None = None
    stop: Annotated[list[Stop], Field(max_length=MAX_STOPS)] = Field(default_factory=list)
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """tokens: its length. rendered: what the engine takes."""

    tokens: int
    rendered: Any


@dataclass(frozen=True, slots=True)
class Step:
    """What came since the step before: text, its tokens; finish_reason (vLLM's words) on the last one."""

    text: str
    tokens: int
    finish_reason: str | None = None


class TextEngine(Protocol):
    """What /generate needs of an engine. Both methods raise RefusedError for what the caller must change."""

    model: str
    max_model_len: int

    async def read_prompt(self, text: str) -> Prompt:
        """Tokenized, outside the event loop's thread."""

    def generate(
        self, prompt: Prompt, sampling: Mapping[str, Any], request_id: str, *, output: Literal["whole", "deltas"]
    ) -> AsyncGenerator[Step]:
        """Closing the generator aborts the request in the engine."""


def router(engine: TextEngine) -> APIRouter:
    """The route, bound to an engine that is up."""

    async def generate(request: Request) -> Response:
        try:
            asked = parse(await request.body())
            return await _while_connected(request, _answer(engine, asked, request.headers.get("x-request-id", "")))
        except RefusedError as refused:
            refusal = refused.refusal
            headers = {name.decode(): value.decode() for name, value in refusal.headers()}
            return Response(refusal.body(), refusal.status, headers)

    routes = APIRouter()
    schema = {"required": True, "content": {"application/json": {"schema": GenerateRequest.model_json_schema()}}}
    routes.add_api_route(
        "/generate", generate, methods=["POST"], response_model=None, openapi_extra={"requestBody": schema}
    )
    return routes


def parse(body: bytes) -> GenerateRequest:
    """Raises RefusedError naming the first field that is wrong."""
    try:
        return GenerateRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise bad_request(f"The body is not JSON: {first['msg']}.", param=None, code="invalid_json") from None
        if not first["loc"]:
            raise bad_request("The body must be a JSON object.", param=None) from None
        field = str(first["loc"][0])
        message = {
            "extra_forbidden": f"{field} is not a field of /generate; known are {', '.join(GenerateRequest.model_fields)}.",
            "missing": f"{field} is missing.",
        }.get(first["type"], f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}.")
        raise bad_request(message, param=field) from None


def sampling_of(asked: GenerateRequest, prompt: Prompt, max_model_len: int) -> dict[str, Any]:
    """The set fields, with max_tokens that fits. Raises RefusedError when prompt and answer do not fit the model's length."""
    room = max_model_len - prompt.tokens
    if room < 1:
        message = (
            f"prompt takes {prompt.tokens} tokens, the model's length is {max_model_len}; at least one must be left."
        )
        raise bad_request(message, param="prompt", code="context_length_exceeded")
    if asked.max_tokens is not None and asked.max_tokens > room:
        message = (
            f"max_tokens is {asked.max_tokens}, but the model's length is {max_model_len} tokens "
            f"and the prompt takes {prompt.tokens}: at most {room} are left."
        )
        raise bad_request(message, param="max_tokens", code="context_length_exceeded")
    chosen = asked.model_dump(include={"temperature", "top_p", "top_k"}, exclude_none=True)
    return {**chosen, "stop": asked.stop, "max_tokens": asked.max_tokens or min(DEFAULT_MAX_TOKENS, room)}


async def _answer(engine: TextEngine, asked: GenerateRequest, request_id: str) -> Response:
    started = time.perf_counter()
    prompt = await engine.read_prompt(asked.prompt)
    sampling = sampling_of(asked, prompt, engine.max_model_len)
    steps = engine.generate(prompt, sampling, request_id, output="deltas" if asked.stream else "whole")
    if asked.stream:
        # The first step decides the status: a full queue or a dead engine must not come as 200.
        first = await anext(steps)
        events = _events(first, steps, prompt, request_id, engine.model)
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})
    text, tokens, reason = "", 0, None
    async with contextlib.aclosing(steps):
        async for step in steps:
            text, tokens, reason = text + step.text, tokens + step.tokens, step.finish_reason
    if reason in UNFINISHED:
        raise RefusedError(UNFINISHED[reason])
    seconds = time.perf_counter() - started
    answer = {
        "text": text,
        "tokens_generated": tokens,
        "latency_seconds": round(seconds, 6),
        "tokens_per_second": round(tokens / seconds, 3),
        "request_id": request_id,
        "model": engine.model,
        "finish_reason": reason,
    }
    return Response(json.dumps(answer, ensure_ascii=False).encode(), media_type="application/json")


#: Finish reasons that mean: this is not the whole answer. Under 200 they would be taken for one.
UNFINISHED: Mapping[str | None, Refusal] = {
    "abort": Refusal(503, "The engine aborted the request; send it again.", "aborted", retry_after=1),
    "error": Refusal(500, "The engine failed on this request.", "generation_failed"),
}


async def _events(
    first: Step, steps: AsyncGenerator[Step], prompt: Prompt, request_id: str, model: str
) -> AsyncGenerator[bytes]:
    tokens, step = 0, first
    async with contextlib.aclosing(steps):
        while True:
            tokens += step.tokens
            if step.text:
                yield _event({"text": step.text})
            if step.finish_reason is not None:
                break
            try:
                step = await anext(steps)
            except RefusedError as refused:
                yield refused.refusal.event()
                return
    if step.finish_reason in UNFINISHED:
        yield UNFINISHED[step.finish_reason].event()
        return
    usage = {"prompt_tokens": prompt.tokens, "completion_tokens": tokens, "total_tokens": prompt.tokens + tokens}
    yield _event(
        {"text": "", "finish_reason": step.finish_reason, "usage": usage, "request_id": request_id, "model": model}
    )
    yield b"data: [DONE]\n\n"


def _event(content: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


async def _while_connected(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Cancels `work`, and with it the engine's request, when the client goes. The body must have been read before.

    Once a stream has begun, its response listens for the client itself.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, gone):
            if not task.done():
                task.cancel()
        await asyncio.wait({working, gone})
    if working.cancelled():
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return working.result()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
