"""Weights from headers, from an index and from shapes, and what of them is on one GPU."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from architectures import ARCHITECTURES
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings

SMALL: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": 1000, "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False,
}  # fmt: skip


def tensors(dtype: str = "BF16", layers: int = 2) -> dict[str, Any]:
    """The header of SMALL's checkpoint."""
    shapes = {"model.embed_tokens.weight": [1000, 64], "lm_head.weight": [1000, 64], "model.norm.weight": [64]}
    for layer in range(layers):
        shapes |= {
            f"model.layers.{layer}.{name}.weight": shape
            for name, shape in {
                "self_attn.q_proj": [64, 64], "self_attn.k_proj": [32, 64], "self_attn.v_proj": [32, 64], "self_attn.o_proj": [64, 64],
                "mlp.gate_proj": [128, 64], "mlp.up_proj": [128, 64], "mlp.down_proj": [64, 128], "input_layernorm": [64],
                "post_attention_layernorm": [64],
            }.items()
        }  # fmt: skip
    return {"__metadata__": {"format": "pt"}} | {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()
    }


def file(header: dict[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def held(weights: memory.Weights | None, config: dict[str, Any] = SMALL, **settings: Any) -> int:
    """Bytes on the fullest GPU."""
    plan = memory.plan(memory.read_config(config), weights, EngineSettings(**settings), GIB)
    assert plan.weights is not None
    return plan.weights.size


def test_headers_and_shapes_agree() -> None:
    model = memory.read_config(SMALL)
    shapes, headers = memory.by_shape(model), memory.from_headers([tensors()], model)

    assert shapes is not None
    assert headers.size == pytest.approx(shapes.size, rel=0.001)
    for settings in ({}, {"tensor": 2}, {"tensor": 4}, {"pipeline": 2}, {"quantization": "fp8"}, {"dtype": "float32"}):
        assert held(headers, **settings) == pytest.approx(held(shapes, **settings), rel=0.002), settings


EMBEDDING = 1000 * 64 * 2
LAYER = (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 128) * 2
NORMS = 2 * 64 * 2


@pytest.mark.parametrize(("settings", "expected"), [
    pytest.param({}, 2 * EMBEDDING + 2 * (LAYER + NORMS), id="all of them on one"),
    pytest.param({"tensor": 2}, EMBEDDING + LAYER + 2 * NORMS, id="two share all but norms"),
    pytest.param({"tensor": 4}, EMBEDDING // 2 + 2 * (LAYER // 4 + NORMS) + 2 * 32 * 64 * 2 * 2 // 4, id="four repeat the heads of keys"),
    pytest.param({"pipeline": 2}, EMBEDDING + LAYER + NORMS, id="a layer and an embedding on each of two stages"),
    pytest.param({"quantization": "fp8"}, 2 * EMBEDDING + LAYER + 2 * NORMS, id="quantized at load: all but embeddings and norms"),
    pytest.param({"dtype": "float32"}, 4 * EMBEDDING + 4 * (LAYER // 2 + LAYER // 2 + NORMS), id="in 32 bits"),
])  # fmt: skip
def test_what_one_gpu_holds(settings: dict[str, Any], expected: int) -> None:
    assert held(memory.by_shape(memory.read_config(SMALL)), **settings) == expected


def test_a_tied_output_is_on_the_last_stage_too() -> None:
    tied = SMALL | {"tie_word_embeddings": True}
    weights = memory.by_shape(memory.read_config(tied))

    assert held(weights, tied) == EMBEDDING + 2 * (LAYER + NORMS)
    assert held(weights, tied, pipeline=2) == EMBEDDING + LAYER + NORMS


def test_a_stored_output_that_is_tied_is_not_loaded() -> None:
    tied = memory.read_config(SMALL | {"tie_word_embeddings": True})

    untied = memory.from_headers([tensors()], memory.read_config(SMALL))
    assert memory.from_headers([tensors()], tied).size == untied.size - EMBEDDING


def test_what_is_stored_beyond_the_models_layers_is_not_loaded() -> None:
    model = memory.read_config(SMALL)

    assert memory.from_headers([tensors(layers=3)], model).size == memory.from_headers([tensors()], model).size


def test_a_checkpoint_in_32_bits_is_kept_in_16() -> None:
    model = memory.read_config(SMALL | {"torch_dtype": "float32"})

    assert memory.from_headers([tensors("F32")], model).size == memory.from_headers([tensors()], model).size


def test_an_index_has_the_sum() -> None:
    model = memory.read_config(SMALL)

    found = memory.from_index({"metadata": {"total_size": 1_000_000}, "weight_map": {}}, model)

    assert found is not None
    assert found.size == pytest.approx(1_000_000, abs=20)
    assert found.source == "index"
    assert memory.from_index({"weight_map": {}}, model) is None


def test_a_folder_with_several_files(tmp_path: Path) -> None:
    model, header = memory.read_config(SMALL), tensors()
    names = sorted(header)
    for number, part in enumerate((names[:9], names[9:])):
        (tmp_path / f"model-{number}.safetensors").write_bytes(file({name: header[name] for name in part}))
    where = {name: f"model-{0 if name in names[:9] else 1}.safetensors" for name in names if name != "__metadata__"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (tmp_path / "other.safetensors").write_bytes(file(header))

    found = memory.in_folder(tmp_path, model)

    assert found is not None
    assert found.size == memory.from_headers([header], model).size


def test_a_second_copy_in_another_format_is_left_out(tmp_path: Path) -> None:
    model = memory.read_config(SMALL)
    for name in ("model.safetensors", "consolidated.safetensors"):
        (tmp_path / name).write_bytes(file(tensors()))

    found = memory.in_folder(tmp_path, model)

    assert found is not None
    assert found.size == memory.from_headers([tensors()], model).size


@pytest.mark.parametrize(("whole", "parts"), [("BF16", "BF16"), ("BF16", "F8_E4M3"), ("F8_E4M3", "BF16")])
def test_what_lies_twice_in_a_folder_counts_once_as_the_larger(tmp_path: Path, whole: str, parts: str) -> None:
    """Whole beside its parts, without an index that says which are meant."""
    model, header, twice = memory.read_config(SMALL), tensors(whole), tensors(parts)
    names = sorted(header)
    (tmp_path / "model.safetensors").write_bytes(file(header))
    for number, part in enumerate((names[:9], names[9:])):
        (tmp_path / f"model-{number}.safetensors").write_bytes(file({name: twice[name] for name in part}))

    found = memory.in_folder(tmp_path, model)

    assert found is not None
    assert found.size == memory.from_headers([tensors()], model).size


def test_a_folder_without_safetensors(tmp_path: Path) -> None:
    assert memory.in_folder(tmp_path, memory.read_config(SMALL)) is None


@pytest.mark.parametrize(("start", "message"), [
    pytest.param(b"", "safetensors: a file of 0 bytes has no header", id="nothing"),
    pytest.param(b"\xff" * 16, "is none", id="garbage"),
    pytest.param(struct.pack("<Q", 100) + b"{", "safetensors: 9 bytes of a header of 108", id="cut off"),
    pytest.param(struct.pack("<Q", 2) + b"{]", "no JSON", id="no JSON"),
    pytest.param(struct.pack("<Q", 2) + b"[]", "no object", id="no object"),
])  # fmt: skip
def test_a_header_that_is_none(start: bytes, message: str) -> None:
    with pytest.raises(memory.ConfigError, match=message):
        memory.read_header(start)


@pytest.mark.parametrize(
    "tensor", [{"dtype": "X9", "shape": [1]}, {"dtype": "BF16"}, {"dtype": "BF16", "shape": [-1]}, "BF16"]
)
def test_a_tensor_that_is_none_is_named(tensor: Any) -> None:
    with pytest.raises(memory.ConfigError, match=r"^a\.weight"):
        memory.from_headers([{"a.weight": tensor}], memory.read_config(SMALL))


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        pytest.param("", None, "^the tensor without a name: ", id="no name"),
        pytest.param("a.weight", [2**40, 2**40], "^a.weight: .* more elements", id="more elements than any file holds"),
    ],
)
def test_a_tensor_that_cannot_be_is_told_by_what_it_has(name: str, shape: list[int] | None, said: str) -> None:
    with pytest.raises(memory.ConfigError, match=said):
        memory.from_headers([{name: {"dtype": "BF16", "shape": shape}}], memory.read_config(SMALL))


def test_a_layer_with_more_digits_than_any_is_none_of_the_model() -> None:
    tensor = {"dtype": "BF16", "shape": [2, 3]}
    weights = memory.from_headers([{f"model.layers.{'9' * 5000}.x.weight": tensor}], memory.read_config(SMALL))

    assert [(portion.layer, portion.size) for portion in weights.portions] == [(-1, 12)]


def test_experts_are_spread_over_all_ranks() -> None:
    config = ARCHITECTURES["Mixtral 8x7B"]
    weights = memory.by_shape(memory.read_config(config))

    whole, spread = held(weights, config), held(weights, config, data=8)

    experts = 32 * 8 * 3 * 4096 * 14_336 * 2
    assert whole - spread == pytest.approx(experts * 7 / 8, rel=0.001)


def test_adapters_take_room() -> None:
    weights = memory.by_shape(memory.read_config(SMALL))

    assert held(weights, lora_rank=16, lora_slots=4) - held(weights) == 4 * 16 * (2 * 128 + 2 * 96 + 3 * 192) * 2 * 2


@pytest.mark.parametrize(("text", "expected"), [
    pytest.param("H200", int(139.8 * GIB), id="a name"),
    pytest.param("nvidia-h100-80gb-hbm3", int(79.1 * GIB), id="a label of NVIDIA"),
    pytest.param("NVIDIA-A100-SXM4-40GB", int(39.3 * GIB), id="of two sizes the one that is named"),
    pytest.param("80GiB", 80 * GIB, id="a size"),
    pytest.param("24 GB", 24 * 10**9, id="in another unit"),
    pytest.param("81559Mi", 81_559 * 2**20, id="in Kubernetes' units"),
    pytest.param("Voodoo2", None, id="neither"),
    pytest.param("", None, id="nothing"),
])  # fmt: skip
def test_what_a_gpu_has(text: str, expected: int | None) -> None:
    assert memory.usable_bytes(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    pytest.param("a100-80gb", "A100-80GB", id="a name"),
    pytest.param("NVIDIA-A100-SXM4-80GB", "A100-80GB", id="a label of NVIDIA"),
    pytest.param("80GiB", None, id="a size has none"),
])  # fmt: skip
def test_what_a_gpu_is_called(text: str, expected: str | None) -> None:
    gpu = memory.gpu_named(text)

    assert (gpu and gpu.name) == expected


def test_every_gpu_of_the_table_has_a_source_and_less_than_its_data_sheet_says() -> None:
    for gpu in memory.GPUS.values():
        assert gpu.source
        assert 0.88 * gpu.memory < gpu.usable <= gpu.memory
