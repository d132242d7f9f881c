"""What vLLM is asked for by /generate, with a stand-in for vLLM; tests/engine asks the real one."""

import sys
from collections.abc import AsyncGenerator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead_runtime.generate import Origin, Prompt
from fairlead_runtime.text_engine import VllmTextEngine

MODULES: Mapping[str, Any] = {
    "vllm.sampling_params": SimpleNamespace(
        SamplingParams=dict, RequestOutputKind=SimpleNamespace(FINAL_ONLY="whole", DELTA="deltas")
    ),
    "vllm.renderers.inputs.preprocess": SimpleNamespace(parse_model_prompt=None),
    "vllm.exceptions": SimpleNamespace(VLLMValidationError=ValueError),
    "vllm.v1.engine.exceptions": SimpleNamespace(EngineDeadError=ConnectionError),
}
FILE = {"repetition_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.3, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.05}  # fmt: skip


class Asked:
    """vLLM's engine, which keeps what it was asked for. defaults: as its ModelConfig tells them."""

    def __init__(self, defaults: Mapping[str, Any], generation_config: str, override: Mapping[str, Any]) -> None:
        self.params: dict[str, Any] = {}
        self.vllm_config = SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=4))
        self.model_config = SimpleNamespace(
            max_model_len=4096,
            generation_config=generation_config,
            override_generation_config=override,
            get_diff_sampling_param=lambda: defaults,
        )

    async def generate(self, _prompt: Any, params: dict[str, Any], *_: Any, **__: Any) -> AsyncGenerator[Any]:
        self.params = params
        yield SimpleNamespace(outputs=[SimpleNamespace(text="x", token_ids=[1], finish_reason="stop")])


@pytest.mark.parametrize(("defaults", "config", "override", "sampling", "expected"), [
    pytest.param({}, "auto", {}, {}, {"max_tokens": 256}, id="a model that says nothing"),
    pytest.param(FILE, "auto", {}, {}, {**FILE, "max_tokens": 256}, id="all that a model says"),
    pytest.param(FILE, "auto", {}, {"temperature": 0.0}, {**FILE, "temperature": 0.0, "max_tokens": 256}, id="what is asked comes first"),
    pytest.param({"max_tokens": 100}, "auto", {}, {}, {"max_tokens": 256}, id="a length in the model's file is no limit"),
    pytest.param({"max_tokens": 100}, "auto", {"max_new_tokens": 100}, {}, {"max_tokens": 100}, id="one of the administrator's is"),
    pytest.param({"max_tokens": 100}, "auto", {"max_new_tokens": 100}, {"max_tokens": 7}, {"max_tokens": 7}, id="less may be asked for"),
    pytest.param({"max_tokens": 100}, "vllm", {"max_new_tokens": 100}, {}, {"max_tokens": 100}, id="without the model's file"),
    pytest.param({"max_tokens": 100}, "/etc/generation", {}, {}, {"max_tokens": 100}, id="and in a file of the administrator's"),
])  # fmt: skip
async def test_the_engine_is_asked_as_on_its_own_routes(
    monkeypatch: pytest.MonkeyPatch,
    defaults: Mapping[str, Any],
    config: str,
    override: Mapping[str, Any],
    sampling: Mapping[str, Any],
    expected: Mapping[str, Any],
) -> None:
    for name, module in MODULES.items():
        monkeypatch.setitem(sys.modules, name, module)
    asked = Asked(defaults, config, override)
    engine = VllmTextEngine(asked, model="m")

    steps = [
        step
        async for step in engine.generate(Prompt(1, None), {"max_tokens": 256, **sampling}, Origin(""), output="whole")
    ]

    assert [step.text for step in steps] == ["x"]
    assert asked.params == {**expected, "output_kind": "whole"}
