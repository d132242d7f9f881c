"""vLLM's arguments that a field of the InferenceService sets, under every name that vLLM gives them -> the field.

One table for three readers: the operator refuses them in engine.extraArgs, the runtime renders them, and a refusal of the
engine's own parser is told under the name of the field. Standard library only.
"""

from collections.abc import Mapping
from typing import Final

FIELDS: Final[Mapping[str, str]] = {
    "--model": "spec.model.uri",
    "--model-weights": "spec.model.uri",
    "--revision": "spec.model.revision",
    "--tokenizer-revision": "spec.model.revision",
    "--served-model-name": "spec.model.name",
    "--hf-token": "spec.model.tokenSecretRef",
    "--download-dir": "spec.model.cache",
    "--trust-remote-code": "spec.model.trustRemoteCode",
    "--max-model-len": "spec.engine.maxModelLen",
    "--max-num-seqs": "spec.engine.maxNumSeqs",
    "--max-num-batched-tokens": "spec.engine.maxNumBatchedTokens",
    "--gpu-memory-utilization": "spec.engine.gpuMemoryUtilizationPercent",
    "--device-memory-utilization": "spec.engine.gpuMemoryUtilizationPercent",
    "--kv-cache-memory-bytes": "spec.engine.kvCacheMemory",
    "--kv-cache-memory": "spec.engine.kvCacheMemory",
    "--block-size": "spec.engine.blockSize",
    "--dtype": "spec.engine.dtype",
    "--kv-cache-dtype": "spec.engine.kvCacheDtype",
    "--quantization": "spec.engine.quantization",
    "-q": "spec.engine.quantization",
    "--enable-prefix-caching": "spec.engine.prefixCaching",
    "--enable-chunked-prefill": "spec.engine.chunkedPrefill",
    "--seed": "spec.engine.seed",
    "--speculative-config": "spec.engine.speculative",
    "--spec-method": "spec.engine.speculative",
    "--spec-model": "spec.engine.speculative",
    "--spec-tokens": "spec.engine.speculative",
    "-sc": "spec.engine.speculative",
    "--tensor-parallel-size": "spec.parallelism.tensor",
    "-tp": "spec.parallelism.tensor",
    "--pipeline-parallel-size": "spec.parallelism.pipeline",
    "-pp": "spec.parallelism.pipeline",
    "--api-key": "spec.serving.apiKeySecretRef",
    "--shutdown-timeout": "spec.serving.drainSeconds",
    "--device": "spec.resources.device",
}


def spelled(argument: str) -> str:
    """The flag of `argument` in one spelling: `--max_num_seqs=4` is --max-num-seqs, `--speculative-config.method` --speculative-config."""
    return argument.partition("=")[0].partition(".")[0].replace("_", "-")


def sets(argument: str, flag: str) -> bool:
    """Whether vLLM's parser takes `argument` for `flag`, which may be abbreviated or be a switch's negative form."""
    written = spelled(argument)
    if not written.startswith("--"):
        return written == flag
    return any(flag.startswith(form) for form in (written, f"--{written.removeprefix('--no-')}"))


def flags_of(field: str) -> tuple[str, ...]:
    """All flags that `field` sets."""
    return tuple(flag for flag, set_by in FIELDS.items() if set_by == field)


def field_of(argument: str, otherwise: str) -> str:
    """The field that sets `argument`: `--max-num-seqs`, `--quantization/-q` as argparse prints it, or `max_num_seqs`."""
    for name in argument.split("/"):
        flag = name if name.startswith("-") else f"--{name}"
        if field := FIELDS.get(flag.replace("_", "-")):
            return field
    return otherwise
