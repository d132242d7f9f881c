"""What was asked for against what the engine runs with: a table of settings."""

from types import SimpleNamespace
from typing import Any

import pytest

from fairlead_runtime import profiles
from fairlead_runtime.config import Engine, Model, Parallelism, RuntimeConfig, Speculative
from fairlead_runtime.facts import FLAGS, differences, effective_values, settings


def engine(**reported: Any) -> Any:
    """A VllmConfig as vLLM 0.32 reports one for a tiny model without settings, with other values."""
    values = {
        "max_model_len": 2048,
        "dtype": "torch.bfloat16",
        "quantization": None,
        "seed": 0,
        "max_num_seqs": 256,
        "max_num_batched_tokens": 2048,
        "enable_chunked_prefill": True,
        "enable_prefix_caching": True,
        "cache_dtype": "auto",
        "block_size": 16,
        "gpu_memory_utilization": 0.92,
        "kv_cache_memory_bytes": None,
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "stream_interval": 1,
    }
    unknown = set(reported) - {*values, "speculative_config", "performance_mode"}
    assert not unknown
    values |= reported
    one = SimpleNamespace(**values)
    return SimpleNamespace(
        model_config=one,
        cache_config=one,
        scheduler_config=one,
        parallel_config=one,
        speculative_config=values.get("speculative_config"),
        performance_mode=values.get("performance_mode", "balanced"),
    )


def config(device: str = "Accelerator", parallelism: Parallelism | None = None, **asked: Any) -> RuntimeConfig:
    return RuntimeConfig(
        model=Model(served_name="m", path="/m"),
        engine=Engine(**asked),
        parallelism=parallelism or Parallelism(),
        device=device,
    )


DRAFTS = SimpleNamespace(method="ngram", num_speculative_tokens=4)


@pytest.mark.parametrize(
    ("asked", "reported"),
    [
        pytest.param({}, {}, id="nothing asked, nothing ignored"),
        pytest.param({"max_model_len": 1024}, {"max_model_len": 1024}, id="a length that was taken"),
        pytest.param({"max_model_len": "Auto"}, {"max_model_len": 512}, id="Auto takes any length"),
        pytest.param({"dtype": "auto"}, {"dtype": "torch.float16"}, id="auto takes any type"),
        pytest.param({"dtype": "float16"}, {"dtype": "torch.float16"}, id="a type by torch's name"),
        pytest.param({"kv_cache_dtype": "fp8"}, {"cache_dtype": "fp8_e4m3"}, id="fp8 is e4m3"),
        pytest.param({"kv_cache_dtype": "bfloat16"}, {"cache_dtype": "auto"}, id="bfloat16 as DeepSeek-V3.2 has it"),
        pytest.param({"quantization": "awq"}, {"quantization": "awq_marlin"}, id="awq by faster kernels is awq"),
        pytest.param({"quantization": "awq"}, {"quantization": "auto_awq"}, id="awq by the engine's choice of kernels"),
        pytest.param({"quantization": "awq_marlin"}, {"quantization": "auto_awq"}, id="kernels that it may choose"),
        pytest.param({"quantization": "gptq_marlin"}, {"quantization": "auto_gptq"}, id="the same of gptq"),
        pytest.param({"quantization": "marlin"}, {"quantization": "auto_awq"}, id="kernels of the model's method"),
        pytest.param({"quantization": "marlin"}, {"quantization": "gptq_marlin"}, id="kernels of the other method"),
        pytest.param({"quantization": "auto-round"}, {"quantization": "inc"}, id="auto-round is inc to the engine"),
        pytest.param({"quantization": "fp8"}, {"quantization": "deepseek_v4_fp8"}, id="a model's own kind of fp8"),
        pytest.param({"quantization": "fp8_per_tensor"}, {"quantization": "online"}, id="a shorthand is resolved"),
        pytest.param(
            {"gpu_memory_utilization_percent": 57}, {"gpu_memory_utilization": 0.57}, id="percent are a share"
        ),
        pytest.param(
            {"speculative": Speculative(method="ngram", tokens=4)},
            {"speculative_config": DRAFTS},
            id="guessing as it was asked for",
        ),
        pytest.param(
            {"speculative": Speculative(method="deepseek_mtp", tokens=1)},
            {"speculative_config": SimpleNamespace(method="mtp", num_speculative_tokens=1)},
            id="an older name of mtp",
        ),
        pytest.param(
            {"profile": "ThroughputFP8"},
            {"quantization": "fp8", "cache_dtype": "fp8", "max_num_seqs": 512, "stream_interval": 8},
            id="a profile as it stands",
        ),
        pytest.param(
            {
                "profile": "ThroughputFP8",
                "quantization": "gptq",
                "max_num_seqs": 9,
                "extra_args": ("--stream-interval=2",),
            },
            {"quantization": "gptq_marlin", "cache_dtype": "fp8", "max_num_seqs": 9, "stream_interval": 2},
            id="fields and arguments that win over a profile",
        ),
    ],
)
def test_settings_that_the_engine_took(asked: dict[str, Any], reported: dict[str, Any]) -> None:
    assert differences(settings(engine(**reported), config(**asked))) == []


