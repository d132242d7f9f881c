"""Inputs for the controller's tests, and a clock that only moves when told."""

from dataclasses import dataclass
from typing import Any

from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest


@dataclass
class Clock:
    """Seconds; call it to read it."""

    time: float = 1000.0

    def __call__(self) -> float:
        return self.time


def obj(name: str = "mistral", version: int = 1, uid: str = "u1", **metadata: Any) -> Manifest:
    """Any namespaced object."""
    return {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version), **metadata},
    }


def child(name: str = "mistral", version: int = 1, uid: str = "c1", service: str = "mistral") -> Manifest:
    """An object that carries a service's label."""
    return obj(name, version, uid, labels={names.SERVICE_LABEL: service})
