"""What fits, what does not, and what is not known."""

from dataclasses import replace
from typing import Any

import pytest

from architectures import ARCHITECTURES, LLAMA_70B, MISTRAL_7B
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings, Plan, Verdict, overhead

LLAMA_13B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float16", "vocab_size": 32_000, "hidden_size": 5120,
    "intermediate_size": 13_824, "num_hidden_layers": 40, "num_attention_heads": 40, "max_position_embeddings": 4096,
}  # fmt: skip

WINDOWS = ARCHITECTURES["Mistral 7B v0.1"]
#: GiB.
H200 = 139.8


def planned(config: dict[str, Any], gpu: float | None = 80, **settings: Any) -> Plan:
    """gpu: GiB."""
    model = memory.read_config(config)
    return memory.plan(
        model, memory.by_shape(model), EngineSettings(**settings), None if gpu is None else int(gpu * GIB)
    )


def test_the_textbooks_formula_is_one_special_case() -> None:
    """2 x layers x hidden x sequence x batch x bytes: 13B, 40 layers, 5,120 wide, 32 requests of 2,048 tokens in 16 bits."""
    plan = planned(LLAMA_13B, max_model_len=2048)

    assert plan.kv_bytes_per_request == 2 * 40 * 5120 * 2048 * 2
    assert round(32 * (plan.kv_bytes_per_request or 0) / 1e9, 1) == 53.7


@pytest.mark.parametrize(("config", "settings", "expected"), [
    pytest.param(MISTRAL_7B, {}, 2 * 32 * 8 * 128 * 2, id="eight heads of keys serve thirty-two of queries"),
    pytest.param(MISTRAL_7B | {"num_key_value_heads": 1}, {}, 2 * 32 * 128 * 2, id="one head serves all"),
    pytest.param(MISTRAL_7B, {"kv_cache_dtype": "fp8"}, 2 * 32 * 8 * 128, id="a cache in fp8 is half as large"),
    pytest.param(MISTRAL_7B, {"dtype": "float32"}, 2 * 32 * 8 * 128 * 4, id="one in 32 bits twice"),
    pytest.param(MISTRAL_7B, {"tensor": 4}, 2 * 32 * 2 * 128 * 2, id="four GPUs share the heads"),
    pytest.param(MISTRAL_7B, {"tensor": 16}, 2 * 32 * 1 * 128 * 2, id="sixteen GPUs repeat the eight heads"),
    pytest.param(MISTRAL_7B, {"pipeline": 4}, 2 * 8 * 8 * 128 * 2, id="four stages share the layers"),
    pytest.param(MISTRAL_7B, {"pipeline": 3}, 2 * 11 * 8 * 128 * 2, id="of three stages the fullest counts"),
    pytest.param(MISTRAL_7B | {"head_dim": 64}, {}, 2 * 32 * 8 * 64 * 2, id="the size of a head can be another than the hidden size's share"),
])  # fmt: skip
def test_bytes_of_a_token(config: dict[str, Any], settings: dict[str, Any], expected: int) -> None:
    assert planned(config, **settings).kv_bytes_per_token == expected


