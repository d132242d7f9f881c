"""docs/benchmarks/README.md: the kept measurements as tables, made from the JSON files beside it. `make generate`."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairlead_cli.bench.record import (
    AgreementRecord,
    Compared,
    Machine,
    Measured,
    ParallelRecord,
    ParallelRow,
    PlanRecord,
    Row,
    RuntimeRecord,
    SoakRecord,
    Startup,
    WorkersRecord,
)
from fairlead_cli.bench.statistics import LEAST_PAIRS

FOLDER = Path("docs/benchmarks")
HEAD = """\
# Measured

<!-- Made by `make generate` from the JSON files of this folder. -->

Every figure has its machine, versions, date and the command that made it. Ratios come from pairs: both servers are up, the two are
measured one right after the other in the order A B, B A, and so on, and the median of the pairs' ratios stands with its 95 %
interval by bootstrap. Of few pairs it holds the true median less often than that: of seven with about 88 %, of nine to fifteen with 91 to
96 %. An interval wider than 0.04 is *too noisy*: it passes nothing. *once*: measured without pairs.
"""
Kept = RuntimeRecord | AgreementRecord | PlanRecord | SoakRecord | ParallelRecord | WorkersRecord
#: File, heading, and the model of what it holds; the order of the page. A file that is not there is left out.
FILES: tuple[tuple[str, str, type[Kept]], ...] = (
    ("runtime-gpu.json", "The runtime against bare vLLM on a GPU", RuntimeRecord),
    ("runtime-gpu-seven.json", "A later run, with seven pairs of every profile", RuntimeRecord),
    ("runtime-gpu-256.json", "At 256 streams, on a host with half the processor cores", RuntimeRecord),
    ("runtime-cpu.json", "The runtime against bare vLLM on a CPU", RuntimeRecord),
    ("front-end.json", "One front end's streams, with an engine that computes nothing", RuntimeRecord),
    ("parallel-gpu.json", "One GPU for a replica, and two that share each layer", ParallelRecord),
    ("parallel-gpu-70b.json", "Two GPUs for a replica of 70B, and four", ParallelRecord),
    ("workers-gpu.json", "A runtime of two GPUs, when a process of its engine ends or stops", WorkersRecord),
    ("plan-gpu.json", "The KV cache as planned and as the engine reports it", PlanRecord),
    ("soak.json", "At saturation with the watchdog armed", SoakRecord),
    ("agreement.json", "`fairlead bench` against vLLM's own benchmark", AgreementRecord),
)


def page(folder: Path) -> str:
    """The whole page. Raises pydantic's ValidationError, naming the field, for a file of another shape."""
    sections = [HEAD]
    for name, heading, model in FILES:
        path = folder / name
        if path.exists():
            record = model.model_validate_json(path.read_text(encoding="utf-8"))
            about = _about_plan(record, name) if isinstance(record, PlanRecord) else _about(record, name)
            sections.append(f"## {heading}\n\n{about}\n")
            sections += [f"{table}\n" for table in _tables(record)]
            sections += ["".join(f"- {note}\n" for note in record.notes)] if record.notes else []
    return "\n".join(sections)


def _about(record: Measured, name: str) -> str:
    work = record.workload
    versions = ", ".join(f"{what} {version}" for what, version in record.versions.items())
    rows = [
        ("data", f"[{name}]({name})"),
        ("date", record.date),
        ("machine", where(record.machine)),
        ("versions", versions),
        ("model", work.model),
        ("load", f"closed loop, {work.input_tokens:g} tokens in, {work.output_tokens:g} out, {work.mode}"),
        ("engine's flags", " ".join(f"`{flag}`" for flag in work.flags)),
        ("command", f"`{record.command}`"),
    ]
    return table(("", ""), [row for row in rows if row[1]])


def where(machine: Machine) -> str:
    """One line about a machine."""
    where = f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB" if machine.cores else machine.cpu
    if not machine.gpu:
        return where
    memory = f", {machine.gpu_memory_gib} GiB each" if machine.gpu_memory_gib else ""
    return f"{machine.gpus} x {machine.gpu}{memory}; {where}"


def _about_plan(record: PlanRecord, name: str) -> str:
    rows = [
        ("data", f"[{name}]({name})"),
        ("date", record.date),
        ("machine", where(record.machine)),
        ("versions", ", ".join(f"{what} {version}" for what, version in record.versions.items())),
        ("command", f"`{record.command}`"),
    ]
    return table(("", ""), rows)


def _tables(record: Kept) -> Iterable[str]:
    if isinstance(record, PlanRecord):
        yield table(
            ("configuration", "on", "planned tokens", "reported tokens", "off by", ""),
            [
                (
                    row.config,
                    row.gpu or record.machine.gpu or "",
                    f"{row.planned_kv_tokens:,}",
                    f"{row.reported_kv_tokens:,}",
                    f"{row.off:+.1%}",
                    row.verdict,
                )
                for row in record.rows
            ],
        )
        return
    if isinstance(record, SoakRecord):
        yield from _soak_tables(record)
        return
    if isinstance(record, AgreementRecord):
        yield table(
            ("server", "figure", "concurrency", "fairlead bench", "vLLM", "ratio", "95 %", "pairs", ""),
            [
                (
                    row.server,
                    row.figure,
                    str(row.concurrency),
                    f"{row.fairlead:,g}",
                    f"{row.vllm:,g}",
                    f"{row.ratio:.3f}",
                    _interval(row.interval),
                    str(row.pairs),
                    row.verdict,
                )
                for row in record.rows
            ],
        )
        return
    if isinstance(record, ParallelRecord):
        yield _parallel_table(record)
        yield _startups(record.startups)
        return
    if isinstance(record, WorkersRecord):
        yield _workers_table(record)
        yield _startups(record.startups)
        return
    yield from _runtime_tables(record)


