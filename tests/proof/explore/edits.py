"""What somebody might do to a child by hand: to each field that the operator owns, and to what it does not want there."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from api.cluster import Manifest
from fairlead_operator.core.names import FIELD_MANAGER

#: An object that is given away is somebody else's from then on, and must not be touched.
_GIVEN_AWAY: Final = "/metadata/ownerReferences"
_POD: Final = "/spec/template/spec"


@dataclass(frozen=True)
class Edit:
    """One operation of a JSON patch."""

    op: str
    path: str
    value: Any = None

    @property
    def operations(self) -> list[Manifest]:
        """As the API server takes it."""
        return [{"op": self.op, "path": self.path, **({} if self.op == "remove" else {"value": self.value})}]


def edits(child: Manifest) -> list[Edit]:
    """Every field of ours changed, and taken away; whether that is possible is the API server's to say."""
    found: list[Edit] = []
    for path, value in _owned(child):
        if path.startswith(_GIVEN_AWAY):
            continue
        found.append(Edit("remove", path))
        if isinstance(value, bool):
            found.append(Edit("replace", path, not value))
        elif isinstance(value, int):
            found.append(Edit("replace", path, value + 1))
        elif isinstance(value, str):
            found += [Edit("replace", path, other) for other in (f"{value}x", "7", "Never", "Exists") if other != value]
    return found


def additions(deployment: Manifest) -> list[Edit]:
    """What no pod of ours shall have."""
    known = deployment["spec"]["template"]["spec"]
    containers = {"name": "beside", "image": "example.com/beside:1"}
    return [
        Edit("add", f"{_POD}/containers/-", containers),
        Edit("add", f"{_POD}/containers/0", containers),
        Edit("add", f"{_POD}/initContainers", [*known.get("initContainers", ()), containers]),
        Edit("add", f"{_POD}/containers/0/env/-", {"name": "LD_PRELOAD", "value": "/tmp/x.so"}),
        Edit("add", f"{_POD}/containers/0/env/0", {"name": "VLLM_API_KEY", "value": "x"}),
        Edit("add", f"{_POD}/volumes/-", {"name": "host", "hostPath": {"path": "/"}}),
    ]


def _owned(child: Manifest) -> Iterator[tuple[str, Any]]:
    """JSON pointer and value of each leaf that the operator's field manager owns."""
    for entry in child["metadata"].get("managedFields", ()):
        if entry["manager"] == FIELD_MANAGER and "fieldsV1" in entry:
            yield from _leaves(entry["fieldsV1"], child, "")


def _leaves(fields: Manifest, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    below = {name: inner for name, inner in fields.items() if name != "."}
    if not below:
        yield path, value
    for name, inner in below.items():
        kind, _, rest = name.partition(":")
        if kind == "f" and isinstance(value, dict) and rest in value:
            yield from _leaves(inner, value[rest], f"{path}/{rest.replace('~', '~0').replace('/', '~1')}")
        elif kind == "k":
            keys = json.loads(rest)
            for index, item in enumerate(value):
                if all(item.get(key) == wanted for key, wanted in keys.items()):
                    yield from _leaves(inner, item, f"{path}/{index}")
