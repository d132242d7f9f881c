"""The API server's audit log: every write, by whom."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.access import USER


@dataclass(frozen=True)
class Write:
    """One write request that the server accepted or refused."""

    verb: str
    resource: str
    name: str
    code: int
    namespace: str = ""


@dataclass
class Audit:
    """Reads a log from where it stood at creation."""

    path: Path
    user: str = USER
    _offset: int = 0

    def __post_init__(self) -> None:
        self._offset = self.path.stat().st_size

    def writes(self) -> list[Write]:
        """All writes by the user since then, the Lease's left out."""
        with self.path.open("rb") as log:
            log.seek(self._offset)
            lines = log.read().split(b"\n")[:-1]
        entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [
            Write(
                entry["verb"],
                _resource(entry),
                entry["objectRef"].get("name", ""),
                entry["responseStatus"]["code"],
                entry["objectRef"].get("namespace", ""),
            )
            for entry in entries
            if entry["stage"] == "ResponseComplete"
            and entry["user"]["username"] == self.user
            and entry.get("objectRef", {}).get("resource") not in {None, "leases"}
        ]


def _resource(entry: dict[str, Any]) -> str:
    reference = entry["objectRef"]
    return "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