@pytest.mark.parametrize(
    ("asked", "reported", "expected"),
    [
        pytest.param({"max_model_len": 1024}, {"max_model_len": 512}, ("maxModelLen", 1024, 512), id="a length"),
        pytest.param({"max_num_seqs": 8}, {"max_num_seqs": 4}, ("maxNumSeqs", 8, 4), id="requests"),
        pytest.param(
            {"max_num_batched_tokens": 64}, {"max_num_batched_tokens": 2048}, ("maxNumBatchedTokens", 64, 2048), id="a batch"
        ),
        pytest.param({"block_size": 48}, {"block_size": 16}, ("blockSize", 48, 16), id="a block that no kernel has"),
        pytest.param({"dtype": "float32"}, {"dtype": "torch.bfloat16"}, ("dtype", "float32", "bfloat16"), id="a type"),
        pytest.param({"kv_cache_dtype": "fp8"}, {"cache_dtype": "auto"}, ("kvCacheDtype", "fp8", "auto"), id="the cache's type"),
        pytest.param({"quantization": "fp8"}, {"quantization": None}, ("quantization", "fp8", None), id="no quantization at all"),
        pytest.param({"quantization": "awq"}, {"quantization": "gptq"}, ("quantization", "awq", "gptq"), id="another quantization"),
        pytest.param({"quantization": "awq"}, {"quantization": "auto_gptq"}, ("quantization", "awq", "auto_gptq"), id="another one, of chosen kernels"),
        pytest.param({"quantization": "awq_marlin"}, {"quantization": "gptq_marlin"}, ("quantization", "awq_marlin", "gptq_marlin"), id="another one by kernels of one name"),
        pytest.param({"quantization": "marlin"}, {"quantization": "fp8"}, ("quantization", "marlin", "fp8"), id="a method without such kernels"),
        pytest.param({"quantization": "marlin"}, {"quantization": None}, ("quantization", "marlin", None), id="kernels of no quantization"),
        pytest.param({"quantization": "gptq"}, {"quantization": "inc"}, ("quantization", "gptq", "inc"), id="auto-round instead"),
        pytest.param({"kv_cache_dtype": "bfloat16"}, {"cache_dtype": "fp8"}, ("kvCacheDtype", "bfloat16", "fp8"), id="a smaller cache's type"),
        pytest.param({"prefix_caching": True}, {"enable_prefix_caching": False}, ("prefixCaching", True, False), id="a model without it"),
        pytest.param({"chunked_prefill": False}, {"enable_chunked_prefill": True}, ("chunkedPrefill", False, True), id="always on here"),
        pytest.param({"seed": 7}, {"seed": 0}, ("seed", 7, 0), id="a seed"),
        pytest.param({"kv_cache_memory_bytes": 2**20}, {"kv_cache_memory_bytes": 2**30}, ("kvCacheMemory", 2**20, 2**30), id="another size by a variable"),
        pytest.param({"gpu_memory_utilization_percent": 50}, {}, ("gpuMemoryUtilizationPercent", 50, 92), id="a share"),
        pytest.param({"speculative": Speculative(method="ngram", tokens=4)}, {}, ("speculative.method", "ngram", None), id="no guessing"),
    ],
)  # fmt: skip
def test_settings_that_the_engine_ignored(
    asked: dict[str, Any], reported: dict[str, Any], expected: tuple[str, object, object]
) -> None:
    field, wanted, has = expected

    assert differences(settings(engine(**reported), config(**asked)))[0] == (f"spec.engine.{field}", wanted, has)


