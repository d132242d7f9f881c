"""What a second model that guesses tokens adds to a plan."""

from collections.abc import Mapping
from typing import Any

import pytest

from architectures import MISTRAL_7B
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings, Plan

TARGET = memory.read_config(MISTRAL_7B)
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": 32_768, "hidden_size": 4096,
    "intermediate_size": 14_336, "num_hidden_layers": 1, "num_attention_heads": 32, "num_key_value_heads": 8,
}  # fmt: skip
#: Queries and the output of attention, keys and values, three matrices of the feed-forward network, two norms.
LAYER = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14_336 + 2 * 4096
VOCABULARY = 32_768 * 4096
FC = 2 * 4096 * 4096
FC3, WIDER = 3 * 4096 * 4096, 4096 * 4096 + 2 * 4096 * 1024


def own(method: str, config: Mapping[str, Any] = LLAMA, pipeline: int = 1) -> int:
    """Elements that the second model has of its own."""
    model = memory.read_config(config)
    found = memory.draft(method, model, memory.by_shape(model), pipeline).weights
    assert found is not None
    return found.size // 2


@pytest.mark.parametrize(("found", "expected"), [
    pytest.param(own("draft_model"), LAYER + 2 * VOCABULARY, id="a whole model shares nothing"),
    pytest.param(own("eagle"), LAYER + FC, id="an EAGLE head has its layer, and a matrix that joins token and state"),
    pytest.param(own("eagle", pipeline=2), LAYER + FC + VOCABULARY, id="in a pipeline it has the embedding too"),
    pytest.param(own("eagle3"), LAYER + FC3 + WIDER, id="EAGLE-3 joins three states, and its attention sees twice as much"),
    pytest.param(own("eagle3", LLAMA | {"draft_vocab_size": 8192}), LAYER + FC3 + WIDER + 8192 * 4096, id="and has an output of its own for fewer tokens"),
])  # fmt: skip
def test_weights_of_its_own_by_its_shapes(found: int, expected: int) -> None:
    assert found == expected


def tensor(*shape: int) -> dict[str, Any]:
    return {"dtype": "BF16", "shape": list(shape)}


HEAD = {
    "embed_tokens.weight": tensor(32_768, 4096), "lm_head.weight": tensor(8192, 4096), "fc.weight": tensor(4096, 8192),
    "midlayer.mlp.up_proj.weight": tensor(14_336, 4096),
}  # fmt: skip
UP = 14_336 * 4096


@pytest.mark.parametrize(("method", "expected"), [
    ("draft_model", VOCABULARY + 8192 * 4096 + FC + UP),
    ("eagle", FC + UP),
    ("eagle3", 8192 * 4096 + FC + UP),
])  # fmt: skip
def test_headers_name_what_no_shape_tells(method: str, expected: int) -> None:
    model = memory.read_config(LLAMA)
    found = memory.draft(method, model, memory.from_headers([HEAD], model)).weights

    assert found is not None
    assert found.size == 2 * expected


def test_an_index_says_nothing_of_parts() -> None:
    model = memory.read_config(LLAMA)
    index = memory.from_index({"metadata": {"total_size": 10**9}}, model)

    assert memory.draft("eagle", model, index).weights == index


def plan(draft: memory.Draft | None, **settings: Any) -> Plan:
    asked = EngineSettings(max_model_len=4096, speculative_tokens=3, **settings)
    return memory.plan(TARGET, memory.by_shape(TARGET), asked, 80 * GIB, draft)


def more(method: str, config: Mapping[str, Any] = LLAMA, **settings: Any) -> int:
    """Bytes of weights on one GPU that the second model adds."""
    model = memory.read_config(config)
    both = plan(memory.draft(method, model, memory.by_shape(model), settings.get("pipeline", 1)), **settings)
    alone = plan(None, **settings)
    assert both.weights
    assert alone.weights
    return both.weights.size - alone.weights.size


@pytest.mark.parametrize(("found", "expected"), [
    pytest.param(more("eagle"), 2 * (LAYER + FC), id="one GPU"),
    pytest.param(more("eagle", tensor=2), 2 * ((LAYER - 2 * 4096) // 2 + 2 * 4096 + FC), id="two share its layer; each has the norms and what joins"),
    pytest.param(more("eagle", quantization="fp8"), 2 * (LAYER + FC), id="the engine quantizes none of it"),
    pytest.param(more("eagle", dtype="float32"), 4 * (LAYER + FC), id="in the first model's dtype"),
])  # fmt: skip
def test_weights_on_a_gpu(found: int, expected: int) -> None:
    assert found == expected


@pytest.mark.parametrize("pipeline", [1, 2])
@pytest.mark.parametrize("method", ["eagle", "eagle3"])
def test_a_head_of_another_width_has_an_embedding_of_its_own(method: str, pipeline: int) -> None:
    """v1/spec_decode/llm_base_proposer.py of vLLM 0.33. In a pipeline it has one whatever its width."""
    narrow = LLAMA | {"hidden_size": 2048, "head_dim": 128}

    found = more(method, narrow, pipeline=pipeline) - own(method, narrow) * 2

    assert found == 2 * 32_768 * 2048


def test_a_head_has_graphs_of_its_own() -> None:
    model = memory.read_config(LLAMA)
    whole, head = (plan(memory.draft(method, model, None)) for method in ("draft_model", "eagle"))

    assert whole.graphs
    assert head.graphs
    assert round((head.graphs.size - whole.graphs.size) / GIB, 2) == 0.54


def test_graphs_of_its_layers() -> None:
    model = memory.read_config(LLAMA | {"num_hidden_layers": 16})
    both, alone = plan(memory.draft("draft_model", model, memory.by_shape(model))), plan(None)

    assert both.graphs
    assert alone.graphs
    assert both.graphs.size == alone.graphs.size * (32 + 16) // 32
    assert plan(memory.draft("draft_model", model, None), eager=True).graphs == memory.Estimate(0)


def test_weights_that_are_not_known_are_said_to_be() -> None:
    told = plan(memory.draft("draft_model", memory.read_config(LLAMA), None)).unknowns

    assert told == (memory.Unknown("weights", "those of the model that guesses are not known"),)
