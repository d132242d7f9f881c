"""Published models, by the values of their config.json that decide memory: facts, typed in. What a class takes for granted is left out
where the published file leaves it out too.
"""

from typing import Any

Config = dict[str, Any]


def _of(
    architecture: str,
    model_type: str,
    vocabulary: int,
    hidden: int,
    inner: int,
    layers: int,
    heads: int,
    kv: int,
    **more: Any,
) -> Config:  # noqa: E501, RUF100
    return {
        "architectures": [architecture], "model_type": model_type, "vocab_size": vocabulary, "hidden_size": hidden,
        "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv,
        "torch_dtype": "bfloat16", **more,
    }  # fmt: skip


def _llama(*shape: int, **more: Any) -> Config:
    return _of("LlamaForCausalLM", "llama", *shape, **more)


_MISTRAL = ("MistralForCausalLM", "mistral", 32_000, 4096, 14_336, 32, 32, 8)
_DEEPSEEK_HEADS = {"qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "kv_lora_rank": 512}
_QWEN25_7B = ("Qwen2ForCausalLM", "qwen2", 152_064, 3584, 18_944, 28, 28, 4)
_AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}
_GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}

#: Name -> config.json.
ARCHITECTURES: dict[str, Config] = {
    "Llama 2 7B": _llama(32_000, 4096, 11_008, 32, 32, 32, max_position_embeddings=4096, torch_dtype="float16"),
    "Llama 2 13B": _llama(32_000, 5120, 13_824, 40, 40, 40, max_position_embeddings=4096, torch_dtype="float16"),
    "Llama 2 70B": _llama(32_000, 8192, 28_672, 80, 64, 8, max_position_embeddings=4096, torch_dtype="float16"),
    "Llama 3.1 8B": _llama(
        128_256, 4096, 14_336, 32, 32, 8, max_position_embeddings=131_072,
        rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_max_position_embeddings": 8192},
    ),
    "Llama 3.2 1B": _llama(128_256, 2048, 8192, 16, 32, 8, head_dim=64, max_position_embeddings=131_072, tie_word_embeddings=True),
    "Llama 4 Scout": {
        "architectures": ["Llama4ForConditionalGeneration"], "model_type": "llama4", "torch_dtype": "bfloat16",
        "text_config": _of(
            "Llama4ForCausalLM", "llama4_text", 202_048, 5120, 8192, 48, 40, 8, head_dim=128, intermediate_size_mlp=16_384,
            num_local_experts=16, num_experts_per_tok=1, interleave_moe_layer_step=1, attention_chunk_size=8192,
            max_position_embeddings=10_485_760, no_rope_layers=[], use_qk_norm=True,
        ),
        "vision_config": {
            "model_type": "llama4_vision_model", "hidden_size": 1408, "num_hidden_layers": 34, "num_attention_heads": 16,
            "intermediate_size": 5632, "image_size": 336, "patch_size": 14, "vision_output_dim": 4096,
            "projector_input_dim": 4096, "projector_output_dim": 4096,
        },
    },
    "Mistral 7B v0.1": _of(*_MISTRAL, sliding_window=4096, max_position_embeddings=32_768),
    "Mistral 7B v0.3": _of(*_MISTRAL, sliding_window=None, max_position_embeddings=32_768) | {"vocab_size": 32_768},
    "Mistral Nemo 12B": _of(
        "MistralForCausalLM", "mistral", 131_072, 5120, 14_336, 40, 32, 8, head_dim=128, sliding_window=None,
        max_position_embeddings=131_072,
    ),
    "Mixtral 8x7B": _of(
        "MixtralForCausalLM", "mixtral", 32_000, 4096, 14_336, 32, 32, 8, num_local_experts=8, num_experts_per_tok=2,
        sliding_window=None, max_position_embeddings=32_768,
    ),
    "Qwen 2.5 7B": _of(*_QWEN25_7B, use_sliding_window=False, sliding_window=131_072, max_window_layers=28, max_position_embeddings=32_768),
    "Qwen 2.5 7B AWQ": _of(
        *_QWEN25_7B, use_sliding_window=False, sliding_window=131_072, max_window_layers=28, max_position_embeddings=32_768,
        quantization_config=_AWQ,
    ) | {"torch_dtype": "float16"},
    "Qwen 2.5 7B GPTQ": _of(
        *_QWEN25_7B, use_sliding_window=False, sliding_window=131_072, max_window_layers=28, max_position_embeddings=32_768,
        quantization_config=_GPTQ,
    ) | {"torch_dtype": "float16"},
    "Qwen 3 8B": _of(
        "Qwen3ForCausalLM", "qwen3", 151_936, 4096, 12_288, 36, 32, 8, head_dim=128, use_sliding_window=False, sliding_window=None,
        max_window_layers=36, max_position_embeddings=40_960,
    ),
    "Qwen 3 30B-A3B": _of(
        "Qwen3MoeForCausalLM", "qwen3_moe", 151_936, 2048, 6144, 48, 32, 4, head_dim=128, num_experts=128, num_experts_per_tok=8,
        moe_intermediate_size=768, decoder_sparse_step=1, mlp_only_layers=[], use_sliding_window=False, sliding_window=None,
        max_position_embeddings=40_960,
    ),
    "Qwen 3 Next 80B-A3B": _of(
        "Qwen3NextForCausalLM", "qwen3_next", 151_936, 2048, 5120, 48, 16, 2, head_dim=256, num_experts=512, num_experts_per_tok=10,
        moe_intermediate_size=512, shared_expert_intermediate_size=512, decoder_sparse_step=1, mlp_only_layers=[],
        full_attention_interval=4, linear_conv_kernel_dim=4, linear_key_head_dim=128, linear_num_key_heads=16,
        linear_num_value_heads=32, linear_value_head_dim=128, max_position_embeddings=262_144,
    ),
    "Gemma 2 9B": _of(
        "Gemma2ForCausalLM", "gemma2", 256_000, 3584, 14_336, 42, 16, 8, head_dim=256, sliding_window=4096,
        max_position_embeddings=8192, query_pre_attn_scalar=256,
    ),
    "Gemma 3 1B": _of(
        "Gemma3ForCausalLM", "gemma3_text", 262_144, 1152, 6912, 26, 4, 1, head_dim=256, sliding_window=512, sliding_window_pattern=6,
        max_position_embeddings=32_768,
    ),
    "Gemma 3 4B": {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "torch_dtype": "bfloat16",
        "mm_tokens_per_image": 256,
        "text_config": {
            "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10_240, "num_hidden_layers": 34, "sliding_window": 1024,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        },
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
            "num_attention_heads": 16, "image_size": 896, "patch_size": 14, "vision_use_head": False,
        },
    },
    "Phi 2": _of("PhiForCausalLM", "phi", 51_200, 2560, 10_240, 32, 32, 32, max_position_embeddings=2048, torch_dtype="float16"),
    "Phi 3 mini 4k": _of("Phi3ForCausalLM", "phi3", 32_064, 3072, 8192, 32, 32, 32, sliding_window=2047, max_position_embeddings=4096, original_max_position_embeddings=4096),
    "Phi 4": _of("Phi3ForCausalLM", "phi3", 100_352, 5120, 17_920, 40, 40, 10, sliding_window=None, max_position_embeddings=16_384, original_max_position_embeddings=16_384),
    "DeepSeek V2 Lite": _of(
        "DeepseekV2ForCausalLM", "deepseek_v2", 102_400, 2048, 10_944, 27, 16, 16, **_DEEPSEEK_HEADS, q_lora_rank=None,
        n_routed_experts=64, num_experts_per_tok=6, n_shared_experts=2, moe_intermediate_size=1408, first_k_dense_replace=1,
        moe_layer_freq=1, topk_method="greedy", n_group=1, topk_group=1, max_position_embeddings=163_840,
    ),
    "DeepSeek V3": _of(
        "DeepseekV3ForCausalLM", "deepseek_v3", 129_280, 7168, 18_432, 61, 128, 128, **_DEEPSEEK_HEADS, q_lora_rank=1536,
        n_routed_experts=256, num_experts_per_tok=8, n_shared_experts=1, moe_intermediate_size=2048, first_k_dense_replace=3,
        moe_layer_freq=1, topk_method="noaux_tc", n_group=8, topk_group=4, scoring_func="sigmoid", norm_topk_prob=True,
        routed_scaling_factor=2.5, num_nextn_predict_layers=1, max_position_embeddings=163_840,
        quantization_config={"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    ),
    "GPT-OSS 20B": _of(
        "GptOssForCausalLM", "gpt_oss", 201_088, 2880, 2880, 24, 64, 8, head_dim=64, num_local_experts=32, num_experts_per_tok=4,
        sliding_window=128, max_position_embeddings=131_072,
        layer_types=["sliding_attention", "full_attention"] * 12,
        quantization_config={"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                             "model.embed_tokens", "lm_head"]},
    ),
    "Falcon 7B": {
        "architectures": ["FalconForCausalLM"], "model_type": "falcon", "torch_dtype": "bfloat16", "vocab_size": 65_024, "hidden_size": 4544,
        "num_hidden_layers": 32, "num_attention_heads": 71, "multi_query": True, "new_decoder_architecture": False, "parallel_attn": True,
        "bias": False, "alibi": False,
    },
    "Falcon 40B": {
        "architectures": ["FalconForCausalLM"], "model_type": "falcon", "torch_dtype": "bfloat16", "vocab_size": 65_024, "hidden_size": 8192,
        "num_hidden_layers": 60, "num_attention_heads": 128, "num_kv_heads": 8, "new_decoder_architecture": True, "parallel_attn": True,
        "bias": False, "alibi": False,
    },
    "Mamba 2 2.7B": {
        "architectures": ["Mamba2ForCausalLM"], "model_type": "mamba2", "torch_dtype": "bfloat16", "vocab_size": 50_288, "hidden_size": 2560,
        "num_hidden_layers": 64, "num_heads": 80, "head_dim": 64, "n_groups": 1, "state_size": 128, "conv_kernel": 4, "expand": 2,
        "tie_word_embeddings": True,
    },
    "Falcon Mamba 7B": {
        "architectures": ["FalconMambaForCausalLM"], "model_type": "falcon_mamba", "torch_dtype": "bfloat16", "vocab_size": 65_024,
        "hidden_size": 4096, "intermediate_size": 8192, "num_hidden_layers": 64, "state_size": 16, "conv_kernel": 4, "expand": 16,
        "time_step_rank": 256,
    },
    "Jamba Mini": _of(
        "JambaForCausalLM", "jamba", 65_536, 4096, 14_336, 32, 32, 8, attn_layer_period=8, attn_layer_offset=4, expert_layer_period=2,
        expert_layer_offset=1, num_experts=16, num_experts_per_tok=2, mamba_d_state=16, mamba_d_conv=4, mamba_expand=2, mamba_dt_rank=256,
        max_position_embeddings=262_144,
    ),
    "Nemotron Nano 9B v2": _of(
        "NemotronHForCausalLM", "nemotron_h", 131_072, 4480, 15_680, 56, 40, 8, head_dim=128, mamba_num_heads=128, mamba_head_dim=80,
        n_groups=8, ssm_state_size=128, conv_kernel=4, expand=2, mlp_hidden_act="relu2", max_position_embeddings=131_072,
        hybrid_override_pattern="M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
    ),
    "Granite 4.0 H Tiny": _of(
        "GraniteMoeHybridForCausalLM", "granitemoehybrid", 100_352, 1536, 512, 40, 12, 4, num_local_experts=64, num_experts_per_tok=6,
        shared_intermediate_size=1024, mamba_n_heads=48, mamba_d_head=64, mamba_n_groups=1, mamba_d_state=128, mamba_d_conv=4,
        mamba_expand=2, max_position_embeddings=131_072, tie_word_embeddings=True,
        layer_types=["attention" if index in {5, 15, 25, 35} else "mamba" for index in range(40)],
    ),
    "Falcon H1's shape": _of(
        "FalconH1ForCausalLM", "falcon_h1", 65_537, 2048, 4096, 24, 8, 2, head_dim=128, mamba_d_ssm=3072, mamba_n_heads=48, mamba_d_head=64,
        mamba_n_groups=1, mamba_d_state=256, mamba_d_conv=4, mamba_expand=2, mamba_chunk_size=256, max_position_embeddings=131_072,
        mlp_multipliers=[1.0, 1.0], ssm_multipliers=[1.0, 1.0, 1.0, 1.0, 1.0],
    ),
    "Qwen 2.5 VL 7B": _of(
        "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", 152_064, 3584, 18_944, 28, 28, 4, use_sliding_window=False, sliding_window=32_768,
        max_window_layers=28, max_position_embeddings=128_000, rope_scaling={"type": "mrope", "mrope_section": [16, 24, 24]},
        image_token_id=151_655, video_token_id=151_656, vision_start_token_id=151_652, vision_end_token_id=151_653,
        vision_config={"depth": 32, "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
                       "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
                       "fullatt_block_indexes": [7, 15, 23, 31], "in_chans": 3},
    ),
    "OLMo 3 7B": _of(
        "Olmo3ForCausalLM", "olmo3", 100_278, 4096, 11_008, 32, 32, 32, sliding_window=4096, max_position_embeddings=65_536,
        layer_types=(["sliding_attention"] * 3 + ["full_attention"]) * 8,
    ),
    "Gemma 7B": _of("GemmaForCausalLM", "gemma", 256_000, 3072, 24_576, 28, 16, 16, head_dim=256, max_position_embeddings=8192, hidden_act="gelu"),
    "Qwen 1.5 MoE": _of(
        "Qwen2MoeForCausalLM", "qwen2_moe", 151_936, 2048, 5632, 24, 16, 16, num_experts=60, num_experts_per_tok=4,
        moe_intermediate_size=1408, shared_expert_intermediate_size=5632, decoder_sparse_step=1, use_sliding_window=False,
        sliding_window=32_768, max_window_layers=21, max_position_embeddings=8192,
    ),
    "OLMo 2 7B": _of("Olmo2ForCausalLM", "olmo2", 100_352, 4096, 11_008, 32, 32, 32, max_position_embeddings=4096),
    "Granite 3.1 8B": _of("GraniteForCausalLM", "granite", 49_155, 4096, 12_800, 40, 32, 8, max_position_embeddings=131_072, tie_word_embeddings=True),
    "StarCoder 2 7B": _of("Starcoder2ForCausalLM", "starcoder2", 49_152, 4608, 18_432, 32, 36, 4, sliding_window=4096, max_position_embeddings=16_384),
    "SmolLM 3 3B": _of("SmolLM3ForCausalLM", "smollm3", 128_256, 2048, 11_008, 36, 16, 4, max_position_embeddings=65_536, tie_word_embeddings=True),
    "GLM 4 9B": _of("Glm4ForCausalLM", "glm4", 151_552, 4096, 13_696, 40, 32, 2, head_dim=128, max_position_embeddings=32_768),
    "Command R7B": _of(
        "Cohere2ForCausalLM", "cohere2", 256_000, 4096, 14_336, 32, 32, 8, head_dim=128, sliding_window=4096, sliding_window_pattern=4,
        max_position_embeddings=132_096, tie_word_embeddings=True,
    ),
    "GPT-NeoX 20B": {
        "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "torch_dtype": "float16", "vocab_size": 50_432, "hidden_size": 6144,
        "intermediate_size": 24_576, "num_hidden_layers": 44, "num_attention_heads": 64, "max_position_embeddings": 2048,
    },
}  # fmt: skip

#: What tests plan that need one model which fits a GPU, and one which does not.
MISTRAL_7B: dict[str, Any] = {
    "architectures": ["MistralForCausalLM"], "model_type": "mistral", "torch_dtype": "bfloat16", "vocab_size": 32_000,
    "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "head_dim": 128, "max_position_embeddings": 32_768, "sliding_window": None, "tie_word_embeddings": False,
}  # fmt: skip
LLAMA_70B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": 128_256, "hidden_size": 8192,
    "intermediate_size": 28_672, "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
    "max_position_embeddings": 131_072,
}  # fmt: skip
