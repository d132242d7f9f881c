"""A serving port for tests: the real guard and uvicorn on a free port, a small application and a scripted engine behind them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CollectorRegistry

from fairlead_runtime import batch, generate
from fairlead_runtime.drain import Admission, Gate
from fairlead_runtime.generate import Origin, Prompt, Step
from fairlead_runtime.guard import Guard
from fairlead_runtime.keys import ApiKeys
from fairlead_runtime.metrics import Metrics
from fairlead_runtime.queue_limit import QueueLimit
from fairlead_runtime.rate_limit import RateLimiter
from fairlead_runtime.refusals import bad_request
from fairlead_runtime.uvicorn_server import Server, http


@dataclass
class ScriptedEngine:
    """One token per word of the prompt; answers with `steps`, and waits for `release` before the last one if `held`."""

    model: str = "scripted"
    max_model_len: int = 16
    max_num_seqs: int = 64
    steps: tuple[Step, ...] = (Step("all ", 1), Step("well", 1, "stop"))
    held: bool = False
    release: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    samplings: list[Mapping[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    traces: list[Mapping[str, str]] = field(default_factory=list)

    async def read_prompt(self, text: str) -> Prompt:
        tokens = len(text.split())
        if tokens > self.max_model_len:
            raise bad_request("prompt is too long", param="prompt", code="context_length_exceeded")
        return Prompt(tokens, text)

    async def generate(
        self, prompt: Prompt, sampling: Mapping[str, Any], origin: Origin, *, output: Literal["whole", "deltas"]
    ) -> AsyncGenerator[Step]:
        self.samplings.append(sampling)
        self.ids.append(origin.request_id)
        self.traces.append(origin.trace)
        self.started.set()
        try:
            for step in self.steps:
                if self.held and step.finish_reason is not None:
                    await self.release.wait()
                yield step
        except (asyncio.CancelledError, GeneratorExit):
            self.aborted.set()
            raise


@dataclass
class Port:
    """client: speaks to the port. reached: the paths that got through to the application."""

    client: httpx.AsyncClient
    guard: Guard
    gate: Gate
    metrics: Metrics
    engine: ScriptedEngine
    reached: list[str]

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def application(engine: ScriptedEngine, reached: list[str]) -> FastAPI:
    """What vLLM's looks like to the guard: served routes, forbidden routes, a stream, a failure."""

    async def note(request: Request) -> None:
        reached.append(request.url.path)

    app = FastAPI()
    app.include_router(generate.router(engine))
    app.include_router(batch.router(engine))

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, str]:
        await note(request)
        return {"object": "list"}

    @app.post("/v1/completions")
    async def completions(request: Request) -> StreamingResponse:
        await note(request)

        async def events() -> AsyncIterator[bytes]:
            async with contextlib.aclosing(engine.generate(Prompt(1, ""), {}, Origin(""), output="deltas")) as steps:
                async for step in steps:
                    yield f"data: {json.dumps(step.text)}\n\n".encode()
            yield b"data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post("/v1/chat/completions")
    async def gives_up(request: Request) -> None:
        """As vLLM's with_cancellation: nothing is returned once the client has gone, and FastAPI makes `200 null` of it."""
        engine.started.set()
        while (await request.receive())["type"] != "http.disconnect":
            pass

    @app.post("/tokenize")
    async def fails() -> None:
        raise RuntimeError("by design")

    @app.post("/collective_rpc")
    @app.get("/metrics")
    async def forbidden(request: Request) -> PlainTextResponse:
        await note(request)
        return PlainTextResponse("reached")

    return app


@contextlib.asynccontextmanager
async def serving(
    engine: ScriptedEngine | None = None,
    *,
    keys: Path | None = None,
    timeout_seconds: float = 30.0,
    body_limit: int = 4096,
    admission: Admission = Admission.SERVING,
    rate: RateLimiter | None = None,
    queue: QueueLimit | None = None,
) -> AsyncIterator[Port]:
    engine = engine or ScriptedEngine()
    metrics = Metrics(CollectorRegistry())
    gate = Gate(metrics)
    gate.admission = admission
    reached: list[str] = []
    guard = Guard(
        application(engine, reached),
        gate=gate,
        keys=ApiKeys(keys) if keys else None,
        request_timeout_seconds=timeout_seconds,
        metrics=metrics,
        rate=rate,
        queue=queue,
        body_limit=body_limit,
    )
    config = uvicorn.Config(
        guard, host="127.0.0.1", port=0, http=http(), log_level="critical", ws="none", timeout_graceful_shutdown=2
    )
    server = Server(config)
    running = asyncio.create_task(server.serve())
    await server.listening.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            yield Port(client, guard, gate, metrics, engine, reached)
    finally:
        server.should_exit = True
        await running
