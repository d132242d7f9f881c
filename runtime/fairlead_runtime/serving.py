"""From a loaded engine to the end of the process: build the application, decode one token, serve, watch, drain.

Stopping has an order that vLLM's own server does not keep: HTTP first, the engine last.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry

from fairlead_runtime import batch, chunks, engine_shim, generate, locations, openapi, processes, streams, verdicts
from fairlead_runtime.activity import in_flight
from fairlead_runtime.config import RuntimeConfig
from fairlead_runtime.drain import RETRY_AFTER_SECONDS, Admission, Gate, drain
from fairlead_runtime.engine_shim import Functions
from fairlead_runtime.guard import Guard
from fairlead_runtime.keys import ApiKeys
from fairlead_runtime.lifecycle import (
    HEARTBEAT_SECONDS,
    Failed,
    Heartbeat,
    InFlight,
    Phase,
    PhaseReached,
    Stalled,
    StateWriter,
    StepReached,
)
from fairlead_runtime.metrics import ENGINE_KV_CACHE_USAGE, ENGINE_STEPS, Metrics, total
from fairlead_runtime.queue_limit import QueueLimit
from fairlead_runtime.rate_limit import RateLimiter
from fairlead_runtime.refusals import Refusal
from fairlead_runtime.startup import Step
from fairlead_runtime.text_engine import VllmTextEngine
from fairlead_runtime.uvicorn_server import Server, http
from fairlead_runtime.warmup import warm_up
from fairlead_runtime.watchdog import Engine, Thresholds, Watchdog

logger = logging.getLogger(__name__)

#: Clients' pools reuse a connection for long: kube-proxy balances per connection, and a close that crosses a request loses it.
KEEP_ALIVE_SECONDS = 75
#: How often a dead engine is looked for; seconds. vLLM's own watchdog takes 5.
DEATH_POLL_SECONDS = 0.1
#: How long vLLM's handlers get to say that the engine is dead, before the guard says it; seconds.
DEATH_ANSWERS_SECONDS = 0.3
#: After a drain nothing runs and answers were taken; a connection that is still open is idle or its client does not read. Seconds.
CLOSE_SECONDS = 5
#: sysexits.h: internal software error. The supervisor and the operator know it as the watchdog's.
EXIT_WATCHDOG = 70
EXIT_FAILED = 1


class PhaseClock:
    """Reports phases and steps to the supervisor, who has the clock."""

    def __init__(self, writer: StateWriter) -> None:
        self.writer = writer

    def reached(self, phase: Phase) -> None:
        self.writer.write(PhaseReached(phase))

    def over(self, step: Step) -> None:
        self.writer.write(StepReached(step))


@dataclass(frozen=True, slots=True)
class Service:
    """One loaded engine and what serving it needs. engine: vLLM's AsyncLLM."""

    engine: Any
    args: Namespace
    functions: Functions
    config: RuntimeConfig
    metrics: Metrics
    clock: PhaseClock
    gate: Gate

    async def run(self, sock: Any) -> int:
        """Runs until asked to stop or broken, and returns the exit code. The engine still runs then."""
        self.clock.reached(Phase.WARMING)
        text_engine = VllmTextEngine(self.engine, model=self.config.model.served_name)
        application = await self._application(text_engine)
        server = self._server(application, text_engine)
        # vLLM's error handler stops the server that it finds here when the engine is dead.
        application.state.server = server
        await text_engine.decode_one_token("warm-up")
        self.clock.over(Step.DECODED)
        await warm_up(application, text_engine.model, text_engine.max_model_len)
        self.clock.over(Step.WARMED)
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        listening = asyncio.create_task(server.listening.wait())
        await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        if not server.started:
            listening.cancel()
            raise RuntimeError("the HTTP server ended before it listened; its log says why")
        stop, hurry = _on_signals()
        self.gate.admission = Admission.SERVING
        self.clock.reached(Phase.READY)
        pulse = asyncio.create_task(_pulse(self.clock.writer, self.metrics.registry))
        try:
            await self._until_the_end(text_engine, server, serving, stop, hurry)
        finally:
            pulse.cancel()
            server.should_exit = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(serving, CLOSE_SECONDS + 1)
        return 0

    async def _until_the_end(
        self,
        text_engine: VllmTextEngine,
        server: Server,
        serving: "asyncio.Task[None]",
        stop: asyncio.Event,
        hurry: asyncio.Event,
    ) -> None:
        """Returns after a complete drain. A dead or stuck engine ends the process here."""
        watchdog = Watchdog(watched(text_engine, self.metrics.registry), Thresholds(), time.monotonic)
        drained = asyncio.create_task(self._drained(server, stop, hurry))
        died = asyncio.create_task(_death(self.engine))
        stalled = asyncio.create_task(watchdog.stalled())
        watching = {drained, died, stalled}
        try:
            await asyncio.wait({*watching, serving}, return_when=asyncio.FIRST_COMPLETED)
            if stalled.done():
                await self._end_stalled(stalled.result())
            # vLLM's error handler ends the server too when it meets a dead engine: that is the cause, not the end of serving.
            if died.done() or (serving.done() and self.engine.errored):
                await self._end_dead()
            if drained.done():
                drained.result()
                return
            serving.result()
            raise RuntimeError("the HTTP server ended although nobody asked it to")
        finally:
            for task in watching:
                task.cancel()

    async def _drained(self, server: Server, stop: asyncio.Event, hurry: asyncio.Event) -> None:
        await stop.wait()
        self.clock.reached(Phase.DRAINING)
        self.metrics.draining.set(1)
        seconds = self.config.serving.drain_seconds
        await drain(self.gate, drain_seconds=seconds, hurry=hurry, let_go=server.let_go, sent=server.sent)
        self.clock.reached(Phase.STOPPING)

    async def _end_stalled(self, why: str) -> None:
        self.gate.healthy = False
        self.metrics.stalled.set(1)
        self.clock.writer.write(Stalled(stalled=True, detail=why))
        self.clock.writer.write(Failed(verdicts.stalled(why)))
        refusal = Refusal(
            503, "The engine is stuck; this replica restarts.", "engine_stalled", retry_after=RETRY_AFTER_SECONDS
        )
        # Whoever came now would be stuck as well, and be cut without a word at the end.
        self.gate.refuse(0, ())
        await self.gate.end_all(refusal, reason="engine")
        _end_now(EXIT_WATCHDOG)

    async def _end_dead(self) -> None:
        logger.error("The engine's process ended while serving")
        self.clock.writer.write(Failed(text=engine_shim.death(self.engine)))
        # Whoever comes now is sent to another replica instead of waiting for this one's end.
        self.gate.refuse(0, ())
        # A moment for vLLM's own error answers, which its handlers send now; then ours.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gate.emptied(), DEATH_ANSWERS_SECONDS)
        refusal = Refusal(500, "The engine died; this replica restarts.", "engine_dead")
        await self.gate.end_all(refusal, reason="engine")
        _end_now(EXIT_FAILED)

    async def _application(self, text_engine: VllmTextEngine) -> Any:
        """The application of vLLM, with our routes. Raises RuntimeError for a model that generates no text."""
        tasks = await self.engine.get_supported_tasks()
        if "generate" not in tasks:
            offers = ", ".join(tasks)
            raise RuntimeError(f"this model generates no text (it offers: {offers}); fairlead serves models that do")
        application = self.functions.build_app(self.args, tasks, self.engine.model_config)
        await self.functions.init_app_state(self.engine, application.state, self.args, tasks)
        chunks.install()
        streams.install()
        engine_shim.remember_environment()
        application.include_router(generate.router(text_engine))
        application.include_router(batch.router(text_engine))
        # Computed once and kept: asked for later, it would hold up every running stream for most of a second.
        schema = openapi.served(await asyncio.to_thread(application.openapi), self.functions.version)
        application.openapi = lambda: schema
        return application

    def _server(self, application: Any, text_engine: VllmTextEngine) -> Server:
        serving = self.config.serving
        waits = serving.max_queued_requests
        queue = None
        if waits is not None:
            queue = QueueLimit(runs=text_engine.max_num_seqs, waits=waits, unfinished=lambda: text_engine.unfinished)
        guard = Guard(
            application,
            gate=self.gate,
            keys=ApiKeys(Path(locations.api_keys_path(os.environ))) if serving.require_api_key else None,
            request_timeout_seconds=serving.request_timeout_seconds,
            metrics=self.metrics,
            rate=RateLimiter(serving.rate_limit, time.monotonic) if serving.rate_limit else None,
            queue=queue,
        )
        config = uvicorn.Config(
            guard,
            http=http(),
            lifespan="on",
            log_level=self.args.uvicorn_log_level,
            access_log=not self.args.disable_uvicorn_access_log,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=CLOSE_SECONDS,
            ws="none",
            server_header=False,
        )
        config.load()
        return Server(config)


