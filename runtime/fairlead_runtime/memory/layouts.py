"""Which cache each layer has. One function for each family whose layers differ; all others have attention everywhere.

Defaults of absent keys are those of the model's class in transformers, since that is what the engine reads through.
"""

from collections.abc import Callable
from typing import NamedTuple

from fairlead_runtime.memory.caches import Attention, Cache, DeltaNet, Latent, Mamba1, Mamba2, ShortConvolution
from fairlead_runtime.memory.reading import ConfigError, Keys

#: Layers of the deepest model that is taken seriously.
MOST_LAYERS = 4096
Layers = tuple[tuple[Cache, ...], ...]

#: Model types whose attention is stored as a latent where kv_lora_rank is there, as vLLM 0.32 has them.
LATENT = frozenset(
    {
        *("deepseek_v2", "deepseek_v3", "deepseek_mtp", "kimi_k2", "glm4_moe_lite", "pangu_ultra_moe", "axk1"),
    }
)
#: Types whose sliding_window means nothing unless this key is true.
_WINDOW_SWITCH = frozenset({"qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen2_vl", "qwen2_5_vl", "qwen2_5_vl_text", "qwen2_vl_text"})  # fmt: skip
#: Every n-th layer keeps everything and the others a window; the key that says n, and what it is otherwise.
_EVERY_NTH = {
    "gemma2": ("sliding_window_pattern", 2),
    "gemma3_text": ("sliding_window_pattern", 6),
    "gemma3": ("sliding_window_pattern", 6),
    "gpt_oss": ("", 2),
    "cohere2": ("sliding_window_pattern", 4),
    "exaone4": ("sliding_window_pattern", 4),
    "olmo3": ("", 4),
}


class Heads(NamedTuple):
    """Of the attention layers."""

    kv: int
    size: int
    layers: int


def layers(text: Keys, model_type: str, heads: Heads) -> Layers:
    """text: the language model's keys. Raises ConfigError."""
    if model_type in _FAMILIES:
        return _FAMILIES[model_type](text, heads)
    if model_type in LATENT and text.has("kv_lora_rank"):
        size = text.needed("kv_lora_rank") + text.needed("qk_rope_head_dim")
        return ((Latent(size),),) * heads.layers
    return tuple(
        (Attention(heads.kv, heads.size, heads.size, window),) for window in _windows(text, model_type, heads.layers)
    )


def _windows(text: Keys, model_type: str, count: int) -> tuple[int | None, ...]:
    """The window of each layer, None for all tokens."""
    window = text.whole("sliding_window", least=0) or None  # 0 says that there is none
    if model_type in _WINDOW_SWITCH and not text.flag("use_sliding_window"):
        window = None
    if model_type == "cohere2" and window is not None:
        window += 1  # it counts the token itself too
    kinds = text.texts("layer_types")
    if kinds is not None:
        _as_many(text, "layer_types", len(kinds), count)
        return tuple(window if kind == "sliding_attention" else None for kind in kinds)
    if model_type in _EVERY_NTH:
        key, otherwise = _EVERY_NTH[model_type]
        every = (text.whole(key, "_sliding_window_pattern", most=MOST_LAYERS) if key else None) or otherwise
        return tuple(None if (index + 1) % every == 0 else window for index in range(count))
    if model_type in _WINDOW_SWITCH and window is not None:
        first = text.whole("max_window_layers", least=0)
        return tuple(window if index >= (28 if first is None else first) else None for index in range(count))
    return (window,) * count


def _as_many(text: Keys, key: str, has: int, wanted: int) -> None:
    if has != wanted:
        raise ConfigError(f"{text.path}: {key}", f"{has} entries for {wanted} layers")


def _attention(heads: Heads) -> Attention:
    return Attention(heads.kv, heads.size, heads.size)


def _llama4(text: Keys, heads: Heads) -> Layers:
    """Chunks on the layers with rotary embeddings: all but every fourth."""
    chunk = text.whole("attention_chunk_size")
    rotary = text.wholes("no_rope_layers")
    if not rotary:
        every = text.whole("no_rope_layer_interval", most=MOST_LAYERS) or 4
        rotary = tuple(int((index + 1) % every != 0) for index in range(heads.layers))
    _as_many(text, "no_rope_layers", len(rotary), heads.layers)
    return tuple((Attention(heads.kv, heads.size, heads.size, chunk=chunk if has else None),) for has in rotary)


def _mamba1_of(text: Keys, inner: int) -> Mamba1:
    return Mamba1(inner, text.needed("state_size", "mamba_d_state"), text.needed("conv_kernel", "mamba_d_conv"))


def _mamba(text: Keys, heads: Heads) -> Layers:
    inner = text.whole("intermediate_size") or (text.whole("expand") or 2) * text.needed("hidden_size")
    return ((_mamba1_of(text, inner),),) * heads.layers


def _mamba2(text: Keys, heads: Heads) -> Layers:
    state = Mamba2(
        inner=(text.whole("expand") or 2) * text.needed("hidden_size"),
        groups=text.needed("n_groups"),
        heads=text.needed("num_heads"),
        head_size=text.needed("head_dim"),
        state=text.needed("state_size"),
        kernel=text.needed("conv_kernel"),
    )
    return ((state,),) * heads.layers


def _jamba(text: Keys, heads: Heads) -> Layers:
    state = _mamba1_of(text, (text.whole("mamba_expand") or 2) * text.needed("hidden_size"))
    period, offset = text.needed("attn_layer_period"), text.needed("attn_layer_offset", least=0)
    return tuple(
        (_attention(heads),) if index % period == offset else (state,)
        for index in range(heads.layers)
    )  # fmt: skip


