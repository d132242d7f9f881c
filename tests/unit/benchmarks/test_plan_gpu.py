"""Planned against reported memory of a GPU: what of it needs none."""

import json
from collections.abc import Sequence
from pathlib import Path

import plan_gpu
import pytest
from gpu_models import SHAPES
from plan_gpu import CASES, Case, Measuring, Started, StartFailedError, measure, started

from fairlead_cli.bench.record import PlannedRow, PlanRecord
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB, Verdict

KEPT = Path(__file__).resolve().parents[3] / "docs" / "benchmarks" / "plan-gpu.json"
H200 = int(139.8 * GIB)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_every_configuration_is_planned_without_an_unknown(case: object) -> None:
    assert case in CASES
    found = next(known for known in CASES if known is case)

    plan = found.plan(H200)

    assert (plan.verdict, plan.unknowns) == (Verdict.FITS, ())
    assert found.planned(H200) == plan.kv_cache_tokens


def test_at_least_six_configurations_of_both_shapes_in_both_precisions() -> None:
    assert len(CASES) >= 6
    assert {(case.shape, case.settings.get("quantization"), case.settings.get("kv_cache_dtype")) for case in CASES} >= {
        ("7B", None, None), ("7B", "fp8", None), ("7B", None, "fp8"), ("13B", None, None), ("13B", "fp8", None), ("13B", None, "fp8"),
    }  # fmt: skip
    assert len({case.all_settings["gpu_memory_utilization"] for case in CASES}) >= 3
    assert len({case.all_settings["max_model_len"] for case in CASES}) >= 3


LOG = (
    "(EngineCore pid=7) INFO 11-24 [kv_cache_utils.py:1] GPU KV cache size: 910,656 tokens, Maximum concurrency 222.33x\n"
    'FOUND {"gpu": "NVIDIA H200", "bytes": 150109106995, "vllm": "0.26.0", "torch": "2.11.0"}\n'
)


def test_what_a_start_prints() -> None:
    seen = started(LOG)

    assert (seen.tokens, seen.gpu, seen.gpu_bytes) == (910_656, "NVIDIA H200", 150_109_106_995)
    assert seen.versions == {"vllm": "0.26.0", "torch": "2.11.0"}


def test_a_start_that_failed_ends_with_its_last_words() -> None:
    with pytest.raises(StartFailedError, match="CUDA out of memory"):
        started("torch.OutOfMemoryError: CUDA out of memory")


def test_rows_are_kept_as_they_come_and_in_the_order_of_the_cases(tmp_path: Path) -> None:
    kept = tmp_path / "plan.json"
    measuring = Measuring(kept, gpus=2)

    for case in (CASES[2], CASES[0]):
        measuring.add(case, started(LOG))

        rows = PlanRecord.model_validate_json(kept.read_text(encoding="utf-8")).rows
        assert case.name in [row.config for row in rows]
    assert [(row.config, row.fitted) for row in rows] == [(CASES[0].name, True), (CASES[2].name, False)]


def test_a_start_that_fails_leaves_the_others_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def start(case: Case, _: Path, gpus: Sequence[str]) -> Started:
        used.extend(gpus)
        if case is CASES[1]:
            raise StartFailedError("no memory")
        return started(LOG)

    monkeypatch.setattr(plan_gpu, "start", start)
    kept = tmp_path / "plan.json"

    failed = measure(CASES[:4], ["4", "5"], tmp_path, Measuring(kept, gpus=2))

    assert failed == 1
    assert set(used) <= {"4", "5"}
    record = PlanRecord.model_validate_json(kept.read_text(encoding="utf-8"))
    assert [row.config for row in record.rows] == [case.name for case in (CASES[0], *CASES[2:4])]


def test_a_replica_of_several_gpus_has_them_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: dict[str, list[str]] = {}
    busy: set[str] = set()

    def start(case: Case, _: Path, gpus: Sequence[str]) -> Started:
        assert not busy & set(gpus)
        busy.update(gpus)
        used[case.name] = list(gpus)
        busy.difference_update(gpus)
        return started(LOG)

    monkeypatch.setattr(plan_gpu, "start", start)
    several = [case for case in CASES if case.gpus > 1]

    assert measure([*several, CASES[0]], ["0", "1"], tmp_path, Measuring(tmp_path / "plan.json", gpus=2)) == 0

    assert {name: len(gpus) for name, gpus in used.items()} == {
        case.name: case.gpus for case in [CASES[0], *several] if case.gpus <= 2
    }


def test_the_engine_is_told_of_its_gpus_in_its_own_words() -> None:
    case = next(case for case in CASES if case.name == "13B bf16, tensor 2, pipeline 2")

    told = case.arguments(Path("/model"))

    assert (case.gpus, told["tensor_parallel_size"], told["pipeline_parallel_size"]) == (4, 2, 2)
    assert not {"tensor", "pipeline"} & set(told)


@pytest.mark.parametrize("method", memory.DRAFTING)
def test_the_engine_is_given_the_model_that_guesses(method: str, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.drafting and case.drafting[0] == method)
    case.write(tmp_path / "0")
    told = case.arguments(tmp_path / "0")

    second = told["speculative_config"]
    assert (second["method"], second["num_speculative_tokens"]) == (method, plan_gpu.GUESSES)
    read = [json.loads((Path(place) / "config.json").read_text()) for place in (told["model"], second["model"])]
    assert case.drafting is not None
    assert read == [SHAPES[case.shape], SHAPES[case.drafting[1]]]
    assert not any(name.startswith("speculative_tokens") for name in told)


def row(planned: int, *, fitted: bool = False) -> PlannedRow:
    return PlannedRow(config="7B", settings={}, planned_kv_tokens=planned, reported_kv_tokens=100_000, fitted=fitted)


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
    cases = {case.name: case for case in CASES}
    measured = {drafting[0] for kept in record.rows if (drafting := cases[kept.config].drafting)}
    assert measured == set(memory.DRAFTING), "each way to guess with a second model"
    # An EAGLE head's graphs were fitted to the kept rows, which show the plans that were there before.
    assert {kept.config for kept in record.rows if kept.fitted} == {
        case.name for case in CASES if case.fitted and not case.drafting
    }
    assert {case.name for case in CASES if case.fitted and case.drafting} == {
        case.name for case in CASES if case.drafting and case.drafting[0].startswith("eagle")
    }
    for kept in record.rows:
        plan = cases[kept.config].plan(kept.gpu_bytes or record.gpu_bytes, kept.settings)
        assert plan.kv_cache_tokens is not None
        now = kept.model_copy(update={"planned_kv_tokens": plan.kv_cache_tokens})
        assert now.verdict != "missed", now
