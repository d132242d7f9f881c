"""Situations, and the screen that tells each. FAIRLEAD_UPDATE_GOLDEN=1 writes the screens anew; look at the difference."""

import json
import os
from typing import Any

import pytest

from fairlead_cli.why.gathering import gather
from fairlead_cli.why.page import page
from fairlead_cli.why.story import Story, tell
from fairlead_cli.why.telling import as_json
from unit.cli.why.situation import FOLDER, NAMES, Situation

#: One screen: what a terminal shows without scrolling, at a size that people use.
LINES, COLUMNS = 40, 80


def told(name: str, *flags: str) -> Story:
    situation = Situation.of(name)
    return tell(gather(situation, "mistral", situation.now), flags)


def text(story: Story) -> str:
    return "".join(f"{line.text}\n" for line in page(story))


@pytest.mark.parametrize("name", NAMES)
def test_each_situation_has_its_screen(name: str) -> None:
    screen = text(told(name))
    path = FOLDER / f"{name}.txt"
    if os.environ.get("FAIRLEAD_UPDATE_GOLDEN") == "1":
        path.write_text(screen, encoding="utf-8")

    assert screen == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_story_fits_one_screen(name: str) -> None:
    lines = text(told(name)).splitlines()

    assert len(lines) <= LINES
    # A command is one line, whatever its length: it is there to be copied.
    assert [line for line in lines if len(line) > COLUMNS and not line.startswith("RUN")] == []


@pytest.mark.parametrize(
    ("name", "healthy", "serves"),
    [
        pytest.param("healthy", True, True, id="Ready is healthy"),
        pytest.param("flapping", True, True, id="Ready is healthy, though the engine flaps: that is told"),
        pytest.param("suspended", True, False, id="asleep as asked is healthy"),
        pytest.param("scaled-to-zero", True, False, id="none wanted, none missing"),
        pytest.param("context-does-not-fit", False, False, id="a failing engine is not healthy"),
        pytest.param("old-pods-serve", False, True, id="old pods serve, and the spec is not carried out"),
        pytest.param("several-failures", False, True, id="one of three serves"),
        pytest.param("no-rights-to-pods", False, False, id="without pods the status tells"),
        pytest.param(
            "operator-does-not-look", False, True, id="Ready about an earlier spec says nothing about this one"
        ),
        pytest.param(
            "operator-dead-but-serving", True, True, id="a dead operator's Ready holds while the pods bear it out"
        ),
        pytest.param("status-left-behind", False, False, id="nor does Ready hold that the pods have long denied"),
    ],
)
def test_healthy_and_serving(name: str, healthy: bool, serves: bool) -> None:  # noqa: FBT001
    story = told(name)

    assert (story.healthy, story.serves) == (healthy, serves)


def test_a_dead_operators_ready_counts_for_nothing_when_the_pods_deny_it() -> None:
    situation = Situation.of("operator-dead-but-serving")
    for condition in situation.facts["pods"][0]["status"]["conditions"]:
        condition["status"] = "False"

    story = tell(gather(situation, "mistral", situation.now))

    assert not story.healthy
    assert story.trouble is not None
    assert story.trouble.reason == "StatusOutdated"
    assert "operator is dead" in story.nobody


@pytest.mark.parametrize(
    ("now", "healthy"),
    [
        pytest.param("2026-11-24T11:52:30Z", True, id="the operator is about to say it"),
        pytest.param("2026-11-24T11:53:00Z", False, id="it would have"),
    ],
)
def test_pods_that_are_not_ready_any_more_count_for_more_than_ready(now: str, healthy: bool) -> None:  # noqa: FBT001
    situation = Situation.of("status-left-behind")
    for pod in situation.facts["pods"]:
        pod["status"] = situation.facts["pods"][1]["status"]
    situation.facts["now"] = now

    story = tell(gather(situation, "mistral", situation.now))

    assert story.healthy is healthy
    assert (story.trouble.reason if story.trouble else "") == ("" if healthy else "StatusOutdated")
    # It was not put to sleep.
    assert "serves nobody" in page(story)[0].text


def test_a_pod_that_fails_is_told_though_the_status_says_on_its_way() -> None:
    """The operator may be a moment behind, or be kept from writing."""
    situation = Situation.of("old-pods-serve")
    for row in situation.facts["inferenceservice"]["status"]["conditions"]:
        if row["reason"] == "ContextTooLong":
            row |= {"reason": "RollingOut", "status": "True" if row["type"] == "EngineHealthy" else row["status"]}

    story = tell(gather(situation, "mistral", situation.now))

    assert story.trouble is not None
    assert story.trouble.reason == "ContextTooLong"
    assert story.cure is not None
    assert story.cure.value == 32768


