"""extraArgs and rendered fields, judged by the parser of the image's version: destinations count, not spellings."""

import pytest

from fairlead_operator.core import arguments, engines
from fairlead_runtime import profiles
from fairlead_runtime.arguments import build_argv
from fairlead_runtime.config import Engine, Model, Parallelism, RuntimeConfig, Speculative

VERSIONS = tuple(engines.parsers())


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
        pytest.param(["-qawq"], "spec.engine.quantization", id="short, with its value glued on"),
        pytest.param(["-tp", "2"], "spec.parallelism.tensor", id="short"),
        pytest.param(["-q=awq"], "spec.engine.quantization", id="short=value"),
        pytest.param(["--no-trust-remote-code"], "spec.model.trustRemoteCode", id="a switch's negative form"),
        pytest.param(["--no-enable-prefix"], "spec.engine.prefixCaching", id="a negative form, abbreviated"),
        pytest.param(
            ["--decode-context-parallel-size=2"], "spec.engine.extraArgs", id="more accelerators than asked for"
        ),
        pytest.param(["--api-key=secret"], "spec.serving.apiKeySecretRef", id="a key in the argument list"),
        pytest.param(["--enable-lora", "--port", "1"], "spec.engine.extraArgs", id="the second flag"),
        pytest.param(["--por=1"], "spec.engine.extraArgs", id="port, abbreviated"),
        pytest.param(["--config", "/models/model/x.yaml"], "spec.engine.extraArgs", id="a file of flags"),
        pytest.param(["--allowed-local-media-path=/"], "spec.engine.extraArgs", id="files of the pod in requests"),
        pytest.param(["--disable-log-stats"], "spec.engine.extraArgs", id="counters off"),
        pytest.param(["--ssl-keyfile", "x"], "spec.engine.extraArgs", id="TLS"),
        pytest.param(["--middleware=x.y"], "spec.engine.extraArgs", id="middleware"),
        pytest.param(["--nnodes=2"], "spec.engine.extraArgs", id="several nodes"),
        pytest.param(["--headless"], "spec.engine.extraArgs", id="headless"),
        pytest.param(["--tool-parser-plugin=/x.py"], "spec.engine.extraArgs", id="code"),
        pytest.param(["--port 9000"], "spec.engine.extraArgs", id="flag and value in one item"),
        pytest.param(["other-model"], "spec.engine.extraArgs", id="a value without a flag"),
        pytest.param(["--"], "spec.engine.extraArgs", id="the end of flags"),
        pytest.param(["--config=/models/model/x.yaml"], "spec.engine.extraArgs", id="a file of flags, with ="),
        pytest.param(["--config.x", "1"], "spec.engine.extraArgs", id="a file of flags, dotted"),
        pytest.param(["--api_key", "x"], "spec.serving.apiKeySecretRef", id="a key with an underscore"),
        pytest.param(["-n2"], "spec.engine.extraArgs", id="a refused short flag, its value glued on"),
    ],
)
@pytest.mark.parametrize("version", ["", *VERSIONS])
def test_denied_in_every_version_and_where_it_is_not_known(written: list[str], field: str, version: str) -> None:
    verdict = arguments.judge(written, version)

    assert verdict is not None
    assert (verdict.reason, verdict.field) == ("DeniedArgument", field)


