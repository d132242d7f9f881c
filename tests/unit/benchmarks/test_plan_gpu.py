"""Planned against reported memory of a GPU: what of it needs none."""

from pathlib import Path

import pytest
from plan_gpu import CASES, SHAPES, reported

from fairlead_cli.bench.record import PlannedRow, PlanRecord
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, EngineSettings, Verdict

KEPT = Path(__file__).resolve().parents[3] / "docs" / "benchmarks" / "plan-gpu.json"
H200 = int(139.8 * GIB)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_every_configuration_is_planned_without_an_unknown(case: object) -> None:
    assert case in CASES
    found = next(known for known in CASES if known is case)
    model = memory.read_config(SHAPES[found.shape])

    plan = memory.plan(model, memory.by_shape(model), EngineSettings(**found.all_settings), H200)

    assert (plan.verdict, plan.unknowns) == (Verdict.FITS, ())
    assert found.planned(H200) == plan.kv_cache_tokens


def test_at_least_six_configurations_of_both_shapes_in_both_precisions() -> None:
    assert len(CASES) >= 6
    assert {(case.shape, case.settings.get("quantization"), case.settings.get("kv_cache_dtype")) for case in CASES} >= {
        ("7B", None, None), ("7B", "fp8", None), ("7B", None, "fp8"), ("13B", None, None), ("13B", "fp8", None), ("13B", None, "fp8"),
    }  # fmt: skip
    assert len({case.all_settings["gpu_memory_utilization"] for case in CASES}) >= 3
    assert len({case.all_settings["max_model_len"] for case in CASES}) >= 3


def test_what_a_start_prints() -> None:
    output = (
        "(EngineCore pid=7) INFO 11-24 [kv_cache_utils.py:1] GPU KV cache size: 910,656 tokens, Maximum concurrency 222.33x\n"
        'FOUND {"gpu": "NVIDIA H200", "bytes": 150109106995, "vllm": "0.26.0", "torch": "2.11.0"}\n'
    )

    tokens, found = reported(output)

    assert (tokens, found["gpu"]) == (910_656, "NVIDIA H200")


def test_a_start_that_failed_ends_with_its_last_words() -> None:
    with pytest.raises(SystemExit, match="CUDA out of memory"):
        reported("torch.OutOfMemoryError: CUDA out of memory")


def row(planned: int, *, fitted: bool = False) -> PlannedRow:
    return PlannedRow(
        config="7B", settings={}, formula="abc", planned_kv_tokens=planned, reported_kv_tokens=100_000, fitted=fitted
    )


@pytest.mark.parametrize(("planned", "verdict"), [
    pytest.param(100_000, "passed", id="equal"),
    pytest.param(97_000, "passed", id="3 % too low"),
    pytest.param(96_900, "missed", id="more than that"),
    pytest.param(101_000, "passed", id="1 % too high"),
    pytest.param(101_100, "missed", id="more than that is worse than too low"),
])  # fmt: skip
def test_how_a_row_is_judged(planned: int, verdict: str) -> None:
    assert row(planned).verdict == verdict


def test_a_row_that_the_constants_are_from_passes_nothing() -> None:
    assert (row(100_000, fitted=True).verdict, row(90_000, fitted=True).verdict) == ("fitted", "missed")


def test_what_was_measured_still_holds() -> None:
    """The present arithmetic against every kept figure."""
    record = PlanRecord.model_validate_json(KEPT.read_text(encoding="utf-8"))
    assert record.rows
    for kept in record.rows:
        model = memory.read_config(SHAPES[kept.config.split()[0]])
        plan = memory.plan(model, memory.by_shape(model), EngineSettings(**kept.settings), record.gpu_bytes)
        assert plan.kv_cache_tokens is not None
        now = kept.model_copy(update={"planned_kv_tokens": plan.kv_cache_tokens})
        assert now.verdict != "missed", now