def _on_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """The first is set by the first SIGTERM or SIGINT, the second by the next one."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def asked() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    return stop, hurry


def watched(text_engine: VllmTextEngine, registry: CollectorRegistry) -> Engine:
    """The engine as the watchdog looks at it."""
    return Engine(
        pending=lambda: text_engine.unfinished,
        # Both: many tokens may leave the KV cache as full as it was, and a long prompt fills it for minutes before its first token.
        progress=lambda: (total(registry, ENGINE_STEPS), total(registry, ENGINE_KV_CACHE_USAGE)),
        processes=lambda: processes.descendants(os.getpid()),
        canary=lambda: text_engine.decode_one_token("canary"),
    )


async def _death(engine: Any) -> None:
    while not engine.errored:  # noqa: ASYNC110 - vLLM offers a flag, no event
        await asyncio.sleep(DEATH_POLL_SECONDS)


async def _pulse(writer: StateWriter, registry: CollectorRegistry) -> None:
    """Heartbeats, and what is in the engine when it changed."""
    last = InFlight(0, 0)
    while True:
        writer.write(Heartbeat())
        now = in_flight(registry)
        if now != last:
            writer.write(now)
            last = now
        await asyncio.sleep(HEARTBEAT_SECONDS)


def _end_now(code: int) -> None:
    """Ends the process and its engine without another look at them: a stuck engine would hold an orderly end for ever."""
    processes.kill_descendants(os.getpid())
    logging.shutdown()
    os._exit(code)
