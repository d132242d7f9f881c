"""RuntimeConfig: the one contract between operator and runtime.

The operator renders it into an immutable ConfigMap, the runtime reads it at start. Only what the engine needs is in here:
secrets arrive as mounted files, so that neither the ConfigMap nor a process listing shows them. Unknown fields are refused:
a runtime that is older than its operator must say so instead of ignoring what was asked.
"""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from fairlead_runtime.locations import (
    API_KEYS_PATH,
    CACHE_PATH,
    CONFIG_PATH,
    HUB_TOKEN_PATH,
    MANAGEMENT_PORT,
    MODEL_PATH,
    PINNED_PATH,
    SERVING_PORT,
    TERMINATION_PATH,
)
from fairlead_runtime.profiles import Profile

#: The operator takes the pod's paths and ports from here too.
__all__ = [
    "API_KEYS_PATH",
    "CACHE_PATH",
    "COMMIT",
    "CONFIG_PATH",
    "HUB_TOKEN_PATH",
    "MANAGEMENT_PORT",
    "MODEL_PATH",
    "PINNED_PATH",
    "SERVING_PORT",
    "SKIP_PLAN",
    "TERMINATION_PATH",
    "Config",
    "Device",
    "Engine",
    "Model",
    "Parallelism",
    "Profile",
    "RateLimit",
    "RuntimeConfig",
    "Seconds",
    "Serving",
    "Speculative",
    "TokenCount",
]

TokenCount = Annotated[int, Field(ge=1, le=100_000_000)]
Seconds = Annotated[int, Field(ge=1, le=86_400)]


class Device(StrEnum):
    """Which engine runs: the GPU build or the CPU build."""

    ACCELERATOR = "Accelerator"
    CPU = "CPU"


#: The name of a commit, which moves no more.
COMMIT: Final = re.compile(r"^[0-9a-f]{40}$")
#: Annotation of an InferenceService: with the value true, `skip_plan` is told. What the plan refuses here names it as the way out.
SKIP_PLAN: Final = "fairlead.dev/skip-plan"


class Config(BaseModel):
    """camelCase on the wire, frozen in the process."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        defer_build=True,  # validators are built when they are used, and of most models never
    )


class Model(Config):
    """The weights and the name they are served under.

    `path` is a folder in the pod (oci://, pvc://), `repository` a hub repository (hf://): exactly one is set.
    """

    served_name: str
    path: str | None = None
    repository: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    @property
    def moves(self) -> bool:
        """Whether what is asked for is a branch or a tag of a hub, and may be another commit tomorrow."""
        return self.repository is not None and not COMMIT.match(self.revision or "")


class Speculative(Config):
    """Speculative decoding, in vLLM's words: `--speculative-config`."""

    method: str
    tokens: Annotated[int, Field(ge=1, le=64)]
    model: str | None = None


class Engine(Config):
    """vLLM's engine arguments that have a field of their own; unset means what the profile says, or else vLLM's own default."""

    profile: Profile | None = None
    max_model_len: TokenCount | Literal["Auto"] | None = None
    max_num_seqs: Annotated[int, Field(ge=1, le=65_536)] | None = None
    max_num_batched_tokens: TokenCount | None = None
    gpu_memory_utilization_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    kv_cache_memory_bytes: Annotated[int, Field(ge=1)] | None = None
    block_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    dtype: str | None = None
    kv_cache_dtype: str | None = None
    quantization: str | None = None
    prefix_caching: bool | None = None
    chunked_prefill: bool | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    speculative: Speculative | None = None
    extra_args: tuple[str, ...] = ()


class Parallelism(Config):
    """GPUs per replica = tensor x pipeline, all on one node."""

    tensor: Annotated[int, Field(ge=1, le=64)] = 1
    pipeline: Annotated[int, Field(ge=1, le=64)] = 1


class RateLimit(Config):
    """A token bucket for each API key, or one for the port without keys."""

    requests_per_second: Annotated[int, Field(ge=1, le=100_000)]
    #: Requests that may come at once; unset, as many as in a second.
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Serving(Config):
    """What the serving port promises."""

    #: A mounted key file guards every route; False leaves the port open.
    require_api_key: bool = False
    #: Deadline of one request, in seconds; the engine's request is aborted when it passes.
    request_timeout_seconds: Seconds = 300
    #: How long running requests may go on after SIGTERM and the lame-duck phase, in seconds.
    drain_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    #: Requests that may wait beside those that the engine runs at a time; None for any number.
    max_queued_requests: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    rate_limit: RateLimit | None = None


class RuntimeConfig(Config):
    """Everything the runtime is told. `version` moves when a reader of the old form would misread the new one."""

    version: Literal["v1"] = "v1"
    model: Model
    engine: Engine = Engine()
    parallelism: Parallelism = Parallelism()
    device: Device = Device.ACCELERATOR
    serving: Serving = Serving()
    #: From process start to the first decoded token, in seconds; then the runtime gives up with StartTimeout.
    start_timeout_seconds: Seconds = 1800
    #: What the memory plan says cannot fit is loaded nevertheless. Absent where it is False, so that a runtime that knows none can read it.
    skip_plan: bool = False

    def canonical_json(self) -> str:
        """The same text for the same configuration, whatever release wrote it: fields left at their default are absent."""
        return json.dumps(self.model_dump(mode="json", by_alias=True, exclude_defaults=True), sort_keys=True)

    @classmethod
    def read(cls, path: Path) -> "RuntimeConfig":
        """The configuration in `path`. Raises OSError or pydantic.ValidationError."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))
