"""What `make test` calls passed, unsteady and failed."""

from pathlib import Path

import pytest

import run


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "tests"
    folder.mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return folder


def outcome(written: Path, code: str) -> tuple[dict[str, int], int]:
    """Counts, and how many were unsteady."""
    (written / "test_it.py").write_text(code)
    found = run.run(str(written), written.parent / "results")
    return {key: count for key, count in found.counts.items() if count}, len(found.unsteady)


def test_all_passed(written: Path) -> None:
    assert outcome(written, "def test_a(): pass\ndef test_b(): pass\n") == ({"passed": 2}, 0)


def test_what_fails_twice_is_a_failure(written: Path) -> None:
    assert outcome(written, "def test_a(): pass\ndef test_b(): assert False\n") == ({"passed": 1, "failed": 1}, 0)


def test_what_passes_alone_is_unsteady_and_not_a_failure(written: Path) -> None:
    mark = written.parent / "mark"
    code = f"""
from pathlib import Path
def test_a(): pass
def test_b():
    mark = Path({str(mark)!r})
    seen = mark.exists()
    mark.touch()
    assert seen
def test_c(): assert False
"""
    assert outcome(written, code) == ({"passed": 2, "failed": 1}, 1)


def test_many_failures_are_no_accident(written: Path) -> None:
    mark = written.parent / "mark"
    code = f"""
import pytest
from pathlib import Path
@pytest.mark.parametrize("number", range({run.SECOND_LOOKS + 1}))
def test_a(number):
    mark = Path({str(mark)!r} + str(number))
    seen = mark.exists()
    mark.touch()
    assert seen
"""
    assert outcome(written, code) == ({"failed": run.SECOND_LOOKS + 1}, 0)


def test_a_teardown_that_fails_is_a_failure(written: Path) -> None:
    code = """
import pytest
@pytest.fixture
def broken():
    yield
    raise RuntimeError
def test_a(broken): pass
"""
    assert outcome(written, code) == ({"failed": 1}, 0)


@pytest.mark.parametrize("code", ["import nothing_of_that_name\n", "", "raise SystemExit(3)\n"])
def test_a_run_that_breaks_is_a_failure(written: Path, code: str) -> None:
    counts, unsteady = outcome(written, code)

    assert counts["failed"] >= 1
    assert unsteady == 0
