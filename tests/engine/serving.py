"""A runtime that serves behind a key, and what requests leave in its engine."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from asking import give_way, until
from fairlead_runtime.metrics import ENGINE_RUNNING, ENGINE_STEPS, ENGINE_WAITING

from .starts import API_KEY, Started, configured, started

MAX_MODEL_LEN = 2048
#: Seconds until an engine on two busy cores is ready.
READY_WITHIN = 240
#: Long enough to be running when something happens to it; ends by length, never by the model's own end token.
LONG: dict[str, Any] = {"model": "tiny", "prompt": "fairlead", "max_tokens": 450, "ignore_eos": True}
#: Tokens, and so steps of the engine, of a request that is given up: far more than it gets in the second that a test leaves it.
ENDLESS = MAX_MODEL_LEN - 100
#: Steps that an engine may take until the end of a request has reached it; a few hundredths of a second.
FEW_STEPS = 100


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Started]:
    """A runtime that is ready; stopped at the end if it still runs."""
    config = configured(
        maxModelLen=MAX_MODEL_LEN,
        maxNumSeqs=8,
        # Small, so that a long prompt takes many steps.
        maxNumBatchedTokens=32,
        kvCacheMemoryBytes=128 * 2**20,
        extraArgs=["--enforce-eager", "--enable-auto-tool-choice", "--tool-call-parser=hermes"],
    )
    config["serving"] = {"requireApiKey": True, "requestTimeoutSeconds": 60, "drainSeconds": 60}
    (folder / "keys").write_text(f"{API_KEY}\n")
    with started(folder, config, {"FAIRLEAD_API_KEYS": str(folder / "keys")}) as runtime:
        until(runtime.ready, "ready", READY_WITHIN)
        give_way(runtime.processes("EngineCore"))
        yield runtime


@contextlib.contextmanager
def freed(runtime: Started) -> Iterator[None]:
    """What is given up inside stays in the engine for a few steps at most, and then nothing of it."""
    yield
    steps = runtime.sample(ENGINE_STEPS)
    until(lambda: runtime.sample(ENGINE_RUNNING) == 0, "no request runs", 5)
    assert runtime.sample(ENGINE_WAITING) == 0
    assert runtime.sample("vllm:kv_cache_usage_perc") == 0
    assert runtime.sample(ENGINE_STEPS) - steps < FEW_STEPS


def seen_in_the_engine(runtime: Started, route: str, body: object, headers: Mapping[str, str]) -> httpx.Response:
    """The answer to a request that was seen to hold pages of the KV cache before it came."""
    with runtime.client() as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, route, json=body, headers=headers)
        until(lambda: runtime.sample("vllm:kv_cache_usage_perc") > 0, "pages in use", 5)
        assert not answer.done()
        return answer.result()


def stream(runtime: Started, lines: list[str], started: threading.Barrier, tokens: int) -> None:
    body = {**LONG, "max_tokens": tokens, "stream": True}
    with runtime.client() as client, client.stream("POST", "/v1/completions", json=body) as answer:
        for line in answer.iter_lines():
            if not lines:
                started.wait(60)
            if line:
                lines.append(line)


@contextlib.contextmanager
def three_streams(runtime: Started, tokens: int = LONG["max_tokens"]) -> Iterator[list[list[str]]]:
    """Their lines; inside, all three have begun; after, all have ended."""
    streams: list[list[str]] = [[], [], []]
    started = threading.Barrier(4)
    threads = [threading.Thread(target=stream, args=(runtime, lines, started, tokens)) for lines in streams]
    for thread in threads:
        thread.start()
    started.wait(60)
    yield streams
    for thread in threads:
        thread.join(60)


def finish_reasons(lines: list[str]) -> list[str]:
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line != "data: [DONE]"]
    return [
        choice["finish_reason"] for event in events for choice in event.get("choices", ()) if choice["finish_reason"]
    ]
