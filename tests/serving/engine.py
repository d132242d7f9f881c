"""An engine by script: it takes requests as vLLM's AsyncLLM does, and computes one token for each of them per step.

Words are tokens, in and out. A step takes longer the more it computes, as a real one does.
"""

import asyncio
import enum
import json
import os
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

#: Of one step: by itself, and for each sequence in it. Two thousand at a time get five tokens a second each.
STEP_SECONDS = 0.005
SEQUENCE_SECONDS = float(os.environ.get("SCRIPTED_SEQUENCE_SECONDS", "0.0001"))
#: A request with this prompt is the engine's last.
DEADLY = "die"


class VLLMValidationError(ValueError):
    """What is wrong with the request."""

    parameter: str | None = None


class EngineDeadError(Exception):
    """Nothing will be computed any more."""


class RequestOutputKind(enum.Enum):
    """Whether each step is told, or the end alone."""

    FINAL_ONLY = "final"
    DELTA = "delta"


@dataclass
class SamplingParams:
    """Those that the script keeps to, and those that it is only told."""

    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: list[str] = field(default_factory=list)
    output_kind: RequestOutputKind = RequestOutputKind.DELTA


@dataclass
class Request:
    """One sequence. `left`: tokens still to compute; `fresh`: those that nobody has fetched."""

    left: int
    fresh: list[str] = field(default_factory=list)
    made: int = 0
    came: float = field(default_factory=time.monotonic)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


def parse_model_prompt(_: Any, prompt: str) -> str:
    """The prompt as it is."""
    return prompt


class Renderer:
    """A word is a token."""

    async def render_cmpl_async(self, prompts: list[str]) -> list[dict[str, Any]]:
        return [{"prompt": prompt, "prompt_token_ids": prompt.split()} for prompt in prompts]


class Metrics:
    """vLLM's, as far as the runtime looks at them."""

    def __init__(self) -> None:
        self.steps = Histogram("vllm:iteration_tokens_total", "Tokens per step.", buckets=(1, 1024))
        self.tokens = Counter("vllm:generation_tokens", "Tokens computed.")
        self.running = Gauge("vllm:num_requests_running", "Sequences in the last step.")
        self.waiting = Gauge("vllm:num_requests_waiting", "Sequences that the last step had no place for.")
        self.kv_cache = Gauge("vllm:kv_cache_usage_perc", "Share of the places that are taken.")
        self.preemptions = Counter("vllm:num_preemptions", "None: a place is never taken back.")
        self.prompt_tokens = Counter("vllm:prompt_tokens", "Tokens of prompts.")
        self.cache_queries = Counter("vllm:prefix_cache_queries", "Tokens of prompts that were looked for.")
        self.cache_hits = Counter("vllm:prefix_cache_hits", "None: nothing is kept.")
        self.queued = Histogram("vllm:request_queue_time_seconds", "From a request's coming to its first step.")
        self.first_token = Histogram("vllm:time_to_first_token_seconds", "From a request's coming to its first token.")
        self.between_tokens = Histogram("vllm:inter_token_latency_seconds", "From step to step.")


class Engine:
    """What the runtime and the application use of AsyncLLM."""

    def __init__(self, max_num_seqs: int, max_model_len: int, kv_cache_memory_bytes: int | None) -> None:
        settings = SimpleNamespace(
            architectures=["Scripted"],
            max_model_len=max_model_len,
            max_num_seqs=max_num_seqs,
            dtype="auto",
            quantization=None,
            seed=0,
            max_num_batched_tokens=max_num_seqs,
            enable_chunked_prefill=True,
            enable_prefix_caching=True,
            cache_dtype="auto",
            block_size=16,
            num_gpu_blocks=0,
            gpu_memory_utilization=0.9,
            kv_cache_memory_bytes=kv_cache_memory_bytes,
            tensor_parallel_size=1,
            pipeline_parallel_size=1,
            stream_interval=1,
            generation_config="auto",
            override_generation_config={},
            get_diff_sampling_param=dict,
        )
        self.model_config = settings
        self.vllm_config = SimpleNamespace(
            model_config=settings,
            cache_config=settings,
            scheduler_config=settings,
            parallel_config=settings,
            speculative_config=None,
            performance_mode="balanced",
        )
        self.renderer = Renderer()
        self.output_processor = SimpleNamespace(get_num_unfinished_requests=lambda: self.unfinished)
        self.errored = False
        self.finished = self.aborted = 0
        self._requests: dict[str, Request] = {}
        self._metrics = Metrics()
        self._stepping = asyncio.ensure_future(self._steps())

    @property
    def unfinished(self) -> int:
        return len(self._requests)

    async def get_supported_tasks(self) -> tuple[str, ...]:
        return ("generate",)

    async def generate(
        self,
        prompt: dict[str, Any],
        params: SamplingParams,
        request_id: str,
        trace_headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Any]:
        """Closing it aborts. Steps that nobody fetched come as one, as vLLM's do. The trace is told on stdout."""
        assert request_id not in self._requests
        if trace_headers:
            print("scripted trace " + json.dumps(trace_headers), flush=True)
        if prompt["prompt"] == DEADLY:
            self._die()
        request = self._requests[request_id] = Request(params.max_tokens)
        self._metrics.prompt_tokens.inc(len(prompt["prompt_token_ids"]))
        self._metrics.cache_queries.inc(len(prompt["prompt_token_ids"]))
        try:
            while request.left or request.fresh:
                await self._change(request, params.output_kind)
                text, request.fresh = request.fresh, []
                reason = None if request.left else "length"
                output = SimpleNamespace(text="".join(text), token_ids=text, finish_reason=reason)
                yield SimpleNamespace(outputs=[output], prompt_token_ids=prompt["prompt_token_ids"])
        finally:
            del self._requests[request_id]
            if request.left:
                self.aborted += 1
            else:
                self.finished += 1

    async def _change(self, request: Request, kind: RequestOutputKind) -> None:
        while not request.fresh or (kind is RequestOutputKind.FINAL_ONLY and request.left):
            if self.errored:
                raise EngineDeadError
            request.changed.clear()
            await request.changed.wait()

    async def _steps(self) -> None:
        places = self.vllm_config.scheduler_config.max_num_seqs
        while not self.errored:
            pause = STEP_SECONDS + SEQUENCE_SECONDS * min(places, self.unfinished)
            await asyncio.sleep(pause)
            unfinished = [request for request in self._requests.values() if request.left]
            running = unfinished[:places]
            for request in running:
                if not request.made:
                    waited = time.monotonic() - request.came
                    self._metrics.queued.observe(waited)
                    self._metrics.first_token.observe(waited)
                request.made += 1
                request.left -= 1
                request.fresh.append(f"t{request.made} ")
                request.changed.set()
            self._metrics.running.set(sum(request.left > 0 for request in running))
            self._metrics.waiting.set(len(unfinished) - len(running))
            self._metrics.kv_cache.set(len(running) / places)
            if running:
                self._metrics.between_tokens.observe(pause)
                self._metrics.steps.observe(len(running))
                self._metrics.tokens.inc(len(running))

    def _die(self) -> None:
        self.errored = True
        for request in self._requests.values():
            request.changed.set()
