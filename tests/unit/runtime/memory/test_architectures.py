"""Published models: what is read from their config.json, and what of it has no place there."""

from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from architectures import ARCHITECTURES
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings
from fairlead_runtime.memory.architecture import KNOWN

#: Parameters as published, in thousand millions.
PUBLISHED = {
    "Llama 2 7B": 6.74, "Llama 2 13B": 13.02, "Llama 2 70B": 68.98, "Llama 3.1 8B": 8.03, "Llama 3.2 1B": 1.24, "Llama 4 Scout": 108.6,
    "Mistral 7B v0.1": 7.24, "Mistral 7B v0.3": 7.25, "Mistral Nemo 12B": 12.25, "Mixtral 8x7B": 46.7, "Qwen 2.5 7B": 7.62,
    "Qwen 3 8B": 8.19, "Qwen 3 30B-A3B": 30.53, "Qwen 3 Next 80B-A3B": 79.7, "Gemma 2 9B": 9.24, "Gemma 3 1B": 1.0, "Gemma 3 4B": 4.3,
    "Phi 2": 2.78, "Phi 3 mini 4k": 3.82, "Phi 4": 14.66, "DeepSeek V2 Lite": 15.7, "DeepSeek V3": 671.0, "GPT-OSS 20B": 20.9,
    "Falcon 7B": 6.92, "Falcon 40B": 41.8, "Mamba 2 2.7B": 2.7, "Falcon Mamba 7B": 7.27, "Jamba Mini": 51.6, "Nemotron Nano 9B v2": 8.89,
    "Gemma 7B": 8.54, "Qwen 1.5 MoE": 14.3, "OLMo 2 7B": 7.3, "Granite 3.1 8B": 8.17, "StarCoder 2 7B": 7.17, "SmolLM 3 3B": 3.08,
    "GLM 4 9B": 9.4, "Command R7B": 8.03, "GPT-NeoX 20B": 20.55,
    "Granite 4.0 H Tiny": 6.94, "Qwen 2.5 VL 7B": 8.29, "OLMo 3 7B": 7.3,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_published(name: str) -> None:
    model = memory.read_config(ARCHITECTURES[name])

    assert model.parameters is not None
    assert model.parameters.total / 1e9 == pytest.approx(PUBLISHED[name], rel=0.02)
    assert model.unknowns == ()


def test_a_type_is_known_if_a_model_of_it_is_compared_with_the_engine() -> None:
    assert {memory.read_config(config).model_type for config in ARCHITECTURES.values()} == KNOWN


@pytest.mark.parametrize(("name", "gib"), [
    ("Qwen 2.5 7B AWQ", 5.2),
    ("Qwen 2.5 7B GPTQ", 5.2),
    ("DeepSeek V3", 625.0),
    ("GPT-OSS 20B", 12.8),
])  # fmt: skip
def test_quantized_weights_take_the_bytes_of_their_files(name: str, gib: float) -> None:
    weights = memory.by_shape(memory.read_config(ARCHITECTURES[name]))

    assert weights is not None
    assert weights.size / GIB == pytest.approx(gib, rel=0.03)


VALID = ARCHITECTURES["Llama 3.1 8B"]


@pytest.mark.parametrize(("changes", "message"), [
    pytest.param({"num_hidden_layers": None}, "config.json: num_hidden_layers: absent, and nothing can be computed without it", id="a key that is null"),
    pytest.param({"hidden_size": "4096"}, "config.json: hidden_size: '4096' where a whole number from 1 to 2,147,483,647 is wanted", id="a number in quotes"),
    pytest.param({"num_attention_heads": 0}, "config.json: num_attention_heads: 0 where a whole number", id="zero heads"),
    pytest.param({"num_hidden_layers": True}, "config.json: num_hidden_layers: True where a whole number", id="true layers"),
    pytest.param({"vocab_size": -1}, "config.json: vocab_size: -1 where a whole number", id="a negative vocabulary"),
    pytest.param({"hidden_size": 4096.5}, "config.json: hidden_size: 4096.5 where a whole number", id="half an element"),
    pytest.param({"num_hidden_layers": 10**9}, "config.json: num_hidden_layers: 1000000000 where a whole number from 1 to 4,096", id="a thousand million layers"),
    pytest.param({"num_key_value_heads": 7}, "config.json: num_key_value_heads: 7 does not divide 32 attention heads", id="heads that do not divide"),
    pytest.param({"hidden_size": 16, "head_dim": None}, "config.json: num_attention_heads: 32 heads for a hidden size of 16", id="heads without elements"),
    pytest.param({"layer_types": ["full_attention"]}, "config.json: layer_types: 1 entries for 32 layers", id="too few kinds of layers"),
    pytest.param({"layer_types": "full_attention"}, "config.json: layer_types: 'full_attention' where a list of texts is wanted", id="a text for a list"),
    pytest.param({"model_type": None}, "config.json: model_type: absent", id="no type"),
    pytest.param({"torch_dtype": "float3"}, "config.json: torch_dtype: 'float3' is none that the engine computes in", id="a type of numbers that is none"),
    pytest.param({"quantization_config": "awq"}, "config.json: quantization_config: not an object but 'awq'", id="a text for a section"),
    pytest.param({"quantization_config": {"quant_method": "awq", "bits": "4"}}, "config.json: quantization_config.bits: '4'", id="a key in a section"),
    pytest.param({"rope_scaling": {"rope_type": "linear", "factor": -2}}, "config.json: rope_scaling.factor: -2 where a number", id="a negative factor"),
    pytest.param({"tie_word_embeddings": "yes"}, "config.json: tie_word_embeddings: 'yes' where true or false is wanted", id="a text for a flag"),
])  # fmt: skip
def test_what_cannot_be_is_told_by_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(memory.ConfigError) as raised:
        memory.by_shape(memory.read_config(VALID | changes))

    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_a_file_that_is_no_object(document: object) -> None:
    with pytest.raises(memory.ConfigError, match="not an object"):
        memory.read_config(document)


@pytest.mark.parametrize(("changes", "what", "why"), [
    pytest.param({"model_type": "brand_new"}, "KV cache", "model_type 'brand_new' was never compared with the engine; computed as plain attention", id="a new type"),
    pytest.param({"kv_lora_rank": 512}, "KV cache", "the key kv_lora_rank asks for a cache that is not computed for model_type 'llama'", id="a latent where none is known"),
    pytest.param({"vision_config": {}}, "weights", "vision_config does not say how large it is", id="a tower without a size"),
])  # fmt: skip
def test_what_is_not_known_is_said(changes: dict[str, Any], what: str, why: str) -> None:
    found = memory.read_config(VALID | changes).unknowns

    assert [(unknown.what, unknown.why) for unknown in found] == [(what, why)]


@pytest.mark.parametrize(("name", "changes", "expected"), [
    pytest.param("Llama 3.1 8B", {}, 131_072, id="llama3's factor is in the length already"),
    pytest.param("Llama 2 7B", {"rope_scaling": {"type": "linear", "factor": 4.0}}, 16_384, id="a linear factor is not"),
    pytest.param("Phi 3 mini 4k", {"max_position_embeddings": 131_072, "rope_scaling": {"type": "longrope"}}, 4096, id="longrope starts with the short one"),
    pytest.param("Qwen 2.5 7B", {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}}, 32_768, id="yarn's factor is not applied: vLLM 0.32 takes the length beside it"),
    pytest.param("Falcon 7B", {}, 2048, id="no length at all"),
    pytest.param("Gemma 3 4B", {}, 131_072, id="a length of the class"),
])  # fmt: skip
def test_the_length_a_model_was_made_for(name: str, changes: dict[str, Any], expected: int) -> None:
    assert memory.read_config(ARCHITECTURES[name] | changes).max_model_len == expected


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), st.lists(st.integers(-3, 300), max_size=3),
    st.dictionaries(st.sampled_from(["a", "bits", "factor", "quant_method", "hidden_size"]), st.integers(-1, 9), max_size=2),
)  # fmt: skip
KEYS = sorted({key for config in ARCHITECTURES.values() for key in config})