@pytest.mark.parametrize(("config", "gpu", "settings", "verdict", "field"), [
    pytest.param(MISTRAL_7B, 80, {}, Verdict.FITS, "", id="7B on 80 GiB"),
    pytest.param(MISTRAL_7B, 24, {"max_model_len": 4096}, Verdict.FITS, "", id="7B and 4,096 tokens on 24 GiB"),
    pytest.param(MISTRAL_7B, 12, {}, Verdict.DOES_NOT_FIT, "spec.parallelism.tensor", id="7B on 12 GiB: the weights alone are more"),
    pytest.param(LLAMA_70B, 80, {}, Verdict.DOES_NOT_FIT, "spec.parallelism.tensor", id="70B on one GPU"),
    pytest.param(LLAMA_70B, 80, {"tensor": 2}, Verdict.DOES_NOT_FIT, "spec.engine.maxModelLen", id="70B on two: its whole context does not fit"),
    pytest.param(LLAMA_70B, 80, {"tensor": 2, "max_model_len": 4096}, Verdict.FITS, "", id="4,096 tokens of it do"),
    pytest.param(LLAMA_70B, 80, {"tensor": 2, "max_model_len": "Auto"}, Verdict.FITS, "", id="the longest that fits does"),
    pytest.param(LLAMA_70B, 80, {"quantization": "fp8", "max_model_len": 2048}, Verdict.UNKNOWN, "spec.engine.maxModelLen", id="so close that the estimate's error decides"),
    pytest.param(LLAMA_70B, None, {}, Verdict.UNKNOWN, "", id="a GPU of which nothing is known"),
    pytest.param(LLAMA_70B, 80, {"unmodelled": ("--cpu-offload-gb",)}, Verdict.UNKNOWN, "spec.parallelism.tensor", id="an argument that is not computed refuses nothing"),
    pytest.param(MISTRAL_7B | {"model_type": "new"}, 12, {}, Verdict.UNKNOWN, "spec.parallelism.tensor", id="a model type that is not known refuses nothing"),
    pytest.param(MISTRAL_7B, 12, {"kv_cache_memory_bytes": 8 * GIB, "max_model_len": 4096}, Verdict.FITS, "", id="a cache of a given size is all that is asked of"),
    pytest.param(MISTRAL_7B, None, {"kv_cache_memory_bytes": GIB, "max_model_len": 16_384, "device": "cpu"}, Verdict.DOES_NOT_FIT, "spec.engine.maxModelLen", id="on a CPU the cache has a given size too"),
    pytest.param(MISTRAL_7B, None, {"kv_cache_memory_bytes": GIB, "max_model_len": 99_999, "device": "cpu"}, Verdict.UNKNOWN, "spec.engine.maxModelLen", id="a context beyond the model's own is the engine's to refuse"),
    pytest.param(ARCHITECTURES["Mamba 2 2.7B"], None, {"kv_cache_memory_bytes": GIB, "max_model_len": 99_999, "device": "cpu", "state_dtype": "float32"}, Verdict.FITS, "", id="a model that tells no length of its own takes any"),
    pytest.param(WINDOWS, H200, {"kv_cache_memory_bytes": 2 * GIB, "max_model_len": 32_768, "speculative_tokens": 4}, Verdict.DOES_NOT_FIT, "spec.engine.maxModelLen", id="windows with two steps in flight"),
    pytest.param(WINDOWS, H200, {"kv_cache_memory_bytes": 2 * GIB, "max_model_len": 32_768, "speculative_tokens": 4, "async_scheduling": False}, Verdict.FITS, "", id="windows with one, as guesses from the text leave it"),
    pytest.param(WINDOWS, H200, {"kv_cache_memory_bytes": 1536 * 2**20, "max_model_len": 32_768, "pipeline": 2}, Verdict.UNKNOWN, "spec.engine.maxModelLen", id="of a pipeline two steps are in flight, or three"),
    pytest.param(WINDOWS, H200, {"kv_cache_memory_bytes": GIB, "max_model_len": 32_768, "pipeline": 2}, Verdict.DOES_NOT_FIT, "spec.engine.maxModelLen", id="more than two steps of a pipeline take is refused"),
    pytest.param(MISTRAL_7B, None, {"kv_cache_memory_bytes": 4096, "device": "cpu"}, Verdict.DOES_NOT_FIT, "spec.engine.kvCacheMemory", id="a cache below one block"),
])  # fmt: skip
def test_what_fits(
    config: dict[str, Any], gpu: float | None, settings: dict[str, Any], verdict: Verdict, field: str
) -> None:
    plan = planned(config, gpu, **settings)

    assert (plan.verdict, plan.field) == (verdict, field), plan


