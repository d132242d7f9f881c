"""Puts the cheaper response path into the installed vLLM and compares what it writes with vLLM's own models; run with the engine's Python.

Prints one JSON: {"installed": the modules that took each part, twice, "differ": [what was written in another way], "cached": bool,
"here": whether a model's class would be looked at in this process}.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from fairlead_runtime import chunks, engine_shim, streams

Models = dict[str, Any]
TEXT = 'a "quoted" word,\nä 漢字 🚢 \x00\x7f\u2028'


def completions(models: Models) -> Iterator[tuple[str, Any]]:
    whole, choice = models["CompletionStreamResponse"], models["CompletionResponseStreamChoice"]
    logprobs = importlib.import_module("vllm.entrypoints.openai.completion.protocol").CompletionLogProbs
    usage = models["UsageInfo"](prompt_tokens=1, completion_tokens=2, total_tokens=3)

    def chunk(**fields: Any) -> Any:
        given = {"index": 0, "text": TEXT, "logprobs": None, "finish_reason": None, "stop_reason": None}
        made = choice(**given | {"prompt_token_ids": None, "token_ids": None} | fields)
        return whole(id="cmpl-1", object="text_completion", created=7, model="m", choices=[made])

    yield "text", chunk()
    yield "no text", chunk(text="")
    yield "the second choice", chunk(index=1)
    yield "token ids", chunk(token_ids=[1, 2], prompt_token_ids=[3])
    yield "log probabilities", chunk(logprobs=logprobs(tokens=["a"], token_logprobs=[-0.5], top_logprobs=[{"a": -0.5}]))
    yield "the last", chunk(finish_reason="stop", stop_reason="x")
    with_usage = chunk()
    with_usage.usage = usage
    yield "continuous usage", with_usage
    with_fingerprint = chunk(finish_reason="length")
    with_fingerprint.system_fingerprint = "f"
    yield "a fingerprint", with_fingerprint
    yield "usage alone", whole(id="cmpl-1", created=7, model="m", choices=[], usage=usage, system_fingerprint=None)


def chats(models: Models) -> Iterator[tuple[str, Any]]:
    whole, choice = models["ChatCompletionStreamResponse"], models["ChatCompletionResponseStreamChoice"]
    delta, usage = models["DeltaMessage"], models["UsageInfo"](prompt_tokens=1, completion_tokens=2, total_tokens=3)
    # A parser of vLLM makes its deltas with the model itself.
    own = chunks.real(delta(content="a")).__class__

    def chunk(message: Any, *, more: dict[str, Any] | None = None, **fields: Any) -> Any:
        made = choice(**{"index": 0, "delta": message, "logprobs": None, "finish_reason": None} | fields)
        common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
        return whole(**common, choices=[made], **more or {})

    yield "text", chunk(delta(content=TEXT), token_ids=None)
    yield "who speaks", chunk(delta(role="assistant", content=""), more={"prompt_token_ids": None, "prompt_text": None})
    yield (
        "the prompt",
        chunk(delta(role="assistant", content=""), more={"prompt_token_ids": [1], "prompt_text": TEXT * 99}),
    )
    yield "token ids", chunk(delta(content=TEXT), token_ids=[1])
    yield "an empty delta", chunk(delta())
    yield "a parser's delta", chunk(own(content=TEXT))
    yield "reasoning", chunk(own(reasoning=TEXT))
    yield "a tool call", chunk(own(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]))
    yield "the last", chunk(delta(content=TEXT), finish_reason="stop", stop_reason=None, token_ids=None)
    with_usage = chunk(delta(content=TEXT))
    with_usage.usage = usage
    yield "continuous usage", with_usage
    yield "usage alone", whole(id="chatcmpl-1", created=7, model="m", choices=[], usage=usage, system_fingerprint=None)


KINDS: tuple[Callable[[Models], Iterator[tuple[str, Any]]], ...] = (completions, chats)
#: As vLLM's generators write chunks, and the last one.
WAYS: tuple[dict[str, bool], ...] = (
    {"exclude_unset": True},
    {"exclude_unset": False, "exclude_none": True},
    {"exclude_unset": True, "exclude_none": True},
)


def main() -> dict[str, Any]:
    engine_shim.load()
    modules = [importlib.import_module(route.module) for route in chunks.ROUTES]
    originals: list[Models] = [dict(vars(module)) for module in modules]
    installed = [[chunks.install(), streams.install()] for _ in range(2)]
    differ: list[list[str]] = []
    for kind, module, original in zip(KINDS, modules, originals, strict=True):
        for (name, ours), (_, theirs) in zip(kind(dict(vars(module))), kind(original), strict=True):
            # Twice: anew, and remembered.
            pairs = [(ours.model_dump_json(**way), theirs.model_dump_json(**way)) for way in (*WAYS, *WAYS)]
            differ += [[kind.__name__, name, *pair] for pair in pairs if pair[0] != pair[1]]
    engine_shim.remember_environment()
    cached = bool(importlib.import_module("vllm.envs")._is_envs_cache_enabled())
    engine_shim.look_at_models_here()
    registry = importlib.import_module("vllm.model_executor.models.registry")
    here = registry._run_in_subprocess(os.getpid) == os.getpid()
    return {"installed": installed, "differ": differ, "cached": cached, "here": here}


if __name__ == "__main__":
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        found = main()
    print(json.dumps(found), file=answers)
