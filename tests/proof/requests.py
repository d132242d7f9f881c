"""A request to the API server in Kubernetes' own terms: what is asked of which object."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]

_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Target:
    """What a path names; "" for the parts that it does not have."""

    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""


def target(path: str) -> Target:
    """Of /api/v1/... and /apis/GROUP/VERSION/...; of any other path an empty one."""
    match path.strip("/").split("/"):
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return Target()
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = [*rest, "", "", ""][:3]
    return Target(group, version, namespace, resource, name, subresource)


@dataclass(frozen=True)
class Request:
    """One request. number: its place among the counted writes, from 1; 0 for all others."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    number: int = 0

    @property
    def target(self) -> Target:
        """What it is about."""
        return target(self.path)

    @property
    def verb(self) -> str:
        """get, list, watch, create, update, apply (server-side), patch or delete."""
        if self.method == "PATCH" and "apply-patch" in self.headers.get("Content-Type", ""):
            return "apply"
        if self.method in _WRITES:
            return _WRITES[self.method]
        if self.query.get("watch") in {"1", "true"}:
            return "watch"
        return "get" if self.target.name else "list"

    @property
    def is_write(self) -> bool:
        """Whether it can change anything."""
        return self.method in _WRITES and "dryRun" not in self.query

    @property
    def manifest(self) -> Manifest:
        """The body of a write."""
        sent: Manifest = json.loads(self.body or b"{}")
        return sent

    @property
    def name(self) -> str:
        """Of the object; a create has it in its body."""
        return self.target.name or (self.manifest.get("metadata", {}).get("name", "") if self.is_write else "")


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def manifest(self) -> Manifest:
        """The object, list or Status that it carries."""
        said: Manifest = json.loads(self.body)
        return said


def refusal(code: int, reason: str = "", message: str = "injected", **headers: str) -> Answer:
    """A failure as the API server words it. `headers` are written with _ for -: Retry_After="1"."""
    body = json.dumps(failure(code, reason, message)).encode()
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(code, body, {"Content-Type": "application/json", **told})


def failure(code: int, reason: str = "", message: str = "injected") -> Manifest:
    """A Status: the body of a refusal, and the object of a watch's ERROR event."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


#: What a watch says whose resourceVersion is too old.
EXPIRED: Manifest = {"type": "ERROR", "object": failure(410, "Expired", "too old resource version")}
