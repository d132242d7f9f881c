"""What is served and by which engine settings: the parts of the spec that reach vLLM."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from fairlead_operator.api.fields import EngineWord, Model, ObjectName, Quantity, rule, rules
from fairlead_operator.api.pod import SecretKeyRef
from fairlead_runtime.config import Profile

HUB: Final = "hf://"
CLAIM: Final = "pvc://"
IMAGE: Final = "oci://"

_SEGMENT: Final = "[A-Za-z0-9][-A-Za-z0-9_.]*"
HUB_REPOSITORY: Final = f"{_SEGMENT}/{_SEGMENT}"
#: Scheme by scheme; alternatives of one pattern, so that the parser and the CEL rule are the same text.
URI_PATTERN: Final = (
    f"^(hf://{HUB_REPOSITORY}"
    r"|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[-A-Za-z0-9_.]+)*/?"
    r"|oci://[A-Za-z0-9][-A-Za-z0-9_.:/@]*)$"
)
#: Methods that draft with a second model; the others need none. vLLM's SpeculativeConfig.
DRAFTING_METHODS: Final = ("draft_model", "eagle", "eagle3", "medusa", "mlp_speculator", "dflash", "dspark")


class ModelCache(Model):
    """Where weights and compiled graphs outlive the pod."""

    claim_name: ObjectName
    """PersistentVolumeClaim for weights from the hub and the engine's compile cache. With more than one replica it must allow ReadWriteMany."""


class ModelSource(Model):
    """The model's weights and the name they are served under."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.revision) || self.uri.startsWith('hf://')",
                "revision applies to hf:// models only: remove it, or name the version in the uri",
                ".revision",
            ),
            rule(
                "!has(self.tokenSecretRef) || self.uri.startsWith('hf://')",
                "tokenSecretRef applies to hf:// models only: for oci:// use spec.imagePullSecrets",
                ".tokenSecretRef",
            ),
        )
    )

    uri: Annotated[
        str,
        Field(
            min_length=1,
            max_length=512,
            json_schema_extra=rules(
                rule(
                    f"self.matches('{URI_PATTERN}')",
                    "uri must be hf://ORG/NAME, pvc://CLAIM/PATH or oci://IMAGE",
                ),
                rule("!self.contains('..')", "uri must not contain '..'"),
            ),
        ),
    ]
    """Where the weights are: hf://ORG/NAME on the Hugging Face hub, pvc://CLAIM/PATH in a PersistentVolumeClaim of this namespace, or oci://IMAGE in an image mounted as a volume."""
    revision: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][-A-Za-z0-9_./]*$")] | None = (
        None
    )
    """Branch, tag or commit of an hf:// repository. Unset means the default branch."""
    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][-A-Za-z0-9_./:]*$")] | None = None
    """Name that clients send as `model`. Defaults to the name of this resource."""
    token_secret_ref: SecretKeyRef | None = None
    """Hugging Face token for gated or private hf:// repositories."""
    cache: ModelCache | None = None
    """Keeps weights and compile cache on a claim, so that later pods start faster. Unset keeps them on the node's disk, as long as the pod lives."""
    trust_remote_code: bool = False
    """Runs Python code that comes with the model. Only for models whose code you have read: it runs inside the engine."""


class Precision(StrEnum):
    """Data type of weights and activations."""

    AUTO = "auto"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


class Speculative(Model):
    """Speculative decoding: a cheap guess of several tokens, checked by the model in one step."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"has(self.model) || !(self.method in {list(DRAFTING_METHODS)})",
                "this method drafts with a second model: set speculative.model",
                ".model",
            )
        )
    )

    method: EngineWord
    """How tokens are guessed, in vLLM's words: ngram, suffix, mtp, draft_model, eagle3 and others."""
    model: Annotated[str, Field(min_length=1, max_length=256, pattern=f"^hf://{HUB_REPOSITORY}$")] | None = None
    """Drafting model, hf://ORG/NAME, for methods that need one."""
    tokens: Annotated[int, Field(ge=1, le=64)]
    """Tokens guessed per step."""


