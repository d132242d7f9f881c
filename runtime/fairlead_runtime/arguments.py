"""RuntimeConfig -> vLLM's command line and environment. Pure; vLLM's own parser reads the result.

A field that is unset is the profile's to fill; where that says nothing either its flag is left out, so that the engine's own
default holds whatever its version. The forms used here are the same from vLLM 0.26 to 0.33.
"""

import json
from collections.abc import Mapping, Sequence

from fairlead_runtime import locations, profiles
from fairlead_runtime.config import Device, Engine, RuntimeConfig
from fairlead_runtime.failure import redact

#: Flags whose value is never shown.
SECRET_FLAGS = ("--hf-token", "--api-key")
#: KV cache of the CPU engine where no field sizes it, documented at spec.engine.kvCacheMemory. Its own default is a share of all
#: memory of the node (0.92, not of the pod's limit), which a pod never has.
CPU_KV_CACHE_BYTES = 512 * 1024**2


def build_argv(config: RuntimeConfig, environ: Mapping[str, str] | None = None, host: str = "") -> list[str]:
    """The arguments after the program's name, for `make_arg_parser(...).parse_args()`.

    `host` is what to listen on, as addresses.py has it. `environ` moves the port outside a pod (see locations.py). Arguments of the user stand last: what they may hold was
    judged by the operator.
    """
    config = with_profile(config)
    model = config.model
    argv = [
        f"--model={model.path or model.repository or ''}",
        f"--served-model-name={model.served_name}",
        f"--port={locations.serving_port(environ or {})}",
    ]
    if host:
        argv.append(f"--host={host}")
    if model.revision:
        argv += [f"--revision={model.revision}", f"--tokenizer-revision={model.revision}"]
    if model.trust_remote_code:
        argv.append("--trust-remote-code")
    if config.parallelism.tensor > 1:
        argv.append(f"--tensor-parallel-size={config.parallelism.tensor}")
    if config.parallelism.pipeline > 1:
        argv.append(f"--pipeline-parallel-size={config.parallelism.pipeline}")
    return [*argv, *_engine(config.engine, kv_cache_memory_bytes(config)), *config.engine.extra_args]


def with_profile(config: RuntimeConfig) -> RuntimeConfig:
    """`config` with what its profile decides written out, as if the user had: what the user did write stays."""
    engine = config.engine.model_dump(by_alias=True, exclude_defaults=True)
    decided = profiles.chosen(engine)
    extra = (*(f"{flag}={value}" for flag, value in decided.flags.items()), *config.engine.extra_args)
    return config.model_copy(update={"engine": Engine.model_validate({**engine, **decided.fields, "extraArgs": extra})})


def kv_cache_memory_bytes(config: RuntimeConfig) -> int | None:
    """The size of the KV cache that is asked for; None leaves it to the engine's share of the accelerator's memory."""
    engine = config.engine
    if engine.kv_cache_memory_bytes is not None or engine.gpu_memory_utilization_percent is not None:
        return engine.kv_cache_memory_bytes
    return CPU_KV_CACHE_BYTES if config.device is Device.CPU else None


def _engine(engine: Engine, kv_cache: int | None) -> list[str]:
    length = engine.max_model_len
    share = engine.gpu_memory_utilization_percent
    values: dict[str, object | None] = {
        "max-model-len": "auto" if length == "Auto" else length,
        "max-num-seqs": engine.max_num_seqs,
        "max-num-batched-tokens": engine.max_num_batched_tokens,
        "gpu-memory-utilization": None if share is None else share / 100,
        "kv-cache-memory-bytes": kv_cache,
        "block-size": engine.block_size,
        "dtype": engine.dtype,
        "kv-cache-dtype": engine.kv_cache_dtype,
        "quantization": engine.quantization,
        "seed": engine.seed,
    }
    argv = [f"--{flag}={value}" for flag, value in values.items() if value is not None]
    for flag, wanted in (
        ("enable-prefix-caching", engine.prefix_caching),
        ("enable-chunked-prefill", engine.chunked_prefill),
    ):
        if wanted is not None:
            argv.append(f"--{flag}" if wanted else f"--no-{flag}")
    if engine.speculative:
        draft: dict[str, object] = {
            "method": engine.speculative.method,
            "num_speculative_tokens": engine.speculative.tokens,
        }
        if engine.speculative.model:
            draft["model"] = engine.speculative.model
        argv.append(f"--speculative-config={json.dumps(draft)}")
    return argv


def build_environment(config: RuntimeConfig, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the engine's processes find in their environment beside what the pod sets. `environ` moves paths outside a pod."""
    drafting = config.engine.speculative and config.engine.speculative.model
    hub = config.model.repository or drafting
    return {
        # Read by huggingface_hub for each request; a file that is not there is no token.
        **({"HF_TOKEN_PATH": locations.hub_token_path(environ or {})} if hub else {}),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        # The supervisor's deadline comes first and has the better message; vLLM's own default would end long loads early.
        "VLLM_ENGINE_READY_TIMEOUT_S": str(config.start_timeout_seconds),
    }


def redacted(argv: Sequence[str]) -> list[str]:
    """`argv` without secrets, for status, logs and /state."""
    shown: list[str] = []
    hide_next = False
    for word in argv:
        flag, equals, _ = word.partition("=")
        secret = flag.replace("_", "-") in SECRET_FLAGS
        if hide_next:
            shown.append("***")
        elif secret and equals:
            shown.append(f"{flag}=***")
        else:
            shown.append(redact(word))
        hide_next = secret and not equals
    return shown
