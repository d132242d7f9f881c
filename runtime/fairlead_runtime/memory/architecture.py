"""A model's config.json as the engine reads it: the shapes that decide memory, and what of them is not known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fairlead_runtime.memory import layouts, parameters, quantization
from fairlead_runtime.memory.layouts import HYBRID, LATENT, MOST_LAYERS, Heads, Layers
from fairlead_runtime.memory.parameters import Parameters
from fairlead_runtime.memory.quantization import Quantization
from fairlead_runtime.memory.reading import ConfigError, Keys
from fairlead_runtime.memory.types import Unknown

#: Model types whose KV cache was compared with the engine's own planner: tests/engine has a published model of each. Any other is computed
#: by the same keys, and said to be unknown.
KNOWN = frozenset(
    {
        *("llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3_text", "phi", "phi3"),
        *("falcon", "gpt_oss", "llama4_text", "olmo2", "olmo3", "granite", "starcoder2", "smollm3", "glm4", "cohere2", "gpt_neox"),
        *("qwen2_5_vl", "deepseek_v2", "deepseek_v3", "mamba2", "falcon_mamba", "jamba", "nemotron_h", "granitemoehybrid"),
        *("falcon_h1", "qwen3_next"),
    }
)  # fmt: skip
#: Of them, those with nothing but attention.
PLAIN = KNOWN - HYBRID - LATENT
#: Keys that stand for a cache which a type that is not KNOWN would need.
_MARKS = ("kv_lora_rank", "mamba_d_state", "ssm_state_size", "state_size", "linear_num_key_heads", "compress_ratios", "index_topk",
          "layers_block_type", "block_configs", "attn_type_list", "rwkv", "num_kv_shared_layers", "cross_attention_layers")  # fmt: skip
#: Where wrappers keep their language model.
_TEXT_SECTIONS = ("text_config", "llm_config", "language_config", "thinker_config")
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length", "max_target_positions",
            "max_sequence_length", "max_seq_length", "seq_len")  # fmt: skip
#: Their lengths have the factor already.
_SCALED_BEFORE = frozenset(
    {"default", "su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling", "mrope"}
)
#: The engine's length where no key says one.
LENGTH_OTHERWISE = 2048


#: What the class in transformers takes for keys that published files leave out.
CLASS_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "mistral": {"sliding_window": 4096},
    "gemma": {"head_dim": 256},
    "gemma2": {"head_dim": 256, "sliding_window": 4096},
    "gemma3_text": {
        "head_dim": 256,
        "sliding_window": 4096,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 262_208,
        "max_position_embeddings": 131_072,
    },
    "qwen3": {"head_dim": 128},
    "qwen3_moe": {"head_dim": 128},
    "qwen3_vl_text": {"head_dim": 128},
    "qwen3_next": {"head_dim": 256},
    "qwen3_5_text": {"head_dim": 256},
    "qwen3_5_moe_text": {"head_dim": 256},
    "gpt_oss": {"head_dim": 64, "sliding_window": 128},
    "nemotron_h": {"head_dim": 128},
    "llama4_text": {"head_dim": 128, "attention_chunk_size": 8192},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """layers: the caches of each. heads, kv_heads, hidden, intermediate, vocabulary: elements. experts: of a layer, 0 for none; chosen:
    of them for one token; expert_width: one's intermediate elements. max_model_len: the length it was made for. any_length: its file
    tells none, so that the engine takes whatever is asked. dtype: of its checkpoint. state_dtype: of a recurrent state, "auto" for the
    model's. draft_vocabulary: tokens that a head of EAGLE-3 guesses among, 0 where it does not say.
    """

    architecture: str
    model_type: str
    layers: Layers
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    max_model_len: int
    dtype: str
    any_length: bool = False
    draft_vocabulary: int = 0
    experts: int = 0
    chosen: int = 0
    expert_width: int = 0
    multimodal: bool = False
    state_dtype: str = "auto"
    quantization: Quantization | None = None
    parameters: Parameters | None = None
    unknowns: tuple[Unknown, ...] = field(default=())

    @property
    def tied(self) -> bool:
        return bool(self.parameters and self.parameters.tied)


def read(document: object) -> ModelConfig:
    """document: config.json, parsed. Raises ConfigError, which names the key."""
    top = Keys.of(document)
    text, wrapped = _language_model(top)
    model_type = text.text("model_type") or top.text("model_type") or ""
    if not model_type:
        raise ConfigError("config.json: model_type", "absent: the engine does not know such a model either")
    text = Keys({**CLASS_DEFAULTS.get(model_type, {}), **text.values}, text.path)
    unknowns = list(_unknown_kind(text, model_type))
    count = text.needed("num_hidden_layers", "n_layer", "num_layers", "n_layers", most=MOST_LAYERS)
    if model_type == "nemotron_h":
        count = len(text.text("hybrid_override_pattern") or "") or count
    heads, kv_heads, head_size, hidden = _heads(text, model_type)
    caches = layouts.layers(text, model_type, Heads(kv_heads, head_size, count))
    architectures = top.texts("architectures") or text.texts("architectures") or ()
    model = ModelConfig(
        architecture=architectures[0] if architectures else "",
        model_type=model_type,
        layers=caches,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        intermediate=text.whole("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size") or 4 * hidden,
        vocabulary=text.needed("vocab_size"),
        max_model_len=_length(top, text),
        any_length=_told_length(text) is None,
        dtype=_dtype(top, text),
        draft_vocabulary=text.whole("draft_vocab_size") or 0,
        experts=text.whole("num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts", least=0) or 0,
        chosen=text.whole("num_experts_per_tok", "num_experts_per_token", "moe_topk", least=0) or 0,
        expert_width=text.whole("moe_intermediate_size", "intermediate_size") or 4 * hidden,
        multimodal=wrapped,
        state_dtype=(text.text("mamba_ssm_cache_dtype") or "float32") if model_type == "nemotron_h" else "auto",
        quantization=quantization.read(top) or (quantization.read(text) if wrapped else None),
    )
    counted, missing = parameters.count(top, text, model_type, caches, hidden)
    return replace(model, parameters=counted, unknowns=(*unknowns, *missing))


def _language_model(top: Keys) -> tuple[Keys, bool]:
    """The keys of the language model, and whether it stands inside a wrapper for other inputs."""
    for name in _TEXT_SECTIONS:
        inner = top.section(name)
        if inner is None:
            continue
        deeper, _ = _language_model(inner)
        return deeper, True
    return top, top.has("vision_config") or top.has("audio_config")


def _unknown_kind(text: Keys, model_type: str) -> Iterable[Unknown]:
    """What cannot be computed of this type, though its keys can be read."""
    if model_type not in KNOWN:
        yield Unknown(
            "KV cache", f"model_type {model_type!r} was never compared with the engine; computed as plain attention"
        )
    for mark in _MARKS:
        if text.has(mark) and (model_type in PLAIN or model_type not in KNOWN):
            yield Unknown(
                "KV cache", f"the key {mark} asks for a cache that is not computed for model_type {model_type!r}"
            )


def _heads(text: Keys, model_type: str) -> tuple[int, int, int, int]:
    """(attention heads, heads of keys and values, size of a head, hidden size). All but the last 0 without attention."""
    hidden = text.needed("hidden_size", "n_embd", "d_model")
    if model_type in {"mamba", "mamba2", "falcon_mamba"}:
        return 0, 0, 0, hidden
    heads = text.needed("num_attention_heads", "n_head", "n_heads")
    kv_heads = text.whole("n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num") or heads
    if (
        model_type == "falcon"
        and not text.flag("new_decoder_architecture")
        and text.flag("multi_query", otherwise=True)
    ):
        kv_heads = 1
    if model_type == "dbrx":
        inner = text.section("attn_config")
        kv_heads = (inner.whole("kv_n_heads") if inner else None) or heads
    size = text.whole("head_dim", least=0) or hidden // heads
    if heads % kv_heads:
        raise ConfigError(f"{text.path}: num_key_value_heads", f"{kv_heads} does not divide {heads} attention heads")
    if size < 1:
        raise ConfigError(f"{text.path}: num_attention_heads", f"{heads} heads for a hidden size of {hidden}")
    return heads, kv_heads, size, hidden


def _length(top: Keys, text: Keys) -> int:
    """As the engine derives it."""
    length = _told_length(text) or LENGTH_OTHERWISE
    rope = text.section("rope_parameters") or text.section("rope_scaling") or top.section("rope_scaling")
    if rope is None or "gemma3" in (top.text("model_type") or ""):
        return length
    kind = rope.text("rope_type", "type") or "default"
    if kind == "longrope":
        return text.whole("original_max_position_embeddings") or length
    factor = rope.number("factor", least=0.001, most=1e6)
    return length if kind in _SCALED_BEFORE or factor is None else int(length * factor)


def _told_length(text: Keys) -> int | None:
    found = [length for name in _LENGTHS if (length := text.whole(name)) is not None]
    return text.whole("model_max_length") or min(found, default=None)


def _dtype(top: Keys, text: Keys) -> str:
    """The engine keeps 32-bit checkpoints in 16 bits: the kind it prefers is of the same size on every device."""
    name = top.text("dtype", "torch_dtype") or text.text("dtype", "torch_dtype") or "float32"
    name = name.removeprefix("torch.")
    if name not in quantization.DTYPE_BITS:
        raise ConfigError("config.json: torch_dtype", f"{name!r} is none that the engine computes in")
    return "bfloat16" if name == "float32" else name
