"""Failure text -> Failure: what an engine said before it ended, as a code, a sentence, a field and a value. Pure.

The patterns are texts of vLLM 0.26 to 0.33, transformers, huggingface_hub, safetensors and PyTorch. Where an exception is raised in
a child process, the front end only says "see root cause above": so all lines are searched, and the catalogue's order decides.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Match = re.Match[str]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an engine did not start or went away, in words a user can act on.

    code: one of CODES. message: one or two sentences with the engine's own numbers. field: the path in the InferenceService that
    changes it, "" when no field does. suggestion: a value for that field, or a sentence.
    """

    code: str
    message: str
    field: str = ""
    suggestion: str = ""


#: More text than this adds nothing, and takes time: the end is kept.
MAX_CHARACTERS = 400_000
#: Lines of an unknown failure that are told.
TOLD_LINES = 6

_SECRETS = (
    (re.compile(r"hf_[A-Za-z0-9]{8,}"), "hf_***"),
    (re.compile(r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{4,}"), r"\1***"),
    (re.compile(r"(://)[^/\s@:]{1,256}:[^/\s@]{1,256}@"), r"\1***@"),
    (re.compile(r"(?i)((?:api[-_]?key|token|password|secret)['\"]?\s{0,4}[=:]\s{0,4}['\"]?)[^\s'\",]{4,}"), r"\1***"),
)


def redact(text: str) -> str:
    """`text` without tokens, keys and passwords."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _integer(number: str) -> str:
    """vLLM prints some counts as floats: 2048.0."""
    return number.split(".", maxsplit=1)[0].replace(",", "")


def _shorter(tokens: str) -> str:
    """A length to ask for instead: whole blocks of 128 tokens, the largest block that an engine uses, where there are that many."""
    length = int(tokens)
    return str(length // 128 * 128 if length >= 128 else length)


def _kv_cache_too_small(seen: Match) -> Failure:
    text = seen.string[seen.start() : seen.start() + 1200]
    needed = re.search(r"\(([\d.]+) GiB KV cache is needed", text)
    available = re.search(r"available KV cache memory \(([\d.]+) GiB\)", text)
    estimate = re.search(r"estimated maximum model length is (\d+)", text)
    # The engine rounds: of a tiny model both sizes read 0.0.
    sizes = ""
    if needed and available and needed[1] != available[1]:
        sizes = f", {needed[1]} GiB of KV cache is needed and {available[1]} GiB is there"
    fits = f"; {estimate[1]} tokens would fit" if estimate else ""
    return Failure(
        "KVCacheTooSmall",
        f"one request of {seen[1]} tokens does not fit the KV cache{sizes}{fits}",
        "spec.engine.maxModelLen",
        _shorter(estimate[1]) if estimate else "Auto",
    )


def _context_too_long(seen: Match) -> Failure:
    asked, limit = seen[1], _integer(seen[2])
    return Failure(
        "ContextTooLong",
        f"the model's context is {limit} tokens and {asked} were asked for",
        "spec.engine.maxModelLen",
        limit,
    )


def _unknown_argument(seen: Match) -> Failure:
    arguments = redact(seen[1].strip())
    return Failure(
        "UnknownEngineArgument",
        f"the engine does not know the argument {arguments}",
        "spec.engine.extraArgs",
        "remove or correct it",
    )


def _bad_argument(seen: Match) -> Failure:
    return Failure(
        "BadArgument", f"the engine refuses an argument: {redact(seen[1].strip())}", "spec.engine", "correct it"
    )


def _tensor_parallel(seen: Match) -> Failure:
    heads, size = int(seen[1]), int(seen[2])
    fitting = max(divisor for divisor in range(1, size + 1) if heads % divisor == 0)
    return Failure(
        "TensorParallelMismatch",
        f"{heads} attention heads cannot be split over {size} accelerators",
        "spec.parallelism.tensor",
        str(fitting),
    )


def _not_enough_gpus(seen: Match) -> Failure:
    return Failure(
        "NotEnoughGPUs",
        f"{seen[1]} accelerators are needed in the pod and {seen[2]} are there",
        "spec.parallelism",
        f"at most {seen[2]}",
    )


def _architecture(seen: Match) -> Failure:
    return Failure(
        "UnsupportedArchitecture",
        f"this engine does not know the model's architecture {seen[1].strip()[:200]}",
        "spec.model.uri",
        "use a model that the engine supports, or a newer spec.image",
    )


def _says(code: str, field: str, suggestion: str) -> Callable[[Match], Failure]:
    """The line itself is the message."""

    def build(seen: Match) -> Failure:
        start = seen.string.rfind("\n", 0, seen.start()) + 1
        end = seen.string.find("\n", seen.end())
        line = seen.string[start : end if end >= 0 else None]
        # pydantic ends its lines with the type and the value of what it refused: long, and no help.
        said = _unprefixed(line).partition(" [type=")[0].removeprefix("Value error, ")
        return Failure(code, redact(said)[:600], field, suggestion)

    return build


_GPU_MEMORY = "lower spec.engine.maxModelLen or spec.engine.maxNumSeqs, quantize, or use more accelerators"
_WEIGHTS = "put complete weights there"
_URI = "spec.model.uri"

#: First match in this order wins: exact causes before the general ones that they also print.
CATALOGUE: tuple[tuple[str, Callable[[Match], Failure]], ...] = (
    (r"To serve at least one request with the model's max seq len \((\d+)\)", _kv_cache_too_small),
    (
        r"No available memory for the cache blocks|Cannot auto-fit max_model_len",
        _says("KVCacheTooSmall", "spec.engine.kvCacheMemory", "give the KV cache more memory"),
    ),
    (
        r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=([\d.]+)",
        _context_too_long,
    ),
    (r"unrecognized arguments?: ([^\n]{1,500})", _unknown_argument),
    (r"error: (ambiguous option: [^\n]{1,500}|argument [^\n]{1,500})", _bad_argument),
    (
        r"Total number of attention heads \((\d{1,5})\) must be divisible by tensor parallel size \((\d{1,4})\)",
        _tensor_parallel,
    ),
    (r"World size \((\d+)\) is larger than the number of available GPUs \((\d+)\)", _not_enough_gpus),
    (
        r"device ordinal is out of bounds|is out of bounds for \d+ devices|No CUDA GPUs are available|invalid device ordinal",
        _says("NotEnoughGPUs", "spec.parallelism", "as many accelerators as the pod is given"),
    ),
    (r"Model architectures (\[[^\]\n]{1,500}\]) are not supported", _architecture),
    (r"model type (`[^`\n]{1,200}`) but Transformers does not recognize this architecture", _architecture),
    (
        r"not supported in-tree anymore|was supported in vLLM until|failed to be inspected",
        _says("UnsupportedArchitecture", _URI, "use a model that the engine supports"),
    ),
    (
        r"Unknown quantization method: |does not match the quantization method specified in the|"
        r"is not supported for the current GPU|is not supported for quantization method|"
        r"static_scaled_fp8_quant\(\) expected",
        _says("UnsupportedQuantization", "spec.engine.quantization", "choose a method that engine and device support"),
    ),
    (
        r"If the model is a custom model|requires you to execute|to allow custom code to be run",
        _says("RemoteCodeRequired", "spec.model.trustRemoteCode", "true, after reading the model's code"),
    ),
    (
        r"You are trying to access a gated repo|GatedRepoError|40[13] Client Error|"
        r"pass a token having permission|Invalid (?:user )?token",
        _says("Unauthorized", "spec.model.tokenSecretRef", "a token that may read this model"),
    ),
    (
        r"is not a valid git identifier|RevisionNotFoundError",
        _says("RevisionNotFound", "spec.model.revision", "a branch, tag or commit that exists"),
    ),
    (
        r"RepositoryNotFoundError|404 Client Error|is not a valid model identifier",
        _says("ModelNotFound", _URI, "the name of a repository that exists"),
    ),
    (
        r"No space left on device|Not enough free disk space",
        _says("DiskFull", "spec.resources.ephemeralStorage", "a larger size, or spec.model.cache"),
    ),
    (
        r"PermissionError: \[Errno 13\]|\[Errno 13\] Permission denied",
        _says("PermissionDenied", "spec.placement.supplementalGroups", "a group that may read the files"),
    ),
    (
        r"We couldn't connect to|LocalEntryNotFoundError|OfflineModeIsEnabled|Cannot connect to Hugging Face Hub|"
        r"Temporary failure in name resolution|Max retries exceeded with url",
        _says("HubUnreachable", _URI, "let the pod reach the hub, or use pvc:// or oci://"),
    ),
    (
        r"Cannot find any (?:model|safetensors model) weights|Following weights were not initialized from",
        _says("WeightsCorrupt", _URI, _WEIGHTS),
    ),
    (
        r"Error while deserializing header|SafetensorError|incomplete metadata, file not fully covered",
        _says("WeightsCorrupt", _URI, _WEIGHTS),
    ),
    (
        r"Repo id must be in the form|Invalid repository ID or local directory specified|is not a local folder",
        _says("ModelNotFound", _URI, "a folder or image that holds the model"),
    ),
    (
        r"appears path-like, but doesn't exist|looks like a file path, but it failed to be opened",
        _says("BadChatTemplate", "spec.engine.extraArgs", "a chat template that is in the image or inline"),
    ),
    (
        r"Address already in use",
        _says("PortInUse", "spec.engine.extraArgs", "remove what takes the port"),
    ),
    (
        r"CUDA driver version is insufficient|no kernel image is available|Found no NVIDIA driver|"
        r"driver on your system is too old|Failed to infer device type",
        _says("DriverTooOld", "spec.placement.nodeSelector", "a node with a newer driver"),
    ),
    (
        r"is less than desired CPU memory utilization|is less than requested memory for kv",
        _says("HostOutOfMemory", "spec.engine.kvCacheMemory", "a smaller size, or a node with more memory"),
    ),
    (
        r"Bus error|unable to open shared memory object",
        _says("HostOutOfMemory", "spec.resources.memory", "a larger size: shared memory counts to it"),
    ),
    (
        r"CUDA out of memory|Failed to load model - not enough GPU memory|"
        r"is less than desired GPU memory utilization",
        _says("OutOfGPUMemory", "spec.engine.gpuMemoryUtilizationPercent", _GPU_MEMORY),
    ),
    (
        r"LoRA rank \d+ is greater than max_lora_rank|Loading lora \S{1,200} failed|invalid (?:tool call|reasoning) parser|"
        r"--enable-auto-tool-choice requires|max_num_batched_tokens \(\d+\) is smaller than|"
        r"must be greater than or equal to max_num_seqs|No valid attention backend found|appears to be a URI|Not enough allowed NUMA nodes",
        _says("BadArgument", "spec.engine", "correct the argument that is named"),
    ),
    (
        r"Timed out waiting for engine core processes to start",
        _says("StartTimeout", "spec.engine.startTimeoutSeconds", "a longer time"),
    ),
    (
        r"EngineCore encountered (?:an issue|a fatal error)|RPC call to execute_model timed out|EngineDeadError|"
        r"died unexpectedly",
        _says("EngineDied", "", "it is started again; read its log if it comes back"),
    ),
)
_COMPILED = tuple((re.compile(pattern), build) for pattern, build in CATALOGUE)

#: Every code that a record can carry; the operator maps each to a condition.
CODES = frozenset(
    {
        *("BadArgument", "BadChatTemplate", "ContextTooLong", "DiskFull", "DriverTooOld", "EngineDied"),
        *("EngineStalled", "HostOutOfMemory", "HubUnreachable", "InvalidConfig", "KVCacheTooSmall", "ModelNotFound"),
        *("NotEnoughGPUs", "OutOfGPUMemory", "PermissionDenied", "PortInUse", "RemoteCodeRequired"),
        *("RevisionNotFound", "StartTimeout", "TensorParallelMismatch", "Unauthorized", "UnknownEngineArgument"),
        *("UnknownFailure", "UnsupportedArchitecture", "UnsupportedQuantization", "WeightsCorrupt"),
    }
)


def diagnose(lines: Iterable[str], exception: str = "") -> Failure:
    """The most exact cause in the log `lines` (oldest first) and the front end's own `exception` text.

    Lines of level INFO and DEBUG name no cause, and access logs among them carry paths that clients chose: they are not searched.
    """
    kept = [*(line for line in lines if not _CHATTER.match(line)), *exception.splitlines()]
    text = "\n".join(kept)[-MAX_CHARACTERS:]
    for pattern, build in _COMPILED:
        if seen := pattern.search(text):
            return build(seen)
    return Failure("UnknownFailure", _root_cause(kept), "", "read the log of the pod's previous run")


#: vLLM's "(APIServer pid=9) INFO 11-24 ...", uvicorn's "INFO:     127.0.0.1:5 - "GET /x HTTP/1.1" 200 OK".
_CHATTER = re.compile(r"^(?:\([\w-]{1,40} pid=\d+\)\s?)?(?:INFO|DEBUG)[: ]")

#: "(Worker_TP0 pid=12) ERROR 11-24 02:10:11 [multiproc_executor.py:953] ", as vLLM's child processes print it.
_PREFIX = re.compile(
    r"^\((?P<process>[\w-]{1,40}) pid=\d+\)\s?(?:[A-Z]{4,8} [\d-]{5} [\d:]{8} (?:\[[^\]]{1,200}\] ?)?)?"
)


def _unprefixed(line: str) -> str:
    return _PREFIX.sub("", line).strip()


def _root_cause(lines: list[str]) -> str:
    """The last lines that the process nearest to the failure said: a worker rather than the engine core, that rather than the front end."""
    for process in ("Worker", "EngineCore", ""):
        own = [line for line in lines if (seen := _PREFIX.match(line)) and seen["process"].startswith(process)]
        said = [_unprefixed(line) for line in (own if process else lines)]
        errors = [line for line in said if re.match(r"[\w.]{1,100}(?:Error|Exception|Interrupt)\b", line)]
        if errors:
            return redact(errors[-1])[:1000]
    told = [line for line in map(_unprefixed, lines) if line][-TOLD_LINES:]
    return redact(" | ".join(told))[:1000] or "the engine ended without a word"
