"""How much is tried, and what is kept of it: FAIRLEAD_PROOF=full tries everything, FAIRLEAD_PROOF_RESULTS names a folder for figures.

FAIRLEAD_PROOF_SHARE=2/4: the second of four processes that share what they are told to run.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fairlead_cli.bench.proof import PARTS, Part, Tried

T = TypeVar("T")
#: Everything, or what fits a CI run.
FULL = os.environ.get("FAIRLEAD_PROOF") == "full"
#: Of the mix of all faults.
SEEDS = range(1, 21 if FULL else 2)


def share(cases: Sequence[T], which: str) -> list[T]:
    """Every n-th of them, so that what takes long is spread; `which` is "2/4", or nothing for all."""
    number, _, of = which.partition("/")
    return list(cases[int(number) - 1 :: int(of)] if which else cases)


@dataclass
class Tally:
    """Counts by what was tried, in words; kept as the file of one part: crash, faults, explore or fuzz.

    `keep` may be called after every case: it writes the file anew.
    """

    part: str
    tried: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    #: Operators that were broken on purpose, by their bug, and how many of them were not found.
    broken: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.part in PARTS, self.part

    def count(self, what: str, *, failed: bool, times: int = 1) -> None:
        """It was tried, so many times, and every time ended right or every time wrong."""
        self.tried[what] += times
        self.failed[what] += times if failed else 0

    @contextmanager
    def breaking(self, breakage: str) -> Iterator[None]:
        """An operator has this bug, on purpose, and the block passes when it is found. Until then it counts as not found, and is kept."""
        self.broken[breakage] += 1
        self.missed[breakage] += 1
        self.keep()
        yield
        self.missed[breakage] -= 1
        self.keep()

    def keep(self) -> None:
        """Write the file, if figures are asked for."""
        if folder := os.environ.get("FAIRLEAD_PROOF_RESULTS"):
            part = Part(
                rows=_rows(self.tried, self.failed), broken=_rows(self.broken, self.missed), notes=tuple(self.notes)
            )
            (Path(folder) / f"{self.part}.json").write_text(part.model_dump_json(indent=2), encoding="utf-8")


def _rows(tried: Counter[str], failed: Counter[str]) -> tuple[Tried, ...]:
    return tuple(Tried(what=what, tried=number, failed=failed[what]) for what, number in tried.items())
