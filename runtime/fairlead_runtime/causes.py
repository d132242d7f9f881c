"""From the match of a failure's text to the sentence, the field and the value: the builders that the catalogue's rows use. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from fairlead_runtime import verdicts
from fairlead_runtime.failure import Failure, redact
from fairlead_runtime.flags import field_of

Match = re.Match[str]

#: "(Worker_TP0 pid=12) ERROR 11-24 02:10:11 [multiproc_executor.py:953] ", as vLLM's child processes print it.
PREFIX = re.compile(
    r"^\((?P<process>[\w-]{1,40}) pid=\d+\)\s?(?:[A-Z]{4,8} [\d-]{5} [\d:]{8} (?:\[[^\]]{1,200}\] ?)?)?"
)
_SIGNALS = {
    "Segmentation fault": "SIGSEGV",
    "Segfault": "SIGSEGV",
    "Aborted": "SIGABRT",
    "Illegal instruction": "SIGILL",
}
#: "huggingface_hub.errors.HfHubHTTPError: ": for those who know the code.
_CLASS = re.compile(r"^(?:[a-z_]\w{0,60}\.){0,6}[A-Z]\w{1,60}(?:Error|Exception): ")
_URI = "spec.model.uri"


@dataclass(frozen=True, slots=True)
class Cause:
    """`example`: text in which `pattern` finds itself, as the engine prints it; the reference page and the tests are made of it."""

    pattern: re.Pattern[str]
    build: Callable[[Match], Failure]
    example: str


def unprefixed(line: str) -> str:
    """`line` without the process and place that vLLM's logger puts before it."""
    return PREFIX.sub("", line).strip()


def _line(seen: Match) -> str:
    """The line with the match, as a sentence."""
    start = seen.string.rfind("\n", 0, seen.start()) + 1
    end = seen.string.find("\n", seen.end())
    said = unprefixed(seen.string[start : end if end >= 0 else None])
    # pydantic ends its lines with the type and the value of what it refused: long, and no help.
    said = said.partition(" [type=")[0].removeprefix("Value error, ")
    return redact(_CLASS.sub("", said))[:600]


def says(code: str, field: str, suggestion: str) -> Callable[[Match], Failure]:
    """The line itself is the message."""
    return lambda seen: Failure(code, _line(seen), field, suggestion)


def _integer(number: str) -> str:
    """vLLM prints some counts as floats: 2048.0."""
    return number.split(".", maxsplit=1)[0].replace(",", "")


