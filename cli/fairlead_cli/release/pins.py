"""What a lock file installs in one environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One line of a lock file: a version, and the hashes of all files that it is published as."""

    name: str
    """Canonical: lower case, with hyphens."""
    version: str
    sha256: tuple[str, ...]


def read(lock: Path, environment: Mapping[str, str]) -> tuple[Pin, ...]:
    """The pins whose marker holds; `environment` overrides this Python's own markers. Raises ValueError for what is no pin."""
    pins = []
    for line in lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        required = Requirement(line.partition("--hash")[0])
        exact = [part.version for part in required.specifier if part.operator == "=="]
        if len(exact) != 1:
            raise ValueError(f"{lock.name}: {required} pins no version; run make lock")
        if required.marker is None or required.marker.evaluate(dict(environment)):
            pins.append(Pin(canonicalize_name(required.name), exact[0], tuple(HASH.findall(line))))
    return tuple(pins)


def linux(python: str) -> dict[str, str]:
    """The markers of an image with this Python, such as 3.11.2."""
    return {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
    }
