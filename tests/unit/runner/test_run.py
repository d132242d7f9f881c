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
    (written.parent / "results").mkdir()
    [found] = run.run([str(written)], written.parent / "results")
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


def test_what_was_lost_once_is_a_failure_though_nothing_is_lost_alone(written: Path) -> None:
    (written.parent / "pytest.ini").write_text("[pytest]\nmarkers = counted\n")
    mark = written.parent / "mark"
    code = f"""
import pytest
from pathlib import Path
@pytest.mark.counted
def test_lost(): seen_before("lost")
def test_slow(): seen_before("slow")
def seen_before(name):
    mark = Path({str(mark)!r} + name)
    seen = mark.exists()
    mark.touch()
    assert seen
"""
    assert outcome(written, code) == ({"passed": 1, "failed": 1}, 1)


def test_where_nothing_is_left_to_look_at_again_every_failure_stays(written: Path) -> None:
    (written.parent / "pytest.ini").write_text("[pytest]\nmarkers = counted\n")
    code = "import pytest\npytestmark = pytest.mark.counted\ndef test_a(): assert False\ndef test_b(): pass\n"

    assert outcome(written, code) == ({"passed": 1, "failed": 1}, 0)


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


def test_suites_beside_each_other_run_at_the_same_time_and_are_counted_apart(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    suites = [tmp_path / name for name in ("one", "other")]
    for suite, awaited in zip(suites, reversed(suites), strict=True):
        suite.mkdir()
        code = f"""
import time
from pathlib import Path
def test_{suite.name}():
    Path({str(suite / "mark")!r}).touch()
    deadline = time.monotonic() + 60
    while not Path({str(awaited / "mark")!r}).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
def test_that_{suite.name}_fails(): assert {suite.name == "one"}
"""
        (suite / f"test_{suite.name}.py").write_text(code)
    (tmp_path / "results").mkdir()

    one, other = run.run([str(suite) for suite in suites], tmp_path / "results")

    assert (one.counts["passed"], one.counts["failed"]) == (2, 0)
    assert (other.counts["passed"], other.counts["failed"]) == (1, 1)
    assert "test_that_other_fails" in capfd.readouterr().out


def test_a_suite_runs_alone_when_the_one_beside_it_is_not_asked_for() -> None:
    every = {suite.name: suite for suite in run.SUITES}
    unit, api, proof = (every[name] for name in ("unit", "api", "proof"))

    assert run.together([unit, api, proof]) == [[api, unit], [proof]]
    assert run.together([unit, proof]) == [[unit], [proof]]
    assert sorted(suite.name for group in run.together(run.SUITES) for suite in group) == sorted(every)
