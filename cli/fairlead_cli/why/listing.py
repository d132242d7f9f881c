"""Every service in a line: what `fairlead why` says without a name. Pure but for the asking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fairlead_cli.why.acting import acting
from fairlead_cli.why.asking import SERVICES, Reader
from fairlead_cli.why.gathering import Sight, read_leases, wanted_replicas
from fairlead_cli.why.page import Line
from fairlead_cli.why.spans import since
from fairlead_cli.why.trouble import NOT_SEEN_YET
from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import Manifest


@dataclass(frozen=True)
class Row:
    """One service. `since` is when Ready last changed."""

    namespace: str
    name: str
    healthy: bool
    ready: int
    wanted: int
    reason: str
    message: str
    since: datetime | None


@dataclass(frozen=True)
class Listing:
    """`nobody`: why nobody acts, "" when somebody does."""

    at: datetime
    healthy: bool
    services: tuple[Row, ...]
    nobody: str


def look(reader: Reader, now: datetime, *, everywhere: bool) -> Listing:
    """Raises UnansweredError when the services cannot be listed."""
    found = reader.find(SERVICES, everywhere=everywhere)
    leases = read_leases(reader) if found else None
    rows = tuple(_row(service, now) for service in found)
    standing = [acting(Sight(service=service, now=now, leases=leases)) for service in found]
    # Where one goes unseen while others are seen, its own `why` says so.
    nobody = standing[0].nobody if standing and all(act.nobody for act in standing) else ""
    return Listing(now, all(row.healthy for row in rows), rows, nobody)


def _row(service: Manifest, now: datetime) -> Row:
    status, metadata = service.get("status") or {}, service["metadata"]
    current = acting(Sight(service=service, now=now)).current
    ready: Mapping[str, Any] = next((row for row in status.get("conditions") or () if row["type"] == "Ready"), {})
    return Row(
        namespace=metadata["namespace"],
        name=metadata["name"],
        healthy=current and ready.get("status") == "True",
        ready=int(status.get("readyReplicas") or 0),
        wanted=wanted_replicas(service),
        reason=str(ready.get("reason") or "") if current else NOT_SEEN_YET,
        message=str(ready.get("message") or "") if current else "the operator has not looked at this spec yet",
        since=moment(ready.get("lastTransitionTime")) if current else None,
    )


def lines(listing: Listing, width: int, *, everywhere: bool) -> list[Line]:
    """A table as kubectl's; the sentence of an unhealthy one below it."""
    if not listing.services:
        return [Line(f"no InferenceService in {'any namespace' if everywhere else 'this namespace'}")]
    heads = ("NAMESPACE", "NAME", "READY", "REPLICAS", "SINCE", "REASON")
    table = [(heads, ""), *((_cells(row, listing.at), _style(row)) for row in listing.services)]
    shown = [(cells if everywhere else cells[1:], style) for cells, style in table]
    widths = [max(len(cells[column]) for cells, _ in shown) for column in range(len(shown[0][0]))]
    told: list[Line] = []
    for (cells, style), row in zip(shown, (None, *listing.services), strict=True):
        told.append(
            Line("   ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True)).rstrip(), style)
        )
        if row and not row.healthy:
            told.append(Line(_shortened(f"    {row.message}", width), "dim"))
    if listing.nobody:
        told.append(Line(listing.nobody, "red"))
    return told


def _cells(row: Row, now: datetime) -> Sequence[str]:
    lasting = since(row.since, now) if row.since else ""
    return (row.namespace, row.name, str(row.healthy), f"{row.ready}/{row.wanted}", lasting, row.reason)


def _style(row: Row) -> str:
    return "green" if row.healthy else "red"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
