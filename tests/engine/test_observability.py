"""What dashboards and alerts go by comes from a real engine."""

import re
from typing import Any

import pytest

from fairlead_cli.site.observability import engine_metrics

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
