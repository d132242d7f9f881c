"""The API server's audit log: every write, by whom; and of the operator's requests the rights that they took."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.access import USER

_READS = frozenset({"get", "list", "watch"})
#: As `components.AUDIT_POLICY`, and what the operator reads beside.
POLICY = f"""\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: [{USER}]
- level: None
  verbs: [get, list, watch]
- level: Metadata
"""
#: API group, resource with its subresource, verb.
Right = tuple[str, str, str]


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
            and entry["verb"] not in _READS
            and entry["user"]["username"] == self.user
            and entry.get("objectRef", {}).get("resource") not in {None, "leases"}
        ]


def _resource(entry: dict[str, Any]) -> str:
    reference = entry["objectRef"]
    return "/".join(filter(None, (reference["resource"], reference.get("subresource"))))


def used(log: Path, user: str = USER) -> set[Right]:
    """The rights without which a request of the user would have been refused.

    An apply that creates takes two of them, and is one request: its answer, 201, tells.
    """
    return {
        (entry["objectRef"].get("apiGroup", ""), _resource(entry), verb)
        for entry in _entries(log)
        if entry["user"]["username"] == user and entry.get("objectRef", {}).get("resource")
        for verb in (entry["verb"], *(["create"] if entry.get("responseStatus", {}).get("code") == 201 else []))
    }


def granted(rules: Collection[dict[str, Any]]) -> set[Right]:
    """Every right of RBAC rules."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    with log.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)
