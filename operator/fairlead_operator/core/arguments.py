"""`engine.extraArgs`: what is refused before it reaches the engine's own parser.

Refused is what a field of the resource sets (two places for one setting would contradict each other) and what would open the
pod, reach its host or take its ports. vLLM's parser accepts underscores for hyphens, abbreviations, `--flag=value` and dotted
forms, so all of these are reduced to one spelling first. An unknown flag passes: the engine refuses it and says so.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from fairlead_operator.core.rejection import Rejection

_FIELD: Final = "spec.engine.extraArgs"

#: Flags that a field of the spec sets -> the field.
_RENDERED: Final[Mapping[str, str]] = {
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
_PORTS: Final = "ports and addresses belong to the runtime"
_GUARD: Final = "the serving port is guarded by the runtime"
_NODES: Final = "a replica runs in one pod on one node"
_CODE: Final = "it loads code that nobody reviewed; only spec.model.trustRemoteCode does that"
_LOGS: Final = "the runtime reads the engine's log and counters to see that it works"
_FILES: Final = "it reaches files or hosts beyond the model"

#: Flags that no field sets and that are refused nevertheless -> why.
_CLOSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("--host", "--port", "--uds", "--api-server-count", "-asc", "--grpc", "--root-path", "--kv-events-config"),
        _PORTS,
    ),
    **dict.fromkeys(
        (
            "--ssl-keyfile",
            "--ssl-certfile",
            "--ssl-ca-certs",
            "--ssl-cert-reqs",
            "--ssl-ciphers",
            "--enable-ssl-refresh",
            "--middleware",
            "--allow-credentials",
            "--allowed-origins",
            "--allowed-methods",
            "--allowed-headers",
            "--h11-max-incomplete-event-size",
            "--h11-max-header-count",
            "--disable-fastapi-docs",
            "--enable-offline-docs",
        ),
        _GUARD,
    ),
    **dict.fromkeys(
        (
            "--headless",
            "--nnodes",
            "-n",
            "--node-rank",
            "-r",
            "--master-addr",
            "--master-port",
            "--distributed-executor-backend",
            "--data-parallel-size",
            "-dp",
            "--data-parallel-rank",
            "-dpn",
            "--data-parallel-start-rank",
            "-dpr",
            "--data-parallel-size-local",
            "-dpl",
            "--data-parallel-address",
            "-dpa",
            "--data-parallel-rpc-port",
            "-dpp",
            "--data-parallel-backend",
            "-dpb",
            "--data-parallel-external-lb",
            "-dpe",
            "--data-parallel-hybrid-lb",
            "-dph",
            "--data-parallel-multi-port-external-lb",
            "--device-ids",
            "--enable-elastic-ep",
            "--enable-scale-out",
            "--elastic-ep-max-dp-size",
            "--prefill-context-parallel-size",
            "-pcp",
            "--decode-context-parallel-size",
            "-dcp",
        ),
        _NODES,
    ),
    **dict.fromkeys(
        (
            "--worker-cls",
            "--model-class-overrides",
            "--worker-extension-cls",
            "--scheduler-cls",
            "--logits-processors",
            "--logits-processor-pattern",
            "--tool-parser-plugin",
            "--reasoning-parser-plugin",
            "--io-processor-plugin",
            "--weight-transfer-config",
        ),
        _CODE,
    ),
    **dict.fromkeys(
        (
            "--disable-log-stats",
            "--log-config-file",
            "--pylogging-config-file",
            "--logging-config",
            "--log-level",
            "--uvicorn-log-level",
            "--disable-uvicorn-access-log",
            "--disable-access-log-for-endpoints",
        ),
        _LOGS,
    ),
    **dict.fromkeys(
        ("--config", "--allowed-local-media-path", "--allowed-media-domains", "--tool-server", "--profiler-config"),
        _FILES,
    ),
    **dict.fromkeys(("--help", "-h", "--version", "-v"), "the engine would print and exit"),
}
_DENIED: Final = {**_CLOSED, **_RENDERED}
#: Flags of vLLM that are themselves the beginning of a refused one: exact matches win over abbreviations in its parser.
_EXACT: Final = frozenset({"--reasoning-parser"})
#: Short flags with harmless meaning: -O is the optimization level, -cc and -ac compilation and attention.
_SHORT: Final = re.compile(r"^-(O[0-3]?|cc|ac|ep)$")
_NEGATIVE_NUMBER: Final = re.compile(r"^-\d")


def judge(arguments: Sequence[str]) -> Rejection | None:
    """Why these arguments cannot be passed on, or None. The first refused one is named."""
    if arguments and not arguments[0].startswith("-"):
        return _denied(arguments[0], "it is a value without a flag before it", "put its flag before it")
    for argument in arguments:
        if not argument.startswith("-") or _NEGATIVE_NUMBER.match(argument):
            continue
        if verdict := _judge_flag(argument):
            return verdict
    return None


def _judge_flag(argument: str) -> Rejection | None:
    written = argument.partition("=")[0]
    if any(character.isspace() for character in written):
        return _denied(argument, "flag and value are one item", "write them as two items, or as --flag=value")
    flag = written.partition(".")[0].replace("_", "-")
    if flag in {"-", "--"}:
        return _denied(argument, "it is no flag", "remove it")
    if not flag.startswith("--"):
        return _judge_short(argument, flag)
    # Switches have a negative form: --no-trust-remote-code sets what --trust-remote-code sets.
    flag = flag.lower()
    if flag.startswith("--no-") and _match(f"--{flag[5:]}") in _RENDERED:
        flag = f"--{flag[5:]}"
    match = _match(flag)
    return _explain(argument, match) if match else None


def _match(flag: str) -> str:
    """The refused flag that the engine's parser would take this for, or ""."""
    if flag in _EXACT:
        return ""
    return flag if flag in _DENIED else next((known for known in _DENIED if known.startswith(flag)), "")


def _judge_short(argument: str, flag: str) -> Rejection | None:
    """Single-hyphen flags take their value glued on (-tp2), so that only known harmless ones pass."""
    if _SHORT.match(flag):
        return None
    longest = max(
        (known for known in _DENIED if not known.startswith("--") and flag.startswith(known)), key=len, default=""
    )
    if longest:
        return _explain(argument, longest)
    return _denied(argument, "short flags can hide their value", "write the long form, --flag=value")


def _explain(argument: str, flag: str) -> Rejection:
    if field := _RENDERED.get(flag):
        return Rejection(
            "DeniedArgument",
            f"{_shown(argument)} in engine.extraArgs is what {field} sets; remove it and set {field}",
            field,
        )
    return _denied(argument, _CLOSED[flag], "remove it")


def _denied(argument: str, why: str, remedy: str) -> Rejection:
    return Rejection("DeniedArgument", f"{_shown(argument)} in engine.extraArgs is refused: {why}; {remedy}", _FIELD)


def _shown(argument: str) -> str:
    """The flag alone: what stands behind `=` may be a secret, as in --api-key=..."""
    return argument.partition("=")[0][:80]
