"""What pip-audit answers, and which of it is accepted."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fairlead_cli.release import advisories
from fairlead_cli.release.advisories import Accepted, AcceptedWrong, Report
from fairlead_cli.release.audit import ACCEPTED

TODAY = date(2026, 11, 28)
ENTRY = """
[[accepted]]
id = "CVE-2026-1"
package = "Some.Thing"
reason = "Its server is never started."
until = 2027-01-31
"""


def answer(fixed: list[str]) -> str:
    """As pip-audit 2.10 prints it with --format json."""
    vulnerability: dict[str, Any] = {
        "id": "PYSEC-2026-9",
        "fix_versions": fixed,
        "aliases": ["CVE-2026-1", "GHSA-x"],
        "description": "Bad.",
    }
    packages = [
        {"name": "some-thing", "version": "1.0", "vulns": [vulnerability]},
        {"name": "sound", "version": "2", "vulns": []},
        {"name": "own", "skip_reason": "Dependency not found on PyPI and could not be audited: own (3)"},
    ]
    return json.dumps({"dependencies": packages, "fixes": []})


def accepted(folder: Path, text: str) -> list[Accepted]:
    file = folder / "accepted.toml"
    file.write_text(text, encoding="utf-8")
    return advisories.accepted(file)


def judged(fixed: list[str], known: list[Accepted], today: date = TODAY) -> tuple[list[str], list[str]]:
    report = advisories.parsed(answer(fixed))
    only = Report(report.findings, ())
    return advisories.judged({"dev.txt": only, "operator.txt": only}, known, today)


def test_the_file_in_the_repository_is_sound() -> None:
    advisories.accepted(ACCEPTED)


def test_a_finding_tells_where_it_is_pinned_and_which_version_to_take() -> None:
    problems, notes = judged(["1.1", "2.0"], [])

    assert notes == []
    assert problems == [
        "some-thing 1.0 (dev.txt, operator.txt): PYSEC-2026-9, CVE-2026-1, GHSA-x; "
        "take 1.1 or 2.0: raise the bound in pyproject.toml, or python locks/lock.py --upgrade"
    ]


def test_a_finding_without_a_fix_says_what_else_can_be_done() -> None:
    [problem], _ = judged([], [])

    assert "no version fixes it" in problem
    assert "locks/accepted-advisories.toml" in problem


@pytest.mark.parametrize("word", ["PYSEC-2026-9", "CVE-2026-1", "GHSA-x"])
def test_an_accepted_finding_is_told_with_its_reason(tmp_path: Path, word: str) -> None:
    problems, notes = judged(["1.1"], accepted(tmp_path, ENTRY.replace("CVE-2026-1", word)))

    assert problems == []
    assert notes == ["some-thing 1.0: PYSEC-2026-9 is accepted until 2027-01-31: Its server is never started."]


@pytest.mark.parametrize(
    ("today", "open_"),
    [(date(2027, 1, 30), False), (date(2027, 1, 31), True)],
    ids=["the day before", "the day itself"],
)
def test_it_is_accepted_until_its_day(tmp_path: Path, today: date, *, open_: bool) -> None:
    problems, _ = judged(["1.1"], accepted(tmp_path, ENTRY), today)

    assert any("accepted until 2027-01-31: judge it anew" in problem for problem in problems) is open_


def test_an_entry_for_another_package_accepts_nothing_and_is_told_as_left_over(tmp_path: Path) -> None:
    problems, notes = judged(["1.1"], accepted(tmp_path, ENTRY.replace("Some.Thing", "other")))

    assert len(problems) == 1
    assert notes == ["other: CVE-2026-1 is accepted and was not found: take the entry out"]


def test_a_package_that_the_service_does_not_know_is_a_problem() -> None:
    report = Report((), advisories.parsed(answer([])).unjudged)

    problems, _ = advisories.judged({"dev.txt": report, "operator.txt": report}, [], TODAY)

    assert len(problems) == 1
    assert "own: Dependency not found" in problems[0]


@pytest.mark.parametrize("output", ["", "ERROR: no network"])
def test_an_answer_that_is_none_is_no_clean_bill(output: str) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        advisories.parsed(output)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            ENTRY.replace("until = 2027-01-31", ""), "entry 1: until has to be a day without quotes", id="no day"
        ),
        pytest.param(
            ENTRY.replace("2027-01-31", '"2027-01-31"'), "until has to be a day without quotes", id="a day in quotes"
        ),
        pytest.param(ENTRY.replace("Its server is never started.", ""), "reason has to be a text", id="no reason"),
        pytest.param(
            ENTRY.replace("reason", "because"), "because is no field; there are id, package, reason", id="a wrong field"
        ),
        pytest.param("[[accepted]", "accepted.toml: ", id="no TOML"),
        pytest.param(f"{ENTRY}\n[[accepted]]\n", "entry 2: id has to be", id="the second entry is empty"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(AcceptedWrong, match=says):
        accepted(tmp_path, text)