@pytest.mark.parametrize(
    ("profile", "reported", "expected"),
    [
        pytest.param(
            "ThroughputFP8",
            {"quantization": "fp8", "max_num_seqs": 512, "stream_interval": 8},
            ("spec.engine.kvCacheDtype", "fp8", "auto"),
            id="a field that the profile set",
        ),
        pytest.param("Throughput", {}, ("spec.engine.profile", "--stream-interval=8", 1), id="a flag that it set"),
        pytest.param(
            "Latency", {}, ("spec.engine.profile", "--performance-mode=interactivity", "balanced"), id="another"
        ),
    ],
)
def test_what_the_engine_ignored_of_a_profile(
    profile: str, reported: dict[str, Any], expected: tuple[str, object, object]
) -> None:
    assert differences(settings(engine(**reported), config(profile=profile))) == [expected]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, ("fairlead default", "engine default", "engine default", "engine default"), id="nothing: Balanced"),
        pytest.param({"profile": "Balanced"}, ("spec", "engine default", "engine default", "engine default"), id="Balanced sets nothing"),
        pytest.param({"profile": "ThroughputFP8"}, ("spec", "profile", "profile", "profile"), id="what the profile sets"),
        pytest.param(
            {"profile": "ThroughputFP8", "max_num_seqs": 9, "extra_args": ("--stream-int", "2")},
            ("spec", "spec", "profile", "spec"),
            id="a field and an argument of the user",
        ),
        pytest.param({"extra_args": ("--stream_interval=2",)}, ("fairlead default", "engine default", "engine default", "spec"), id="an argument alone"),
    ],
)  # fmt: skip
def test_who_chose_each_value(asked: dict[str, Any], expected: tuple[str, ...]) -> None:
    values = effective_values(settings(engine(), config(**asked)))
    fields = ("engine.profile", "engine.maxNumSeqs", "engine.kvCacheDtype", "--stream-interval")

    assert tuple(values[field]["origin"] for field in fields) == expected
    assert values["engine.profile"]["value"] == asked.get("profile", "Balanced")


def test_every_flag_that_a_profile_can_set_is_compared() -> None:
    assert set(FLAGS) == set(profiles.FLAGS)


def test_parallelism_is_always_asked_for() -> None:
    asked = config(parallelism=Parallelism(tensor=2))

    assert differences(settings(engine(), asked)) == [("spec.parallelism.tensor", 2, 1)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(config(), {"value": None, "origin": "engine default"}, id="a share of the accelerator"),
        pytest.param(config("CPU"), {"value": 2**29, "origin": "fairlead default"}, id="on a CPU"),
        pytest.param(
            config("CPU", kv_cache_memory_bytes=2**29), {"value": 2**29, "origin": "spec"}, id="the same, asked for"
        ),
    ],
)
def test_who_sized_the_cache(asked: RuntimeConfig, expected: dict[str, Any]) -> None:
    reported = engine(kv_cache_memory_bytes=expected["value"])

    assert effective_values(settings(reported, asked))["engine.kvCacheMemory"] == expected
