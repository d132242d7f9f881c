"""What `make proof` keeps of a run in which tests failed."""

from collections import Counter
from pathlib import Path

import pytest
from proofs import Ended, Lane, failed_tests, failures, junit

#: As pytest writes it, with a module that could not be imported.
WRITTEN = """
<testsuites><testsuite>
<testcase classname="tests.proof.crash.test_crash" name="test_killed"><failure message="a write was missed"/></testcase>
<testcase classname="tests.proof.test_fault_breakages" name="test_found[asks again at once]"><failure message="no"/></testcase>
<testcase classname="tests.proof.test_faults" name="test_requests[500]"/>
<testcase classname="tests.proof.test_faults" name="test_the_lease"><skipped/></testcase>
<testcase classname="tests.proof.test_faults" name="test_the_lease[1]"/>
<testcase classname="tests.proof.test_faults" name="test_the_lease[1]"><error message="failed on teardown"/></testcase>
<testcase classname="" name="tests.proof.fuzz.test_fuzz_spec"><error message="collection failure"/></testcase>
</testsuite></testsuites>
"""
BUSY = Lane("crash-fuzz", ("crash", "fuzz"))
SHARES = tuple(Lane(f"faults-{number}", ("faults",)) for number in (1, 2))


def ended(lane: Lane, code: int, **failed: int) -> Ended:
    return Ended(lane, code, Counter(failed))


def test_each_test_that_failed_counts_once_and_for_its_part(tmp_path: Path) -> None:
    junit(tmp_path).write_text(WRITTEN)

    assert failures(tmp_path) == {"crash": 1, "faults": 2, "fuzz": 1}


@pytest.mark.parametrize(("runs", "kept"), [
    pytest.param([ended(BUSY, 0)], {"crash": 0, "fuzz": 0}, id="all passed"),
    pytest.param([ended(BUSY, 1, fuzz=2)], {"crash": 0, "fuzz": 2}, id="two tests of one part failed"),
    pytest.param([ended(BUSY, 0), ended(SHARES[0], 1, faults=1), ended(SHARES[1], 1, faults=2)], {"crash": 0, "fuzz": 0, "faults": 3}, id="shares of a part are added up"),
    pytest.param([ended(BUSY, 2, fuzz=1)], {}, id="pytest was interrupted: nothing is kept of what it ran"),
    pytest.param([ended(BUSY, -9)], {}, id="pytest was killed"),
    pytest.param([ended(BUSY, 1)], {}, id="pytest failed, and no test says so"),
    pytest.param([ended(BUSY, 0), ended(SHARES[0], 0), ended(SHARES[1], 3)], {"crash": 0, "fuzz": 0}, id="one share broke: the others are not the whole"),
])  # fmt: skip
def test_what_is_kept(runs: list[Ended], kept: dict[str, int]) -> None:
    assert failed_tests(runs) == kept
