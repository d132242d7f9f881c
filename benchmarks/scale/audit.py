"""The API server's audit log, with times: every write of a run, whoever made it.

All figures of a run come from this one clock, the API server's, so that nobody has to watch while it is measured.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

#: Not counted: every process of the operator renews the one Lease.
LEASES = "leases"
#: The answer to a write that took longer than it may. Nothing comes of any other that failed.
GAVE_UP = 504


@dataclass(frozen=True)
class Write:
    """One write that was answered: when it was received and when it was done, in seconds since the epoch."""

    received: float
    done: float
    user: str
    verb: str
    resource: str
    name: str
    code: int

    @property
    def created(self) -> bool:
        """Whether an object came of it."""
        return self.code == 201


@dataclass
class Log:
    """Reads a growing log from its beginning; each call takes up where the last one ended."""

    path: Path
    _offset: int = 0

    def more(self) -> list[Write]:
        """The writes since the last call, in the order of the log; a line that is being written is left for the next."""
        with self.path.open("rb") as log:
            log.seek(self._offset)
            text = log.read()
        whole = text.rfind(b"\n") + 1
        self._offset += whole
        return [write for line in text[:whole].splitlines() if (write := parse(json.loads(line))) is not None]


def parse(entry: Mapping[str, Any]) -> Write | None:
    """One audit event; None for what is no finished write of an object."""
    reference = entry.get("objectRef") or {}
    if entry["stage"] != "ResponseComplete" or not reference.get("resource") or reference["resource"] == LEASES:
        return None
    return Write(
        received=_seconds(entry["requestReceivedTimestamp"]),
        done=_seconds(entry["stageTimestamp"]),
        user=entry["user"]["username"],
        verb=entry["verb"],
        resource="/".join(filter(None, (reference["resource"], reference.get("subresource")))),
        name=reference.get("name", ""),
        code=entry["responseStatus"]["code"],
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def by_user(writes: Iterable[Write], user: str) -> list[Write]:
    """Those of one user."""
    return [write for write in writes if write.user == user]


def last(writes: Iterable[Write], resource: str) -> float:
    """When the last write to a resource was done. ValueError when there was none."""
    return max(write.done for write in writes if write.resource == resource and write.code < 300)


def children_after(writes: Sequence[Write], names: Sequence[str], operator: str, kinds: frozenset[str]) -> list[float]:
    """For each service, the seconds from the answer to its creation until the last of its children was first there.

    `kinds` are the children's resources; a child is called like its service, or NAME-something. Names of services must be of one
    length. ValueError for a service that has not all kinds of children.
    """
    length = len(names[0])
    wanted = set(names)
    born: dict[str, float] = {}
    grown: dict[str, dict[str, float]] = {name: {} for name in names}
    late: dict[str, dict[str, float]] = {name: {} for name in names}
    for write in writes:
        service = write.name[:length]
        if service not in wanted:
            continue
        if write.resource == "inferenceservices" and write.verb == "create":
            if write.code < 300 or write.code == GAVE_UP:
                born[service] = write.done
        elif write.user == operator and write.resource in kinds:
            if write.created:
                grown[service].setdefault(write.resource, write.done)
            elif write.code == GAVE_UP:
                # While the API server went on: what is there afterwards without another creation came of it.
                late[service][write.resource] = write.done
    for name in names:
        grown[name] = {**late[name], **grown[name]}
    if lacking := [name for name in names if name not in born or grown[name].keys() != kinds]:
        raise ValueError(f"{len(lacking)} services have not all their children, {lacking[0]} among them")
    return [max(grown[name].values()) - born[name] for name in names]
