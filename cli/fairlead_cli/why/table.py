"""Conditions and replicas of one service as a table. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from fairlead_cli.why.acting import is_current
from fairlead_cli.why.gathering import wanted_replicas
from fairlead_cli.why.page import Line
from fairlead_cli.why.spans import since
from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import Manifest

_STYLES: Final = {"True": "green", "False": "red", "Unknown": "yellow"}
#: True is the trouble.
_INVERTED: Final = {"Stalled": "red", "Reconciling": "yellow"}


def table(service: Manifest, now: datetime, width: int) -> list[Line]:
    """A line for each condition, and one for each pod that the status lists."""
    status: Mapping[str, Any] = service.get("status") or {}
    told = f"{status.get('readyReplicas', 0)} of {wanted_replicas(service)} replicas Ready"
    told += f", {status.get('updatedReplicas', 0)} of {status.get('replicas', 0)} pods of this spec"
    lines = [Line(told, "bold")]
    if status.get("url"):
        lines.append(Line(str(status["url"])))
    if not is_current(service):
        seen = status.get("observedGeneration", "none")
        lines.append(
            Line(f"generation {service['metadata'].get('generation')} was not looked at yet; seen: {seen}", "yellow")
        )
    lines.append(Line(""))
    rows = [(row["type"], row["status"], _age(row, now), row["reason"]) for row in status.get("conditions") or ()]
    lines += _aligned([("CONDITION", "STATUS", "FOR", "REASON"), *rows], width)
    states = status.get("replicaStates") or ()
    if states:
        pods = [(s["pod"], s["phase"], s.get("node") or "", (s.get("failure") or {}).get("code") or "") for s in states]
        lines += [Line(""), *_aligned([("POD", "PHASE", "NODE", "FAILURE"), *pods], width)]
    return lines


def _age(row: Mapping[str, Any], now: datetime) -> str:
    at = moment(row.get("lastTransitionTime"))
    return since(at, now) if at else ""


def _aligned(rows: list[tuple[str, str, str, str]], width: int) -> list[Line]:
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        Line(
            "   ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip()[: max(width, 40)],
            _INVERTED.get(row[0], _STYLES.get(row[1], "")),
        )
        for row in rows
    ]
