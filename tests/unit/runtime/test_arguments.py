"""RuntimeConfig to vLLM's command line."""

from typing import Any

import pytest

from fairlead_runtime.arguments import build_argv, build_environment, redacted
from fairlead_runtime.config import Engine, Model, Parallelism, RuntimeConfig, Speculative

BARE = ["--model=/models/model", "--served-model-name=m", "--port=8000"]


def config(**parts: Any) -> RuntimeConfig:
    return RuntimeConfig(**({"model": Model(served_name="m", path="/models/model")} | parts))


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        pytest.param({}, [], id="an unset field leaves its flag out"),
        pytest.param({"max_model_len": 4096}, ["--max-model-len=4096"], id="a length"),
        pytest.param({"max_model_len": "Auto"}, ["--max-model-len=auto"], id="Auto is the engine's auto"),
        pytest.param(
            {"gpu_memory_utilization_percent": 85}, ["--gpu-memory-utilization=0.85"], id="percent to a share"
        ),
        pytest.param({"kv_cache_memory_bytes": 2**29}, ["--kv-cache-memory-bytes=536870912"], id="bytes"),
        pytest.param({"prefix_caching": False}, ["--no-enable-prefix-caching"], id="false is said, not left out"),
        pytest.param({"chunked_prefill": True}, ["--enable-chunked-prefill"], id="true is a bare flag"),
        pytest.param({"seed": 0}, ["--seed=0"], id="zero is a value"),
        pytest.param({"block_size": 32}, ["--block-size=32"], id="a block's tokens"),
        pytest.param(
            {"speculative": Speculative(method="ngram", tokens=4)},
            ['--speculative-config={"method": "ngram", "num_speculative_tokens": 4}'],
            id="speculative decoding in vLLM's own JSON",
        ),
        pytest.param({"extra_args": ("--a", "b")}, ["--a", "b"], id="arguments of the user stand as they are"),
    ],
)
def test_engine_fields(engine: dict[str, Any], expected: list[str]) -> None:
    assert build_argv(config(engine=Engine(**engine))) == BARE + expected


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        pytest.param({"profile": "Balanced"}, [], id="Balanced is the engine's own defaults"),
        pytest.param(
            {"profile": "ThroughputFP8"},
            ["--max-num-seqs=512", "--kv-cache-dtype=fp8", "--quantization=fp8", "--stream-interval=8"],
            id="fields, then flags that have no field",
        ),
        pytest.param(
            {"profile": "ThroughputFP8", "max_num_seqs": 64, "quantization": "gptq"},
            ["--max-num-seqs=64", "--kv-cache-dtype=fp8", "--quantization=gptq", "--stream-interval=8"],
            id="a field of the spec wins, the rest holds",
        ),
        pytest.param(
            {"profile": "Throughput", "extra_args": ("--stream_interval", "2")},
            ["--stream_interval", "2"],
            id="an argument of the user wins and stands alone",
        ),
        pytest.param(
            {"profile": "Latency", "extra_args": ("--enforce-eager",)},
            ["--performance-mode=interactivity", "--enforce-eager"],
            id="another argument of the user stands last",
        ),
    ],
)
def test_profiles(engine: dict[str, Any], expected: list[str]) -> None:
    assert build_argv(config(engine=Engine(**engine))) == BARE + expected


def test_a_service_without_a_profile_has_the_configuration_it_always_had() -> None:
    assert "profile" not in config(engine=Engine(seed=1)).canonical_json()


def test_a_hub_model_has_one_revision_for_weights_and_tokenizer() -> None:
    argv = build_argv(
        config(model=Model(served_name="m", repository="org/name", revision="v1", trust_remote_code=True))
    )

    assert argv[0] == "--model=org/name"
    assert {"--revision=v1", "--tokenizer-revision=v1", "--trust-remote-code"} <= set(argv)


def test_parallelism_of_one_is_not_mentioned() -> None:
    argv = build_argv(config(parallelism=Parallelism(tensor=4)))

    assert argv == [*BARE, "--tensor-parallel-size=4"]


def test_the_engine_waits_as_long_as_the_start_may_take() -> None:
    assert build_environment(config(start_timeout_seconds=77))["VLLM_ENGINE_READY_TIMEOUT_S"] == "77"


def test_the_hub_gets_the_mounted_token() -> None:
    hub = config(model=Model(served_name="m", repository="org/m"))
    drafted = config(engine=Engine(speculative=Speculative(method="draft_model", tokens=3, model="org/draft")))

    assert build_environment(hub)["HF_TOKEN_PATH"] == "/etc/fairlead/hub-token/token"
    assert build_environment(drafted)["HF_TOKEN_PATH"] == "/etc/fairlead/hub-token/token"
    assert build_environment(hub, {"FAIRLEAD_HUB_TOKEN": "/tmp/t"})["HF_TOKEN_PATH"] == "/tmp/t"
    assert "HF_TOKEN_PATH" not in build_environment(config())


def test_only_one_setting_sizes_the_cache_of_the_cpu_engine() -> None:
    assert "VLLM_CPU_KVCACHE_SPACE" not in build_environment(config(device="CPU"))


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        pytest.param({}, ["--kv-cache-memory-bytes=536870912"], id="unset: never a share of the node's memory"),
        pytest.param({"kv_cache_memory_bytes": 5}, ["--kv-cache-memory-bytes=5"], id="a size stands alone"),
        pytest.param(
            {"gpu_memory_utilization_percent": 50}, ["--gpu-memory-utilization=0.5"], id="a share that was asked for"
        ),
    ],
)
def test_the_cache_of_the_cpu_engine(engine: dict[str, Any], expected: list[str]) -> None:
    assert build_argv(config(device="CPU", engine=Engine(**engine))) == BARE + expected


def test_secrets_in_the_command_are_not_shown() -> None:
    argv = ["--hf-token", "secret1", "--hf_token=secret2", "--x=hf_abcdefghijkl", "--seed=1"]

    assert redacted(argv) == ["--hf-token", "***", "--hf_token=***", "--x=hf_***", "--seed=1"]