def test_a_refusal_names_the_length_that_fits_and_that_length_fits() -> None:
    refused = planned(MISTRAL_7B, None, kv_cache_memory_bytes=GIB, max_model_len=16_384, device="cpu")

    assert refused.problem == (
        "one request of 16,384 tokens needs a KV cache of 2.0 GiB, and at most 1.0 GiB are there:"
        " the longest context that fits is 8064"
    )
    settings = {"kv_cache_memory_bytes": GIB, "device": "cpu"}
    assert planned(MISTRAL_7B, None, max_model_len=8064, **settings).verdict is Verdict.FITS
    assert planned(MISTRAL_7B, None, max_model_len=8065, **settings).verdict is Verdict.UNKNOWN, "one block of margin"
    assert planned(MISTRAL_7B, None, max_model_len=8193, **settings).verdict is Verdict.DOES_NOT_FIT


def test_a_refusal_on_a_gpu_tells_where_its_memory_goes() -> None:
    refused = planned(LLAMA_70B, 80, tensor=2)

    assert "73.6 GiB (92 % of 80.0 GiB) beside weights of 65.7 GiB" in refused.problem
    assert refused.problem.startswith("one request of 131,072 tokens needs a KV cache of 20.0 GiB, and at most ")


def test_what_the_engine_would_take_is_never_refused() -> None:
    """The length that just fits by the estimate, and everything within its error, is not refused."""
    plan = planned(LLAMA_70B, 80, tensor=2)
    longest = plan.largest_model_len or 0

    assert 0 < (plan.surely_fits_len or 0) < longest
    assert planned(LLAMA_70B, 80, tensor=2, max_model_len=longest).verdict is Verdict.UNKNOWN
    assert planned(LLAMA_70B, 80, tensor=2, max_model_len=longest + 1000).verdict is Verdict.UNKNOWN
    assert planned(LLAMA_70B, 80, tensor=2, max_model_len=plan.surely_fits_len).verdict is Verdict.FITS