def _granite_state(text: Keys) -> Mamba2:
    return Mamba2(
        inner=(text.whole("mamba_expand") or 2) * text.needed("hidden_size"),
        groups=text.needed("mamba_n_groups"),
        heads=text.needed("mamba_n_heads"),
        head_size=text.needed("mamba_d_head"),
        state=text.needed("mamba_d_state"),
        kernel=text.needed("mamba_d_conv"),
    )


def _granite_hybrid(text: Keys, heads: Heads) -> Layers:
    kinds = text.texts("layer_types")
    if kinds is None:
        raise ConfigError(f"{text.path}: layer_types", "absent, and nothing can be computed without it")
    _as_many(text, "layer_types", len(kinds), heads.layers)
    caches: dict[str, Callable[[], Cache]] = {
        "attention": lambda: _attention(heads),
        "mamba": lambda: _granite_state(text),
    }
    return tuple((_of_kind(text, "layer_types", kind, caches),) for kind in kinds)


def _falcon_h1(text: Keys, heads: Heads) -> Layers:
    """Attention and a state side by side on every layer."""
    inner = text.whole("mamba_d_ssm")
    state = Mamba2(
        inner=inner or (text.whole("mamba_expand") or 2) * text.needed("hidden_size"),
        groups=text.needed("mamba_n_groups"),
        heads=text.needed("mamba_n_heads"),
        head_size=text.needed("mamba_d_head"),
        state=text.needed("mamba_d_state"),
        kernel=text.needed("mamba_d_conv"),
    )
    return ((_attention(heads), state),) * heads.layers


def _nemotron_h(text: Keys, heads: Heads) -> Layers:
    """A pattern of letters: M a state, * attention, - and E no cache."""
    pattern = text.text("hybrid_override_pattern")
    if not pattern:
        raise ConfigError(f"{text.path}: hybrid_override_pattern", "absent, and nothing can be computed without it")
    if len(pattern) > MOST_LAYERS:
        raise ConfigError(f"{text.path}: hybrid_override_pattern", f"{len(pattern)} layers")
    heads_of_state = text.needed("mamba_num_heads")
    state = Mamba2(
        inner=heads_of_state * text.needed("mamba_head_dim"),
        groups=text.needed("n_groups"),
        heads=heads_of_state,
        head_size=text.needed("mamba_head_dim"),
        state=text.needed("ssm_state_size"),
        kernel=text.needed("conv_kernel"),
    )
    of: dict[str, tuple[Cache, ...]] = {"M": (state,), "*": (_attention(heads),), "-": (), "E": ()}
    wrong = sorted(set(pattern) - set(of))
    if wrong:
        raise ConfigError(f"{text.path}: hybrid_override_pattern", f"{wrong[0]!r} is none of M, *, - and E")
    return tuple(of[letter] for letter in pattern)


def _qwen_hybrid(text: Keys, heads: Heads) -> Layers:
    """Linear attention, and full attention on every fourth layer."""
    every = text.whole("full_attention_interval", most=MOST_LAYERS) or 4
    kinds = text.texts("layer_types") or tuple(
        "linear_attention" if (index + 1) % every else "full_attention" for index in range(heads.layers)
    )
    _as_many(text, "layer_types", len(kinds), heads.layers)

    def state() -> DeltaNet:
        return DeltaNet(
            key_heads=text.needed("linear_num_key_heads"),
            value_heads=text.needed("linear_num_value_heads"),
            key_size=text.needed("linear_key_head_dim"),
            value_size=text.needed("linear_value_head_dim"),
            kernel=text.needed("linear_conv_kernel_dim"),
        )

    caches: dict[str, Callable[[], Cache]] = {"full_attention": lambda: _attention(heads), "linear_attention": state}
    return tuple((_of_kind(text, "layer_types", kind, caches),) for kind in kinds)


def _lfm2(text: Keys, heads: Heads) -> Layers:
    indices = text.wholes("full_attn_idxs")
    kinds = text.texts("layer_types") or (
        None
        if indices is None
        else tuple("full_attention" if index in indices else "conv" for index in range(heads.layers))
    )
    if kinds is None:
        raise ConfigError(f"{text.path}: layer_types", "absent, and nothing can be computed without it")
    _as_many(text, "layer_types", len(kinds), heads.layers)
    caches: dict[str, Callable[[], Cache]] = {
        "full_attention": lambda: _attention(heads),
        "conv": lambda: ShortConvolution(
            text.whole("conv_dim") or text.needed("hidden_size"), text.needed("conv_L_cache")
        ),
    }
    return tuple((_of_kind(text, "layer_types", kind, caches),) for kind in kinds)


def _of_kind(text: Keys, key: str, kind: str, caches: dict[str, Callable[[], Cache]]) -> Cache:
    if kind not in caches:
        raise ConfigError(f"{text.path}: {key}", f"{kind!r} is none of {', '.join(sorted(caches))}")
    return caches[kind]()


_FAMILIES: dict[str, Callable[[Keys, Heads], Layers]] = {
    "llama4_text": _llama4,
    "llama4": _llama4,
    "mamba": _mamba,
    "falcon_mamba": _mamba,
    "mamba2": _mamba2,
    "jamba": _jamba,
    "granitemoehybrid": _granite_hybrid,
    "falcon_h1": _falcon_h1,
    "nemotron_h": _nemotron_h,
    "qwen3_next": _qwen_hybrid,
    "qwen3_5_text": _qwen_hybrid,
    "qwen3_5_moe_text": _qwen_hybrid,
    "lfm2": _lfm2,
}
#: Types with a state that are computed here.
HYBRID = frozenset(_FAMILIES) - {"llama4_text", "llama4"}
