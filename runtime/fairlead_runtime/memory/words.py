"""What a plan says to a person: the numbers, and the one thing to change."""

from fairlead_runtime.memory.types import GIB, EngineSettings, Plan

LENGTH_FIELD = "spec.engine.maxModelLen"
PARALLEL_FIELD = "spec.parallelism.tensor"
CACHE_FIELD = "spec.engine.kvCacheMemory"


def gib(size: int) -> str:
    """Three figures, and smaller units where GiB would show none of them."""
    for unit, name in ((GIB, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if abs(size) >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size} bytes"


def does_not_fit(plan: Plan, longest: int, engine: EngineSettings) -> tuple[str, str]:
    """(sentence, field). longest: the context to ask for instead, 0 where none fits."""
    given = engine.kv_cache_memory_bytes is not None
    room = plan.kv_cache.most if plan.kv_cache else 0
    beside = ""
    if not given and plan.weights and plan.activations and plan.graphs and plan.budget and plan.gpu:
        share = round(100 * plan.budget / plan.gpu)
        rest = gib(plan.activations.size + plan.graphs.size)
        beside = f" of {gib(plan.budget)} ({share} % of {gib(plan.gpu)}) beside weights of {gib(plan.weights.size)} and {rest} for running them"
    if longest < 1 and not given and room <= 0:
        return (
            f"nothing is left for a KV cache{beside}: use more or larger accelerators, or a quantized model",
            PARALLEL_FIELD,
        )
    needed = gib(plan.kv_bytes_per_request or 0)
    sentence = f"one request of {plan.model_len or 0:,} tokens needs a KV cache of {needed}, and at most {gib(room)} are there{beside}"
    if longest < 1:
        return f"{sentence}: not even one token fits", CACHE_FIELD if given else PARALLEL_FIELD
    return f"{sentence}: the longest context that fits is {longest}", LENGTH_FIELD