@pytest.mark.parametrize(
    ("written", "field"),
    [
        pytest.param(["--enforce-eager", "other-model"], "spec.engine.extraArgs", id="a model behind a switch"),
        pytest.param(
            ["--kv-transfer-config", '{"kv_connector_module_path": "x.y"}'], "spec.engine.extraArgs", id="code in JSON"
        ),
        pytest.param(
            ["--kv-transfer-config.kv_connector_extra_config", '{"connectors": [{"kv_connector_module_path": "x"}]}'],
            "spec.engine.extraArgs",
            id="code deep in JSON",
        ),
        pytest.param(["-cc.backend=x.y"], "spec.engine.extraArgs", id="code behind a short dotted flag"),
        pytest.param(["--zzz=1", "--port", "1"], "spec.engine.extraArgs", id="a refused flag behind an unknown one"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_denied_where_the_parser_is_known(written: list[str], field: str, version: str) -> None:
    verdict = arguments.judge(written, version)

    assert verdict is not None
    assert (verdict.reason, verdict.field) == ("DeniedArgument", field)


@pytest.mark.parametrize(
    ("written", "field"),
    [
        pytest.param("--disable-prefix-caching", "spec.engine.prefixCaching", id="another negative form"),
        pytest.param("--device-memory-utilization=0.5", "spec.engine.gpuMemoryUtilizationPercent", id="another name"),
    ],
)
def test_what_only_a_newer_version_has_is_denied_there_and_unknown_before(written: str, field: str) -> None:
    newer, older = arguments.judge([written], "0.33"), arguments.judge([written], "0.26")

    assert newer is not None
    assert older is not None
    assert (newer.reason, newer.field) == ("DeniedArgument", field)
    assert older.reason == "UnknownEngineArgument"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        pytest.param(
            ["--enable-auto-tool-choise"], "write --enable-auto-tool-choice", id="misspelt: the nearest is named"
        ),
        pytest.param(["--no-such-flag"], "no such argument", id="unknown"),
        pytest.param(["--UDS=/x"], "no such argument; write --uds", id="flags have no capitals"),
        pytest.param(["-x1"], "no such argument", id="an unknown short flag"),
        pytest.param(["--max-lora"], "--max-lora-rank", id="ambiguous"),
        pytest.param(["--stream-interval"], "needs a value", id="without its value"),
        pytest.param(["--enforce-eager=true"], "takes no value", id="a switch with a value"),
        pytest.param(["--stream-interval=abc"], "'abc' is no whole number", id="a word for a number"),
        pytest.param(["--mm-encoder-tp-mode=x"], "none of data, weights", id="no choice"),
        pytest.param(["--compilation-config.mood=3"], "write 'mode'", id="a misspelt key"),
        pytest.param(["--stream-interval=4", "--stream_interval=5"], "written twice", id="twice"),
        pytest.param(["--enforce-eager", "--no-enforce-eager"], "--enforce-eager sets the same", id="on and off"),
        pytest.param(
            ["--compilation-config", '{"mode": 3}', "-cc.mode=2"], "sets the same", id="as JSON, and a key of it"
        ),
        pytest.param(["--enable-auto-tool-choice"], "--tool-call-parser beside it", id="without what it needs"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_parser_of_the_image_would_refuse(written: list[str], said: str, version: str) -> None:
    verdict = arguments.judge(written, version)

    assert verdict is not None
    assert (verdict.reason, verdict.field) == ("UnknownEngineArgument", "spec.engine.extraArgs")
    assert said in verdict.message
    assert f"vLLM {version}" in verdict.message
    # For a version that nobody knows the engine itself says it, at start.
    assert arguments.judge(written) is None


def test_a_misspelt_flag_that_a_field_sets_names_the_field() -> None:
    verdict = arguments.judge(["--max-model-length=4"], "0.32")

    assert verdict is not None
    assert (verdict.reason, verdict.field) == ("UnknownEngineArgument", "spec.engine.maxModelLen")


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
        pytest.param(
            ["--stream-interval=4", "--performance-mode", "throughput", "--no-async-scheduling"],
            id="flags of profiles, and others that no field has",
        ),
        pytest.param(["--no-enable-auto-tool-choice"], id="what is switched off needs nothing beside it"),
        pytest.param(["--lora-modules", "a=/models/a", "b=/models/b"], id="several values"),
        pytest.param(
            ["--allowed-media-domains", "a.example", "b.example"], id="fewer hosts to fetch from than without it"
        ),
    ],
)
@pytest.mark.parametrize("version", ["", *VERSIONS])
def test_passed_on(written: list[str], version: str) -> None:
    assert arguments.judge(written, version) is None


@pytest.mark.parametrize(
    "value", [f"{flag}={value}" for settings in profiles.PROFILES.values() for flag, value in settings.flags.items()]
)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_profile_sets_can_be_set_by_the_user(value: str, version: str) -> None:
    assert arguments.judge([value], version) is None


def test_message_hides_the_value_and_says_what_to_do() -> None:
    verdict = arguments.judge(["--api-key=hunter2"])

    assert verdict is not None
    assert "hunter2" not in verdict.message
    assert verdict.message.endswith("set spec.serving.apiKeySecretRef")


EVERYTHING = RuntimeConfig(
    model=Model(served_name="x", repository="a/b", revision="main", trust_remote_code=True),
    engine=Engine(
        max_model_len="Auto",
        max_num_seqs=1,
        max_num_batched_tokens=1,
        gpu_memory_utilization_percent=50,
        kv_cache_memory_bytes=1,
        block_size=32,
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


@pytest.mark.parametrize("version", ["", *VERSIONS])
def test_every_flag_that_the_runtime_writes_is_refused_from_users(version: str) -> None:
    flags = [argument for argument in build_argv(EVERYTHING) if argument.startswith("-")]

    assert len(flags) > 12
    assert [flag for flag in flags if arguments.judge([flag], version) is None] == []


@pytest.mark.parametrize("between", [" ", "\t", "  "])
@pytest.mark.parametrize("version", [*VERSIONS, ""])
def test_a_secret_in_one_item_with_its_flag_is_not_repeated(between: str, version: str) -> None:
    verdict = arguments.judge([f"--hf-token{between}hunter2xyz"], version)

    assert verdict is not None
    assert verdict.message.startswith("--hf-token in engine.extraArgs is refused: flag and value are one item")
    assert "hunter2xyz" not in verdict.message


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(["--max-model-len", "9" * 400 + "k"], id="a number beyond all"),
        pytest.param(["--compilation-config", "{" * 2000], id="braces without an end"),
        pytest.param(["--compilation-config" + ".a" * 2000, "1"], id="dots without an end"),
        pytest.param(["--compilation-config.a", "[" * 900 + "]" * 900], id="a value that nests"),
    ],
)
def test_what_goes_on_for_long_is_refused_like_anything_else(written: list[str]) -> None:
    assert arguments.judge(written, "0.32") is not None


def test_a_secret_is_not_repeated_when_something_else_is_wrong() -> None:
    verdict = arguments.judge(["--override-generation-config", '{"token": "hunter2xyz"'], "0.32")

    assert verdict is not None
    assert "hunter2xyz" not in verdict.message


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_what_fields_and_profiles_become_is_known_to_every_version(version: str, profile: profiles.Profile) -> None:
    with_profile = EVERYTHING.model_copy(
        update={"engine": EVERYTHING.engine.model_copy(update={"profile": profile, "quantization": None})}
    )

    assert arguments.judge_rendered(EVERYTHING, version) is None
    assert arguments.judge_rendered(with_profile, version) is None


@pytest.mark.parametrize(
    ("engine", "version", "field"),
    [
        pytest.param({"kvCacheDtype": "fp3"}, "0.32", "spec.engine.kvCacheDtype", id="a type that no version has"),
        pytest.param({"kvCacheDtype": "nvfp4_4over6"}, "0.26", "spec.engine.kvCacheDtype", id="a type that came later"),
        pytest.param({"kvCacheDtype": "nvfp4_4over6"}, "0.32", None, id="the version that has it"),
        pytest.param({"kvCacheDtype": "fp3"}, "", None, id="a version that is not known"),
    ],
)
def test_a_value_that_the_version_does_not_have(engine: dict[str, str], version: str, field: str | None) -> None:
    config = RuntimeConfig(model=Model(served_name="x", repository="a/b"), engine=Engine.model_validate(engine))
    verdict = arguments.judge_rendered(config, version)

    assert (verdict and (verdict.reason, verdict.field)) == (field and ("UnsupportedByEngine", field))
    assert verdict is None or "choose one of these" in verdict.message
