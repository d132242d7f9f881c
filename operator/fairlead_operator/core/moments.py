"""Kubernetes' times: RFC 3339, in UTC, to the second."""

from datetime import UTC, datetime


def moment(text: str | None) -> datetime | None:
    """The time in `text`, or None for an absent one."""
    return datetime.fromisoformat(text) if text else None


def rfc3339(at: datetime) -> str:
    """As the API server writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
