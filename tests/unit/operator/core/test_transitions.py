"""Events: what changed, told once."""

from typing import Any

import pytest

from fairlead_operator.core.observe import observe
from fairlead_operator.core.status import build_status
from fairlead_operator.core.transitions import events
from unit.operator.builders import PodBuilder, ServiceBuilder, crashed, ready, record, service, snapshot, starting

KV = record("KVCacheTooSmall", "too small", "spec.engine.maxModelLen", "3072")


def _status(owner: ServiceBuilder, *pods: PodBuilder) -> dict[str, Any]:
    seen = snapshot(owner, *pods)
    return build_status(seen, owner.outcome, observe(seen, owner.outcome))


def _told(before: list[PodBuilder] | None, after: list[PodBuilder]) -> list[tuple[str, str]]:
    previous = None if before is None else _status(service(), *before)
    owner = service() if previous is None else service().with_status(previous)
    return [(event.type, event.reason) for event in events(previous, _status(owner, *after))]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(None, [starting()], [("Normal", "Starting")], id="first sight"),
        pytest.param([starting()], [starting()], [], id="nothing changed"),
        pytest.param([starting()], [ready()], [("Normal", "AllReplicasReady")], id="it serves"),
        pytest.param(
            [starting()],
            [crashed(KV)],
            [("Warning", "KVCacheTooSmall")],
            id="one failure, told once for three conditions",
        ),
        pytest.param(
            [crashed(KV)], [crashed(KV, times=2, seconds_ago=5)], [("Warning", "KVCacheTooSmall")], id="it failed again"
        ),
    ],
)
def test_events(before: list[PodBuilder] | None, after: list[PodBuilder], expected: list[tuple[str, str]]) -> None:
    assert _told(before, after) == expected


def test_serving_is_told_where_replicas_are_missing() -> None:
    owner = service().replicas(3)
    before = _status(owner, starting(), starting(), starting())

    told = events(before, _status(owner, ready(), ready(), starting()))

    assert [event.reason for event in told] == ["Serving"]


def test_a_refused_spec_that_is_accepted_is_told() -> None:
    status = _status(service(), starting())
    refused = [
        {**condition, "status": "False", "reason": "DeniedArgument"} if condition["type"] == "Accepted" else condition
        for condition in status["conditions"]
    ]

    assert [event.reason for event in events({"conditions": refused}, status)] == ["Valid"]


def test_a_note_fits_the_events_api() -> None:
    status = _status(service(), crashed(record("UnknownFailure", "x" * 4000)))

    assert all(len(event.note) <= 1024 for event in events(None, status))
