"""Our arithmetic of the KV cache against vLLM's own planner: the same model, the same settings, the same memory; equal or it is said why."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from architectures import ARCHITECTURES
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings, Verdict

from .environment import engine_python
from .starts import MODEL, ROOT, Started

pytestmark = pytest.mark.timeout(400)

#: vLLM's argument -> the field of EngineSettings.
NAMES = {
    "max_model_len": "max_model_len",
    "block_size": "block_size",
    "max_num_batched_tokens": "max_num_batched_tokens",
    "kv_cache_dtype": "kv_cache_dtype",
    "dtype": "dtype",
    "enable_prefix_caching": "prefix_caching",
    "mamba_ssm_cache_dtype": "state_dtype",
    "tensor_parallel_size": "tensor",
    "pipeline_parallel_size": "pipeline",
}


def _language_model(name: str, architecture: str, **changes: Any) -> dict[str, Any]:
    config = ARCHITECTURES[name]
    alone = {"torch_dtype": config["torch_dtype"], **(config.get("text_config") or config), **changes}
    left = {
        key: value
        for key, value in alone.items()
        if key not in {"vision_config", "rope_scaling"} and "_token_id" not in key
    }
    return {**left, "architectures": [architecture]}


def _state(name: str) -> dict[str, str]:
    """On a CPU its instructions decide what a recurrent state is kept in, so it is told; GPUs keep Nemotron-H's alone so by default."""
    recurrent = {"mamba2", "falcon_mamba", "jamba", "nemotron_h", "granitemoehybrid", "falcon_h1", "qwen3_next"}
    return {"mamba_ssm_cache_dtype": "float32"} if ARCHITECTURES[name]["model_type"] in recurrent else {}


