"""docs/benchmarks/operator-scale.md: how the operator does with many services, from the JSON file beside it. `make generate`."""

import sys
from pathlib import Path

from fairlead_cli.bench.scale_record import (
    CHILDREN_P50_S,
    CHILDREN_P99_S,
    CONVERGED_S,
    JUDGED,
    PEAK_MIB,
    ScaleRecord,
    ScaleRow,
)
from fairlead_cli.benchmarks_page import FOLDER, table, where

DATA = "operator-scale.json"
PAGE = "operator-scale.md"
HEAD = f"""\
# How the operator scales

<!-- Made by `make generate` from {DATA}. -->

Services are created at 100 a second on a real etcd, API server, controller-manager and scheduler; nodes and their kubelets are
simulated by kwok, and every engine is Ready 200 ms after its container started. Then the operator is left alone, restarted, and every
service gets another `maxNumSeqs`, which replaces each pod. The *bare loop* creates the same Deployments at the same rate where no operator is:
what controller-manager, scheduler and kwok themselves need on this machine. Times and counts are those of the API server's audit log.

Asked at {JUDGED:,} services: all Ready in {CONVERGED_S:g} s, or in the bare loop's time if that is longer; from a service to its last child
{CHILDREN_P50_S:g} s in the median and {CHILDREN_P99_S:g} s at the 99th percentile; at most {PEAK_MIB:g} MiB. Asked at any size: no write while idle
and none after a restart, but the Lease's.
"""


def page(record: ScaleRecord) -> str:
    """The whole page."""
    about = [
        ("data", f"[{DATA}]({DATA})"),
        ("date", record.date),
        ("machine", where(record.machine)),
        ("versions", ", ".join(f"{what} {version}" for what, version in record.versions.items())),
        ("flags", " ".join(f"`{flag}`" for flag in record.flags)),
        ("command", f"`{record.command}`"),
    ]
    notes = "".join(f"- {note}\n" for note in record.notes)
    return "\n".join(
        [HEAD, f"{table(('', ''), about)}\n", f"{_created(record)}\n", f"{_after(record)}\n", _verdicts(record)]
        + ([f"\n{notes}"] if notes else [])
    )


def _created(record: ScaleRecord) -> str:
    headings = (
        "services", "runs", "to the last child, p50 s", "p99 s", "all children s", "all Ready s", "bare loop s", "ratio",
        "writes each", "to children", "CPU s each", "peak MiB", "API server p99 ms",
    )  # fmt: skip
    rows = [
        (
            f"{row.resources:,}",
            str(row.runs),
            f"{row.children_p50_s:.2f}",
            f"{row.children_p99_s:.2f}",
            f"{row.children_s:.1f}",
            f"{row.converged_s:.1f}",
            f"{row.bare_loop_s:.1f}",
            f"{row.ratio:.2f}",
            f"{row.writes_per_resource:.2f}",
            f"{row.child_writes_per_resource:g}",
            f"{row.cpu_s:.3f}",
            f"{row.peak_mib:.0f}",
            f"{row.api_p99_ms:.0f}",
        )
        for row in record.rows
    ]
    return table(headings, rows)


def _after(record: ScaleRecord) -> str:
    headings = (
        "services", "idle minutes", "writes", "restart to steady s", "writes after it", "all updated s", "writes each",
    )  # fmt: skip
    rows = [
        (
            f"{row.resources:,}",
            f"{row.idle_minutes:g}",
            str(row.idle_writes),
            f"{row.restart_s:.1f}",
            str(row.restart_writes),
            "not run" if row.update_s is None else f"{row.update_s:.1f}",
            "" if row.update_writes_per_resource is None else f"{row.update_writes_per_resource:.2f}",
        )
        for row in record.rows
    ]
    return table(headings, rows)


def _verdicts(record: ScaleRecord) -> str:
    return "".join(f"- {row.resources:,} services: {_verdict(row)}.\n" for row in record.rows)


def _verdict(row: ScaleRow) -> str:
    met = "all that is asked is met" if row.resources == JUDGED else "what is asked at any size is met"
    return "; ".join(f"missed: {line}" for line in row.missed()) or met


def main(folder: Path) -> None:
    """Write the page beside its data; without data there is none."""
    data = folder / DATA
    if data.exists():
        record = ScaleRecord.model_validate_json(data.read_text(encoding="utf-8"))
        (folder / PAGE).write_text(page(record), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
