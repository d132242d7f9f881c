"""Reading pods and /state."""

from datetime import timedelta

import pytest

from fairlead_operator.core.phase import phase_of
from fairlead_operator.core.seen import EngineState
from unit.operator.builders import NOW, PodBuilder, crashed, observed, ready, service, starting, unscheduled


def test_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 2"):
        EngineState.from_json({"version": 2}, NOW)


def test_state_is_read() -> None:
    state = EngineState.from_json(
        {"version": 1, "phase": "loading", "startedAt": 5, "startup": {"imported": 3}, "failure": None}, NOW
    )

    assert (state.phase, state.started_at, state.startup) == ("loading", 5.0, {"imported": 3})


@pytest.mark.parametrize(
    ("pod", "phase", "expected"),
    [
        pytest.param(ready(), "", "Ready", id="ready"),
        pytest.param(starting(), "", "Starting", id="nothing said yet"),
        pytest.param(starting(), "loading", "loading", id="the runtime's own word"),
        pytest.param(starting(), "ready", "Starting", id="the kubelet has not seen it yet"),
        pytest.param(unscheduled("x"), "", "Waiting", id="the scheduler found no node"),
        pytest.param(ready().deleting(), "draining", "Terminating", id="on its way out"),
    ],
)
def test_phase(pod: PodBuilder, phase: str, expected: str) -> None:
    seen = observed(service(), pod, states={"uid-mistral-0": EngineState(NOW, phase=phase)} if phase else {})

    assert phase_of(seen.pods[0]) == expected


def test_a_flapping_engine_is_looked_at_again_when_it_may_count_as_healthy() -> None:
    seen = observed(service(), ready(300).ended_before(exit_code=137).restarts(3))

    assert seen.recheck_at == NOW + timedelta(seconds=300)


def test_failed_pods_are_not_pods_any_more() -> None:
    assert observed(service(), starting().failed("Evicted", "low on memory")).pods == ()


def test_a_pod_on_its_way_out_has_no_problems() -> None:
    seen = observed(service(), crashed("killed", exit_code=137).deleting())

    assert seen.pods[0].problems == ()
