"""extraArgs: what the engine's parser would accept in many spellings is refused in all of them."""

import pytest

from fairlead_operator.core import arguments
from fairlead_runtime.arguments import build_argv
from fairlead_runtime.config import Engine, Model, Parallelism, RuntimeConfig, Speculative


@pytest.mark.parametrize(
    ("written", "field"),
    [
        pytest.param(["--max-model-len=10"], "spec.engine.maxModelLen", id="flag=value"),
        pytest.param(["--max-model-len", "10"], "spec.engine.maxModelLen", id="flag value"),
        pytest.param(["--max_model_len", "10"], "spec.engine.maxModelLen", id="underscores"),
        pytest.param(["--max-model", "10"], "spec.engine.maxModelLen", id="abbreviated"),
        pytest.param(["--speculative-config.method", "ngram"], "spec.engine.speculative", id="dotted"),
        pytest.param(
            ["--speculative_conf.method=ngram"], "spec.engine.speculative", id="dotted, abbreviated, with underscores"
        ),
        pytest.param(["-tp2"], "spec.parallelism.tensor", id="short, with its value glued on"),
        pytest.param(["-tp", "2"], "spec.parallelism.tensor", id="short"),
        pytest.param(["-q=awq"], "spec.engine.quantization", id="short=value"),
        pytest.param(["--no-trust-remote-code"], "spec.model.trustRemoteCode", id="a switch's negative form"),
        pytest.param(["--no-enable-prefix"], "spec.engine.prefixCaching", id="a negative form, abbreviated"),
        pytest.param(
            ["--device-memory-utilization=0.5"],
            "spec.engine.gpuMemoryUtilizationPercent",
            id="another name of a refused flag",
        ),
        pytest.param(
            ["--decode-context-parallel-size=2"], "spec.engine.extraArgs", id="more accelerators than asked for"
        ),
        pytest.param(["--api-key=secret"], "spec.serving.apiKeySecretRef", id="a key in the argument list"),
        pytest.param(["--enable-lora", "--port", "1"], "spec.engine.extraArgs", id="the second flag"),
        pytest.param(["--por=1"], "spec.engine.extraArgs", id="port, abbreviated"),
        pytest.param(["--UDS=/x"], "spec.engine.extraArgs", id="capitals"),
        pytest.param(["--config", "/models/model/x.yaml"], "spec.engine.extraArgs", id="a file of flags"),
        pytest.param(["--disable-log-stats"], "spec.engine.extraArgs", id="counters off"),
        pytest.param(["--ssl-keyfile", "x"], "spec.engine.extraArgs", id="TLS"),
        pytest.param(["--middleware=x.y"], "spec.engine.extraArgs", id="middleware"),
        pytest.param(["--nnodes=2"], "spec.engine.extraArgs", id="several nodes"),
        pytest.param(["--headless"], "spec.engine.extraArgs", id="headless"),
        pytest.param(["--tool-parser-plugin=/x.py"], "spec.engine.extraArgs", id="code"),
        pytest.param(["--port 9000"], "spec.engine.extraArgs", id="flag and value in one item"),
        pytest.param(["other-model"], "spec.engine.extraArgs", id="a value without a flag"),
        pytest.param(["--"], "spec.engine.extraArgs", id="the end of flags"),
        pytest.param(["-x1"], "spec.engine.extraArgs", id="an unknown short flag"),
    ],
)
def test_refused(written: list[str], field: str) -> None:
    verdict = arguments.judge(written)

    assert verdict is not None
    assert (verdict.reason, verdict.field) == ("DeniedArgument", field)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param([], id="nothing"),
        pytest.param(["--enable-auto-tool-choice", "--tool-call-parser=hermes"], id="tool calls"),
        pytest.param(["--max-logprobs", "-1"], id="a negative number is a value"),
        pytest.param(["--enforce-eager", "--load-format=dummy"], id="eager mode with dummy weights"),
        pytest.param(["--hf-overrides", '{"port": 1}'], id="a value that names a refused flag"),
        pytest.param(["--compilation-config.mode", "3"], id="dotted form of a harmless flag"),
        pytest.param(["--reasoning-parser=qwen3"], id="the beginning of a refused flag, yet a flag itself"),
        pytest.param(["--no-enable-log-requests"], id="a harmless switch's negative form"),
        pytest.param(["-O3"], id="optimization level"),
        pytest.param(
            ["--tokenizer-mode=slow", "--model-impl=auto", "--config-format=hf"],
            id="flags that begin like refused ones",
        ),
        pytest.param(["--no-such-flag"], id="an unknown flag is the engine's to refuse"),
    ],
)
def test_passed_on(written: list[str]) -> None:
    assert arguments.judge(written) is None


def test_message_hides_the_value_and_says_what_to_do() -> None:
    verdict = arguments.judge(["--api-key=hunter2"])

    assert verdict is not None
    assert "hunter2" not in verdict.message
    assert verdict.message.endswith("set spec.serving.apiKeySecretRef")


def test_every_flag_that_the_runtime_writes_is_refused() -> None:
    config = RuntimeConfig(
        model=Model(served_name="x", repository="a/b", revision="main", trust_remote_code=True),
        engine=Engine(
            max_model_len="Auto",
            max_num_seqs=1,
            max_num_batched_tokens=1,
            gpu_memory_utilization_percent=50,
            kv_cache_memory_bytes=1,
            dtype="float16",
            kv_cache_dtype="fp8",
            quantization="awq",
            prefix_caching=False,
            chunked_prefill=True,
            seed=1,
            speculative=Speculative(method="ngram", tokens=2),
        ),
        parallelism=Parallelism(tensor=2, pipeline=2),
    )

    flags = [argument for argument in build_argv(config) if argument.startswith("-")]

    assert len(flags) > 12
    assert [flag for flag in flags if arguments.judge([flag]) is None] == []
