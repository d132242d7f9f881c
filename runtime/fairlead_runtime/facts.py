"""What the engine says about itself, for /state and the resource's status: reported, never computed from what was asked.

And the comparison of the two: a setting that the engine did not take is an error, not a line in a log.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fairlead_runtime import flags, profiles
from fairlead_runtime.arguments import CPU_KV_CACHE_BYTES, kv_cache_memory_bytes, with_profile
from fairlead_runtime.config import Profile, RuntimeConfig

Origin = Literal["spec", "profile", "fairlead default", "engine default"]


def model_facts(engine: Any, config: RuntimeConfig) -> dict[str, Any]:
    """name, architecture, maxModelLen, of a hub's model its revision. engine: vLLM's AsyncLLM."""
    model = engine.model_config
    architectures = getattr(model, "architectures", None) or [""]
    return {
        "name": config.model.served_name,
        "architecture": str(architectures[0]),
        "maxModelLen": int(model.max_model_len),
        **({"revision": config.model.revision} if config.model.repository and config.model.revision else {}),
    }


def memory_facts(engine: Any) -> dict[str, Any]:
    """The KV cache: kvCacheTokens, maxConcurrency (requests of full length at a time), kvCacheBytes; absent where this vLLM does not say."""
    cache = engine.vllm_config.cache_config
    tokens = getattr(cache, "kv_cache_size_tokens", None)
    if tokens is None and cache.num_gpu_blocks:
        tokens = cache.num_gpu_blocks * cache.block_size  # before 0.29 the engine reported blocks only
    concurrency = getattr(cache, "kv_cache_max_concurrency", None)
    if concurrency is None and tokens:
        concurrency = tokens / engine.model_config.max_model_len
    facts: dict[str, Any] = {}
    if tokens:
        facts["kvCacheTokens"] = int(tokens)
    if concurrency:
        facts["maxConcurrency"] = round(float(concurrency), 2)
    if size := getattr(cache, "kv_cache_memory_bytes", None):
        facts["kvCacheBytes"] = int(size)
    return facts


#: The engine's own names for what a model's config.json calls otherwise.
_METHOD_NAMES = {"auto-round": "inc"}
#: What the engine takes marlin for, without a method's name before it.
_MARLIN_METHODS = ({"awq"}, {"gptq"})


def _equal(asked: object, has: object) -> bool:
    return asked == has


def _dtype(asked: object, has: object) -> bool:
    """The engine takes half and float for names of its own."""
    names = {"half": "float16", "float": "float32"}
    return asked == "auto" or names.get(str(asked), asked) == has


def _kv_cache_dtype(asked: object, has: object) -> bool:
    """fp8 is the engine's name for fp8_e4m3; auto may be resolved. With DeepSeek-V3.2 it calls bfloat16 auto."""
    return asked in {"auto", has} or {asked, has} == {"fp8", "fp8_e4m3"} or (asked, has) == ("bfloat16", "auto")


def _quantization(asked: object, has: object) -> bool:
    """awq, awq_marlin and auto_awq are one method; a shorthand such as fp8_per_tensor is "online" once resolved."""
    method, runs = _method_parts(asked), _method_parts(has)
    # marlin by itself names kernels, and the model the method that has them.
    return has == "online" or (method <= runs if method else runs in _MARLIN_METHODS)


def _method_parts(name: object) -> set[str]:
    """Without the kernels, marlin, and without the engine's word for choosing them, auto."""
    return set(_METHOD_NAMES.get(str(name), str(name)).split("_")) - {"auto", "marlin"}


def _method(asked: object, has: object) -> bool:
    """Older names, one per model, are mtp."""
    return asked == has or (has == "mtp" and str(asked).endswith("_mtp"))


