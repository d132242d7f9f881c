"""What dashboards and alerts go by comes from a real engine."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fairlead_cli.site.observability import engine_metrics
from fairlead_runtime.metrics import ENGINE_KV_CACHE_USAGE, ENGINE_STEPS

from .serving import MAX_MODEL_LEN
from .starts import Started

pytestmark = pytest.mark.timeout(400)
ASKED: dict[str, Any] = {"prompt": "fairlead is", "max_tokens": 4, "temperature": 0}
#: Only there with spec.engine.speculative.
GUESSING = "vllm:spec_decode_"


def test_vllm_has_what_dashboards_and_alerts_ask_for(runtime: Started) -> None:
    with runtime.client() as client:
        assert client.post("/v1/completions", json={"model": "tiny", **ASKED}).status_code == 200
    text = runtime.get("/metrics")[1]
    there = set(re.findall(r"^(vllm:\w+?)(?:_bucket|_count|_sum)?(?:\{| )", text, flags=re.MULTILINE))

    assert [name for name in engine_metrics() if name not in there and not name.startswith(GUESSING)] == []


def test_a_prompt_of_many_steps_shows_in_the_kv_cache_and_not_in_the_count_of_steps(runtime: Started) -> None:
    """What the watchdog's proof of progress rests on: both numbers, since neither moves with every step."""
    body = {"model": "tiny", "prompt": [7] * (MAX_MODEL_LEN - 10), "max_tokens": 1}
    with runtime.client() as client, ThreadPoolExecutor(1) as pool:
        before = runtime.sample(ENGINE_STEPS)
        answer = pool.submit(client.post, "/v1/completions", json=body)
        seen = set()
        while not answer.done():
            usage = runtime.sample(ENGINE_KV_CACHE_USAGE)
            # In this order: a count that has not moved yet had not moved when the cache was looked at.
            if runtime.sample(ENGINE_STEPS) == before:
                seen.add(usage)

    assert answer.result().status_code == 200
    assert runtime.sample(ENGINE_STEPS) > before
    assert len(seen) > 2, "the cache was seen to fill before the first token"
