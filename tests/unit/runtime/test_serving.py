"""How the application of a service is put together; tests/serving runs it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Gauge, Histogram

from fairlead_runtime import serving
from fairlead_runtime.drain import Admission, Gate
from fairlead_runtime.exchange import Exchange
from fairlead_runtime.metrics import Metrics
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


async def test_an_engine_that_died_takes_no_request_while_those_inside_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, told, ended = Gate(Metrics(CollectorRegistry())), list[Any](), list[int]()
    gate.admission = Admission.SERVING
    clock = SimpleNamespace(writer=SimpleNamespace(write=told.append))
    nothing: Any = None
    service = Service(nothing, nothing, nothing, nothing, nothing, clock, gate)  # type: ignore[arg-type]
    monkeypatch.setattr(serving, "_end_now", ended.append)
    inside = Exchange(nothing, nothing, body_limit=1, headers=[], closing=lambda: True)
    gate.enter(inside)

    ending = asyncio.create_task(service._end_dead())
    async with asyncio.timeout(5):
        while not told:  # noqa: ASYNC110 - the condition is a list
            await asyncio.sleep(0)

    assert not gate.ready
    assert not gate.admits
    assert not ended
    gate.leave(inside)
    await asyncio.wait_for(ending, 5)
    assert ended == [1]


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
