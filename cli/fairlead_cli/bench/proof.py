"""What the proofs tried and how often something was wrong: docs/benchmarks/proof.json, put together from what each part left.

A part of tests/proof writes `NAME.json`: `{"rows": [{"what": "create: killed before a write", "tried": 7, "failed": 0}], "notes": []}`,
and in `broken` the same of the operators that were broken on purpose.
Where several processes shared a part, each writes one, into a folder of its own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

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
    #: Operators with a bug, on purpose, by what it is. failed: it was not found, so the rows would not show such a bug either.
    broken: tuple[Tried, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def together(cls, shares: Sequence[Self]) -> Self:
        """What several processes tried of it."""
        return cls(
            rows=_added(row for share in shares for row in share.rows),
            broken=_added(row for share in shares for row in share.broken),
            notes=tuple(dict.fromkeys(note for share in shares for note in share.notes)),
        )


class Kept(Part):
    """A part in proof.json. full: all of it, or what fits a CI run. seconds: the run of all parts that ran beside it.

    failed_tests: of this part, whatever they failed at; None where nobody counted them.
    """

    command: str
    date: str
    full: bool
    seconds: float
    failed_tests: int | None = Field(default=None, ge=0)


class ProofRecord(Record):
    """proof.json. A part that did not run is None in the totals. All parts are of the same machine and versions."""

    machine: Machine
    versions: dict[str, str]
    crash_points: int | None = None
    crash_failures: int | None = None
    faults: int | None = None
    fault_failures: int | None = None
    explored: int | None = None
    explore_failures: int | None = None
    fuzzed: int | None = None
    fuzz_failures: int | None = None
    parts: dict[str, Kept]

    @classmethod
    def of(
        cls, machine: Machine, versions: dict[str, str], ran: Mapping[str, Kept | None], before: Self | None
    ) -> Self:
        """With what ran now, and the other parts of the record before, unless those are of another machine or version.

        None: the part ran and left no figures, and so has none.
        """
        stay = before.parts if before and (before.machine, before.versions) == (machine, versions) else {}
        found = {**stay, **ran}
        parts = {name: part for name in PARTS if (part := found.get(name)) is not None}
        return cls(machine=machine, versions=versions, parts=parts, **totals(parts))


def read(folders: Iterable[Path]) -> dict[str, Part]:
    """The parts in these folders, in the order of the table. Raises pydantic's ValidationError for a file of another shape."""
    folders = tuple(folders)
    found: dict[str, Part] = {}
    for name in PARTS:
        files = [path for folder in folders if (path := folder / f"{name}.json").exists()]
        if files:
            found[name] = Part.together([Part.model_validate_json(path.read_text(encoding="utf-8")) for path in files])
    return found


def totals(parts: Mapping[str, Part]) -> dict[str, int]:
    """Of each part that ran, by the names of the record's fields."""
    return {
        name: total
        for part, names in PARTS.items()
        if part in parts
        for name, total in zip(names, sums(parts[part].rows), strict=True)
    }


def sums(rows: Iterable[Tried]) -> tuple[int, int]:
    """How many were tried, and how many of them ended wrong."""
    rows = tuple(rows)
    return sum(row.tried for row in rows), sum(row.failed for row in rows)


def _added(rows: Iterable[Tried]) -> tuple[Tried, ...]:
    """One of each."""
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for row in rows:
        tried[row.what] += row.tried
        failed[row.what] += row.failed
    return tuple(Tried(what=what, tried=number, failed=failed[what]) for what, number in tried.items())