@pytest.mark.parametrize(("settings", "message"), [
    pytest.param({"tensor": 3}, "spec.parallelism.tensor: 3 does not divide 32 attention heads", id="heads"),
    pytest.param({"pipeline": 33}, "spec.parallelism.pipeline: 33 stages for 32 layers", id="layers"),
])  # fmt: skip
def test_settings_that_contradict_the_model(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(memory.ConfigError, match=message):
        planned(MISTRAL_7B, **settings)


def test_what_was_left_open_is_told() -> None:
    assert planned(MISTRAL_7B, 80).assumed == {
        "maxModelLen": 32_768, "maxNumBatchedTokens": 8192, "maxNumSeqs": 1024, "gpuMemoryUtilizationPercent": 92,
    }  # fmt: skip


@pytest.mark.parametrize(("gib", "name", "tokens", "requests"), [
    pytest.param(79.1, "NVIDIA A100-SXM4-80GB", 2048, 256, id="an A100 of 80 GB"),
    pytest.param(79.1, "nvidia a100 80gb pcie", 2048, 256, id="another, in another spelling"),
    pytest.param(79.1, "NVIDIA H100 80GB HBM3", 8192, 1024, id="an H100 of the same size"),
    pytest.param(79.1, "", 8192, 1024, id="one without a name: the figures are an H100's"),
    pytest.param(39.3, "NVIDIA A100-SXM4-40GB", 2048, 256, id="an A100 of 40 GB"),
    pytest.param(139.8, "NVIDIA H200", 8192, 1024, id="an H200"),
    pytest.param(178.3, "NVIDIA B200", 16_384, 1024, id="a B200"),
])  # fmt: skip
def test_the_engines_choice_of_steps(gib: float, name: str, tokens: int, requests: int) -> None:
    assumed = planned(MISTRAL_7B, gib, gpu_name=name).assumed

    assert (assumed["maxNumBatchedTokens"], assumed["maxNumSeqs"]) == (tokens, requests)


@pytest.mark.parametrize(("settings", "length", "expected"), [
    pytest.param({}, 32_768, (8192, 1024), id="nothing asked"),
    pytest.param({"chunked_prefill": False}, 32_768, (32_768, 1024), id="without chunked prefill a step takes a whole prompt"),
    pytest.param({"chunked_prefill": False}, 4096, (8192, 1024), id="a short one lowers no step"),
    pytest.param({"throughput": True}, 32_768, (16_384, 2048), id="throughput doubles both"),
    pytest.param({"throughput": True, "max_num_seqs": 64}, 32_768, (16_384, 64), id="what is asked is not doubled"),
    pytest.param({"throughput": True, "chunked_prefill": False}, 20_000, (20_000, 2048), id="a whole prompt is more than the doubled step"),
    pytest.param({"max_num_seqs": 4}, 1024, (4096, 4), id="no more than all requests have"),
    pytest.param({"max_num_seqs": 4, "chunked_prefill": False}, 1024, (4096, 4), id="nor without chunked prefill"),
    pytest.param({}, 4, (4096, 1024), id="the requests that count are those of the engine's choice"),
    pytest.param({}, 1, (1024, 1024), id="and a step has a token of each"),
    pytest.param({"max_num_batched_tokens": 512, "chunked_prefill": False, "throughput": True}, 32_768, (512, 512), id="a size that is asked stays"),
])  # fmt: skip
def test_the_step_follows_the_settings(settings: dict[str, Any], length: int, expected: tuple[int, int]) -> None:
    assert overhead.steps(EngineSettings(**settings), int(H200 * GIB), length) == expected


@pytest.mark.parametrize(("gib", "doubted"), [
    pytest.param(79.1, True, id="as large as an A100"),
    pytest.param(93.1, False, id="larger than any A100"),
])  # fmt: skip
def test_without_a_name_nothing_is_refused_that_an_a100_takes(gib: float, *, doubted: bool) -> None:
    """From the whole context downwards, two GPUs for each size: what each name makes of it, and none."""
    names = ("NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "")
    seen = {
        tuple(planned(LLAMA_70B, gib, tensor=2, max_model_len=length, gpu_name=name).verdict for name in names)
        for length in range(2048, 131_072, 2048)
    }

    fits, unknown, refused = Verdict.FITS, Verdict.UNKNOWN, Verdict.DOES_NOT_FIT
    assert ((unknown, refused, unknown) in seen) == doubted, "an A100 may take it"
    assert all(nameless is h100 for _, h100, nameless in seen if h100 is not refused), (
        "an H100 takes as much as is told"
    )
    assert all(a100 is refused for a100, _, nameless in seen if nameless is refused and doubted)
    assert (refused, refused, refused) in seen or not doubted
    assert (fits, fits, fits) in seen


def test_weights_that_are_not_known_leave_the_rest_known() -> None:
    model = memory.read_config(MISTRAL_7B | {"quantization_config": {"quant_method": "new"}})

    plan = memory.plan(model, memory.by_shape(model), EngineSettings(), 80 * GIB)

    assert (plan.weights, plan.blocks, plan.verdict) == (None, None, Verdict.UNKNOWN)
    assert plan.kv_bytes_per_token == 131_072
    assert [str(unknown) for unknown in plan.unknowns] == ["weights: a weight's bits in quantization 'new'"]


def test_a_second_model_that_guesses_takes_its_share() -> None:
    model, small = memory.read_config(LLAMA_70B), memory.read_config(MISTRAL_7B)
    settings = EngineSettings(tensor=4, max_model_len=4096)
    alone = memory.plan(model, memory.by_shape(model), settings, 80 * GIB)
    guessing = replace(settings, speculative_tokens=4)
    both = memory.plan(model, memory.by_shape(model), guessing, 80 * GIB, memory.Draft(small, memory.by_shape(small)))

    assert (both.kv_bytes_per_token or 0) - (alone.kv_bytes_per_token or 0) == 131_072 // 4
    assert both.weights is not None
    assert alone.weights is not None
    assert 3.3 * GIB < both.weights.size - alone.weights.size < 3.5 * GIB
