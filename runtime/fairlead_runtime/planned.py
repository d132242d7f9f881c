"""A plan of the memory for a RuntimeConfig: its settings as the arithmetic takes them, and what the plan says in the words of /state.

Pure. What of a configuration changes memory and is not computed is named, so that nothing is refused on a guess.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fairlead_runtime import flags, memory
from fairlead_runtime.arguments import kv_cache_memory_bytes, with_profile
from fairlead_runtime.config import SKIP_PLAN, Device, RuntimeConfig
from fairlead_runtime.failure import Failure
from fairlead_runtime.memory import Draft, EngineSettings, ModelConfig, Plan, Verdict, Weights

#: Arguments that leave weights and KV cache as they are; any other that is not read below is said to be not computed.
HARMLESS: Final = frozenset(
    {
        *(
            "--enable-auto-tool-choice",
            "--tool-call-parser",
            "--reasoning-parser",
            "--chat-template",
            "--chat-template-content-format",
        ),
        *(
            "--response-role",
            "--return-tokens-as-token-ids",
            "--enable-prompt-tokens-details",
            "--stream-interval",
            "--max-logprobs",
        ),
        *("--generation-config", "--override-generation-config", "--disable-uvicorn-access-log", "--uvicorn-log-level"),
        *(
            "--enable-log-requests",
            "--max-log-len",
            "--tokenizer",
            "--tokenizer-mode",
            "--scheduling-policy",
            "--allowed-media-domains",
        ),
        *(
            "--allowed-origins",
            "--middleware",
            "--root-path",
            "--guided-decoding-backend",
            "--disable-custom-all-reduce",
            "--load-format",
        ),
        *(
            "--distributed-executor-backend",
            "--safetensors-load-strategy",
        ),
    }
)
#: Methods that guess from the text itself. They look at it on the processor: no step is prepared before the last one is settled.
_WITHOUT_A_MODEL: Final = frozenset({"ngram", "suffix"})
#: Variables of the engine that lay out its memory otherwise.
ENVIRONMENT: Final = frozenset(
    {"VLLM_PP_LAYER_PARTITION", "VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE", "VLLM_CPU_KVCACHE_SPACE", "VLLM_MLA_DISABLE",
     "VLLM_KV_CACHE_LAYOUT", "VLLM_SSM_CONV_STATE_LAYOUT"}
)  # fmt: skip


def settings(config: RuntimeConfig, environ: Mapping[str, str] | None = None, gpu_name: str = "") -> EngineSettings:
    """environ: of the engine, for what it changes. gpu_name: "" where it is not known."""
    whole = with_profile(config)
    engine, percent = whole.engine, whole.engine.gpu_memory_utilization_percent
    extra = dict(_arguments(engine.extra_args))
    unmodelled = [name for name in extra if name not in HARMLESS and name not in _READ]
    unmodelled += sorted(ENVIRONMENT & set(environ or {}))
    guesses = engine.speculative
    if guesses and guesses.method not in _WITHOUT_A_MODEL:
        unmodelled.append(f"speculative method {guesses.method}")
    if extra.get("--quantization-param-path"):
        unmodelled.append("--quantization-param-path")
    from_the_text = guesses is not None and guesses.method in _WITHOUT_A_MODEL
    with_lora = "--enable-lora" in extra
    return EngineSettings(
        max_model_len=engine.max_model_len,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        gpu_memory_utilization=None if percent is None else percent / 100,
        kv_cache_memory_bytes=kv_cache_memory_bytes(whole),
        block_size=engine.block_size,
        dtype=engine.dtype,
        kv_cache_dtype=engine.kv_cache_dtype,
        quantization=engine.quantization,
        prefix_caching=engine.prefix_caching,
        chunked_prefill=engine.chunked_prefill is not False,
        throughput=extra.get("--performance-mode") == "throughput",
        async_scheduling="--no-async-scheduling" not in extra and not from_the_text,
        state_dtype=extra.get("--mamba-ssm-cache-dtype") or None,
        tensor=config.parallelism.tensor,
        pipeline=config.parallelism.pipeline,
        speculative_tokens=guesses.tokens if guesses else 0,
        lora_rank=_number(extra.get("--max-lora-rank"), 16) if with_lora else 0,
        lora_slots=_number(extra.get("--max-loras"), 1),
        eager="--enforce-eager" in extra,
        hybrid_manager="--disable-hybrid-kv-cache-manager" not in extra,
        device="cpu" if config.device is Device.CPU else "gpu",
        gpu_name=gpu_name,
        unmodelled=tuple(unmodelled),
    )


def drafting(config: RuntimeConfig) -> str:
    """The second model whose memory can be computed: a folder or a hub's repository; "" for none."""
    guesses = config.engine.speculative
    return (guesses.model or "") if guesses and guesses.method in memory.DRAFTING else ""


def draft(config: RuntimeConfig, model: ModelConfig, weights: Weights | None) -> Draft:
    """Of the model that drafting() names, as it was read."""
    guesses = config.engine.speculative
    return memory.draft(guesses.method if guesses else "draft_model", model, weights, config.parallelism.pipeline)


#: Arguments that settings() reads.
_READ: Final = frozenset(
    {
        "--enforce-eager",
        "--enable-lora",
        "--max-lora-rank",
        "--max-loras",
        "--lora-modules",
        "--max-cpu-loras",
        "--mamba-ssm-cache-dtype",
        "--disable-hybrid-kv-cache-manager",
        "--performance-mode",
        "--async-scheduling",
        "--no-async-scheduling",
    }
)


def _arguments(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(flag in one spelling, value or "")."""
    flag = ""
    for word in words:
        if not word.startswith("-"):
            if flag:
                yield flag, word
            continue
        flag = flags.spelled(word)
        yield flag, word.partition("=")[2]


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() else otherwise


def facts(plan: Plan) -> dict[str, Any]:
    """For /state, under "planned": sizes in bytes, for one accelerator; absent what is not known."""
    values: dict[str, Any] = {
        "verdict": plan.verdict.value,
        "maxModelLen": plan.model_len,
        "largestModelLen": plan.largest_model_len,
        "weightsBytes": plan.weights and plan.weights.size,
        "kvCacheBytes": plan.kv_cache and plan.kv_cache.size,
        "kvCacheTokens": plan.kv_cache_tokens,
        "maxConcurrency": None if plan.max_concurrency is None else round(plan.max_concurrency, 2),
        "unknown": [str(unknown) for unknown in plan.unknowns] or None,
    }
    return {name: value for name, value in values.items() if value is not None}


#: What failure() ends with. An engine that was started ends with them too.
CODES: Final = frozenset({"KVCacheTooSmall", "OutOfGPUMemory"})


def failure(plan: Plan) -> Failure | None:
    """What the engine would end with after minutes, and what starts it all the same; None where it may fit."""
    if plan.verdict is not Verdict.DOES_NOT_FIT:
        return None
    said = f"{plan.problem} (planned, not tried: the annotation {SKIP_PLAN}=true has it tried)"
    if plan.suggested_len:
        return Failure("KVCacheTooSmall", said, plan.field, str(plan.suggested_len))
    if plan.kv_cache is not None and plan.weights is not None and plan.kv_cache.most <= 0:
        return Failure("OutOfGPUMemory", said, plan.field, "more accelerators, or a quantized model")
    return Failure("KVCacheTooSmall", said, plan.field, "a larger size")
