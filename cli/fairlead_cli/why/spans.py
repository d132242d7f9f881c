"""Lengths of time as a person says them."""

from datetime import datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """The largest unit of which there are two or more, else the next smaller: 90 s, 4 min, 47 h, 3 d."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def since(at: datetime, now: datetime) -> str:
    """How long ago."""
    return span((now - at).total_seconds())