#: vLLM's flags that profiles set and that have no field -> where a VllmConfig has their value.
FLAGS: Mapping[str, Callable[[Any], Any]] = {
    "--performance-mode": lambda vllm: vllm.performance_mode,
    "--stream-interval": lambda vllm: vllm.scheduler_config.stream_interval,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One field, or one of vLLM's flags that only profiles set: what the spec asks for, None for nothing, and what the engine runs with."""

    field: str
    asked: Any
    has: Any
    origin: Origin = "engine default"
    agree: Callable[[object, object], bool] = _equal

    @property
    def differs(self) -> bool:
        return self.asked is not None and not self.agree(self.asked, self.has)


def settings(vllm: Any, config: RuntimeConfig) -> tuple[Setting, ...]:
    """Every field that reaches the engine, and every flag that a profile can set. vllm: the VllmConfig after the engine was built."""
    model, cache, scheduler, parallel = (
        vllm.model_config,
        vllm.cache_config,
        vllm.scheduler_config,
        vllm.parallel_config,
    )
    whole, decided = with_profile(config), profiles.chosen(config.engine.model_dump(by_alias=True))
    asked, drafts = whole.engine, vllm.speculative_config
    length = asked.max_model_len if isinstance(asked.max_model_len, int) else None
    share = round(cache.gpu_memory_utilization * 100) if cache.kv_cache_memory_bytes is None else None
    wanted = asked.speculative
    rows: tuple[tuple[Any, ...], ...] = (
        ("engine.profile", asked.profile, asked.profile or Profile.BALANCED),
        ("engine.maxModelLen", length, model.max_model_len),
        ("engine.maxNumSeqs", asked.max_num_seqs, scheduler.max_num_seqs),
        ("engine.maxNumBatchedTokens", asked.max_num_batched_tokens, scheduler.max_num_batched_tokens),
        ("engine.gpuMemoryUtilizationPercent", asked.gpu_memory_utilization_percent, share),
        ("engine.kvCacheMemory", kv_cache_memory_bytes(whole), cache.kv_cache_memory_bytes),
        ("engine.blockSize", asked.block_size, cache.block_size),
        ("engine.dtype", asked.dtype, str(model.dtype).removeprefix("torch."), _dtype),
        ("engine.kvCacheDtype", asked.kv_cache_dtype, str(cache.cache_dtype), _kv_cache_dtype),
        ("engine.quantization", asked.quantization, model.quantization, _quantization),
        ("engine.prefixCaching", asked.prefix_caching, cache.enable_prefix_caching),
        ("engine.chunkedPrefill", asked.chunked_prefill, scheduler.enable_chunked_prefill),
        ("engine.seed", asked.seed, model.seed),
        ("engine.speculative.method", wanted and wanted.method, drafts and drafts.method, _method),
        ("engine.speculative.tokens", wanted and wanted.tokens, drafts and drafts.num_speculative_tokens),
        ("parallelism.tensor", config.parallelism.tensor, parallel.tensor_parallel_size),
        ("parallelism.pipeline", config.parallelism.pipeline, parallel.pipeline_parallel_size),
        *((flag, decided.flags.get(flag), has(vllm)) for flag, has in FLAGS.items()),
    )
    return tuple(
        Setting(field, asks, has, _origin(field, asks, config, decided), *agree) for field, asks, has, *agree in rows
    )


def _origin(field: str, asked: object, config: RuntimeConfig, decided: profiles.Chosen) -> Origin:
    if field in decided.flags or field.removeprefix("engine.") in decided.fields:
        return "profile"
    if any(flags.sets(argument, field) for argument in config.engine.extra_args):
        return "spec"
    if field == "engine.profile" and asked is None:
        return "fairlead default"
    if field == "engine.kvCacheMemory" and asked == CPU_KV_CACHE_BYTES and config.engine.kv_cache_memory_bytes is None:
        return "fairlead default"
    return "spec" if asked not in (None, "auto") else "engine default"


def effective_values(found: Iterable[Setting]) -> dict[str, Mapping[str, Any]]:
    """Spec field, or flag -> the value the engine runs with, and who chose it."""
    return {setting.field: {"value": setting.has, "origin": setting.origin} for setting in found}


def differences(found: Iterable[Setting]) -> list[tuple[str, object, object]]:
    """(path in the InferenceService, asked, reported) of the settings that the engine did not take."""
    return [
        (profiles.FIELD, f"{setting.field}={setting.asked}", setting.has)
        if setting.field in FLAGS
        else (f"spec.{setting.field}", setting.asked, setting.has)
        for setting in found
        if setting.differs
    ]