def _shorter(tokens: str) -> str:
    """A length to ask for instead: whole blocks of 128 tokens, the largest block that an engine uses, where there are that many."""
    length = int(tokens)
    return str(length // 128 * 128 if length >= 128 else length)


def planned_too_small(seen: Match) -> Failure:
    """Of our own plan, before the engine was started."""
    return Failure("KVCacheTooSmall", _line(seen), "spec.engine.maxModelLen", seen[1])


def kv_cache_too_small(seen: Match) -> Failure:
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


def context_too_long(seen: Match) -> Failure:
    asked, limit = seen[1], _integer(seen[2])
    return Failure(
        "ContextTooLong",
        f"the model's context is {limit} tokens and {asked} were asked for",
        "spec.engine.maxModelLen",
        limit,
    )


def batch_below_length(seen: Match) -> Failure:
    return Failure(
        "BadArgument",
        f"{seen[1]} tokens per step are less than the longest sequence, {seen[2]} tokens, and chunked prefill is off",
        "spec.engine.maxNumBatchedTokens",
        seen[2],
    )


def batch_below_requests(seen: Match) -> Failure:
    return Failure(
        "BadArgument",
        f"{seen[1]} tokens per step are less than the {seen[2]} requests that may run, each of which takes one",
        "spec.engine.maxNumBatchedTokens",
        seen[2],
    )


def unknown_argument(seen: Match) -> Failure:
    return Failure(
        "UnknownEngineArgument",
        f"the engine does not know the argument {redact(seen[1].strip())}",
        "spec.engine.extraArgs",
        "remove or correct it",
    )


def bad_argument(seen: Match) -> Failure:
    named = re.match(r"argument (\S+):", seen[1])
    return Failure(
        "BadArgument",
        f"the engine refuses an argument: {redact(seen[1].strip())}",
        field_of(named[1], "spec.engine.extraArgs") if named else "spec.engine.extraArgs",
        "correct it",
    )


def refused_setting(seen: Match) -> Failure:
    """pydantic: "1 validation error for CacheConfig", the attribute if one is to blame, the text."""
    attribute = seen[2] or ""
    value = re.search(r"input_value=('[^'\n]{1,100}'|[\w.-]{1,100}), input_type=", seen[3])
    field = "spec.engine.speculative" if seen[1] == "SpeculativeConfig" else field_of(attribute, "spec.engine")
    said = redact(seen[3].partition(" [type=")[0].removeprefix("Value error, ").strip())[:600]
    named = f"{attribute} {redact(value[1])}" if value else attribute
    return Failure("BadArgument", f"{named}: {said}" if attribute else said, field, "correct what is named")


def tensor_parallel(seen: Match) -> Failure:
    heads, size = int(seen[1]), int(seen[2])
    fitting = max(divisor for divisor in range(1, size + 1) if heads % divisor == 0)
    return Failure(
        "TensorParallelMismatch",
        f"{heads} attention heads cannot be split over {size} accelerators",
        "spec.parallelism.tensor",
        str(fitting),
    )


def not_enough_gpus(seen: Match) -> Failure:
    return Failure(
        "NotEnoughGPUs",
        f"{seen[1]} accelerators are needed in the pod and {seen[2]} are there",
        "spec.parallelism",
        f"at most {seen[2]}",
    )


def architecture(seen: Match) -> Failure:
    return Failure(
        "UnsupportedArchitecture",
        f"this engine does not know the model's architecture {seen[1].strip()[:200]}",
        _URI,
        "use a model that the engine supports, or a newer spec.image",
    )


def quantization(seen: Match) -> Failure:
    offered = re.findall(r"'([\w.-]{1,40})'", seen[2])
    return Failure(
        "UnsupportedQuantization",
        f"the engine does not know the quantization {seen[1]}; it has {', '.join(offered)}"[:600],
        "spec.engine.quantization",
        "a method of that list, or leave it out for the model's own",
    )


def other_quantization(seen: Match) -> Failure:
    return Failure(
        "UnsupportedQuantization",
        f"the model is quantized with {seen[1]} and {seen[2]} was asked for",
        "spec.engine.quantization",
        f"{seen[1]}, or leave it out",
    )


def absent_file(seen: Match) -> Failure:
    return Failure("ModelNotFound", _line(seen), _URI, "a repository or folder that holds the whole model")


def no_safetensors(_seen: Match) -> Failure:
    """The first eight bytes of a file say how long its header is: of something else they make a number without sense."""
    return Failure(
        "WeightsCorrupt",
        "a weights file has no header that can be read: it is no safetensors file, or what points to one (Git LFS)",
        _URI,
        "put complete weights there",
    )


def lora_rank(seen: Match) -> Failure:
    return Failure(
        "BadArgument",
        f"the adapter's rank is {seen[1]} and at most {seen[2]} is allowed",
        "spec.engine.extraArgs",
        f"--max-lora-rank={seen[1]}",
    )


def gpu_taken(seen: Match) -> Failure:
    return Failure(
        "OutOfGPUMemory",
        f"{seen[1]} GiB of the accelerator's {seen[2]} GiB are free and {seen[3]} GiB were asked for",
        "spec.engine.gpuMemoryUtilizationPercent",
        str(max(1, int(100 * float(seen[1]) / float(seen[2])) - 1)),
    )


def crashed(seen: Match) -> Failure:
    """The signal in the words of Python's fault handler, or of PyTorch's; the stack stands below them."""
    words = seen[1] or seen[2]
    name = _SIGNALS.get(words, words)
    return Failure(
        "EngineDied",
        f"a process of the engine crashed: {name}; its log has the stack",
        "",
        "it is started again; read its log if it comes back",
    )


def process_ended(seen: Match) -> Failure:
    # vLLM looks at the exit code of a process that it has just lost, and often there is none yet.
    code = None if seen[2] == "None" else int(seen[2])
    if code is None:
        how = "ended while it was needed, by itself or killed from outside"
    else:
        how = f"was ended by {verdicts.signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    return Failure(
        "EngineDied", f"the engine's process {seen[1]} {how}", "", "it is started again; read its log if it comes back"
    )


def cause(pattern: str, build: Callable[[Match], Failure], example: str) -> Cause:
    return Cause(re.compile(pattern), build, example)
