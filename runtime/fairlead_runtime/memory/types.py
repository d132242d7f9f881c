"""What goes into a plan and what comes out of it. All sizes are bytes unless a name says otherwise."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

GIB = 1024**3


class Verdict(enum.StrEnum):
    """Whether the engine will start with this model and these settings."""

    FITS = "Fits"
    DOES_NOT_FIT = "DoesNotFit"
    #: It may or may not: something was not known, or the estimate's error decides.
    UNKNOWN = "Unknown"


class Unknown(NamedTuple):
    """Something that the arithmetic has no value for. what: the figure that lacks it. why: the key or setting, and what it says."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A size that is measured by the engine when it starts, and the error it was seen or is taken to have, in both directions."""

    size: int
    error: int = 0

    @property
    def least(self) -> int:
        return max(0, self.size - self.error)

    @property
    def most(self) -> int:
        return self.size + self.error

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.size + other.size, self.error + other.error)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """vLLM's engine arguments as far as they decide memory; None where the engine's own default holds.

    max_model_len: tokens, "Auto" for the longest that fits. chunked_prefill: whether a prompt may be computed in several steps.
    throughput: vLLM's --performance-mode of that name. async_scheduling: whether a step is prepared while another one runs.
    speculative_tokens: guesses a step, 0 without speculative decoding.
    state_dtype: of a recurrent state, vLLM's --mamba-ssm-cache-dtype. gpu_name: as its maker calls it, "" where it is not known: the
    engine's own choices hang on it.
    data: ranks that share a mixture of experts; expert_parallel puts whole experts on ranks. lora_rank: 0 without LoRA. unmodelled:
    arguments of the user that change memory in a way that is not computed here: with one of them nothing is refused.
    """

    max_model_len: int | Literal["Auto"] | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float | None = None
    kv_cache_memory_bytes: int | None = None
    block_size: int | None = None
    dtype: str | None = None
    kv_cache_dtype: str | None = None
    quantization: str | None = None
    prefix_caching: bool | None = None
    chunked_prefill: bool = True
    throughput: bool = False
    async_scheduling: bool = True
    state_dtype: str | None = None
    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    expert_parallel: bool = False
    speculative_tokens: int = 0
    lora_rank: int = 0
    lora_slots: int = 1
    eager: bool = False
    hybrid_manager: bool = True
    device: Literal["gpu", "cpu"] = "gpu"
    gpu_name: str = ""
    unmodelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one GPU, the fullest of the replica, will hold. None where it could not be known: `unknowns` says why.

    gpu: its memory. budget: the share that the engine may use. weights, activations, graphs: what it takes before the KV cache.
    kv_cache: the rest. block_size: tokens in a block of the cache. kv_bytes_per_token: of one token in all layers of this GPU, sliding
    windows counted as if they kept everything; 0 for a model whose state does not grow. kv_bytes_per_request: of one request of
    max_model_len tokens. blocks, kv_cache_tokens and max_concurrency are what the engine reports as such. largest_model_len: the
    longest context that fits, at most what the model was made for; surely_fits_len: the same if every estimate errs against us.
    verdict, problem and field: where it does not surely fit, one sentence with the numbers and what to change, and the field of the
    InferenceService that changes it; suggested_len: a context that fits instead, 0 for none. assumed: fields of spec.engine that were left open -> the engine's own choice, as planned with.
    """

    model_len: int | None
    gpu: int | None
    budget: int | None
    weights: Estimate | None
    activations: Estimate | None
    graphs: Estimate | None
    kv_cache: Estimate | None
    block_size: int
    kv_bytes_per_token: int | None
    kv_bytes_per_request: int | None
    blocks: int | None
    kv_cache_tokens: int | None
    max_concurrency: float | None
    largest_model_len: int | None
    surely_fits_len: int | None
    verdict: Verdict
    unknowns: tuple[Unknown, ...]
    assumed: Mapping[str, object]
    problem: str = ""
    field: str = ""
    suggested_len: int = 0

    @property
    def certain(self) -> bool:
        return not self.unknowns