@given(
    name=st.sampled_from(sorted(ARCHITECTURES)),
    changes=st.dictionaries(st.sampled_from(KEYS), JUNK, min_size=1, max_size=4),
    removed=st.sets(st.sampled_from(KEYS), max_size=3),
    inside=st.sampled_from(["wrapper", "text"]),
    tensor=st.sampled_from([1, 2, 8]),
    length=st.sampled_from([None, "Auto", 1, 4096]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_a_file_says_there_is_a_message_or_a_plan_without_zeros(
    name: str, changes: dict[str, Any], removed: set[str], inside: Literal["wrapper", "text"], tensor: int, length: Any
) -> None:
    config = {key: value for key, value in ARCHITECTURES[name].items() if key not in removed} | changes
    if inside == "text" and isinstance(config.get("text_config"), dict):
        config["text_config"] = config["text_config"] | changes
    plan, told = None, ("", "")
    try:
        model = memory.read_config(config)
        weights = memory.by_shape(model)
        plan = memory.plan(model, weights, EngineSettings(max_model_len=length, tensor=tensor), 80 * GIB)
    except memory.ConfigError as error:
        told = (error.key, error.problem)
    if plan is None:
        assert all(told)
        return
    assert plan.kv_bytes_per_token is not None or plan.unknowns
    assert plan.weights is None or plan.weights.size > 0
    assert plan.kv_bytes_per_request is None or plan.kv_bytes_per_request > 0
    assert plan.blocks is not None or plan.unknowns
