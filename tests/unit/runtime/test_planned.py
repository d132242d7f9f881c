"""A RuntimeConfig as the arithmetic takes it, what a plan says in /state, and what is refused before anything is loaded."""

import json
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from architectures import ARCHITECTURES
from fairlead_runtime import memory, planned, server, start_plan
from fairlead_runtime.config import RuntimeConfig
from fairlead_runtime.lifecycle import EngineDescribed
from fairlead_runtime.memory import GIB, EngineSettings

LLAMA = ARCHITECTURES["Llama 3.1 8B"]


def config(
    device: str = "Accelerator", path: str = "/models/model", parallelism: Any = None, **engine: Any
) -> RuntimeConfig:
    return RuntimeConfig.model_validate(
        {"model": {"servedName": "m", "path": path}, "device": device, "engine": engine, "parallelism": parallelism or {}}
    )  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), [
    pytest.param(config(), EngineSettings(), id="nothing"),
    pytest.param(config(maxModelLen="Auto"), EngineSettings(max_model_len="Auto"), id="the longest that fits"),
    pytest.param(config(gpuMemoryUtilizationPercent=85), EngineSettings(gpu_memory_utilization=0.85), id="a share"),
    pytest.param(config("CPU"), EngineSettings(device="cpu", kv_cache_memory_bytes=512 * 2**20), id="the CPU engine's cache has a size of its own"),
    pytest.param(config(parallelism={"tensor": 4, "pipeline": 2}), EngineSettings(tensor=4, pipeline=2), id="several accelerators"),
    pytest.param(
        config(profile="ThroughputFP8"),
        EngineSettings(quantization="fp8", kv_cache_dtype="fp8", max_num_seqs=512),
        id="what a profile decides",
    ),
    pytest.param(config(speculative={"method": "ngram", "tokens": 4}), EngineSettings(speculative_tokens=4, async_scheduling=False), id="guesses from the text"),
    pytest.param(config(speculative={"method": "suffix", "tokens": 4}), EngineSettings(speculative_tokens=4, async_scheduling=False), id="guesses from earlier texts"),
    pytest.param(config(extraArgs=["--no-async-scheduling"]), EngineSettings(async_scheduling=False), id="one step at a time"),
    pytest.param(config(extraArgs=["--async-scheduling"]), EngineSettings(), id="one ahead, as by default"),
    pytest.param(config(chunkedPrefill=False), EngineSettings(chunked_prefill=False), id="whole prompts"),
    pytest.param(config(chunkedPrefill=True), EngineSettings(), id="prompts in pieces, as by default"),
    pytest.param(config(extraArgs=["--performance-mode", "throughput"]), EngineSettings(throughput=True), id="larger steps"),
    pytest.param(config(profile="Latency"), EngineSettings(), id="a mode that changes no step"),
    pytest.param(
        config(speculative={"method": "mtp", "tokens": 2}),
        EngineSettings(speculative_tokens=2, unmodelled=("speculative method mtp",)),
        id="guesses by layers that are not counted",
    ),
    pytest.param(config(extraArgs=["--disable-hybrid-kv-cache-manager"]), EngineSettings(hybrid_manager=False), id="windows as large as full attention"),
    pytest.param(config(extraArgs=["--enforce_eager"]), EngineSettings(eager=True), id="no graphs"),
    pytest.param(
        config(extraArgs=["--enable-lora", "--max-lora-rank=32", "--max-loras", "4"]),
        EngineSettings(lora_rank=32, lora_slots=4),
        id="room for adapters",
    ),
    pytest.param(
        config(extraArgs=["--chat-template", "x", "--tool-call-parser=hermes", "--allowed-media-domains", "a.example", "b.example"]),
        EngineSettings(),
        id="arguments that take no memory",
    ),
    pytest.param(
        config(extraArgs=["--cpu-offload-gb", "4"]), EngineSettings(unmodelled=("--cpu-offload-gb",)), id="one that is not computed"
    ),
    pytest.param(
        config(extraArgs=["--num-gpu-blocks-override=7"]),
        EngineSettings(unmodelled=("--num-gpu-blocks-override",)),
        id="nor is one that nobody thought of",
    ),
])  # fmt: skip
def test_settings(asked: RuntimeConfig, expected: EngineSettings) -> None:
    assert planned.settings(asked) == expected


def test_variables_of_the_engine_that_lay_out_its_memory_otherwise() -> None:
    found = planned.settings(config(), {"VLLM_PP_LAYER_PARTITION": "1,2", "HOME": "/"})

    assert found.unmodelled == ("VLLM_PP_LAYER_PARTITION",)


