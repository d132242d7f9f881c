"""The page of measurements: what stands in it is what the files say, and nothing noisy passes."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fairlead_cli.bench.record import Agreement, Compared, this_machine
from fairlead_cli.benchmarks_page import FOLDER, page

ROOT = Path(__file__).resolve().parents[3]
ABOUT: dict[str, Any] = {
    "machine": {"cpu": "Some CPU", "cores": 2, "memory_gib": 24},
    "versions": {"fairlead": "0.1.0", "vllm": "0.32.0"},
    "command": "make bench",
    "date": "2026-01-02",
    "workload": {"model": "tiny", "input_tokens": 32, "output_tokens": 64, "flags": ["--enforce-eager"]},
}
ROW: dict[str, Any] = {
    "profile": "Balanced",
    "concurrency": 8,
    "bare_tok_s": 1000.0,
    "fairlead_tok_s": 1001.0,
    "ratio": 1.001,
    "interval": [0.99, 1.01],
    "pairs": 7,
    "gate": 0.98,
}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        pytest.param({}, "passed", id="the median is enough and the interval narrow"),
        pytest.param({"ratio": 0.979, "interval": [0.97, 0.985]}, "missed", id="the median is too low"),
        pytest.param({"ratio": 1.2, "interval": [1.1, 1.3]}, "too noisy", id="a wide interval passes nothing"),
        pytest.param({"ratio": 0.5, "interval": [0.4, 0.6]}, "too noisy", id="nor does it miss anything"),
        pytest.param({"interval": None}, "met, once", id="measured once is not passed"),
        pytest.param({"interval": None, "ratio": 0.9}, "missed, once", id="measured once and too low"),
        pytest.param({"gate": None}, "", id="nothing was asked"),
        pytest.param({"ratio": None}, "", id="nothing to compare"),
    ],
)
def test_a_ratio_is_judged_by_its_median_and_its_interval(changes: dict[str, Any], verdict: str) -> None:
    judged = {name: ROW[name] for name in ("ratio", "interval", "pairs", "gate")}

    assert Compared.model_validate(judged | changes).verdict == verdict


@pytest.mark.parametrize(
    ("ratio", "interval", "pairs", "verdict"),
    [
        (1.02, (1.01, 1.03), 7, "agrees"),
        (0.96, (0.95, 0.97), 7, "differs"),
        (1.0, (0.97, 1.02), 7, "too noisy"),
        (1.0, (1.0, 1.0), 6, "too few pairs"),
    ],
)
def test_two_benchmarks_agree_within_three_percent(
    ratio: float, interval: tuple[float, float], pairs: int, verdict: str
) -> None:
    row = Agreement(
        server="engine", figure="tok/s", concurrency=8, fairlead=1, vllm=1, ratio=ratio, interval=interval, pairs=pairs
    )

    assert row.verdict == verdict


def write(folder: Path, name: str, record: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps(record))


def test_files_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    assert "##" not in page(tmp_path)


def test_the_cpus_file_shows_what_was_measured_and_how(tmp_path: Path) -> None:
    probe = {
        "during": "loading",
        "path": "/livez",
        "count": 600,
        "failed": 0,
        "p50_ms": 1.2,
        "p99_ms": 9.0,
        "worst_ms": 40,
    }
    write(tmp_path, "runtime-cpu.json", ABOUT | {"rows": [ROW], "probes": [probe], "notes": ["Eager."]})

    text = page(tmp_path)

    assert "| Balanced | 8 | 1,000.0 | 1,001.0 | 1.001 | 0.990 to 1.010 | 7 | 0.98 | passed |" in text
    assert "| `/livez` | loading | 600 | 0 | 1.2 | 9.0 | 40.0 |" in text
    assert "Some CPU, 2 cores, 24 GiB" in text
    assert "fairlead 0.1.0, vllm 0.32.0" in text
    assert "- Eager.\n" in text


def test_the_gpus_file_has_profiles_times_starts_and_comparisons(tmp_path: Path) -> None:
    machine = {**ABOUT["machine"], "gpu": "H200", "gpus": 1, "gpu_memory_gib": 140}
    rows = [
        {"profile": "Bare", "concurrency": 256, "bare_tok_s": 16920.0, "ttft_p50_ms": 718.0},
        {"profile": "BareUnary", "concurrency": 256, "mode": "unary", "bare_tok_s": 21585.0, "note": "no streams"},
        {
            "profile": "Throughput",
            "concurrency": 256,
            "bare_tok_s": 16920,
            "fairlead_tok_s": 20000,
            "ratio": 1.182,
            "gate": 1.2,
        },
    ]
    comparisons = [{"name": "HF, batch 16", "fairlead_tok_s": 17000, "other_tok_s": 276, "ratio": 61.6, "gate": 24}]
    startups = [
        {"name": "cold", "phases": {"imports": 45.0, "compile": 22.0}, "total": 94.0},
        {"name": "warm", "phases": {"imports": 45.0, "load": 1.0}, "total": 62.0},
    ]
    record = ABOUT | {"machine": machine, "rows": rows, "comparisons": comparisons, "startups": startups}
    write(tmp_path, "runtime-gpu.json", record)

    text = page(tmp_path)

    assert "1 x H200, 140 GiB each; Some CPU" in text
    assert "| Bare | 256 | 16,920.0 |  |  |  |  | 718.00 |  |" in text
    assert "| BareUnary | 256 | 21,585.0 |  |  |  |  |  | no streams |" in text
    assert "| Throughput | 256 | 16,920.0 | 20,000.0 | 1.182 | 1.2 | missed, once |" in text
    assert "| HF, batch 16 | 17,000.0 | 276.0 | 61.600 | 24 | met, once |" in text
    assert "| cold | Balanced | 45.0 | 22.0 |  | 94.0 |" in text
    assert "| warm | Balanced | 45.0 |  | 1.0 | 62.0 |" in text


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        pytest.param({}, "passed", id="an hour, and nothing happened"),
        pytest.param({"minutes": 12.5}, "clean for 12.5 of 60 minutes", id="less than an hour passes nothing"),
        pytest.param({"failed": 2}, "missed: 0 restarts, 2 failed", id="requests failed"),
        pytest.param({"restarts": 1}, "missed: 1 restarts, 0 failed", id="a busy engine was taken for a stuck one"),
    ],
)
def test_the_soaks_file_shows_what_failed_and_what_grew(tmp_path: Path, changes: dict[str, Any], verdict: str) -> None:
    memory = {"process": "supervisor", "first_mib": 16.5, "last_mib": 16.6, "peak_mib": 17, "mib_per_hour": -0.01}
    seen = {"minutes": 60.2, "concurrency": 32, "at_a_time": 16, "requests": 43210, "failed": 0, "restarts": 0}
    figures = {"questions": 1, "first_tok_s": 1010.4, "last_tok_s": 1000, "memory": [memory]}
    write(tmp_path, "soak.json", ABOUT | seen | figures | changes)

    text = page(tmp_path)

    assert f"| 1,010 | 1,000 | {verdict} |" in text
    assert "| supervisor | 16.5 | 16.6 | 17.0 | -0.01 |" in text


def test_a_file_of_another_shape_is_told_by_field(tmp_path: Path) -> None:
    write(tmp_path, "runtime-cpu.json", ABOUT | {"rows": [ROW | {"tok_s": 1}]})

    with pytest.raises(ValidationError, match=r"rows\.0\.tok_s"):
        page(tmp_path)


def test_no_row_breaks_its_table() -> None:
    for block in page(ROOT / FOLDER).split("\n\n"):
        rows = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, block


def test_the_machine_is_described_without_a_name() -> None:
    machine = this_machine()

    assert machine.cores > 0
    assert machine.memory_gib > 0
    assert machine.gpu is None
