from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead_operator.controller.kinds import Kind
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.recorder import Recorder
from fairlead_operator.core.transitions import Event
from unit.operator.controller.objects import obj

EVENT = Event(type="Warning", reason="KVCacheTooSmall", note="3072 < 4096", action="Report")


class Events:
    """Stands in for Cluster."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.merged: list[tuple[str, dict[str, Any]]] = []
        self.refuses = False

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refuses:
            raise ApiError(403, "Forbidden", "namespace is being terminated")
        self.created.append(body)
        return body

    async def merge(self, kind: Kind, key: tuple[str, str], body: dict[str, Any]) -> dict[str, Any]:
        self.merged.append((key[1], body))
        return body


async def test_the_same_event_again_becomes_a_series() -> None:
    events, time = Events(), [datetime(2026, 11, 24, tzinfo=UTC)]
    recorder = Recorder(events, "pod-1", now=lambda: time[0])  # type: ignore[arg-type]
    for _ in range(3):
        await recorder.emit(obj(), EVENT)

    assert len(events.created) == 1
    assert events.created[0]["regarding"]["uid"] == "u1"
    assert events.created[0]["reportingController"] == "fairlead.dev/operator"
    name = events.created[0]["metadata"]["name"]
    assert [(target, body["series"]["count"]) for target, body in events.merged] == [(name, 2), (name, 3)]

    time[0] += timedelta(minutes=7)
    await recorder.emit(obj(), EVENT)
    assert len(events.created) == 2


async def test_another_service_has_its_own_event() -> None:
    events = Events()
    recorder = Recorder(events, "pod-1")  # type: ignore[arg-type]

    await recorder.emit(obj(), EVENT)
    await recorder.emit(obj("other", uid="u2"), EVENT)

    assert [body["regarding"]["name"] for body in events.created] == ["mistral", "other"]


async def test_a_refused_event_is_dropped_and_tried_anew() -> None:
    events = Events()
    recorder = Recorder(events, "pod-1")  # type: ignore[arg-type]
    events.refuses = True
    await recorder.emit(obj(), EVENT)
    events.refuses = False

    await recorder.emit(obj(), EVENT)

    assert len(events.created) == 1


async def test_a_long_note_is_cut_at_the_servers_limit() -> None:
    events = Events()
    await Recorder(events, "pod-1").emit(obj(), Event("Warning", "R", "ä" * 2000, "Report"))  # type: ignore[arg-type]

    assert len(events.created[0]["note"].encode()) <= 1024
