"""Whatever the files of a model say: a plan without false zeros, or a ConfigError that names the key."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from architectures import ARCHITECTURES
from fairlead_cli.plan import checkpoints
from fairlead_cli.plan.service import PlanError
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, ConfigError, EngineSettings
from proof.fuzz.inputs import ANYTHING, JUNK, NASTY, TEXT, damaged
from proof.fuzz.trying import fuzzed, work

#: Python calls for one model of at most a few hundred layers. The largest seen is a tenth of it.
CALLS = 2_000_000
CONFIGS = damaged(st.sampled_from([*ARCHITECTURES.values()])) | ANYTHING
SETTINGS = st.builds(
    EngineSettings,
    max_model_len=st.sampled_from([None, "Auto", 1, 4096, 10**8]),
    max_num_seqs=st.sampled_from([None, 1, 65_536]),
    max_num_batched_tokens=st.sampled_from([None, 1, 10**8]),
    gpu_memory_utilization=st.sampled_from([None, 0.01, 1.0]),
    kv_cache_memory_bytes=st.sampled_from([None, 1, 2**40, 10**50]),
    block_size=st.sampled_from([None, 1, 16, 4096]),
    dtype=st.sampled_from([None, "auto", "float32", "nonsense"]),
    kv_cache_dtype=st.sampled_from([None, "auto", "fp8", "nonsense"]),
    quantization=st.sampled_from([None, "fp8", "awq", "nonsense"]),
    prefix_caching=st.sampled_from([None, True, False]),
    tensor=st.sampled_from([1, 2, 3, 64]),
    pipeline=st.sampled_from([1, 2, 64]),
    speculative_tokens=st.sampled_from([0, 64]),
    lora_rank=st.sampled_from([0, 16, 10**9]),
    device=st.sampled_from(["gpu", "cpu"]),
)
GPUS = st.sampled_from([None, 1, GIB, 80 * GIB, 2**62])


def planned(
    model: memory.ModelConfig, weights: memory.Weights | None, settings: EngineSettings, gpu: int | None
) -> None:
    """There is a plan, and what is not known in it is said to be so."""
    plan = memory.plan(model, weights, settings, gpu)
    assert plan.kv_bytes_per_token is None or plan.kv_bytes_per_token >= 0
    assert plan.kv_bytes_per_request is None or plan.kv_bytes_per_request > 0
    assert plan.blocks is not None or plan.unknowns
    assert plan.weights is None or plan.weights.size > 0
    assert (plan.verdict is memory.Verdict.DOES_NOT_FIT) <= bool(plan.problem and plan.field)
    f"{plan.problem} {plan.unknowns}".encode()


def told(error: ConfigError) -> None:
    assert error.key
    assert error.problem
    assert len(error.problem) < 1000


@fuzzed("config.json", CONFIGS, SETTINGS, GPUS)
def test_a_config_is_planned_or_refused(config: Any, settings: EngineSettings, gpu: int | None) -> None:
    try:
        with work(CALLS):
            model = memory.read_config(config)
            planned(model, memory.by_shape(model), settings, gpu)
    except ConfigError as error:
        told(error)


NAMES = st.sampled_from(
    [
        "model.embed_tokens.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.1.mlp.experts.3.down_proj.weight_scale",
        "model.layers.99999999999999999999.x.weight",
        f"model.layers.{'9' * 5000}.x.weight",
        "model.layers.\N{ARABIC-INDIC DIGIT FIVE}.self_attn.k_proj.weight",
        "vision_tower.layers.0.weight",
        "lm_head.weight",
        "norm.bias",
        "__metadata__",
    ]
)
TENSORS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["BF16", "F32", "F8_E4M3", "F4", "I32", "BOOL"]),
        "shape": st.lists(st.sampled_from([0, 1, 7, 4096, 2**31, 2**62]), max_size=5),
        "data_offsets": st.just([0, 1]),
    }
)
HEADERS = damaged(st.dictionaries(NAMES, TENSORS, max_size=5), most=2)
#: Read once, and drawn by name: Hypothesis writes down every value that it draws, and a model is long.
READ = {name: memory.read_config(config) for name, config in ARCHITECTURES.items()}
MODELS = st.sampled_from(sorted(READ))


@fuzzed(
    "safetensors headers",
    st.lists(HEADERS.filter(lambda header: isinstance(header, dict)), max_size=3),
    MODELS,
    SETTINGS,
    GPUS,
)
def test_headers_are_summed_or_refused(
    headers: list[dict[str, Any]], name: str, settings: EngineSettings, gpu: int | None
) -> None:
    model = READ[name]
    try:
        with work(CALLS):
            weights = memory.from_headers(headers, model)
            planned(model, weights if weights.size else None, settings, gpu)
    except ConfigError as error:
        told(error)


INDEXES = damaged(
    st.fixed_dictionaries({
        "metadata": st.fixed_dictionaries({"total_size": st.sampled_from([0, 1, 10**10, 2**62, 1e10])}),
        "weight_map": st.dictionaries(NAMES, st.sampled_from(["a.safetensors", "../a", "a\x00b", "x" * 300, "/dev/null", ""])),
    })
)  # fmt: skip


@fuzzed("safetensors index", INDEXES, MODELS)
def test_an_index_is_read_or_refused(index: Any, name: str) -> None:
    try:
        weights = memory.from_index(index, READ[name])
    except ConfigError as error:
        told(error)
        return
    assert weights is None or weights.size >= 0


STARTS = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda length, rest: struct.pack("<Q", length) + rest, st.integers(0, 2**64 - 1), st.binary(max_size=40)),
    (ANYTHING | HEADERS)
    .map(lambda document: json.dumps(document).encode())
    .map(lambda text: struct.pack("<Q", len(text)) + text),
    NASTY.map(lambda text: struct.pack("<Q", len(text.encode())) + text.encode()),
)


@fuzzed("start of a safetensors file", STARTS)
def test_a_header_is_read_or_refused(start: bytes) -> None:
    try:
        memory.read_header(start)
    except ConfigError as error:
        told(error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


FILES = st.fixed_dictionaries(
    {"config.json": CONFIGS.map(json.dumps).map(str.encode) | NASTY.map(str.encode) | st.binary(max_size=20)},
    optional={
        "model.safetensors.index.json": INDEXES.map(json.dumps).map(str.encode) | NASTY.map(str.encode),
        "a.safetensors": STARTS,
    },
)


@fuzzed("a model's folder", FILES, share=0.5)
def test_a_folder_is_read_or_refused(folder: Path, files: dict[str, bytes]) -> None:
    for name in ("config.json", "model.safetensors.index.json", "a.safetensors"):
        (folder / name).unlink(missing_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        found = checkpoints.in_folder(folder)
        planned(found.model, found.weights, EngineSettings(), 80 * GIB)
    except (PlanError, ConfigError) as error:
        str(error).encode(errors="surrogatepass")


@fuzzed(
    "sizes of accelerators",
    st.one_of(
        TEXT, NASTY, JUNK.map(str), st.sampled_from(["80GiB", "h100", "NVIDIA H100 80GB HBM3", "9999999.999GB", "0GiB"])
    ),
)
def test_a_size_is_bytes_or_nothing(text: str) -> None:
    size = memory.usable_bytes(text)
    assert size is None or size >= 0
