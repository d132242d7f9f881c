"""How the application of a service is put together; tests/serving runs it."""

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Gauge, Histogram

from fairlead_runtime import serving
from fairlead_runtime.serving import Service
from unit.runtime.serving_app import ScriptedEngine


async def test_the_cheaper_response_path_is_put_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for module, name in (("chunks", "install"), ("streams", "install"), ("engine_shim", "remember_environment")):
        monkeypatch.setattr(getattr(serving, module), name, lambda told=f"{module}.{name}": done.append(told))

    async def tasks() -> tuple[str, ...]:
        return ("generate",)

    async def init(*_: Any) -> None:
        done.append("state")

    engine = SimpleNamespace(get_supported_tasks=tasks, model_config=None)
    functions = SimpleNamespace(build_app=lambda *_: FastAPI(), init_app_state=init, version="0.22.0")
    nothing: Any = None
    service = Service(engine, nothing, functions, nothing, nothing, nothing, nothing)  # type: ignore[arg-type]

    application = await service._application(ScriptedEngine())  # type: ignore[arg-type]

    assert done == ["state", "chunks.install", "streams.install", "engine_shim.remember_environment"]
    assert {"/generate", "/generate/batch"} <= set(application.openapi()["paths"])


@pytest.mark.parametrize("what", ["vllm:kv_cache_usage_perc", "vllm:iteration_tokens_total"])
def test_both_the_cache_of_a_long_prompt_and_tokens_are_progress_to_the_watchdog(what: str) -> None:
    registry = CollectorRegistry()
    usage = Gauge("vllm:kv_cache_usage_perc", "Full.", registry=registry)
    steps = Histogram("vllm:iteration_tokens_total", "Tokens per step.", registry=registry)
    nothing: Any = None
    engine = serving.watched(nothing, registry)
    before = engine.progress()
    assert engine.progress() == before

    if what == "vllm:kv_cache_usage_perc":
        usage.set(0.01)
    else:
        steps.observe(1)

    assert engine.progress() != before
