"""ModelConfig and settings -> what each layer's cache needs on one GPU: block sizes, bytes of an element, heads of a tensor-parallel rank."""

import math
from typing import NamedTuple

from fairlead_runtime.memory import parallel
from fairlead_runtime.memory.architecture import ModelConfig
from fairlead_runtime.memory.caches import STATES, Attention, Cache, Latent, Mamba2
from fairlead_runtime.memory.kvcache import KVCache, Layer, Spec, grouped
from fairlead_runtime.memory.quantization import DTYPE_BITS
from fairlead_runtime.memory.reading import ConfigError
from fairlead_runtime.memory.types import EngineSettings, Unknown

#: Tokens in a block, and the least number that the attention kernels work with. The CPU engine's kernel for latents takes 16 alone.
BLOCK = {"gpu": 16, "cpu": 128}
LATENT_BLOCK = {"gpu": 64, "cpu": 16}
KERNEL_BLOCK = {"gpu": 16, "cpu": 32}


class Widths(NamedTuple):
    """Bytes of an element. cache: of keys and values. state, recurrent: of a state's convolution and recurrence."""

    cache: int
    state: int
    recurrent: int


def dtype_of(model: ModelConfig, settings: EngineSettings) -> str:
    name = settings.dtype if settings.dtype not in (None, "auto") else model.dtype
    name = {"half": "float16", "float": "float32"}.get(str(name), str(name))
    if name not in DTYPE_BITS:
        raise ConfigError("spec.engine.dtype", f"{name!r} is none that the engine computes in")
    return name


def widths(model: ModelConfig, settings: EngineSettings) -> Widths | Unknown:
    own = DTYPE_BITS[dtype_of(model, settings)] // 8
    asked = settings.kv_cache_dtype or "auto"
    decided = model.quantization.kv_cache_bits if model.quantization else None
    if asked == "auto":
        cache = decided // 8 if decided else own
    elif asked in DTYPE_BITS:
        cache = DTYPE_BITS[asked] // 8
    elif asked in {"fp8", "fp8_e4m3", "fp8_e5m2"}:
        cache = 1
    else:
        return Unknown("KV cache", f"the bytes of a token in kvCacheDtype {asked!r} depend on the accelerator")
    kept = settings.state_dtype or ("float32" if settings.device == "cpu" else model.state_dtype)
    return Widths(cache, own, own if kept == "auto" else DTYPE_BITS.get(kept, 32) // 8)


def kv_cache(
    model: ModelConfig, settings: EngineSettings, in_flight: int, length: int, draft: ModelConfig | None = None
) -> KVCache | Unknown:
    """length: tokens of the longest request: a state's block spans them all. draft: a second model that guesses; it runs on the last
    stage.
    """
    found = widths(model, settings)
    if isinstance(found, Unknown):
        return found
    rank = _Rank(model, settings, found, block_size(model, settings, found), length)
    layers = [
        Layer(rank.spec(cache), stage)
        for stage, indices in enumerate(parallel.stages(len(model.layers), settings.pipeline))
        for index in indices
        for cache in model.layers[index]
    ]
    if draft:
        layers += [Layer(rank.spec(cache), settings.pipeline - 1) for caches in draft.layers for cache in caches]
    return KVCache(grouped(layers, hybrid_manager=settings.hybrid_manager), settings.pipeline, in_flight)


def block_size(model: ModelConfig, settings: EngineSettings, found: Widths) -> int:
    """Beside a state, a block of attention grows until it is no smaller than the state."""
    latent = any(isinstance(cache, Latent) for caches in model.layers for cache in caches)
    block = settings.block_size or (LATENT_BLOCK if latent else BLOCK)[settings.device]
    if latent and settings.device == "cpu":
        block = LATENT_BLOCK["cpu"]
    pair = _state_and_attention(model, settings, found)
    if pair is None:
        return block
    state, token = pair
    step = max(KERNEL_BLOCK[settings.device], block)
    needed = step * math.ceil(state / (step * token))
    return max(block, math.lcm(1, KERNEL_BLOCK[settings.device]) * math.ceil(needed / KERNEL_BLOCK[settings.device]))


def aligned(model: ModelConfig, settings: EngineSettings) -> bool:
    """Whether states are kept where blocks end, so that prefixes can be found again: by default beside attention."""
    hybrid = any(isinstance(cache, Attention | Latent) for caches in model.layers for cache in caches)
    return settings.prefix_caching if settings.prefix_caching is not None else hybrid


def recurrent(model: ModelConfig) -> bool:
    """Whether any layer has a state that steps, not only a convolution."""
    return any(isinstance(cache, STATES) and cache.elements(1, 0)[1] for caches in model.layers for cache in caches)


def _state_and_attention(model: ModelConfig, settings: EngineSettings, found: Widths) -> tuple[int, int] | None:
    """(bytes of a state, bytes of a token in one attention layer), where the model has both."""
    states = [cache for caches in model.layers for cache in caches if isinstance(cache, STATES)]
    tokens = [cache for caches in model.layers for cache in caches if isinstance(cache, Attention)]
    if not states or not tokens:
        return None
    return max(_state(cache, settings, found) for cache in states), _token(tokens[0], settings, found)


def _state(cache: Cache, settings: EngineSettings, found: Widths) -> int:
    assert isinstance(cache, STATES)
    convolution, recurrence = cache.elements(settings.tensor, settings.speculative_tokens)
    return convolution * found.state + recurrence * found.recurrent


def _token(cache: Attention, settings: EngineSettings, found: Widths) -> int:
    return parallel.local_heads(cache.kv_heads, settings.tensor) * (cache.head_size + cache.value_size) * found.cache


class _Rank(NamedTuple):
    """One GPU of a tensor-parallel group."""

    model: ModelConfig
    settings: EngineSettings
    widths: Widths
    block: int
    length: int

    def spec(self, cache: Cache) -> Spec:
        match cache:
            case Attention():
                page = self.block * _token(cache, self.settings, self.widths)
                if cache.window is not None:
                    return Spec("window", self.block, page, cache.window)
                return Spec("full" if cache.chunk is None else "chunk", self.block, page, cache.chunk or 0)
            case Latent():
                return Spec("latent", self.block, self.block * cache.size * self.widths.cache)
            case _:
                return self._state(cache)

    def _state(self, cache: Cache) -> Spec:
        keeps = aligned(self.model, self.settings)
        pair = _state_and_attention(self.model, self.settings, self.widths)
        page = _state(cache, self.settings, self.widths)
        # Mamba 2 may export a state in the middle of a prompt: one more.
        kept = (3 if isinstance(cache, Mamba2) else 2) if keeps else 1
        blocks = kept + self.settings.speculative_tokens
        return Spec(
            "state", self.block if keeps else self.length, max(page, self.block * pair[1]) if pair else page, blocks
        )
