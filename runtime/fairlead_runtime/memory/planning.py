"""Will it fit? Weights, KV cache, tokens and concurrency on one GPU, before one is taken. Pure: numbers in, numbers out.

Conservative in what it refuses: DoesNotFit only when it does not fit with every estimate's error in favour and some blocks of the cache
on top (KVCache.doubtful_blocks), and nothing is unknown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from fairlead_runtime.memory import overhead, parallel, quantization, specs, words
from fairlead_runtime.memory.architecture import ModelConfig
from fairlead_runtime.memory.drafts import Draft
from fairlead_runtime.memory.kvcache import KVCache
from fairlead_runtime.memory.quantization import DTYPE_BITS
from fairlead_runtime.memory.reading import ConfigError
from fairlead_runtime.memory.types import EngineSettings, Estimate, Plan, Unknown, Verdict
from fairlead_runtime.memory.weights import ERRORS, Weights

#: The engine's default share of an accelerator's memory, from 0.27 on.
UTILIZATION = 0.92


class _Taken(NamedTuple):
    """Before the KV cache, on a GPU of each stage."""

    weights: tuple[Estimate, ...]
    activations: Estimate
    graphs: Estimate

    def room(self, budget: int, stage: int) -> Estimate:
        taken = self.weights[stage] + self.activations + self.graphs
        # 0.26 measures graphs and does not count them.
        return Estimate(budget - taken.size, taken.error + self.graphs.least)


def plan(
    model: ModelConfig,
    weights: Weights | None,
    engine: EngineSettings,
    gpu_bytes: int | None,
    draft: Draft | None = None,
) -> Plan:
    """gpu_bytes: memory of one GPU; None where it is not known, then what does not depend on it is computed. weights None: not known.
    draft: a second model that guesses tokens. Raises ConfigError where the settings contradict the model: its key names which.
    """
    _check(model, engine)
    unknowns = [*model.unknowns, *(Unknown("memory", f"{argument} is not computed") for argument in engine.unmodelled)]
    length = model.max_model_len if engine.max_model_len in (None, "Auto") else int(engine.max_model_len)
    tokens, requests = overhead.steps(engine, gpu_bytes, length)
    if engine.device == "cpu" and engine.state_dtype is None and specs.recurrent(model):
        unknowns.append(
            Unknown("KV cache", "the processor's instructions decide what the recurrent states are kept in")
        )
    batches = engine.pipeline + _prepares_one_more(engine)
    if length > model.max_model_len and not model.any_length:
        # The engine refuses that before it looks at any memory, unless it is told not to: its word is the one to hear.
        made_for = f"{length} tokens are more than the {model.max_model_len} that the model was made for"
        unknowns.append(Unknown("maxModelLen", made_for))
    cache = specs.kv_cache(model, engine, batches * tokens, length, draft.model if draft else None)
    held = _weights(model, weights, engine, unknowns, draft)
    if isinstance(cache, Unknown):
        unknowns.append(cache)
    budget = _budget(engine, gpu_bytes)
    running = overhead.activations(model, engine, tokens, requests), overhead.graphs(model, engine, requests, draft)
    taken = _Taken(held, *running) if held else None
    rooms = _rooms(engine, budget, taken, unknowns)
    stage = max(range(len(held)), key=lambda place: held[place].size) if held else 0
    found = specs.widths(model, engine)
    empty = Plan(
        model_len=length,
        gpu=gpu_bytes,
        budget=budget,
        weights=held[stage] if held else None,
        activations=taken.activations if taken else None,
        graphs=taken.graphs if taken else None,
        kv_cache=min(rooms, key=lambda room: room.size) if rooms else None,
        block_size=0 if isinstance(found, Unknown) else specs.block_size(model, engine, found),
        kv_bytes_per_token=None,
        kv_bytes_per_request=None,
        blocks=None,
        kv_cache_tokens=None,
        max_concurrency=None,
        largest_model_len=None,
        surely_fits_len=None,
        verdict=Verdict.UNKNOWN,
        unknowns=tuple(unknowns),
        assumed=_assumed(engine, tokens, requests, length),
    )
    if isinstance(cache, Unknown):
        return empty
    sized = replace(
        empty,
        kv_bytes_per_token=max(cache.bytes_per_token(place) for place in range(engine.pipeline)),
        kv_bytes_per_request=max(cache.bytes_per_request(length, place) for place in range(engine.pipeline)),
    )
    judged = _judged(sized, cache, rooms, model, engine) if rooms else sized
    if judged.verdict is Verdict.DOES_NOT_FIT:
        # Refused is only what does not fit with less either, fitting what does with more.
        others = (plan(model, weights, less, gpu_bytes, draft) for less in _may_take_less(engine, gpu_bytes))
        if any(other.verdict is not Verdict.DOES_NOT_FIT for other in others):
            return replace(judged, verdict=Verdict.UNKNOWN)
    return judged


def _prepares_one_more(engine: EngineSettings) -> bool:
    """Whether the tokens of one step more than there are stages are in flight."""
    return engine.device == "gpu" and engine.async_scheduling


def _may_take_less(engine: EngineSettings, gpu: int | None) -> Iterator[EngineSettings]:
    """What the engine may turn out to do instead."""
    if overhead.may_be_a100(engine, gpu):
        # Its steps are smaller.
        yield replace(engine, gpu_name=overhead.A100)
    if engine.pipeline > 1 and _prepares_one_more(engine):
        # The older of its two model runners does not in a pipeline, and which one runs hangs on the model and on variables.
        yield replace(engine, async_scheduling=False)


def _judged(sized: Plan, cache: KVCache, rooms: Sequence[Estimate], model: ModelConfig, engine: EngineSettings) -> Plan:
    likely, best, worst = ([max(0, pick) for pick in picks] for picks in (
        [room.size for room in rooms], [room.most for room in rooms], [room.least for room in rooms]
    ))  # fmt: skip
    most = max(model.max_model_len, sized.model_len or 0)
    if engine.max_model_len == "Auto":
        sized = replace(sized, model_len=cache.longest(most, likely) or most)
    length = sized.model_len or most
    auto = engine.max_model_len == "Auto"
    blocks = cache.blocks(likely)
    concurrency = cache.concurrency(length, blocks)
    result = replace(
        sized,
        blocks=blocks,
        kv_cache_tokens=int(concurrency * length),
        max_concurrency=concurrency,
        largest_model_len=cache.longest(most, likely),
        surely_fits_len=cache.longest(most, worst),
    )
    wanted = 1 if auto else length
    if cache.fits(wanted, worst):
        return result if result.unknowns else replace(result, verdict=Verdict.FITS)
    refused = not result.unknowns and not cache.fits(
        wanted, [room + cache.doubtful_blocks * cache.bytes_per_block(stage) for stage, room in enumerate(best)]
    )
    longest = result.surely_fits_len or result.largest_model_len or cache.longest(most, best)
    problem, field = words.does_not_fit(result, longest, engine)
    return replace(
        result,
        verdict=Verdict.DOES_NOT_FIT if refused else Verdict.UNKNOWN,
        problem=problem,
        field=field,
        suggested_len=longest,
    )


def _rooms(
    engine: EngineSettings, budget: int | None, taken: _Taken | None, unknowns: list[Unknown]
) -> tuple[Estimate, ...]:
    """For the KV cache, on a GPU of each stage; empty where it is not known."""
    if engine.kv_cache_memory_bytes is not None:
        return (Estimate(engine.kv_cache_memory_bytes),) * engine.pipeline
    if budget is None or taken is None:
        if budget is None:
            unknowns.append(Unknown("KV cache", "the memory of the accelerator is not known"))
        return ()
    return tuple(taken.room(budget, stage) for stage in range(engine.pipeline))


def _budget(engine: EngineSettings, gpu: int | None) -> int | None:
    if gpu is None or engine.device == "cpu":
        return None
    return int(gpu * (engine.gpu_memory_utilization or UTILIZATION))


def _at_load(model: ModelConfig, engine: EngineSettings, unknowns: list[Unknown]) -> quantization.Quantization | None:
    if engine.quantization is None or model.quantization is not None:
        return None
    found = quantization.at_load(engine.quantization)
    if found is None:
        unknowns.append(Unknown("weights", f"what quantization {engine.quantization!r} makes of an unquantized model"))
    return found


def _weights(
    model: ModelConfig,
    weights: Weights | None,
    engine: EngineSettings,
    unknowns: list[Unknown],
    draft: Draft | None,
) -> tuple[Estimate, ...]:
    if weights is None:
        method = model.quantization
        why = f"a weight's bits in quantization {method.method!r}" if method else "neither headers nor shapes tell"
        unknowns.append(Unknown("weights", why))
        return ()
    if draft and draft.weights is None:
        unknowns.append(Unknown("weights", "those of the model that guesses are not known"))
    bits, at_load = DTYPE_BITS[specs.dtype_of(model, engine)], _at_load(model, engine, unknowns)
    kept = parallel.Kept(DTYPE_BITS[model.dtype], bits, at_load.bits if at_load and at_load.bits else bits)
    held = []
    for stage, layers in enumerate(parallel.stages(len(model.layers), engine.pipeline)):
        size = parallel.weights_of_stage(weights, engine, model.kv_heads, (stage, layers), kept)
        if draft and (beside := draft.beside(model)) and stage == engine.pipeline - 1:
            size += _of_draft(draft.model, beside, engine, bits)
        held.append(Estimate(size, int(size * ERRORS[weights.source])) + overhead.lora(model, engine))
    return tuple(held)


def _of_draft(model: ModelConfig, weights: Weights, engine: EngineSettings, bits: int) -> int:
    """Whole on the last stage. The engine quantizes none of it while it loads. bits: of one weight of the first model, whose dtype it takes."""
    layers = range(len(model.layers))
    kept = parallel.Kept(DTYPE_BITS[model.dtype], bits, bits)
    return parallel.weights_of_stage(weights, replace(engine, pipeline=1), model.kv_heads, (0, layers), kept)


def _check(model: ModelConfig, engine: EngineSettings) -> None:
    """What the engine would refuse too."""
    if model.heads and model.heads % engine.tensor:
        raise ConfigError("spec.parallelism.tensor", f"{engine.tensor} does not divide {model.heads} attention heads")
    if engine.pipeline > len(model.layers):
        raise ConfigError("spec.parallelism.pipeline", f"{engine.pipeline} stages for {len(model.layers)} layers")


def _assumed(engine: EngineSettings, tokens: int, requests: int, length: int) -> dict[str, object]:
    rows: tuple[tuple[str, object, object], ...] = (
        ("maxModelLen", engine.max_model_len, length),
        ("maxNumBatchedTokens", engine.max_num_batched_tokens, tokens),
        ("maxNumSeqs", engine.max_num_seqs, requests),
    )
    found = {name: value for name, asked, value in rows if asked is None}
    if engine.gpu_memory_utilization is None and engine.kv_cache_memory_bytes is None and engine.device == "gpu":
        found["gpuMemoryUtilizationPercent"] = round(100 * UTILIZATION)
    return found
