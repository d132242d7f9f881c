"""How the operator does with many services, beside a bare loop that makes the same Deployments: `make bench-scale`.

operator_scale.py [--resources 1000] [--runs 1] [--idle-minutes 1] [--no-update] [--keep]

Without --keep nothing is written, and the figures are compared with the kept ones: a regression fails, and so does a write of an idle
or a restarted operator. What is asked of 1,000 services and not met is told; on a small machine it is the machine's.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
# The ground is the tests' own.
sys.path.append(str(ROOT / "tests"))

from scale import figures, phases  # noqa: E402 - found by the line above

from fairlead_cli.bench.scale_record import ScaleRecord, ScaleRow  # noqa: E402

KEPT = ROOT / "docs" / "benchmarks" / "operator-scale.json"


def measure(number: int, runs: int, idle_minutes: float, *, update: bool) -> ScaleRow:
    """So many runs, each with the operator and then without it."""
    seen: list[tuple[phases.Seen, float]] = []
    for run in range(1, runs + 1):

        def say(line: str, run: int = run) -> None:
            print(f"{number} services, run {run}: {line}", flush=True)

        with TemporaryDirectory() as folder:
            measured = phases.with_operator(Path(folder) / "operator", number, idle_minutes, say, update=update)
            bare = phases.without_operator(Path(folder) / "bare", number, measured.deployment)
        say(f"the same Deployments without the operator: {bare:.1f} s")
        seen.append((measured, bare))
    return figures.row(number, seen, idle_minutes)


def main() -> int:
    """Zero when what is asked is met and nothing got worse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resources", default="1000", help="how many services, several numbers with commas")
    parser.add_argument("--runs", type=int, default=1, help="of each number; the figures are their medians")
    parser.add_argument("--idle-minutes", type=float, default=1)
    parser.add_argument(
        "--no-update",
        action="store_true",
        help="leave the mass update out: of 5,000 it takes longer than all the rest",
    )
    parser.add_argument(
        "--keep", action="store_true", help="write the figures into docs/benchmarks/ instead of comparing them"
    )
    asked = parser.parse_args()

    rows = [
        measure(int(number), asked.runs, asked.idle_minutes, update=not asked.no_update)
        for number in asked.resources.split(",")
    ]
    for row in rows:
        print(row.model_dump_json(indent=1))
    for line in (f"{row.resources} services: {missed}" for row in rows for missed in row.missed()):
        print(f"not met: {line}")
    kept = ScaleRecord.model_validate_json(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else None
    made = figures.record(rows, kept if asked.keep else None)
    if asked.keep:
        KEPT.write_text(made.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")
        return 0
    worse = [f"{row.resources} services: {wasted}" for row in rows for wasted in row.wasted()]
    worse += figures.regressions(kept, made) if kept else []
    for line in worse:
        print(f"FAILED: {line}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
