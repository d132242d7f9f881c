"""The page of proofs says what the file says, and what was not measured is not there."""

from pathlib import Path
from typing import Any

import pytest

from fairlead_cli.bench.proof import Kept, ProofRecord, Tried
from fairlead_cli.bench.record import this_machine
from fairlead_cli.benchmarks_page import FOLDER
from fairlead_cli.proof_page import page

ROOT = Path(__file__).resolve().parents[3]


VERSIONS = {"fairlead": "0.1.0"}
HERE = this_machine()


def part(
    *rows: tuple[str, int, int], command: str = "make proof", full: bool = False, notes: tuple[str, ...] = ()
) -> Kept:
    tried = tuple(Tried(what=what, tried=number, failed=failed) for what, number, failed in rows)
    return Kept(rows=tried, notes=notes, command=command, date="2026-01-02", full=full, seconds=61)


def test_the_page_adds_up_what_was_tried(tmp_path: Path) -> None:
    crash = part(("create: before a write", 1200, 0), ("delete: after a write", 3, 1), notes=("12 lanes",))
    record = ProofRecord.of(HERE, VERSIONS, {"crash": crash}, None)
    (tmp_path / "proof.json").write_text(record.model_dump_json(exclude_none=True))

    text = page(tmp_path)

    assert (record.crash_points, record.crash_failures, record.faults) == (1203, 1, None)
    assert "| create: before a write | 1,200 | 0 |" in text
    assert "| **all** | **1,203** | **1** |" in text
    assert "- 12 lanes" in text
    assert "`make proof`, 2026-01-02, 1 minute" in text
    assert "The API server fails" not in text


def test_a_part_that_did_not_run_stays_and_says_when_it_was_made() -> None:
    before = ProofRecord.of(
        HERE, VERSIONS, {"crash": part(("create", 7, 0)), "fuzz": part(("config.json", 9, 0))}, None
    )

    record = ProofRecord.of(
        HERE, VERSIONS, {"crash": part(("create", 70, 1), command="make proof-full", full=True)}, before
    )

    assert {name: kept.command for name, kept in record.parts.items()} == {
        "crash": "make proof-full",
        "fuzz": "make proof",
    }
    assert (record.crash_points, record.crash_failures, record.fuzzed) == (70, 1, 9)


def test_a_part_that_ran_and_left_nothing_has_no_figures_of_an_earlier_run() -> None:
    before = ProofRecord.of(
        HERE, VERSIONS, {"crash": part(("create", 7, 0)), "fuzz": part(("config.json", 9, 0))}, None
    )

    record = ProofRecord.of(HERE, VERSIONS, {"crash": None}, before)

    assert (list(record.parts), record.crash_points, record.fuzzed) == (["fuzz"], None, 9)


@pytest.mark.parametrize(
    "other",
    [{"machine": HERE.model_copy(update={"cores": HERE.cores + 1})}, {"versions": {"fairlead": "0.0.9"}}],
    ids=["machine", "versions"],
)
def test_figures_of_another_machine_or_version_do_not_stay(other: dict[str, Any]) -> None:
    before = ProofRecord.of(HERE, VERSIONS, {"fuzz": part(("config.json", 9, 0))}, None).model_copy(update=other)

    record = ProofRecord.of(HERE, VERSIONS, {"crash": part(("create", 7, 0))}, before)

    assert record.parts.keys() == {"crash"}
    assert record.fuzzed is None


def test_without_a_file_nothing_is_claimed(tmp_path: Path) -> None:
    assert "Nothing was measured yet" in page(tmp_path)


def test_the_page_in_the_repository_is_the_one_of_its_data() -> None:
    assert (ROOT / FOLDER / "proof.md").read_text(encoding="utf-8") == page(ROOT / FOLDER)
