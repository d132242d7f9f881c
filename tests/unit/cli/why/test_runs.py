"""Which pod's log is read, and of which of its runs."""

import pytest

from fairlead_cli.why.gathering import wanted_template
from fairlead_cli.why.pods import Run, pod_to_read, run_to_read
from unit.cli.why.situation import Situation


@pytest.mark.parametrize(
    ("situation", "told", "read"),
    [
        pytest.param("several-failures", Run("mistral-0", previous=True), Run("mistral-0", previous=True), id="the one that failed first, and how it ended"),
        pytest.param("old-pods-serve", Run("mistral-new-a", previous=True), Run("mistral-new-a", previous=True), id="the new one that fails, not the old ones that serve"),
        pytest.param("starting", Run("mistral-0", previous=False), Run("mistral-0", previous=False), id="the one that starts, as it runs"),
        pytest.param("healthy", None, Run("mistral-0", previous=False), id="nothing to tell; asked for a log, the oldest"),
        pytest.param("no-accelerator", None, None, id="no engine ever ran"),
        pytest.param("no-secret", None, None, id="a container that waits has no log"),
    ],
)  # fmt: skip
def test_the_run_that_tells_most(situation: str, told: Run | None, read: Run | None) -> None:
    facts = Situation.of(situation).facts
    seen = facts["inferenceservice"], facts["pods"], wanted_template(facts["inferenceservice"], facts["deployment"])

    assert run_to_read(*seen) == told
    assert pod_to_read(*seen) == read
