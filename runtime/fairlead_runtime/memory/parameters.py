"""How many weights a model has, by what becomes of them on several GPUs: counted from the shapes in config.json.

Biases are left out: they are under one in a thousand. Where the headers of the checkpoint can be read they say it better.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fairlead_runtime.memory.caches import Attention, Cache, DeltaNet, Latent, Mamba1, Mamba2, ShortConvolution
from fairlead_runtime.memory.reading import Keys
from fairlead_runtime.memory.types import Unknown


class Role(enum.StrEnum):
    """What tensor and expert parallelism and quantization make of a weight."""

    #: Rows of the vocabulary, split by tensor parallelism, on the first stage; on the last one too where the output is tied to it.
    #: Never quantized.
    EMBEDDING = "embedding"
    #: The output's rows of the vocabulary, on the last stage.
    OUTPUT = "output"
    #: A matrix that is split by tensor parallelism.
    LINEAR = "linear"
    #: The projection to keys and values: whole heads, repeated where there are more GPUs than heads.
    KEY_VALUE = "key_value"
    #: Experts' matrices.
    EXPERT = "expert"
    #: The same on every GPU: norms, routers, latent projections. Not quantized.
    WHOLE = "whole"
    #: The tower of another input. Split like LINEAR, never quantized here.
    TOWER = "tower"


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """Elements of one layer."""

    linear: int = 0
    key_value: int = 0
    expert: int = 0
    whole: int = 0

    def __add__(self, other: "LayerWeights") -> "LayerWeights":
        return LayerWeights(
            self.linear + other.linear,
            self.key_value + other.key_value,
            self.expert + other.expert,
            self.whole + other.whole,
        )


class Parameters(NamedTuple):
    """embedding: of the vocabulary once; tied: the output uses the same. tower: of vision and audio together."""

    embedding: int
    tied: bool
    layers: tuple[LayerWeights, ...]
    tower: int = 0

    @property
    def total(self) -> int:
        return (
            self.embedding * (1 if self.tied else 2)
            + sum(layer.linear + layer.key_value + layer.expert + layer.whole for layer in self.layers)
            + self.tower
        )


#: Their feed-forward network has no gate: two matrices instead of three.
_UNGATED = frozenset({"falcon", "phi", "gpt2", "gpt_neox", "opt", "starcoder2", "nemotron_h"})
_TIED = frozenset(
    {"gemma", "gemma2", "gemma3", "gemma3_text", "gpt2", "cohere", "cohere2", "falcon", "mamba", "starcoder2"}
)


def count(
    top: Keys, text: Keys, model_type: str, layers: tuple[tuple[Cache, ...], ...], hidden: int
) -> tuple[Parameters, tuple[Unknown, ...]]:
    """The weights, and what of them could not be counted. Raises ConfigError."""
    heads = (
        0
        if model_type in {"mamba", "mamba2", "falcon_mamba"}
        else text.needed("num_attention_heads", "n_head", "n_heads")
    )
    found = tuple(
        _mixer(text, caches, hidden, heads) + _feed_forward(text, model_type, index, hidden)
        for index, caches in enumerate(layers)
    )
    tower, unknown = _towers(top)
    tied = text.flag("tie_word_embeddings", otherwise=top.flag("tie_word_embeddings", otherwise=model_type in _TIED))
    embedding = text.needed("vocab_size") * hidden
    return Parameters(embedding, tied, tuple(found), tower), unknown


def _mixer(text: Keys, caches: tuple[Cache, ...], hidden: int, heads: int) -> LayerWeights:
    norms = LayerWeights(whole=2 * hidden)
    return sum((_of_cache(text, cache, hidden, heads) for cache in caches), start=norms)


def _of_cache(text: Keys, cache: Cache, hidden: int, heads: int) -> LayerWeights:
    match cache:
        case Attention():
            return LayerWeights(
                linear=2 * hidden * heads * cache.head_size, key_value=2 * hidden * cache.kv_heads * cache.head_size
            )
        case Latent():
            return _latent(text, cache, hidden, heads)
        case Mamba1():
            rank = text.whole("time_step_rank", "mamba_dt_rank") or -(-hidden // 16)
            return LayerWeights(
                linear=cache.inner * (3 * hidden + 2 * rank + 4 * cache.state + cache.kernel)
            )  # the decay matrix is kept in 32 bits: it counts twice
        case Mamba2():
            columns = cache.inner + 2 * cache.groups * cache.state
            return LayerWeights(
                linear=hidden * (cache.inner + columns + cache.heads) + cache.inner * hidden + columns * cache.kernel
            )
        case DeltaNet():
            keys, values = cache.key_heads * cache.key_size, cache.value_heads * cache.value_size
            return LayerWeights(
                linear=hidden * (2 * keys + 3 * values + 2 * cache.value_heads) + (2 * keys + values) * cache.kernel
            )
        case ShortConvolution():
            return LayerWeights(linear=4 * hidden * cache.size + cache.size * cache.kernel)


def _latent(text: Keys, cache: Latent, hidden: int, heads: int) -> LayerWeights:
    """DeepSeek: the projections down to a latent are whole on every GPU, those up from it split by heads."""
    latent, rotary = text.needed("kv_lora_rank"), text.needed("qk_rope_head_dim")
    plain, value = text.needed("qk_nope_head_dim"), text.needed("v_head_dim")
    rank = text.whole("q_lora_rank")
    query = rank * heads * (plain + rotary) if rank else hidden * heads * (plain + rotary)
    up = latent * heads * (plain + value)
    return LayerWeights(
        linear=query + up + heads * value * hidden,
        whole=hidden * (latent + rotary) + (hidden * rank if rank else 0) + cache.size,
    )


def _feed_forward(text: Keys, model_type: str, index: int, hidden: int) -> LayerWeights:
    matrices = 2 if model_type in _UNGATED else 3
    width = text.whole("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size") or 4 * hidden
    if model_type in {"mamba", "mamba2", "falcon_mamba"}:
        return LayerWeights()
    pattern = text.text("hybrid_override_pattern")
    if pattern and index < len(pattern) and pattern[index] not in "-E":
        return LayerWeights()
    if pattern and index < len(pattern) and pattern[index] == "-":
        return LayerWeights(linear=matrices * hidden * width)
    experts = text.whole("num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts", least=0) or 0
    if not experts or not _HAS_EXPERTS.get(model_type, _everywhere)(text, index):
        width = (text.whole("intermediate_size_mlp") or width) if model_type.startswith("llama4") else width
        return LayerWeights(linear=matrices * hidden * width)
    each = text.whole("moe_intermediate_size") or width
    shared = text.whole("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size", least=0)  # fmt: skip
    if shared is None:
        shared = (text.whole("n_shared_experts", least=0) or (1 if model_type.startswith("llama4") else 0)) * each
    return LayerWeights(
        linear=matrices * hidden * shared, expert=experts * matrices * hidden * each, whole=hidden * experts
    )


def _everywhere(_text: Keys, _index: int) -> bool:
    return True


def _deepseek(text: Keys, index: int) -> bool:
    first = text.whole("first_k_dense_replace", least=0) or 0
    return index >= first and index % (text.whole("moe_layer_freq") or 1) == 0


def _qwen_moe(text: Keys, index: int) -> bool:
    dense = text.wholes("mlp_only_layers") or ()
    return index not in dense and (index + 1) % (text.whole("decoder_sparse_step") or 1) == 0


def _jamba(text: Keys, index: int) -> bool:
    offset = text.whole("expert_layer_offset", least=0)
    return index % (text.whole("expert_layer_period") or 2) == (1 if offset is None else offset)


def _llama4(text: Keys, index: int) -> bool:
    chosen = text.wholes("moe_layers")
    if chosen is not None:
        return index in chosen
    return (index + 1) % (text.whole("interleave_moe_layer_step") or 1) == 0


_HAS_EXPERTS: dict[str, Callable[[Keys, int], bool]] = {
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "kimi_k2": _deepseek,
    "qwen2_moe": _qwen_moe,
    "qwen3_moe": _qwen_moe,
    "qwen3_next": _qwen_moe,
    "jamba": _jamba,
    "llama4": _llama4,
    "llama4_text": _llama4,
}


def _towers(top: Keys) -> tuple[int, tuple[Unknown, ...]]:
    """Transformers for images and sound: four square matrices and a feed-forward network a layer."""
    total, unknown = 0, []
    for name in ("vision_config", "audio_config"):
        section = top.section(name)
        if section is None:
            continue
        width = section.whole("hidden_size", "embed_dim", "width", "d_model")
        depth = section.whole("num_hidden_layers", "depth", "layers", "encoder_layers", most=4096)
        if width is None or depth is None:
            unknown.append(Unknown("weights", f"{name} does not say how large it is"))
            continue
        inner = section.whole("intermediate_size", "encoder_ffn_dim") or 4 * width
        matrices = 3 if section.text("hidden_act") == "silu" else 2
        total += depth * (4 * width * width + matrices * width * inner)
    return total, tuple(unknown)
