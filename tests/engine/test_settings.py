"""Every field of the engine's configuration before the installed vLLM's own parser and configuration, and some in a running engine."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from asking import until
from fairlead_runtime.config import Engine, RuntimeConfig

from . import models
from .judging import judged
from .starts import MODEL, Started, configured, started

pytestmark = pytest.mark.timeout(600)

#: What is asked for -> field and value that the engine must report. One row at least for each field.
TAKEN: tuple[tuple[str, dict[str, Any], str, object], ...] = (
    ("a length", {"maxModelLen": 512}, "engine.maxModelLen", 512),
    ("the length that fits, which is known once the cache is there", {"maxModelLen": "Auto"}, "engine.maxModelLen", 2048),
    ("requests at a time", {"maxNumSeqs": 3}, "engine.maxNumSeqs", 3),
    ("tokens in a step", {"maxNumBatchedTokens": 300}, "engine.maxNumBatchedTokens", 300),
    ("a size of the cache", {"kvCacheMemoryBytes": 2**26}, "engine.kvCacheMemory", 2**26),
    ("no size of the cache", {"kvCacheMemoryBytes": None}, "engine.kvCacheMemory", 2**29),
    ("a share of the memory", {"kvCacheMemoryBytes": None, "gpuMemoryUtilizationPercent": 7}, "engine.gpuMemoryUtilizationPercent", 7),
    ("tokens in a block", {"blockSize": 32}, "engine.blockSize", 32),
    ("a type", {"dtype": "float32"}, "engine.dtype", "float32"),
    ("another type", {"dtype": "float16"}, "engine.dtype", "float16"),
    ("the model's type", {"dtype": "auto"}, "engine.dtype", "bfloat16"),
    ("a type of the cache", {"kvCacheDtype": "fp8"}, "engine.kvCacheDtype", "fp8"),
    ("a quantization at load", {"quantization": "fp8"}, "engine.quantization", "fp8"),
    ("prefixes kept", {"prefixCaching": True}, "engine.prefixCaching", True),
    ("prefixes forgotten", {"prefixCaching": False}, "engine.prefixCaching", False),
    ("prompts in pieces", {"chunkedPrefill": True}, "engine.chunkedPrefill", True),
    ("prompts whole", {"chunkedPrefill": False, "maxNumBatchedTokens": 2048}, "engine.chunkedPrefill", False),
    ("a seed", {"seed": 42}, "engine.seed", 42),
    ("guessing from the prompt", {"speculative": {"method": "ngram", "tokens": 4}}, "engine.speculative.method", "ngram"),
    (
        "guessing by a second model",
        {"speculative": {"method": "draft_model", "tokens": 3, "model": str(MODEL)}},
        "engine.speculative.tokens",
        3,
    ),
    ("an argument of the user", {"extraArgs": ["--enforce-eager", "--max-num-seqs=9"], "maxNumSeqs": None}, "engine.maxNumSeqs", 9),
    ("a profile", {"profile": "Throughput"}, "--stream-interval", 8),
    ("another", {"profile": "Latency"}, "--performance-mode", "interactivity"),
    ("the profile that sets nothing", {"profile": "Balanced"}, "--stream-interval", 1),
    ("a profile of smaller weights", {"profile": "LatencyFP8"}, "engine.quantization", "fp8"),
    ("a profile of more requests", {"profile": "ThroughputFP8", "maxNumSeqs": None}, "engine.maxNumSeqs", 512),
    ("a field against a profile", {"profile": "ThroughputFP8", "maxNumSeqs": 3}, "engine.maxNumSeqs", 3),
    (
        "an argument of the user against a profile",
        {"profile": "Throughput", "extraArgs": ["--enforce-eager", "--stream-int", "2"]},
        "--stream-interval",
        2,
    ),
    ("two processes", {"parallelism": {"tensor": 2}}, "parallelism.tensor", 2),
    ("two stages", {"parallelism": {"pipeline": 2}}, "parallelism.pipeline", 2),
)  # fmt: skip


OWN_METHOD = "a quantized model's own method against a profile"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What the installed vLLM says to each row."""
    folder = tmp_path_factory.mktemp("judge")
    quantized = models.spoiled(folder, models.config(quantization_config=models.GPTQ))
    configs = [configured(**asked) for _, asked, _, _ in TAKEN]
    configs.append(configured(path=str(quantized), profile="ThroughputFP8", quantization="gptq"))
    answers = judged(configs, folder)
    return dict(zip([*(row[0] for row in TAKEN), OWN_METHOD], answers, strict=True))


