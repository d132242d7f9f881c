from pathlib import Path

import pytest

from fairlead_cli.bench import proof
from proof.results import Tally, share


def test_what_a_part_keeps_is_what_the_record_adds_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_PROOF_RESULTS", str(tmp_path))
    tally = Tally("crash", notes=["seed 7"])
    tally.count("create", failed=False)
    tally.keep()
    tally.count("create", failed=True)
    tally.count("delete", failed=False, times=3)

    tally.keep()

    parts = proof.read([tmp_path])
    assert [(row.what, row.tried, row.failed) for row in parts["crash"].rows] == [("create", 2, 1), ("delete", 3, 0)]
    assert parts["crash"].notes == ("seed 7",)
    assert proof.totals(parts) == {"crash_points": 5, "crash_failures": 1}


def test_an_operator_that_is_broken_on_purpose_counts_as_not_found_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_PROOF_RESULTS", str(tmp_path))
    tally = Tally("faults")

    with tally.breaking("knows no limit"):
        pass
    with pytest.raises(AssertionError), tally.breaking("asks again at once"):
        raise AssertionError

    part = proof.read([tmp_path])["faults"]
    assert {row.what: (row.tried, row.failed) for row in part.broken} == {
        "knows no limit": (1, 0),
        "asks again at once": (1, 1),
    }
    assert part.rows == ()


def test_nothing_is_kept_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIRLEAD_PROOF_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)

    Tally("fuzz").keep()

    assert list(tmp_path.iterdir()) == []


def test_shares_of_a_part_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (what, failed) in enumerate([("a mix of all", False), ("late answers", False), ("a mix of all", True)]):
        (tmp_path / str(number)).mkdir()
        monkeypatch.setenv("FAIRLEAD_PROOF_RESULTS", str(tmp_path / str(number)))
        tally = Tally("faults", notes=["seeds of the mix: 1 to 20", f"found by {number}"])
        tally.count(what, failed=failed)
        with tally.breaking("knows no limit"):
            pass

    part = proof.read(tmp_path.iterdir())["faults"]

    assert {row.what: (row.tried, row.failed) for row in part.rows} == {"a mix of all": (2, 1), "late answers": (1, 0)}
    assert [(row.what, row.tried, row.failed) for row in part.broken] == [("knows no limit", 3, 0)]
    assert sorted(part.notes) == ["found by 0", "found by 1", "found by 2", "seeds of the mix: 1 to 20"]


def test_every_case_is_in_one_share() -> None:
    cases = "abcdefg"

    shares = [share(cases, f"{number}/3") for number in (1, 2, 3)]

    assert shares == [["a", "d", "g"], ["b", "e"], ["c", "f"]]
    assert share(cases, "") == list(cases)
