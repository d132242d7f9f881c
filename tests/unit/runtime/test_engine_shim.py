"""What is known of a dead engine beyond its own exception, and where a model's class is looked at."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fairlead_runtime.diagnosis import diagnose
from fairlead_runtime.engine_shim import death, look_at_models_here


def engine(**ended: int | None) -> Any:
    manager = SimpleNamespace(finished_procs=lambda: ended)
    return SimpleNamespace(engine_core=SimpleNamespace(resources=SimpleNamespace(engine_manager=manager)))


@pytest.mark.parametrize(
    ("dead", "said"),
    [
        pytest.param(engine(EngineCore=-9), "EngineCore was ended by SIGKILL", id="a signal is named"),
        pytest.param(engine(EngineCore=3), "EngineCore ended with exit code 3", id="an exit code is named"),
        pytest.param(engine(EngineCore=0), "ended while serving", id="an end in order tells nothing"),
        pytest.param(engine(), "ended while serving", id="no process has ended: the death is deeper"),
        pytest.param(SimpleNamespace(), "ended while serving", id="a vLLM without a manager of processes"),
    ],
)
def test_how_an_engine_died(dead: Any, said: str) -> None:
    found = diagnose([], death(dead))

    assert found.code == "EngineDied"
    assert said in found.message


def test_a_models_class_is_looked_at_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Any = ModuleType("registry")
    monkeypatch.setitem(sys.modules, "vllm.model_executor.models.registry", registry)

    look_at_models_here()
    assert not hasattr(registry, "_run_in_subprocess"), "a vLLM that does it in another way goes on doing so"

    registry._run_in_subprocess = None
    look_at_models_here()
    assert registry._run_in_subprocess(lambda: "here") == "here"