@pytest.mark.parametrize(("sentence", "asked", "field", "expected"), [pytest.param(*row, id=row[0]) for row in TAKEN])
def test_what_is_asked_for_is_what_the_engine_reports(
    verdicts: Mapping[str, Mapping[str, Any]], sentence: str, asked: dict[str, Any], field: str, expected: object
) -> None:
    verdict = verdicts[sentence]

    assert "settings" in verdict, verdict
    has = {name: value for name, _, value, _ in verdict["settings"]}
    assert has[field] == expected
    assert [row for row in verdict["settings"] if row[3]] == []


def test_a_profile_that_quantizes_yields_to_the_method_of_a_quantized_model(
    verdicts: Mapping[str, Mapping[str, Any]],
) -> None:
    verdict = verdicts[OWN_METHOD]

    assert "settings" in verdict, verdict
    has = {name: value for name, _, value, _ in verdict["settings"]}
    assert ("gptq" in has["engine.quantization"], has["engine.kvCacheDtype"], has["--stream-interval"]) == (
        True,
        "fp8",
        8,
    )
    assert [row for row in verdict["settings"] if row[3]] == []


def test_no_field_is_left_out() -> None:
    tried = {name for _, asked, _, _ in TAKEN for name in asked}

    assert tried >= {field.alias for field in Engine.model_fields.values()}
    assert tried >= {"parallelism"}
    assert set(RuntimeConfig.model_fields) == {
        "version", "model", "engine", "parallelism", "device", "serving", "start_timeout_seconds", "skip_plan",
    }  # fmt: skip


def answers(runtime: Started, prompt: str = "fairlead is", **body: Any) -> dict[str, Any]:
    status, answer = runtime.complete(prompt=prompt, **body)
    assert status == 200, answer
    return answer


def guesses(runtime: Started) -> tuple[float, float]:
    """Tokens guessed so far, and how many of them were right."""
    return (
        runtime.sample("vllm:spec_decode_num_draft_tokens_total"),
        runtime.sample("vllm:spec_decode_num_accepted_tokens_total"),
    )


def test_guesses_of_a_second_model_are_all_right_when_it_is_the_same_model(tmp_path: Path) -> None:
    config = configured(speculative={"method": "draft_model", "tokens": 3, "model": str(MODEL)})
    with started(tmp_path, config) as runtime:
        until(runtime.ready, "ready")
        before = guesses(runtime)
        # At temperature 0: the more random the answer, the less of it is foreseen.
        answers(runtime, max_tokens=100, ignore_eos=True)

        guessed, right = (now - then for now, then in zip(guesses(runtime), before, strict=True))
        assert right > 0.9 * guessed > 0


#: On processors the engine keeps a cache in fp8 only where it has AVX-512.
KEPT = "fp8" if "avx512f" in Path("/proc/cpuinfo").read_text() else "bfloat16"


@pytest.fixture(scope="module")
def many_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """One engine with all that goes together: each start takes half a minute of a processor."""
    config = configured(
        maxModelLen=1024, blockSize=32, prefixCaching=True, kvCacheDtype=KEPT, seed=7,
        speculative={"method": "ngram", "tokens": 3}, parallelism={"tensor": 2},
    )  # fmt: skip
    with started(tmp_path_factory.mktemp("many"), config, {"VLLM_CPU_OMP_THREADS_BIND": "0|1"}) as runtime:
        until(runtime.ready, "ready")
        yield runtime


def test_guesses_from_the_prompt_and_prefixes_in_small_blocks(many_settings: Started) -> None:
    prompt = "fairlead guides a line so that it runs free under load. " * 6
    hits = many_settings.sample("vllm:prefix_cache_hits_total")
    # Long enough for the tiny model to repeat itself: that is what this method guesses from.
    first, second = (answers(many_settings, prompt, max_tokens=300, ignore_eos=True) for _ in range(2))

    assert first["choices"][0]["text"] == second["choices"][0]["text"]
    assert many_settings.sample("vllm:prefix_cache_hits_total") >= hits + 32
    assert many_settings.sample("vllm:spec_decode_num_drafts_total") > 0
    effective = many_settings.state()["effective"]
    assert effective["engine.blockSize"] == {"value": 32, "origin": "spec"}
    assert effective["engine.speculative.tokens"] == {"value": 3, "origin": "spec"}
    assert effective["engine.kvCacheDtype"] == {"value": KEPT, "origin": "spec"}


def test_two_processes_share_a_model_where_each_is_given_cores(many_settings: Started) -> None:
    assert answers(many_settings, max_tokens=24)["choices"][0]["text"]
    assert many_settings.state()["effective"]["parallelism.tensor"] == {"value": 2, "origin": "spec"}
    assert len(many_settings.processes("Worker_TP")) == 2
