"""Own metrics over the unix socket, and what is read from the engine's."""

from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry, Counter, Histogram

from fairlead_runtime.metrics import ENGINE_STEPS, Metrics, serve_on_socket, total


def _engine_metrics(registry: CollectorRegistry) -> tuple[Counter, Histogram]:
    """Two families as vLLM registers them."""
    tokens = Counter("vllm:generation_tokens", "Tokens.", ["engine"], registry=registry)
    steps = Histogram("vllm:iteration_tokens_total", "Tokens per step.", ["engine"], registry=registry)
    return tokens, steps


def test_steps_are_summed_over_engines() -> None:
    registry = CollectorRegistry()
    _, steps = _engine_metrics(registry)
    for engine, times in (("0", 2), ("1", 3)):
        for _ in range(times):
            steps.labels(engine).observe(5)

    assert total(registry, ENGINE_STEPS) == 5
    assert total(registry, "vllm:absent") == 0


def test_the_socket_answers_with_own_and_engine_metrics(tmp_path: Path) -> None:
    registry = CollectorRegistry(auto_describe=True)
    metrics = Metrics(registry)
    tokens, _ = _engine_metrics(registry)
    tokens.labels("0").inc(41)
    metrics.requests.labels("/generate", "200").inc()
    path = tmp_path / "metrics.sock"
    serve_on_socket(path, registry)

    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        answer = client.get("http://engine/metrics")

    assert path.stat().st_mode & 0o077 == 0
    assert 'fairlead_requests_total{code="200",route="/generate"} 1.0' in answer.text
    assert "fairlead_generated_tokens_total 41.0" in answer.text
    assert 'vllm:generation_tokens_total{engine="0"} 41.0' in answer.text
