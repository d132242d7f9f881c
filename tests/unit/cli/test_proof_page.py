"""The page of proofs says what the file says, and what was not measured is not there."""

from pathlib import Path

from fairlead_cli.bench.proof import Part, ProofRecord, Tried, totals
from fairlead_cli.bench.record import this_machine
from fairlead_cli.benchmarks_page import FOLDER
from fairlead_cli.proof_page import page

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_adds_up_what_was_tried(tmp_path: Path) -> None:
    rows = (
        Tried(what="create: before a write", tried=1200, failed=0),
        Tried(what="delete: after a write", tried=3, failed=1),
    )
    parts = {"crash": Part(rows=rows, notes=("12 lanes",))}
    record = ProofRecord(
        machine=this_machine(),
        versions={"fairlead": "0.1.0"},
        command="make proof",
        date="2026-01-02",
        full=False,
        seconds=61,
        **totals(parts),
        parts=parts,
    )
    (tmp_path / "proof.json").write_text(record.model_dump_json(exclude_none=True))

    text = page(tmp_path)

    assert "| create: before a write | 1,200 | 0 |" in text
    assert "| **all** | **1,203** | **1** |" in text
    assert "- 12 lanes" in text
    assert "`make proof`" in text
    assert "The API server fails" not in text


def test_without_a_file_nothing_is_claimed(tmp_path: Path) -> None:
    assert "Nothing was measured yet" in page(tmp_path)


def test_the_page_in_the_repository_is_the_one_of_its_data() -> None:
    assert (ROOT / FOLDER / "proof.md").read_text(encoding="utf-8") == page(ROOT / FOLDER)
