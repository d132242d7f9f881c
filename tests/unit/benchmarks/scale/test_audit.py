"""What a run's figures are made of: the writes of an audit log, each by whom and when."""

import json
from pathlib import Path
from typing import Any

import pytest
from scale.audit import Log, Write, by_user, children_after, last

KINDS = frozenset({"services", "deployments"})


def line(resource: str, name: str, user: str = "operator", **more: Any) -> str:
    entry = {
        "stage": "ResponseComplete",
        "verb": "patch",
        "user": {"username": user},
        "objectRef": {"resource": resource, "name": name},
        "responseStatus": {"code": 201},
        "requestReceivedTimestamp": "2026-01-02T03:04:05.000000Z",
        "stageTimestamp": "2026-01-02T03:04:05.250000Z",
    }
    return json.dumps(entry | more) + "\n"


def write(resource: str, name: str, done: float, *, user: str = "operator", verb: str = "patch", code: int = 201) -> Write:  # fmt: skip
    return Write(done - 0.5, done, user, verb, resource, name, code)


def test_a_write_has_its_times_its_user_and_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(
        line(
            "inferenceservices",
            "s1",
            objectRef={"resource": "inferenceservices", "subresource": "status", "name": "s1"},
        )
    )

    [seen] = Log(path).more()

    assert (seen.resource, seen.name, seen.user, seen.created) == ("inferenceservices/status", "s1", "operator", True)
    assert seen.done - seen.received == pytest.approx(0.25)


@pytest.mark.parametrize(
    "unwanted",
    [
        pytest.param(line("leases", "fairlead-operator"), id="the Lease is renewed for ever"),
        pytest.param(line("services", "s1", stage="ResponseStarted"), id="not finished"),
        pytest.param(line("", "", objectRef=None), id="about no object"),
    ],
)
def test_what_is_no_write_of_an_object_is_left_out(tmp_path: Path, unwanted: str) -> None:
    path = tmp_path / "audit.log"
    path.write_text(unwanted)

    assert Log(path).more() == []


def test_each_look_has_what_is_new_and_waits_for_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    half = line("services", "s2")[:40]
    path.write_text(line("services", "s1") + half)
    log = Log(path)
    assert [seen.name for seen in log.more()] == ["s1"]

    path.write_text(line("services", "s1") + line("services", "s2"))

    assert [seen.name for seen in log.more()] == ["s2"]
    assert log.more() == []


def test_children_are_counted_from_the_answer_to_the_services_creation() -> None:
    writes = [
        write("inferenceservices", "s1", 10.0, user="admin", verb="create"),
        write("services", "s1", 11.0),
        write("inferenceservices", "s2", 11.5, user="admin", verb="create"),
        write("deployments", "s1-ab12", 12.0),
        write("deployments", "s1-ab12", 15.0, code=200),  # applied again
        write("services", "s2", 13.0),
        write("deployments", "s2", 13.5, code=409),  # refused
        write("replicasets", "s2-cd34", 14.0, user="controller"),
        write("deployments", "s2", 14.5),
    ]

    assert children_after(writes, ["s1", "s2"], "operator", KINDS) == [2.0, 3.0]


def test_a_service_without_all_its_children_is_no_figure() -> None:
    writes = [
        write("inferenceservices", "s1", 10.0, user="admin", verb="create"),
        write("services", "s1", 11.0),
        write("deployments", "s1", 12.0, user="somebody"),
    ]

    with pytest.raises(ValueError, match="1 services have not all their children, s1"):
        children_after(writes, ["s1"], "operator", KINDS)


@pytest.mark.parametrize("code", [403, 500, 503])
def test_a_child_whose_creation_was_refused_is_not_there(code: int) -> None:
    writes = [
        write("inferenceservices", "s1", 10.0, user="admin", verb="create"),
        write("services", "s1", 11.0),
        write("deployments", "s1-ab12", 12.0, code=code),
    ]

    with pytest.raises(ValueError, match="1 services have not all their children, s1"):
        children_after(writes, ["s1"], "operator", KINDS)


def test_the_last_write_is_one_that_was_accepted() -> None:
    writes = [write("deployments/status", "s1", 1.0), write("deployments/status", "s1", 2.0, code=409)]

    assert last(writes, "deployments/status") == 1.0
    assert by_user(writes, "somebody") == []


def test_a_child_whose_creation_the_operator_gave_up_waiting_for_counts_from_then() -> None:
    """The API server went on and made it, and no other write of it follows."""
    writes = [
        write("inferenceservices", "s1", 10.0, user="admin", verb="create"),
        write("deployments", "s1-ab12", 11.0),
        write("services", "s1", 17.0, code=504),
        write("inferenceservices", "s2", 10.0, user="admin", verb="create"),
        write("deployments", "s2-ab12", 11.0),
        write("services", "s2", 12.0, code=504),
        write("services", "s2", 14.0),
    ]

    assert children_after(writes, ["s1", "s2"], "operator", KINDS) == [7.0, 4.0]


def test_a_service_whose_creation_was_given_up_and_done_counts_from_then() -> None:
    writes = [
        write("inferenceservices", "s1", 10.0, user="admin", verb="create", code=504),
        write("inferenceservices", "s1", 11.0, user="admin", verb="create", code=409),
        write("services", "s1", 11.0),
        write("deployments", "s1", 12.0),
    ]

    assert children_after(writes, ["s1"], "operator", KINDS) == [2.0]
