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


def part(*rows: tuple[str, int, int], **more: Any) -> Kept:
    return Kept(
        rows=tried(*rows), **{"command": "make proof", "date": "2026-01-02", "full": False, "seconds": 61, **more}
    )


def tried(*rows: tuple[str, int, int]) -> tuple[Tried, ...]:
    return tuple(Tried(what=what, tried=number, failed=failed) for what, number, failed in rows)


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


def test_operators_that_were_broken_on_purpose_are_counted_apart_and_so_are_tests_that_failed(tmp_path: Path) -> None:
    broken = tried(("knows no limit", 1, 0), ("asks again at once", 1, 1))
    record = ProofRecord.of(
        HERE, VERSIONS, {"faults": part(("late answers", 1, 0), broken=broken, failed_tests=1)}, None
    )
    (tmp_path / "proof.json").write_text(record.model_dump_json(exclude_none=True))

    text = page(tmp_path)

    assert (record.faults, record.fault_failures) == (1, 0)
    assert "| operators broken on purpose | tried | not found |" in text
    assert "| asks again at once | 1 | 1 |\n| **all** | **2** | **1** |" in text
    assert "with all that ran beside it; tests that failed: 1." in text


def test_where_nobody_counted_what_failed_nothing_is_said_of_it(tmp_path: Path) -> None:
    record = ProofRecord.of(HERE, VERSIONS, {"faults": part(("late answers", 1, 0))}, None)
    (tmp_path / "proof.json").write_text(record.model_dump_json(exclude_none=True))

    text = page(tmp_path)

    assert "tests that failed" not in text
    assert "not found |" not in text


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
