"""vLLM's engine as /generate, the warm-up and the watchdog see it: prompts in, steps out, errors as refusals."""

import contextlib
import importlib
import uuid
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, Literal

from fairlead_runtime.generate import Origin, Prompt, Step
from fairlead_runtime.refusals import OVERLOADED, Refusal, RefusedError, bad_request

#: What vLLM's own routes take from the model's generation_config where a request does not say.
DEFAULTS: Final = (
    *("repetition_penalty", "presence_penalty", "frequency_penalty"),
    *("temperature", "top_p", "top_k", "min_p"),
)


class VllmTextEngine:
    """engine: vLLM's AsyncLLM. model: the served name."""

    def __init__(self, engine: Any, *, model: str) -> None:
        self._engine = engine
        self.model = model
        self.max_model_len = int(engine.model_config.max_model_len)
        #: Sequences that the engine computes at a time.
        self.max_num_seqs = int(engine.vllm_config.scheduler_config.max_num_seqs)
        sampling = importlib.import_module("vllm.sampling_params")
        self._sampling_params = sampling.SamplingParams
        self._output_kinds = {
            "whole": sampling.RequestOutputKind.FINAL_ONLY,
            "deltas": sampling.RequestOutputKind.DELTA,
        }
        self._parse_model_prompt = importlib.import_module("vllm.renderers.inputs.preprocess").parse_model_prompt
        errors = importlib.import_module("vllm.exceptions")
        #: ValueError: what the validation error was before it got a class of its own.
        self._invalid = (errors.VLLMValidationError, ValueError)
        self._dead = importlib.import_module("vllm.v1.engine.exceptions").EngineDeadError
        defaults = engine.model_config.get_diff_sampling_param()
        self._defaults = {name: defaults[name] for name in DEFAULTS if name in defaults}
        self._most_tokens = _most_tokens(engine.model_config, defaults) or self.max_model_len

    async def read_prompt(self, text: str) -> Prompt:
        """The engine's renderer, as on its own routes: more characters than any tokens hold are refused, the rest is tokenized in threads."""
        try:
            prompt = self._parse_model_prompt(self._engine.model_config, text)
            (rendered,) = await self._engine.renderer.render_cmpl_async([prompt])
        except self._invalid as error:
            raise bad_request(str(error), param="prompt", code="context_length_exceeded") from error
        return Prompt(len(rendered["prompt_token_ids"]), rendered)

    async def generate(
        self, prompt: Prompt, sampling: Mapping[str, Any], origin: Origin, *, output: Literal["whole", "deltas"]
    ) -> AsyncGenerator[Step]:
        """The identifier gets a random end: callers may send the same X-Request-Id twice at a time."""
        try:
            asked = {**self._defaults, **sampling, "max_tokens": min(sampling["max_tokens"], self._most_tokens)}
            params = self._sampling_params(**asked, output_kind=self._output_kinds[output])
            outputs = self._engine.generate(
                prompt.rendered,
                params,
                f"generate-{origin.request_id}-{uuid.uuid4().hex[:8]}",
                # Without --otlp-traces-endpoint the engine leaves them aside.
                trace_headers=origin.trace or None,
            )
            async with contextlib.aclosing(outputs):
                async for result in outputs:
                    completion = result.outputs[0]
                    yield Step(completion.text, len(completion.token_ids), completion.finish_reason)
        except self._invalid as error:
            raise bad_request(str(error), param=getattr(error, "parameter", None)) from error
        except self._dead as error:
            message = "The engine died; this replica restarts. Send the request again."
            raise RefusedError(Refusal(500, message, "engine_dead")) from error
        except Exception as error:
            status = getattr(error, "http_status", None)  # admission control: the queue is full
            if status is None:
                raise
            raise RefusedError(Refusal(int(status), str(error), OVERLOADED, retry_after=1)) from error

    async def decode_one_token(self, request_id: str) -> None:
        """One prefill and one decode, whatever the token is: the proof that answers can be given. Raises RuntimeError without one."""
        prompt = await self.read_prompt("Hello")
        steps = self.generate(prompt, {"max_tokens": 1, "temperature": 0.0}, Origin(request_id), output="whole")
        async with contextlib.aclosing(steps):
            tokens = sum([step.tokens async for step in steps])
        if tokens < 1:
            raise RuntimeError("the engine finished a request for one token without a token")

    @property
    def unfinished(self) -> int:
        """Requests that wait or run in the engine."""
        return int(self._engine.output_processor.get_num_unfinished_requests())


def _most_tokens(model_config: Any, defaults: Mapping[str, Any]) -> int | None:
    """The limit of an answer that --override-generation-config or a --generation-config of the administrator's sets for all requests, as
    on vLLM's own routes. What the model's own file says is no limit.
    """
    if model_config.generation_config in {"auto", "vllm"}:
        defaults = {"max_tokens": model_config.override_generation_config.get("max_new_tokens")}
    most: int | None = defaults.get("max_tokens")
    return most
