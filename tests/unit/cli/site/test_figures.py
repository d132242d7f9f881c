"""The measured tables of a page that is written by hand."""

from pathlib import Path

import pytest

from fairlead_cli.bench.record import Machine, ParallelRecord, ParallelRow, Row, RuntimeRecord, Startup, Workload
from fairlead_cli.site.figures import BLOCKS, filled

PAGE = (Path(__file__).parents[4] / "docs" / "tuning.md").read_text(encoding="utf-8")
RECORD = RuntimeRecord(
    machine=Machine(cpu="a CPU", cores=2, memory_gib=4, gpu="a GPU", gpus=1, gpu_memory_gib=80),
    versions={"fairlead": "0.1.0", "vllm": "0.32.0"},
    command="x",
    date="2026-11-24",
    workload=Workload(model="a model", input_tokens=128, output_tokens=256),
    rows=(
        Row(profile="Bare", concurrency=16, bare_tok_s=3200.0, ttft_p50_ms=63.2, inter_token_p50_ms=4.81),
        Row(profile="Bare", concurrency=1, bare_tok_s=218.0),
        Row(
            profile="LatencyFP8",
            concurrency=1,
            bare_tok_s=218.0,
            fairlead_tok_s=320.0,
            ratio=1.47,
            interval=(1.46, 1.48),
        ),
        Row(profile="Balanced", concurrency=1, bare_tok_s=218.0, fairlead_tok_s=218.0, ratio=1.0),
    ),
    startups=(Startup(name="cold", phases={"imports": 20.8, "load": 45.1}, total=110.2),),
)


PARALLEL = ParallelRecord(
    machine=RECORD.machine,
    versions=RECORD.versions,
    command="x",
    date="2026-11-28",
    workload=RECORD.workload,
    rows=(
        ParallelRow(model="13B", tensor=2, kv_cache_gib=20, concurrency=1, tok_s=199.3, ratio=1.523, inter_token_p50_ms=4.95),
        ParallelRow(model="7B", tensor=2, kv_cache_gib=6, concurrency=16, tok_s=4183.6, ratio=1.3288, inter_token_p50_ms=3.41),
        ParallelRow(model="7B", tensor=1, kv_cache_gib=13, concurrency=16, tok_s=3148.4, two_replicas_tok_s=3294.6, inter_token_p50_ms=4.75),
        ParallelRow(model="7B", tensor=1, kv_cache_gib=13, concurrency=8, tok_s=1647.3, inter_token_p50_ms=4.65),
        ParallelRow(model="13B", tensor=1, kv_cache_gib=40, concurrency=1, tok_s=131.0, inter_token_p50_ms=7.57),
    ),
)  # fmt: skip
LARGER = PARALLEL.model_copy(
    update={
        "rows": (
            ParallelRow(model="70B", tensor=2, kv_cache_gib=17, concurrency=64, tok_s=2319.3, two_replicas_tok_s=2686.8, inter_token_p50_ms=23.48),
            ParallelRow(model="70B", tensor=4, kv_cache_gib=8.5, concurrency=64, tok_s=3740.6, ratio=1.6128, inter_token_p50_ms=14.67),
        )
    }
)  # fmt: skip


def block(name: str) -> str:
    return filled(f"before\n<!-- figures: {name} -->\nstale\n<!-- end -->\nafter\n", RECORD, [PARALLEL, LARGER])


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "source",
            "Figures are from one a GPU (80 GiB) with vllm 0.32.0, of 2026-11-24: a model; 128 tokens in and 256 out",
        ),
        ("batching", "| 1 | 218 | 218 |  |  |\n| 16 | 3,200 | 200 | 63 ms | 4.8 ms |"),
        ("quantization", "| 1 | [LatencyFP8](profiles.md#latencyfp8) | 1.47 | 1.46 to 1.48 |"),
        (
            "parallel",
            "| 7B | 16 | 1 -> 2 | 3,148 -> 4,184 | 1.33 | 3,295 | 4.8 -> 3.4 ms |\n"
            "| 13B | 1 | 1 -> 2 | 131 -> 199 | 1.52 |  | 7.6 -> 5.0 ms |\n"
            "| 70B | 64 | 2 -> 4 | 2,319 -> 3,741 | 1.61 | 2,687 | 23.5 -> 14.7 ms |",
        ),
        ("starting", "| cold | 110 | 45 | 21 | 0 | 0 |"),
    ],
)
def test_a_block_is_made_from_the_record_and_nothing_else_is_touched(name: str, line: str) -> None:
    text = block(name)

    assert line in text
    assert "stale" not in text
    assert "Balanced" not in text
    assert (text.startswith("before\n<!-- figures"), text.endswith("<!-- end -->\nafter\n")) == (True, True)


def test_making_it_again_changes_nothing() -> None:
    assert filled(block("batching"), RECORD, [PARALLEL, LARGER]) == block("batching")


def test_the_page_has_every_block_once() -> None:
    assert [PAGE.count(f"<!-- figures: {name} -->") for name in (*BLOCKS, "parallel")] == [1] * (len(BLOCKS) + 1)
