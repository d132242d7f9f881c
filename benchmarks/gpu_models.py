"""Models by their shape alone, for engines that load no weights: `--load-format dummy`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_COMMON: Final = {
    "vocab_size": 32_000, "torch_dtype": "bfloat16", "dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False, "hidden_act": "silu",
}  # fmt: skip
_LLAMA: Final = _COMMON | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
#: Mistral 7B, Llama 2 13B, Llama 3 70B, and a Llama whose queries share one head of keys and values, as in Falcon and StarCoder. Then models
#: that guess for these: Llama 3.2 1B with their vocabulary, and the one layer of an EAGLE head.
SHAPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "7B": _COMMON | {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14_336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "sliding_window": None,
        "max_position_embeddings": 32_768, "rope_theta": 1e6,
    },
    "13B": _LLAMA | {
        "hidden_size": 5120, "intermediate_size": 13_824, "num_hidden_layers": 40, "num_attention_heads": 40, "num_key_value_heads": 40,
        "max_position_embeddings": 16_384,
    },
    "70B": _LLAMA | {
        "hidden_size": 8192, "intermediate_size": 28_672, "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
        "head_dim": 128, "max_position_embeddings": 8192, "rope_theta": 5e5, "vocab_size": 128_256,
    },
    "8B, one KV head": _LLAMA | {
        "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 1,
        "head_dim": 128, "max_position_embeddings": 8192,
    },
    "1B": _LLAMA | {
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 64, "max_position_embeddings": 32_768, "tie_word_embeddings": True,
    },
    "7B, EAGLE head": _LLAMA | {
        "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 1, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 128, "max_position_embeddings": 32_768,
    },
}  # fmt: skip


def write_model(folder: Path, shape: str = "7B") -> None:
    """One of SHAPES, with a tokenizer of one word each, and no weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415 - where the GPU is
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    from fairlead_cli.bench.prompts import WORDS  # noqa: PLC0415

    config = dict(SHAPES[shape])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = ["<unk>", "<s>", "</s>", *dict.fromkeys(WORDS)]
    words += [f"w{number}" for number in range(config["vocab_size"] - len(words))]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
