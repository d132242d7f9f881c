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


def own_process(function: Any) -> Any:
    return "there", function()


def keyword_alone(*, function: Any) -> Any:
    return own_process(function)


def any_number(*functions: Any) -> Any:
    return own_process(functions[0])


@pytest.mark.parametrize(
    ("vllm", "answer"),
    [
        pytest.param(own_process, "class", id="as vLLM has it: it is not called"),
        pytest.param(lambda function, /: own_process(function), "class", id="by position alone"),
        pytest.param(lambda function, seconds: (seconds, own_process(function)), None, id="it takes more"),
        pytest.param(lambda function, seconds=9: (seconds, own_process(function)), None, id="it may take more"),
        pytest.param(lambda: "there", None, id="it takes nothing"),
        pytest.param(keyword_alone, None, id="by name alone"),
        pytest.param(any_number, None, id="any number of them"),
        pytest.param("not a function", None, id="it is something else"),
        pytest.param(None, None, id="it is not there"),
    ],
)
def test_a_models_class_is_looked_at_here_where_vllm_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch, vllm: Any, answer: str | None
) -> None:
    """answer: None where vLLM goes on in its own way."""
    registry: Any = ModuleType("registry")
    registry._run_in_subprocess = vllm
    monkeypatch.setitem(sys.modules, "vllm.model_executor.models.registry", registry)

    look_at_models_here()

    if answer is None:
        assert registry._run_in_subprocess is vllm
    else:
        assert registry._run_in_subprocess(lambda: answer) == answer


def test_a_vllm_that_looks_at_models_in_another_way_gets_nothing_added(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = ModuleType("registry")
    monkeypatch.setitem(sys.modules, "vllm.model_executor.models.registry", registry)

    look_at_models_here()

    assert not hasattr(registry, "_run_in_subprocess")


def test_a_vllm_that_has_its_models_elsewhere_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    monkeypatch.delitem(sys.modules, "vllm.model_executor.models.registry", raising=False)

    look_at_models_here()
