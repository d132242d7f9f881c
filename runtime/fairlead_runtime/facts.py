"""What the engine says about itself, for /state and the resource's status: reported, never computed from what was asked."""

from collections.abc import Mapping
from typing import Any

from fairlead_runtime.config import RuntimeConfig


def model_facts(engine: Any, config: RuntimeConfig) -> dict[str, Any]:
    """name, architecture, maxModelLen. engine: vLLM's AsyncLLM."""
    model = engine.model_config
    architectures = getattr(model, "architectures", None) or [""]
    return {
        "name": config.model.served_name,
        "architecture": str(architectures[0]),
        "maxModelLen": int(model.max_model_len),
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


def effective_values(engine: Any, config: RuntimeConfig) -> dict[str, Mapping[str, Any]]:
    """Spec field -> the value the engine runs with, and whether the spec or the engine's default chose it."""
    vllm = engine.vllm_config
    asked = config.engine
    found = {
        "engine.maxModelLen": (vllm.model_config.max_model_len, isinstance(asked.max_model_len, int)),
        "engine.maxNumSeqs": (vllm.scheduler_config.max_num_seqs, asked.max_num_seqs is not None),
        "engine.maxNumBatchedTokens": (
            vllm.scheduler_config.max_num_batched_tokens,
            asked.max_num_batched_tokens is not None,
        ),
        "engine.dtype": (str(vllm.model_config.dtype).removeprefix("torch."), asked.dtype not in (None, "auto")),
        "engine.kvCacheDtype": (str(vllm.cache_config.cache_dtype), asked.kv_cache_dtype not in (None, "auto")),
        "engine.quantization": (vllm.model_config.quantization, asked.quantization is not None),
        "engine.prefixCaching": (vllm.cache_config.enable_prefix_caching, asked.prefix_caching is not None),
        "engine.chunkedPrefill": (vllm.scheduler_config.enable_chunked_prefill, asked.chunked_prefill is not None),
        "engine.seed": (vllm.model_config.seed, asked.seed is not None),
        "parallelism.tensor": (vllm.parallel_config.tensor_parallel_size, True),
        "parallelism.pipeline": (vllm.parallel_config.pipeline_parallel_size, True),
    }
    return {
        field: {"value": value, "origin": "spec" if from_spec else "engine default"}
        for field, (value, from_spec) in found.items()
    }
