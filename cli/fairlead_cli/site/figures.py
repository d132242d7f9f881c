"""The measured tables in docs/tuning.md, from the kept measurements. `make generate`.

The page is written by hand; what stands between `<!-- figures: NAME -->` and `<!-- end -->` is made from the data.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from fairlead_cli.bench.record import ParallelRecord, Row, RuntimeRecord
from fairlead_cli.benchmarks_page import table
from fairlead_cli.profiles_page import figures

PAGE = Path("docs/tuning.md")
PARALLEL: Final = (Path("docs/benchmarks/parallel-gpu.json"), Path("docs/benchmarks/parallel-gpu-70b.json"))
_BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
#: Phases of a start that are worth a column.
_PHASES: Final = ("load", "imports", "compile", "capture")


def filled(page: str, record: RuntimeRecord, parallel: Sequence[ParallelRecord]) -> str:
    """The page with each block made anew. Raises KeyError for a block that nobody makes."""

    def made(name: str) -> str:
        return _parallel(parallel) if name == "parallel" else BLOCKS[name](record)

    return _BLOCK.sub(lambda block: f"{block[1]}\n{made(block[2])}\n\n{block[3]}", page)


def _source(record: RuntimeRecord) -> str:
    work, machine = record.workload, record.machine
    versions = " and ".join(f"{name} {version}" for name, version in record.versions.items() if name != "fairlead")
    return (
        f"Figures are from one {machine.gpu} ({machine.gpu_memory_gib} GiB) with {versions}, of {record.date}: {work.model};"
        f" {work.input_tokens:g} tokens in and {work.output_tokens:g} out, {work.mode}, unless said otherwise."
    )


def _batching(record: RuntimeRecord) -> str:
    rows = sorted((row for row in record.rows if row.profile == "Bare"), key=lambda row: row.concurrency)
    heads = ("requests at a time", "tokens/s in all", "tokens/s each", "first token, p50", "between tokens, p50")
    return table(heads, [_busy(row) for row in rows])


def _busy(row: Row) -> tuple[str, ...]:
    rate = row.bare_tok_s or 0.0
    times = (row.ttft_p50_ms, row.inter_token_p50_ms)
    first, between = (
        "" if time is None else f"{time:.{digits}f} ms" for time, digits in zip(times, (0, 1), strict=True)
    )
    return str(row.concurrency), f"{rate:,.0f}", f"{rate / row.concurrency:,.0f}", first, between


def _quantization(record: RuntimeRecord) -> str:
    rows = [row for row in record.rows if row.profile.endswith("FP8") and row.ratio is not None]
    return table(
        ("requests at a time", "profile", "against bfloat16 by bare vLLM", "95 %"),
        [
            (
                str(row.concurrency),
                f"[{row.profile}](profiles.md#{row.profile.lower()})",
                f"{row.ratio:.2f}",
                f"{row.interval[0]:.2f} to {row.interval[1]:.2f}" if row.interval else "once",
            )
            for row in sorted(rows, key=lambda row: row.concurrency)
        ],
    )


def _starting(record: RuntimeRecord) -> str:
    return table(
        ("start", "seconds", *(f"of which {phase}" for phase in _PHASES)),
        [
            (start.name, f"{start.total:.0f}", *(f"{start.phases.get(phase, 0):.0f}" for phase in _PHASES))
            for start in record.startups
        ],
    )


def _parallel(records: Sequence[ParallelRecord]) -> str:
    """Levels that were asked of the fewest GPUs and of twice as many; what two replicas give stands with the fewest."""
    rows = [row for record in records for row in record.rows]
    least = {model: min(row.tensor for row in rows if row.model == model) for model in {row.model for row in rows}}
    few = {(row.model, row.concurrency): row for row in rows if row.tensor == least[row.model]}
    found = []
    for row in sorted(rows, key=lambda each: (int(each.model.rstrip("B")), each.concurrency)):
        if row.tensor == least[row.model] or (row.model, row.concurrency) not in few:
            continue
        fewer = few[row.model, row.concurrency]
        two = fewer.two_replicas_tok_s
        found.append((
            row.model,
            str(row.concurrency),
            f"{fewer.tensor} -> {row.tensor}",
            f"{fewer.tok_s:,.0f} -> {row.tok_s:,.0f}",
            f"{row.ratio or 0:.2f}",
            "" if two is None else f"{two:,.0f}",
            f"{fewer.inter_token_p50_ms:.1f} -> {row.inter_token_p50_ms:.1f} ms",
        ))  # fmt: skip
    return table(
        ("model", "requests at a time", "`tensor`", "tokens/s", "times", "two replicas of the fewer", "between tokens, p50"),
        found,
    )  # fmt: skip


BLOCKS: Final[Mapping[str, Callable[[RuntimeRecord], str]]] = {
    "source": _source,
    "batching": _batching,
    "quantization": _quantization,
    "starting": _starting,
}

if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    measured = figures()
    if measured:
        parallel = [ParallelRecord.model_validate_json(path.read_bytes()) for path in PARALLEL]
        target.write_text(filled(target.read_text(encoding="utf-8"), measured, parallel), encoding="utf-8")
