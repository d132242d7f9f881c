"""The row that is kept, and what counts as worse than it."""

from dataclasses import replace

import pytest
from scale.figures import record, regressions, row
from scale.phases import Seen, Update

SEEN = Seen(
    children=[0.1, 0.2, 0.9],
    children_s=1.0,
    converged_s=10.0,
    writes={"services": 10, "deployments": 10, "inferenceservices/status": 25},
    cpu_s=4.0,
    peak_mib=120.0,
    api_p99_s=0.05,
    idle_writes=0,
    restart_s=3.0,
    restart_writes=0,
    update=Update(12.0, {"deployments": 10, "inferenceservices/status": 30}),
    deployment={},
)


def test_times_are_medians_and_counts_are_by_resource() -> None:
    runs = [(replace(SEEN, converged_s=seconds), 5.0) for seconds in (8.0, 30.0, 10.0)]

    made = row(10, runs, 10)

    assert (made.converged_s, made.bare_loop_s, made.ratio, made.runs) == (10.0, 5.0, 2.0, 3)
    assert (made.writes_per_resource, made.child_writes_per_resource, made.update_writes_per_resource) == (
        4.5,
        2.0,
        4.0,
    )
    assert (made.cpu_s, made.peak_mib, made.api_p99_ms, made.children_p50_s) == (0.4, 120.0, 50.0, 0.2)


def test_a_single_write_of_one_run_is_not_lost_in_a_median() -> None:
    made = row(10, [(SEEN, 5.0), (replace(SEEN, idle_writes=1, restart_writes=2), 5.0), (SEEN, 5.0)], 1)

    assert (made.idle_writes, made.restart_writes) == (1, 2)
    assert list(made.missed()) == ["1 writes while idle, 0 are asked", "2 writes after a restart, 0 are asked"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({}, "", id="the same"),
        pytest.param({"converged_s": 11.9}, "", id="within the margin"),
        pytest.param({"converged_s": 12.1}, "ratio is 2.42, at most 2.4", id="slower beside the bare loop"),
        pytest.param({"peak_mib": 150.0}, "peak_mib is 150, at most 144", id="more memory"),
        pytest.param({"writes": {"services": 11, "deployments": 10}}, "2.1 writes to children of each, 2 ", id="one write more to a child"),
        pytest.param({"writes": {"services": 10, "deployments": 10, "inferenceservices/status": 35}}, "writes_per_resource is 5.5", id="more writes of status"),
    ],
)  # fmt: skip
def test_worse_than_what_is_kept(change: dict[str, object], told: str) -> None:
    kept = record([row(10, [(SEEN, 5.0)], 1)], None)
    made = record([row(10, [(replace(SEEN, **change), 5.0)], 1)], None)  # type: ignore[arg-type]

    found = " ".join(regressions(kept, made))

    assert told in found
    assert bool(told) == bool(found)


def test_on_another_machine_times_alone_say_nothing() -> None:
    kept = record([row(10, [(SEEN, 5.0)], 1)], None)
    slow = record([row(10, [(replace(SEEN, converged_s=100.0, restart_s=30.0), 50.0)], 1)], None)
    elsewhere = kept.model_copy(update={"machine": kept.machine.model_copy(update={"cores": 999})})

    assert regressions(elsewhere, slow) == []
    assert "restart_s" in " ".join(regressions(kept, slow))


def test_rows_of_other_sizes_stay_unless_they_are_another_machines() -> None:
    kept = record([row(100, [(SEEN, 5.0)], 1)], None)
    new = row(10, [(SEEN, 5.0)], 1)
    elsewhere = kept.model_copy(update={"machine": kept.machine.model_copy(update={"cores": 999})})

    assert [each.resources for each in record([new], kept).rows] == [10, 100]
    assert [each.resources for each in record([new], elsewhere).rows] == [10]


def test_an_update_that_was_left_out_is_no_figure_and_no_regression() -> None:
    without = row(10, [(replace(SEEN, update=None), 5.0)], 1)
    kept, made = record([without], None), record([row(10, [(SEEN, 5.0)], 1)], None)

    assert (without.update_s, without.update_writes_per_resource) == (None, None)
    assert " --no-update " in kept.command
    assert regressions(kept, made) == regressions(made, kept) == []
