"""POST /generate: the shortest way to text. One prompt in, one answer out, every number in tokens of the model's own tokenizer.

With `stream: true` the answer is server-sent events: {"text"} as it is decoded, then one with finish_reason and usage, then [DONE].
Errors have OpenAI's shape and name the parameter. Imports no engine: the engine is whatever has the methods of TextEngine.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from fairlead_runtime.exchange import CLIENT_CLOSED_REQUEST
from fairlead_runtime.generate_schema import DEFAULT_MAX_TOKENS, STREAMED, GenerateAnswer, GenerateRequest, parse
from fairlead_runtime.refusals import Refusal, RefusedError, bad_request, internal_error

logger = logging.getLogger(__name__)


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


#: W3C Trace Context: what a tracing caller sends, and what vLLM's own routes hand to the engine.
TRACE_HEADERS = ("traceparent", "tracestate")


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose request it is. request_id: X-Request-Id. trace: the caller's trace context, under which the engine puts its span."""

    request_id: str
    trace: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Request) -> "Origin":
        """From the request's headers."""
        headers = request.headers
        return cls(headers.get("x-request-id", ""), {name: headers[name] for name in TRACE_HEADERS if name in headers})

    def item(self, index: int) -> "Origin":
        """Of one of several prompts."""
        return Origin(f"{self.request_id}-{index}", self.trace)


class TextEngine(Protocol):
    """What /generate needs of an engine. Both methods raise RefusedError for what the caller must change."""

    model: str
    max_model_len: int
    #: Sequences that the engine computes at a time.
    max_num_seqs: int

    async def read_prompt(self, text: str) -> Prompt:
        """Tokenized, outside the event loop's thread."""

    def generate(
        self, prompt: Prompt, sampling: Mapping[str, Any], origin: Origin, *, output: Literal["whole", "deltas"]
    ) -> AsyncGenerator[Step]:
        """Closing the generator aborts the request in the engine."""


def router(engine: TextEngine) -> APIRouter:
    """The route, bound to an engine that is up."""

    async def generate(request: Request) -> Response:
        try:
            asked = parse(await request.body())
            return await while_connected(request, _answer(engine, asked, Origin.of(request)))
        except RefusedError as refused:
            return refused_response(refused)

    routes = APIRouter()
    schema = GenerateRequest.model_json_schema()
    routes.add_api_route(
        "/generate",
        generate,
        methods=["POST"],
        response_model=None,
        summary="Text for one prompt",
        description="The whole answer, or with `stream: true` server-sent events that end with `data: [DONE]`.",
        responses={
            200: {
                "model": GenerateAnswer,
                "description": "The answer.",
                "content": {"text/event-stream": {"schema": {"type": "string"}, "example": STREAMED}},
            }
        },
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}},
    )
    return routes


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


async def _answer(engine: TextEngine, asked: GenerateRequest, origin: Origin) -> Response:
    if not asked.stream:
        answer = await complete(engine, asked, origin)
        return Response(answer.model_dump_json().encode(), media_type="application/json")
    prompt = await engine.read_prompt(asked.prompt)
    sampling = sampling_of(asked, prompt, engine.max_model_len)
    steps = engine.generate(prompt, sampling, origin, output="deltas")
    # The first step decides the status: a full queue or a dead engine must not come as 200.
    first = await anext(steps)
    events = _events(first, steps, prompt, origin.request_id, engine.model)
    return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})


async def complete(engine: TextEngine, asked: GenerateRequest, origin: Origin) -> GenerateAnswer:
    """The whole answer. Raises RefusedError. Cancelling it aborts the request in the engine."""
    started = time.perf_counter()
    prompt = await engine.read_prompt(asked.prompt)
    sampling = sampling_of(asked, prompt, engine.max_model_len)
    steps = engine.generate(prompt, sampling, origin, output="whole")
    text, tokens, reason = "", 0, None
    async with contextlib.aclosing(steps):
        async for step in steps:
            text, tokens, reason = text + step.text, tokens + step.tokens, step.finish_reason
    if reason in UNFINISHED:
        raise RefusedError(UNFINISHED[reason])
    seconds = time.perf_counter() - started
    return GenerateAnswer(
        text=text,
        tokens_generated=tokens,
        latency_seconds=round(seconds, 6),
        tokens_per_second=round(tokens / seconds, 3),
        request_id=origin.request_id,
        model=engine.model,
        finish_reason=reason,
    )


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
            except Exception:
                logger.exception("The stream %s failed", request_id)
                yield internal_error().event()
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


def refused_response(refused: RefusedError) -> Response:
    """For a refusal that is met before a response has begun."""
    refusal = refused.refusal
    return Response(
        refusal.body(), refusal.status, {name.decode(): value.decode() for name, value in refusal.headers()}
    )


async def while_connected(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
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
