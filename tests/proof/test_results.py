from pathlib import Path

import pytest

from fairlead_cli.bench import proof
from proof.results import Tally


def test_what_a_part_keeps_is_what_the_record_adds_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_PROOF_RESULTS", str(tmp_path))
    tally = Tally("crash", notes=["seed 7"])
    tally.count("create", failed=False)
    tally.keep()
    tally.count("create", failed=True)
    tally.count("delete", failed=False, times=3)

    tally.keep()

    parts = proof.read(tmp_path)
    assert [(row.what, row.tried, row.failed) for row in parts["crash"].rows] == [("create", 2, 1), ("delete", 3, 0)]
    assert parts["crash"].notes == ("seed 7",)
    assert proof.totals(parts) == {"crash_points": 5, "crash_failures": 1}


def test_nothing_is_kept_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIRLEAD_PROOF_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)

    Tally("fuzz").keep()

    assert list(tmp_path.iterdir()) == []


def test_totals_alone_are_a_part(tmp_path: Path) -> None:
    (tmp_path / "explore.json").write_text('{"explored": 40, "failures": 2}')

    assert proof.totals(proof.read(tmp_path)) == {"explored": 40, "explore_failures": 2}
