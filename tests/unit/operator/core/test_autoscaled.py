"""What is told about the built-in autoscaler."""

from datetime import timedelta
from typing import Any

import pytest

from fairlead_operator.api.status import ScalingDecision
from fairlead_operator.core.autoscale import Memory, Outlook, Progress, State
from fairlead_operator.core.moments import rfc3339
from fairlead_operator.core.observe import observe
from fairlead_operator.core.status import build_status
from fairlead_operator.core.transitions import events
from unit.operator.builders import NOW, ServiceBuilder, ready, service, snapshot

SCALED = service().replicas(3).top(autoscaling={"maxReplicas": 4})
GREW = ScalingDecision(time=NOW, from_=1, to=3, reason="31 requests wait")
AT = rfc3339(NOW)


def progress(state: State, *decisions: ScalingDecision) -> Progress:
    return Progress(Outlook(state, Memory(NOW, 3, ())), decisions)


def status(owner: ServiceBuilder, scaling: Progress | None) -> dict[str, Any]:
    seen = snapshot(owner, ready(), scaling=scaling, live=service())
    return build_status(seen, owner.outcome, observe(seen, owner.outcome))


def condition(found: dict[str, Any]) -> dict[str, Any]:
    return next((one for one in found["conditions"] if one["type"] == "Autoscaled"), {})


def test_without_autoscaling_nothing_is_told() -> None:
    found = status(service(), None)

    assert condition(found) == {}
    assert "autoscaling" not in found


@pytest.mark.parametrize(
    ("state", "decisions", "expected", "message"),
    [
        pytest.param(State.ACTIVE, (GREW,), "True", "by load, between 1 and 4 replicas; the last change, from 1 to 3: 31 requests wait", id="it changed something"),
        pytest.param(State.ACTIVE, (), "True", "by load, between 1 and 4 replicas; nothing was changed yet", id="it changed nothing yet"),
        pytest.param(State.AT_MINIMUM, (), "True", "by load, between 1 and 4 replicas, and now at minReplicas 1; nothing was changed yet", id="at the least"),
        pytest.param(State.AT_MAXIMUM, (), "False", "the load asks for more than maxReplicas 4; raise spec.autoscaling.maxReplicas, or let requests wait", id="at the most"),
        pytest.param(State.ASLEEP, (), "True", "asleep at 0 replicas; raise spec.replicas, with kubectl scale for example, to wake it", id="asleep"),
        pytest.param(State.SUSPENDED, (), "Unknown", "suspended; set spec.suspend to false to serve again", id="suspended"),
        pytest.param(State.STARTING, (), "Unknown", "no replica is Ready, so there is no load to go by; see condition Ready", id="none is Ready"),
        pytest.param(State.UNAVAILABLE, (), "False", "no Ready replica answers on its management port; let the operator reach the pods' port 9090 (network policy, firewall); the number of replicas stays as it is meanwhile", id="none answers"),
    ],
)  # fmt: skip
def test_the_condition(state: State, decisions: tuple[ScalingDecision, ...], expected: str, message: str) -> None:
    found = condition(status(SCALED, progress(state, *decisions)))

    assert (found["status"], found["reason"], found["message"]) == (expected, state, message)


def test_nothing_is_scaled_for_a_refused_spec() -> None:
    refused = SCALED.spec("engine", extraArgs=["--api-key=x"])

    assert condition(status(refused, None))["reason"] == "NotAccepted"


def test_a_new_operator_says_what_was_said_before() -> None:
    before = status(SCALED, progress(State.AT_MAXIMUM, GREW))

    assert status(SCALED.with_status(before), None) == before
    assert condition(status(SCALED, None))["reason"] == "Starting"


def test_decisions_are_in_status_newest_first() -> None:
    assert status(SCALED, progress(State.ACTIVE, GREW))["autoscaling"] == {
        "desiredReplicas": 3,
        "lastScaleTime": AT,
        "decisions": [{"time": AT, "from": 1, "to": 3, "reason": "31 requests wait"}],
    }


def test_the_last_ten_are_kept_across_restarts_and_none_is_told_twice() -> None:
    made = [
        ScalingDecision(time=NOW + timedelta(seconds=n), from_=n % 2, to=1 - n % 2, reason=str(n)) for n in range(12)
    ]
    first = status(SCALED, progress(State.ACTIVE, *reversed(made[:8])))
    again = SCALED.with_status(first)

    second = status(again, progress(State.ACTIVE, *reversed(made[6:])))

    assert [one["reason"] for one in second["autoscaling"]["decisions"]] == [str(n) for n in range(11, 1, -1)]
    assert status(SCALED.with_status(second), progress(State.ACTIVE, *reversed(made[6:]))) == second


def test_a_change_is_an_event_once() -> None:
    before = status(SCALED, progress(State.ACTIVE))
    after = status(SCALED.with_status(before), progress(State.ACTIVE, GREW))

    told = [(event.type, event.reason, event.note) for event in events(before, after)]

    assert told == [("Normal", "Rescaled", "from 1 to 3 replicas: 31 requests wait")]
    assert events(after, after) == []


def test_trouble_is_an_event() -> None:
    before = status(SCALED, progress(State.ACTIVE))
    after = status(SCALED.with_status(before), progress(State.AT_MAXIMUM))

    assert [(event.type, event.reason) for event in events(before, after)] == [("Warning", "AtMaximum")]


def test_it_does_not_block_ready() -> None:
    one = service().top(autoscaling={"maxReplicas": 1})
    found = status(one, progress(State.AT_MAXIMUM))

    assert next(item for item in found["conditions"] if item["type"] == "Ready")["status"] == "True"