class EnvValueSource(Model):
    """Where a variable's value comes from."""

    secret_key_ref: SecretKeyRef
    """Key of a Secret in this namespace."""


class EnvVar(Model):
    """One environment variable of the engine."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.value) != has(self.valueFrom)", "set exactly one of value and valueFrom")
        )
    )

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=4096)] | None = None
    """Its value, literally."""
    value_from: EnvValueSource | None = None
    """A Secret's key that holds the value."""


MaxModelLen = Annotated[
    Annotated[int, Field(ge=1, le=100_000_000)] | Literal["Auto"],
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 16,
            **rules(
                rule(
                    "type(self) == int ? (self >= 1 && self <= 100000000) : self == 'Auto'",
                    "maxModelLen must be a number of tokens from 1 to 100000000, or Auto",
                )
            ),
        }
    ),
]
TokenCount = Annotated[int, Field(ge=1, le=100_000_000)]


class Engine(Model):
    """Settings of vLLM. Every field is optional; unset means what the profile sets, or else the engine's own default."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!(has(self.kvCacheMemory) && has(self.gpuMemoryUtilizationPercent))",
                "kvCacheMemory and gpuMemoryUtilizationPercent exclude each other: keep one",
                ".kvCacheMemory",
            )
        )
    )

    profile: Profile | None = None
    """A named, measured set of the settings that are left unset here: Balanced (unset means this one: the engine's own defaults), Latency, Throughput, and LatencyFP8 and ThroughputFP8, which quantize weights to fp8 at load. A field that is set wins. The FP8 profiles need an accelerator, and a model that is quantized already with another method stops with UnsupportedQuantization, unless quantization names that method."""
    max_model_len: MaxModelLen | None = None
    """Longest sequence in tokens, prompt and answer together. Auto takes the longest that fits the KV cache. Unset takes the model's own maximum, which may need more memory than there is."""
    max_num_seqs: Annotated[int, Field(ge=1, le=65_536)] | None = None
    """Most requests that run at the same time in one replica; further ones wait."""
    max_num_batched_tokens: TokenCount | None = None
    """Most tokens computed in one step. Larger favours throughput, smaller keeps the time between tokens even."""
    gpu_memory_utilization_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """Share of each accelerator's memory for weights, activations and KV cache together, in percent. Unset means 92."""
    kv_cache_memory: Quantity | None = None
    """Size of the KV cache per accelerator, such as 20Gi, instead of a share of the memory. On device CPU the size per replica; 512Mi when unset there."""
    block_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Tokens per block of the KV cache, the unit in which prefixes are reused; a multiple of 16 that the attention kernels have. Unset takes what suits them."""
    dtype: Precision | None = None
    """Data type of weights and activations. Unset means auto: what the model was saved in."""
    kv_cache_dtype: EngineWord | None = None
    """Data type of the KV cache, in vLLM's words. fp8 doubles the tokens that fit, at some cost in accuracy."""
    quantization: EngineWord | None = None
    """Quantization method, in vLLM's words: awq, gptq, fp8 and others. Unset means what the model's own configuration names."""
    prefix_caching: bool | None = None
    """Reuses the KV cache of equal beginnings of prompts."""
    chunked_prefill: bool | None = None
    """Splits long prompts over several steps, so that running answers go on meanwhile."""
    seed: Annotated[int, Field(ge=0, le=4_294_967_295)] | None = None
    """Seed of random sampling."""
    start_timeout_seconds: Annotated[int, Field(ge=30, le=86_400)] = 1800
    """How long a pod may take from its start to the first decoded token, download included. Then it is restarted and the reason is StartTimeout."""
    speculative: Speculative | None = None
    """Speculative decoding."""
    extra_args: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=4096)], ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Further vLLM arguments, such as ["--enable-auto-tool-choice", "--tool-call-parser=hermes"]. What a field of this resource sets, and what would open the pod, is refused."""
    env: Annotated[
        tuple[EnvVar, ...],
        Field(
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Environment of the engine, from a list of harmless variables such as NCCL_DEBUG or VLLM_LOGGING_LEVEL."""
