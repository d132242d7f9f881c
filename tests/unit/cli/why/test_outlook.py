"""What happens next."""

from typing import Any

import pytest

from fairlead_cli.why.gathering import gather
from fairlead_cli.why.story import tell
from unit.cli.why.situation import Situation


def outlook(situation: Situation) -> str:
    return tell(gather(situation, "mistral", situation.now)).next


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("healthy", "", id="nothing needs to happen"),
        pytest.param("starting", "wait", id="on its way"),
        pytest.param("no-accelerator", "wait", id="capacity comes or does not"),
        pytest.param("flapping", "the engine is started again by itself", id="the kubelet restarts it"),
        pytest.param("context-does-not-fit", "you must act: nothing moves until you do, after 4 failures", id="only the user can"),
        pytest.param("operator-stopped", "nothing moves until an operator runs again", id="nobody is there"),
        pytest.param("suspended", "nothing runs until it is woken", id="asleep"),
    ],
)  # fmt: skip
def test_wait_act_or_watch(name: str, told: str) -> None:
    assert outlook(Situation.of(name)).startswith(told)
    assert bool(outlook(Situation.of(name))) == bool(told)


def changed(**facts: Any) -> Situation:
    situation = Situation.of("context-does-not-fit")
    situation.facts |= facts
    return situation


def test_pods_that_are_not_made_any_longer_are_said_to_hold_nothing() -> None:
    deployment = Situation.of("context-does-not-fit").facts["deployment"]
    deployment["spec"]["replicas"] = 0

    assert "gave up, after 4 failures, and holds no accelerator" in outlook(changed(deployment=deployment, pods=[]))


def test_a_first_failure_is_tried_again() -> None:
    situation = changed()
    status = situation.facts["inferenceservice"]["status"]
    status["conditions"] = [row for row in status["conditions"] if row["type"] != "Stalled"]

    assert outlook(situation).startswith("you must act; it is tried again meanwhile")


def test_a_reason_of_a_newer_operator_is_left_to_its_message() -> None:
    situation = changed(pods=[])
    for row in situation.facts["inferenceservice"]["status"]["conditions"]:
        row["reason"] = row["reason"].replace("KVCacheTooSmall", "SomethingNew")

    assert "does not know the reason" in outlook(situation)