def _parallel_table(record: ParallelRecord) -> str:
    return table(
        (
            "model",
            "GPUs",
            "concurrency",
            "tok/s",
            "by the fewest GPUs'",
            "95 %",
            "rounds",
            "two replicas, tok/s",
            *_TIMES,
        ),
        [
            (
                row.model,
                str(row.tensor),
                str(row.concurrency),
                f"{row.tok_s:,.1f}",
                _number(row.ratio, ".2f"),
                # Of fewer pairs it would be no more than the least and the most.
                _interval(row.interval if row.pairs >= LEAST_PAIRS else None),
                str(row.pairs),
                _number(row.two_replicas_tok_s, ",.1f"),
                *_times(row),
            )
            for row in record.rows
        ],
    )


def _workers_table(record: WorkersRecord) -> str:
    return table(
        ("done to it", "streams", "complete", "not ready after", "last stream told after", "ended after", "exit code", "said"),
        [
            (
                row.done,
                str(row.streams),
                str(row.complete),
                *("" if after is None else f"{after:.1f} s" for after in (row.unready, row.told, row.ended)),
                "" if row.exit_code is None else str(row.exit_code),
                f"{row.code}: {row.message}" if row.code else "",
            )
            for row in record.rows
        ],
    )  # fmt: skip


def _soak_tables(record: SoakRecord) -> Iterable[str]:
    yield table(
        (
            "minutes",
            "clients",
            "computed at a time",
            "requests",
            "failed",
            "restarts",
            "suspicions",
            "first tok/s",
            "last tok/s",
            "",
        ),
        [
            (
                f"{record.minutes:g}",
                *(f"{number:,}" for number in (record.concurrency, record.at_a_time, record.requests, record.failed)),
                *(f"{number:,}" for number in (record.restarts, record.questions)),
                f"{record.first_tok_s:,.0f}",
                f"{record.last_tok_s:,.0f}",
                record.verdict,
            )
        ],
    )
    yield table(
        ("process", "own memory warm, MiB", "at the end", "most", "MiB an hour"),
        [
            (
                row.process,
                f"{row.first_mib:,.1f}",
                f"{row.last_mib:,.1f}",
                f"{row.peak_mib:,.1f}",
                f"{row.mib_per_hour:+,.2f}",
            )
            for row in record.memory
        ],
    )


def _runtime_tables(record: RuntimeRecord) -> Iterable[str]:
    yield table(
        (
            "profile",
            "concurrency",
            "bare tok/s",
            "fairlead tok/s",
            "ratio",
            "95 %",
            "pairs",
            "asked",
            "",
            *_TIMES,
            *_CPU,
            "note",
        ),
        [_row(row) for row in record.rows],
    )
    if record.comparisons:
        yield table(
            ("compared with", "fairlead tok/s", "other tok/s", "ratio", "95 %", "asked", "", "note"),
            [
                (
                    each.name,
                    f"{each.fairlead_tok_s:,.1f}",
                    f"{each.other_tok_s:,.1f}",
                    *_judged(each),
                    each.note,
                )
                for each in record.comparisons
            ],
        )
    if record.probes:
        yield table(
            ("probe", "during", "asked", "failed", "p50 ms", "p99 ms", "worst ms"),
            [
                (
                    f"`{each.path}`",
                    each.during,
                    str(each.count),
                    str(each.failed),
                    *(_number(value, ".1f") for value in (each.p50_ms, each.p99_ms, each.worst_ms)),
                )
                for each in record.probes
            ],
        )
    if record.startups:
        yield _startups(record.startups)


def _startups(startups: Sequence[Startup]) -> str:
    phases = list(dict.fromkeys(phase for start in startups for phase in start.phases))
    return table(
        ("start", "profile", *(f"{phase} s" for phase in phases), "total s"),
        [
            (
                start.name,
                start.profile,
                *(f"{start.phases[phase]:.1f}" if phase in start.phases else "" for phase in phases),
                f"{start.total:.1f}",
            )
            for start in startups
        ],
    )


_CPU = ("bare us/token", "fairlead us/token")
_TIMES = ("TTFT p50 ms", "p99", "inter-token p50 ms", "p99")


def _row(row: Row) -> tuple[str, ...]:
    ratio, interval, gate, verdict = _judged(row)
    return (
        row.profile,
        str(row.concurrency),
        _number(row.bare_tok_s, ",.1f"),
        _number(row.fairlead_tok_s, ",.1f"),
        ratio,
        interval,
        str(row.pairs) if row.interval else "",
        gate,
        verdict,
        *_times(row),
        *(_number(value, ".1f") for value in (row.bare_cpu_us, row.fairlead_cpu_us)),
        row.note,
    )


def _times(row: Row | ParallelRow) -> tuple[str, ...]:
    times = (row.ttft_p50_ms, row.ttft_p99_ms, row.inter_token_p50_ms, row.inter_token_p99_ms)
    return tuple(_number(value, ".2f") for value in times)


def _judged(what: Compared) -> tuple[str, str, str, str]:
    gate = "" if what.gate is None else f"{what.gate:g}"
    return _number(what.ratio, ".3f"), _interval(what.interval), gate, what.verdict


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, without the columns that no row has anything in; the first column stays."""
    used = [at for at in range(len(headings)) if at == 0 or any(row[at] for row in rows)]
    lines = [[headings[at] for at in used], ["---"] * len(used), *([_cell(row[at]) for at in used] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(page(folder), encoding="utf-8")