def test_a_container_that_somebody_added_and_that_fails_is_told() -> None:
    situation = Situation.of("starting")
    proxy = {"name": "proxy", "state": {"waiting": {"reason": "ErrImagePull", "message": "proxy:1: not found"}}}
    situation.facts["pods"][0]["status"]["containerStatuses"].append(proxy)

    story = tell(gather(situation, "mistral", situation.now))

    assert story.trouble is not None
    assert "container proxy of pod mistral-0, which is not the engine's, cannot start" in story.trouble.message


def test_after_a_rollout_that_was_taken_back_every_pod_is_of_an_earlier_spec() -> None:
    situation = Situation.of("old-pods-serve")
    facts = situation.facts
    # The Deployment has the former template again, and the new pods are gone.
    facts["pods"] = facts["pods"][:2]
    facts["deployment"]["spec"]["template"]["metadata"] = {"labels": facts["pods"][0]["metadata"]["labels"]}
    facts["inferenceservice"]["status"]["updatedReplicas"] = 0
    for row in facts["inferenceservice"]["status"]["conditions"]:
        if row["type"] in {"UpToDate", "Ready"}:
            row |= {"reason": "RolloutBlocked", "status": "False", "message": "the former pods were brought back"}

    story = tell(gather(situation, "mistral", situation.now))

    assert [pod.wanted for pod in story.pods] == [False, False]
    assert story.serves
    assert story.trouble is not None
    assert story.trouble.reason == "RolloutBlocked"
    # What the new pods failed of is in the status still.
    assert story.cure is not None
    assert (story.cure.field, story.cure.value) == ("spec.engine.maxModelLen", 32768)


def test_a_startup_probe_that_fails_while_the_engine_starts_is_no_news() -> None:
    situation = Situation.of("context-does-not-fit")
    probe = {**situation.facts["events"][0], "reason": "Unhealthy", "message": "Startup probe failed: HTTP 503"}
    situation.facts["events"].append(probe)

    screen = text(tell(gather(situation, "mistral", situation.now)))

    assert "BackOff" in screen
    assert "Startup probe" not in screen


def test_a_change_of_a_moment_ago_is_no_dead_operator() -> None:
    situation = Situation.of("operator-does-not-look")
    situation.facts["inferenceservice"]["metadata"]["managedFields"][0]["time"] = situation.facts["now"]

    story = tell(gather(situation, "mistral", situation.now))

    assert story.nobody == ""
    assert story.cure is None
    assert story.next.startswith("wait")
    assert not story.healthy


def test_a_service_without_any_status_is_not_ready() -> None:
    situation = Situation.of("operator-does-not-look")
    del situation.facts["inferenceservice"]["status"]
    situation.facts |= {"leases": [], "pods": [], "deployment": {}}

    screen = text(tell(gather(situation, "mistral", situation.now)))

    assert "not Ready" in screen
    assert "no operator has ever run in this cluster" in screen
    assert "there is no Deployment yet" in screen


def test_someone_elses_deployment_of_that_name_is_not_the_services() -> None:
    situation = Situation.of("context-does-not-fit")
    situation.facts["deployment"]["metadata"]["ownerReferences"] = []

    assert gather(situation, "mistral", situation.now).deployment == {}


def test_without_a_run_before_the_present_one_its_log_is_read() -> None:
    situation = Situation.of("context-does-not-fit")
    situation.facts["logs"] = {"mistral-0": "ValueError: the present one\n"}

    story = tell(gather(situation, "mistral", situation.now))

    assert story.log_lines == ("ValueError: the present one",)
    assert story.log is not None
    assert not story.log.run.previous


def test_commands_reach_the_same_cluster() -> None:
    story = told("context-does-not-fit", "--context=far away")

    assert story.cure is not None
    assert story.cure.command.endswith("-n models '--context=far away'")


def test_json_has_what_a_program_needs() -> None:
    story: Any = json.loads(as_json(told("context-does-not-fit")))

    assert story["healthy"] is False
    assert story["trouble"]["reason"] == "KVCacheTooSmall"
    assert (story["cure"]["field"], story["cure"]["present"], story["cure"]["value"]) == (
        "spec.engine.maxModelLen",
        4096,
        3072,
    )
    assert story["pods"][0]["exitCode"] == 1
    assert story["at"] == "2026-11-24T12:00:00Z"