def plan(asked: RuntimeConfig, document: Any = LLAMA, gpu: int | None = 80 * GIB, name: str = "") -> memory.Plan | None:
    hub = asked.model_copy(update={"model": asked.model.model_copy(update={"path": None, "repository": "some/model"})})
    return start_plan.plan(hub, lambda *_: document, lambda: (gpu, name), {})


@pytest.mark.parametrize(("asked", "gpu", "code", "field", "suggestion"), [
    pytest.param(config("CPU", maxModelLen=8192), None, "KVCacheTooSmall", "spec.engine.maxModelLen", "3968", id="a cache of a known size: the length that fits"),
    pytest.param(config("CPU", kvCacheMemoryBytes=1000), None, "KVCacheTooSmall", "spec.engine.kvCacheMemory", "a larger size", id="a cache below one block"),
    pytest.param(config(), 14 * GIB, "OutOfGPUMemory", "spec.parallelism.tensor", "more accelerators, or a quantized model", id="weights that are too many"),
])  # fmt: skip
def test_what_is_refused(asked: RuntimeConfig, gpu: int | None, code: str, field: str, suggestion: str) -> None:
    made = plan(asked, gpu=gpu)
    assert made is not None

    refused = planned.failure(made)

    assert refused is not None
    assert (refused.code, refused.field, refused.suggestion) == (code, field, suggestion)
    assert refused.code in planned.CODES
    assert refused.message.startswith(made.problem)
    assert "fairlead.dev/skip-plan=true" in refused.message, "the way out for who knows better"


def started(asked: RuntimeConfig, monkeypatch: pytest.MonkeyPatch) -> list[EngineDescribed]:
    """What the engine's front end tells of its plan before it loads: 8B in 16 bits on 14 GiB. Raises what ends it."""
    told: list[EngineDescribed] = []
    writer: Any = SimpleNamespace(write=told.append)
    monkeypatch.setattr(start_plan, "of_engine", lambda config: plan(config, gpu=14 * GIB))
    try:
        server._plan(asked, writer)
    finally:
        assert [event.planned["verdict"] for event in told] == ["DoesNotFit"], "told in any case"
    return told


def test_what_does_not_fit_ends_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match="nothing is left for a KV cache"):
        started(config(), monkeypatch)


