"""The KV cache of published models: blocks and tokens as vLLM 0.32's own planner gave them; tests/engine asks it again."""

from typing import Any

import pytest

from architectures import ARCHITECTURES
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings


@pytest.mark.parametrize(("name", "settings", "gib", "blocks", "tokens"), [
    pytest.param("Llama 3.1 8B", {"block_size": 32, "max_model_len": 2048}, 16, 4096, 131072, id="one kind of layer"),
    pytest.param("Mistral 7B v0.1", {"block_size": 32, "max_model_len": 32768, "max_num_batched_tokens": 1024}, 1, 256, 52103, id="windows on all layers"),
    pytest.param("Gemma 2 9B", {"block_size": 32, "max_model_len": 8192, "max_num_batched_tokens": 512}, 4, 780, 15934, id="windows on every other layer"),
    pytest.param("Gemma 3 1B", {"block_size": 32, "max_model_len": 32768, "max_num_batched_tokens": 512}, 2, 16384, 439337, id="windows on five of six layers"),
    pytest.param("Llama 4 Scout", {"block_size": 32, "max_model_len": 2048}, 16, 10922, 87376, id="chunks"),
    pytest.param("DeepSeek V2 Lite", {"block_size": 32, "max_model_len": 2048}, 16, 34521, 552336, id="a latent"),
    pytest.param("Mamba 2 2.7B", {"max_model_len": 65536, "state_dtype": "float32"}, 1, 6, 393216, id="states alone"),
    pytest.param("Jamba Mini", {"block_size": 32, "max_model_len": 65536, "tensor": 2, "state_dtype": "float32"}, 4, 3276, 506358, id="states beside attention, prefixes kept"),
    pytest.param("Jamba Mini", {"block_size": 32, "max_model_len": 65536, "prefix_caching": False, "state_dtype": "float32"}, 4, 1638, 257429, id="the same, prefixes forgotten"),
    pytest.param("Falcon H1's shape", {"block_size": 32, "max_model_len": 2048, "state_dtype": "float32"}, 16, 225, 115200, id="a state and attention in each layer"),
    pytest.param("Qwen 3 Next 80B-A3B", {"block_size": 32, "max_model_len": 65536, "tensor": 2, "state_dtype": "float32"}, 4, 330, 313433, id="linear attention"),
    pytest.param("Llama 2 70B", {"block_size": 32, "max_model_len": 4096, "pipeline": 3}, 4, 1213, 38816, id="three stages"),
])  # fmt: skip
def test_blocks_and_tokens(name: str, settings: dict[str, Any], gib: int, blocks: int, tokens: int) -> None:
    model = memory.read_config(ARCHITECTURES[name])

    plan = memory.plan(
        model, memory.by_shape(model), EngineSettings(device="cpu", kv_cache_memory_bytes=gib * GIB, **settings), None
    )

    assert (plan.blocks, plan.kv_cache_tokens) == (blocks, tokens)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_largest_length_fits_and_one_token_more_does_not(name: str) -> None:
    model = memory.read_config(ARCHITECTURES[name])
    small = EngineSettings(
        device="cpu", state_dtype="float32", max_num_batched_tokens=256, kv_cache_memory_bytes=GIB // 2
    )
    longest = memory.plan(model, memory.by_shape(model), small, None).largest_model_len
    assert longest is not None

    def refused(length: int) -> bool:
        asked = EngineSettings(
            device="cpu",
            state_dtype="float32",
            max_num_batched_tokens=256,
            kv_cache_memory_bytes=GIB // 2,
            max_model_len=length,
        )
        return memory.plan(model, memory.by_shape(model), asked, None).verdict is not memory.Verdict.FITS

    assert longest == 0 or not refused(longest)
    assert longest == model.max_model_len or refused(longest + 1)


def test_windows_take_as_much_as_full_attention_without_the_hybrid_manager() -> None:
    model = memory.read_config(ARCHITECTURES["Gemma 3 1B"])
    with_it, without = (
        memory.plan(
            model,
            memory.by_shape(model),
            EngineSettings(device="cpu", kv_cache_memory_bytes=GIB, hybrid_manager=manager),
            None,
        )
        for manager in (True, False)
    )

    assert (with_it.kv_cache_tokens or 0) > 3 * (without.kv_cache_tokens or 0)
    assert without.kv_cache_tokens == GIB // (26 * 2 * 256 * 2 * 128) * 128
