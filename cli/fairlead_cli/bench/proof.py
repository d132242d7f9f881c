"""What the proofs tried and how often something was wrong: docs/benchmarks/proof.json, put together from what each part left.

A part of tests/proof writes `NAME.json`: `{"rows": [{"what": "create: killed before a write", "tried": 7, "failed": 0}], "notes": []}`.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from fairlead_cli.bench.record import Machine, Record

#: A part, and the two totals that its rows add up to.
PARTS: Final = {
    "crash": ("crash_points", "crash_failures"),
    "faults": ("faults", "fault_failures"),
    "explore": ("explored", "explore_failures"),
    "fuzz": ("fuzzed", "fuzz_failures"),
}


class Tried(Record):
    """What was tried, in words; how many times, and how many of those ended wrong."""

    what: str
    tried: int = Field(ge=0)
    failed: int = Field(ge=0)


class Part(Record):
    """What one part of the proofs leaves behind."""

    rows: tuple[Tried, ...]
    notes: tuple[str, ...] = ()


class ProofRecord(Record):
    """proof.json. full: all scenarios, or what fits a CI run. seconds: the whole run. A part that did not run is None."""

    machine: Machine
    versions: dict[str, str]
    command: str
    date: str
    full: bool
    seconds: float
    crash_points: int | None = None
    crash_failures: int | None = None
    faults: int | None = None
    fault_failures: int | None = None
    explored: int | None = None
    explore_failures: int | None = None
    fuzzed: int | None = None
    fuzz_failures: int | None = None
    parts: dict[str, Part]


def read(folder: Path) -> dict[str, Part]:
    """The parts in a folder, in the order of the table. Raises pydantic's ValidationError for a file of another shape."""
    files = {name: folder / f"{name}.json" for name in PARTS}
    return {
        name: _part(name, json.loads(path.read_text(encoding="utf-8"))) for name, path in files.items() if path.exists()
    }


def _part(name: str, kept: dict[str, Any]) -> Part:
    """Rows, or the two totals alone: `{"explored": 40, "failures": 0}`."""
    if "rows" in kept:
        return Part.model_validate(kept)
    tried, failed = PARTS[name]
    row = {"what": "all of it", "tried": kept.get(tried), "failed": kept.get(failed, kept.get("failures"))}
    return Part.model_validate({"rows": [row]})


def totals(parts: dict[str, Part]) -> dict[str, int]:
    """Of each part that ran, by the names of the record's fields."""
    return {
        name: total
        for part, names in PARTS.items()
        if part in parts
        for name, total in zip(names, _sums(parts[part].rows), strict=True)
    }


def _sums(rows: Iterable[Tried]) -> tuple[int, int]:
    rows = tuple(rows)
    return sum(row.tried for row in rows), sum(row.failed for row in rows)
