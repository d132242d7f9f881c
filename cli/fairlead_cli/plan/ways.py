"""Ways to make a model fit that does not: each is a plan of its own, and only those that fit are told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from fairlead_runtime import memory
from fairlead_runtime.memory import EngineSettings, Plan, Verdict

#: At most so many are told, the one that changes least first.
MOST = 3
#: Lengths are proposed in whole steps.
_STEP = 256
_DEGREES = (2, 4, 8, 16)

Replan = Callable[[EngineSettings], Plan | None]


class Way(NamedTuple):
    """field: of the InferenceService. value: what to set it to. plan: with it."""

    field: str
    value: str
    plan: Plan

    @property
    def sentence(self) -> str:
        room = f"{self.plan.kv_cache_tokens or 0:,} tokens of KV cache, {self.plan.max_concurrency or 0:.1f} requests of {self.plan.model_len or 0:,} tokens"
        return f"set {self.field} to {self.value}: {room}"


def enough(plan: Plan, batch: int) -> bool:
    """Whether `batch` requests of the whole context surely start and run at the same time."""
    return plan.verdict is Verdict.FITS and (plan.max_concurrency or 0) >= batch


def ways(model: memory.ModelConfig, engine: EngineSettings, replan: Replan, batch: int) -> tuple[Way, ...]:
    """Up to three, in the order: shorter context, KV cache in fp8, weights in fp8, more GPUs."""
    found: list[Way] = []
    for field, value, settings in (
        *_shorter(model, engine, replan, batch),
        *_smaller(model, engine),
        *_wider(model, engine),
    ):
        if (plan := replan(settings)) is not None and enough(plan, batch):
            if any(way.field == field for way in found):
                continue
            found.append(Way(field, value, plan))
        if len(found) == MOST:
            break
    return tuple(found)


def _shorter(
    model: memory.ModelConfig, engine: EngineSettings, replan: Replan, batch: int
) -> Iterator[tuple[str, str, EngineSettings]]:
    """The longest context that fits, by bisection."""
    asked = engine.max_model_len
    low, high = 0, (asked if isinstance(asked, int) else model.max_model_len) // _STEP
    while low < high:
        middle = (low + high + 1) // 2
        plan = replan(replace(engine, max_model_len=middle * _STEP))
        low, high = (middle, high) if plan is not None and enough(plan, batch) else (low, middle - 1)
    if low:
        yield "spec.engine.maxModelLen", str(low * _STEP), replace(engine, max_model_len=low * _STEP)


def _smaller(model: memory.ModelConfig, engine: EngineSettings) -> Iterator[tuple[str, str, EngineSettings]]:
    if engine.kv_cache_dtype in (None, "auto"):
        yield "spec.engine.kvCacheDtype", "fp8", replace(engine, kv_cache_dtype="fp8")
    if engine.quantization is None and model.quantization is None:
        yield "spec.engine.quantization", "fp8", replace(engine, quantization="fp8")


def _wider(model: memory.ModelConfig, engine: EngineSettings) -> Iterator[tuple[str, str, EngineSettings]]:
    for degree in _DEGREES:
        if degree > engine.tensor and not (model.heads and model.heads % degree):
            yield "spec.parallelism.tensor", str(degree), replace(engine, tensor=degree)
