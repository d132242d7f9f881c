"""Events of the service and warnings about its pods, read from either of the two event APIs. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import PodEvent


@dataclass(frozen=True)
class Event:
    """One series of equal events. `about` is kind/name."""

    type: str
    reason: str
    message: str
    about: str
    uid: str
    at: datetime
    count: int


def read(raw: Iterable[Manifest]) -> tuple[Event, ...]:
    """Newest first; those without a time are left out."""
    found = [event for one in raw if (event := _read(one))]
    return tuple(sorted(found, key=lambda event: event.at, reverse=True))


def by_uid(events: Iterable[Event]) -> dict[str, list[PodEvent]]:
    """As core judges pods by them."""
    found: dict[str, list[PodEvent]] = {}
    for event in events:
        told = PodEvent(event.type, event.reason, event.message, event.at, event.count)
        found.setdefault(event.uid, []).append(told)
    return found


def _read(raw: Manifest) -> Event | None:
    series, about = raw.get("series") or {}, raw.get("involvedObject") or {}
    seen = series.get("lastObservedTime") or raw.get("lastTimestamp") or raw.get("eventTime")
    at = moment(seen or raw["metadata"].get("creationTimestamp"))
    if at is None:
        return None
    return Event(
        type=str(raw.get("type") or "Normal"),
        reason=str(raw.get("reason") or ""),
        message=str(raw.get("message") or ""),
        about=f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        uid=str(about.get("uid") or ""),
        at=at,
        count=int(series.get("count") or raw.get("count") or 1),
    )