def test_what_does_not_fit_is_loaded_where_the_user_knows_better(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(config().model_copy(update={"skip_plan": True}), monkeypatch)


@pytest.mark.parametrize(("asked", "document", "gpu"), [
    pytest.param(config(), LLAMA, 80 * GIB, id="what fits"),
    pytest.param(config("CPU", maxModelLen=3968), LLAMA, None, id="the length that was proposed"),
    pytest.param(config("CPU", maxModelLen=4096), LLAMA, None, id="one block more, which an older engine may take"),
    pytest.param(config(), LLAMA, None, id="an accelerator that says nothing"),
    pytest.param(config(), LLAMA | {"model_type": "new"}, GIB, id="a model that is not known"),
    pytest.param(config(extraArgs=["--cpu-offload-gb=40"]), LLAMA, 10 * GIB, id="an argument that is not computed"),
    pytest.param(config(maxModelLen="Auto"), LLAMA, 24 * GIB, id="the longest that fits"),
    pytest.param(
        config(maxModelLen=32_768, kvCacheMemoryBytes=2 * GIB, speculative={"method": "ngram", "tokens": 4}),
        ARCHITECTURES["Mistral 7B v0.1"], 140 * GIB, id="windows beside guesses from the text, with one step in flight",
    ),
    pytest.param(config(maxModelLen=32_768, kvCacheMemoryBytes=2 * GIB, extraArgs=["--no-async-scheduling"]),
        ARCHITECTURES["Mistral 7B v0.1"], 140 * GIB, id="the same where the user asks for one step at a time",
    ),
])  # fmt: skip
def test_what_is_not_refused(asked: RuntimeConfig, document: Any, gpu: int | None) -> None:
    made = plan(asked, document, gpu)
    assert made is not None

    assert planned.failure(made) is None


@pytest.mark.parametrize("document", [None, "no object", LLAMA | {"hidden_size": "wide"}])
def test_a_model_that_cannot_be_read_is_left_to_the_engine(document: Any) -> None:
    assert plan(config(), document) is None


@pytest.mark.parametrize(("name", "tokens"), [("NVIDIA A100-SXM4-80GB", 2048), ("NVIDIA H100 80GB HBM3", 8192)])
def test_the_accelerators_name_takes_part(name: str, tokens: int) -> None:
    made = plan(config(), name=name)

    assert made is not None
    assert made.assumed["maxNumBatchedTokens"] == tokens


def test_the_engines_platform_tells_both(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = SimpleNamespace(
        get_device_total_memory=lambda _: 80 * GIB, get_device_name=lambda _: "NVIDIA A100-SXM4-80GB"
    )
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "vllm.platforms", SimpleNamespace(current_platform=platform))

    assert start_plan._accelerator() == (80 * GIB, "NVIDIA A100-SXM4-80GB")


def test_what_state_tells() -> None:
    made = plan(config(maxModelLen=8192), gpu=24 * GIB)
    assert made is not None

    told = planned.facts(made)

    assert told["verdict"] == "Fits"
    assert told["maxModelLen"] == 8192
    assert set(told) == {
        "verdict", "maxModelLen", "largestModelLen", "weightsBytes", "kvCacheBytes", "kvCacheTokens", "maxConcurrency",
    }  # fmt: skip


def test_weights_in_a_folder_are_read_by_their_headers(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    header = json.dumps(
        {"model.layers.0.mlp.up_proj.weight": {"dtype": "BF16", "shape": [1024, 512], "data_offsets": [0, 1]}}
    ).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)

    made = start_plan.plan(config(path=str(tmp_path)), lambda *_: None, lambda: (80 * GIB, ""), {})

    assert made is not None
    assert made.weights is not None
    assert made.weights.size == 1024 * 512 * 2


SMALL = ARCHITECTURES["Mistral 7B v0.3"]


def planned_beside(draft: Any, method: str = "draft_model", model: str = "org/draft") -> memory.Plan:
    documents = {("some/model", "main"): LLAMA, ("org/draft", None): draft}
    asked = config(maxModelLen=4096, speculative={"method": method, "tokens": 3, "model": model})
    hub = asked.model_copy(
        update={"model": asked.model.model_copy(update={"path": None, "repository": "some/model", "revision": "main"})}
    )
    made = start_plan.plan(hub, lambda _, name, revision: documents[name, revision], lambda: (80 * GIB, ""), {})
    assert made is not None
    return made


def weights(made: memory.Plan) -> int:
    return made.weights.size if made.weights else 0


#: Of the model alone, with as many guesses: suffix draws them from the text.
ALONE = planned_beside(None, "suffix")
#: 32 layers of 8 heads of 128 in 16 bits, keys and values.
CACHE_OF_SMALL = 32 * 8 * 128 * 2 * 2


@pytest.mark.parametrize("method", memory.DRAFTING)
def test_a_model_that_guesses_takes_its_share(method: str) -> None:
    small = memory.read_config(SMALL)
    own = memory.draft(method, small, memory.by_shape(small)).weights
    both = planned_beside(SMALL, method)

    assert own is not None
    assert (both.kv_bytes_per_token or 0) - (ALONE.kv_bytes_per_token or 0) == CACHE_OF_SMALL
    assert weights(both) - weights(ALONE) == own.size
    assert [str(unknown) for unknown in both.unknowns] == [f"memory: speculative method {method} is not computed"]


def test_a_model_that_guesses_is_read_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    both = planned_beside(None, model=str(tmp_path))

    assert (both.kv_bytes_per_token or 0) - (ALONE.kv_bytes_per_token or 0) == CACHE_OF_SMALL


@pytest.mark.parametrize(("draft", "method"), [
    pytest.param(None, "draft_model", id="one that the hub does not show"),
    pytest.param("no object", "draft_model", id="one that cannot be read"),
    pytest.param(SMALL, "medusa", id="one without a cache"),
])  # fmt: skip
def test_the_model_is_planned_without_one_that_cannot_be_counted(draft: Any, method: str) -> None:
    made = planned_beside(draft, method)

    assert (made.kv_bytes_per_token, weights(made)) == (ALONE.kv_bytes_per_token, weights(ALONE))
    assert memory.Unknown("memory", f"speculative method {method} is not computed") in made.unknowns


@pytest.mark.parametrize("spoil", [
    pytest.param(lambda folder: (folder / "config.json").unlink(), id="no config.json"),
    pytest.param(lambda folder: (folder / "config.json").write_text('{"a":'), id="half of one"),
    pytest.param(lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 64), id="garbage for weights"),
    pytest.param(lambda folder: (folder / "model.safetensors").write_bytes(b""), id="no byte of them"),
])  # fmt: skip
def test_a_folder_that_cannot_be_read_is_left_to_the_engine(
    tmp_path: Path, spoil: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    spoil(tmp_path)

    assert start_plan.plan(config(path=str(tmp_path)), lambda *_: None, lambda: (80 * GIB, ""), {}) is None
    assert capsys.readouterr().err.startswith("no plan of the memory: ")