BLOCKS_OF_32 = {"block_size": 32}
#: Model, what is asked of the engine, memory for the cache. Every model once as it is, then what changes a cache.
CASES: tuple[tuple[str, Mapping[str, Any], int], ...] = (
    *((name, BLOCKS_OF_32 | {"max_model_len": 2048} | _state(name), 16 * GIB) for name in ARCHITECTURES),
    ("Llama 3.1 8B", {"max_model_len": 131_072}, 16 * GIB),
    ("Llama 3.1 8B", {"max_model_len": 131_072}, 15 * GIB),
    ("Llama 3.1 8B", BLOCKS_OF_32 | {"tensor_parallel_size": 4, "max_model_len": 4096}, GIB),
    ("Llama 3.1 8B", BLOCKS_OF_32 | {"tensor_parallel_size": 16, "max_model_len": 4096}, GIB),
    ("Llama 3.1 8B", BLOCKS_OF_32 | {"kv_cache_dtype": "fp8", "max_model_len": 4096}, GIB),
    ("Llama 3.1 8B", BLOCKS_OF_32 | {"dtype": "float32", "max_model_len": 4096}, GIB),
    ("Llama 2 70B", BLOCKS_OF_32 | {"pipeline_parallel_size": 3, "max_model_len": 4096}, 4 * GIB),
    ("Mistral 7B v0.1", BLOCKS_OF_32 | {"max_model_len": 32_768, "max_num_batched_tokens": 1024}, GIB),
    ("Gemma 2 9B", BLOCKS_OF_32 | {"max_model_len": 8192, "max_num_batched_tokens": 512}, 4 * GIB),
    ("Gemma 3 1B", BLOCKS_OF_32 | {"max_model_len": 32_768, "max_num_batched_tokens": 512}, 2 * GIB),
    ("Gemma 3 1B", BLOCKS_OF_32 | {"max_model_len": 32_768}, GIB // 16),
    ("Command R7B", BLOCKS_OF_32 | {"max_model_len": 16_384, "max_num_batched_tokens": 513}, 4 * GIB),
    ("GPT-OSS 20B", BLOCKS_OF_32 | {"max_model_len": 131_072, "max_num_batched_tokens": 2048, "tensor_parallel_size": 2}, 4 * GIB),
    ("Jamba Mini", BLOCKS_OF_32 | _state("Jamba Mini") | {"max_model_len": 65_536, "enable_prefix_caching": False}, 4 * GIB),
    ("Jamba Mini", BLOCKS_OF_32 | _state("Jamba Mini") | {"max_model_len": 65_536, "tensor_parallel_size": 2}, 4 * GIB),
    ("Nemotron Nano 9B v2", BLOCKS_OF_32 | _state("Nemotron Nano 9B v2") | {"max_model_len": 65_536, "enable_prefix_caching": False}, 4 * GIB),
    ("Qwen 3 Next 80B-A3B", BLOCKS_OF_32 | _state("Qwen 3 Next 80B-A3B") | {"max_model_len": 65_536, "tensor_parallel_size": 2}, 4 * GIB),
    ("Mamba 2 2.7B", _state("Mamba 2 2.7B") | {"max_model_len": 65_536}, GIB),
    ("DeepSeek V3", {"max_model_len": 32_768, "tensor_parallel_size": 8}, 4 * GIB),
)  # fmt: skip
#: What this engine does not build on a CPU, and what is asked of it instead: the cache is the same, by its own code, and ours is planned
#: from the published file.
#: - The CPU build has no vision library: the language model of a wrapper is asked alone, under the class that it has inside.
#: - Kernels for fp8 blocks and for MXFP4 are not there or need another CPU: weights are asked unquantized. They decide no cache.
ASKED: Mapping[str, Mapping[str, Any]] = {
    "Llama 4 Scout": _language_model("Llama 4 Scout", "Llama4ForCausalLM"),
    "Gemma 3 4B": _language_model("Gemma 3 4B", "Gemma3ForCausalLM"),
    "Qwen 2.5 VL 7B": _language_model("Qwen 2.5 VL 7B", "Qwen2ForCausalLM", model_type="qwen2"),
    **{name: {**ARCHITECTURES[name], "quantization_config": None} for name in ("DeepSeek V3", "GPT-OSS 20B")},
}


def named(case: tuple[str, Mapping[str, Any], int]) -> str:
    name, arguments, available = case
    said = " ".join(
        f"{key}={value}" for key, value in arguments.items() if key not in {"block_size", "mamba_ssm_cache_dtype"}
    )
    return f"{name} {said} in {available / GIB:g} GiB"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What the installed vLLM says to each case: one process for all of them."""
    folder = tmp_path_factory.mktemp("kv-caches")
    questions = [
        {"config": ASKED.get(name, ARCHITECTURES[name]), "arguments": dict(arguments), "available": available}
        for name, arguments, available in CASES
    ]
    variables = os.environ | {
        "VLLM_CACHE_ROOT": str(folder / "cache"),
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    done = subprocess.run(
        [engine_python(), "-P", str(ROOT / "tests" / "engine" / "kv_caches.py")],
        input="\n".join(json.dumps(question) for question in questions),
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=380,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip(map(named, CASES), found, strict=True))


@pytest.mark.parametrize("case", [pytest.param(case, id=named(case)) for case in CASES])
def test_the_engine_sizes_its_cache_as_planned(
    answers: Mapping[str, Mapping[str, Any]], case: tuple[str, Mapping[str, Any], int]
) -> None:
    name, arguments, available = case
    engine = answers[named(case)]
    assert "error" not in engine, engine["error"]
    settings = EngineSettings(
        device="cpu", kv_cache_memory_bytes=available, **{NAMES[key]: value for key, value in arguments.items()}
    )
    model = memory.read_config(ARCHITECTURES[name])

    plan = memory.plan(model, memory.by_shape(model), settings, None)

    assert not plan.unknowns
    if "refused" in engine:
        assert plan.verdict is not Verdict.FITS
        assert f"estimated maximum model length is {plan.largest_model_len}." in engine["refused"]
        return
    assert plan.verdict is Verdict.FITS
    assert (plan.blocks, plan.kv_cache_tokens) == (engine["blocks"], engine["tokens"])
    assert plan.max_concurrency == pytest.approx(engine["concurrency"])
    assert plan.kv_bytes_per_token == engine["bytes_per_token"]


def test_at_least_twenty_architectures_are_compared() -> None:
    assert len({name for name, _, _ in CASES}) >= 20
    assert len({ARCHITECTURES[name]["model_type"] for name, _, _ in CASES}) >= 20


def test_what_is_planned_stands_beside_what_a_running_engine_reports(runtime: Started) -> None:
    state = runtime.state()

    planned, reported = state["planned"], state["memory"]
    assert planned["verdict"] == "Fits"
    assert planned["weightsBytes"] == pytest.approx((MODEL / "model.safetensors").stat().st_size, rel=0.02)
    for name in ("kvCacheTokens", "kvCacheBytes", "maxConcurrency"):
        assert planned[name] == reported[name]
