"""A memory limit like a container's: a control group of its own, seen from inside as the root, version 1 or 2."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

#: The engine's own view: its control group mounted over the machine's, then the program.
_INSIDE = 'echo $$ > "$0/cgroup.procs" && exec unshare --mount --cgroup sh -c \'umount -l "$0" && {mount} && exec "$@"\' {at} "$@"'


@dataclass(frozen=True)
class Version:
    root: Path
    limit: str
    mount: str

    @property
    def usable(self) -> bool:
        if not os.access(self.root, os.W_OK) or os.geteuid() != 0:
            return False
        delegated = self.root / "cgroup.subtree_control"
        return not delegated.exists() or "memory" in delegated.read_text()


VERSIONS = (
    Version(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", 'mount -t cgroup -o memory none "$0"'),
    Version(Path("/sys/fs/cgroup"), "memory.max", 'mount -t cgroup2 none "$0"'),
)


@contextmanager
def confined(limit_bytes: int) -> Iterator[tuple[str, ...]]:
    """The words before a command that runs it, and all that it starts, within `limit_bytes` of memory."""
    version = next((version for version in VERSIONS if version.usable), None)
    if version is None:
        pytest.skip("needs root and a memory control group that can be divided")
    group = version.root / f"engine-test-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        (group / version.limit).write_text(str(limit_bytes))
        inside = _INSIDE.format(mount=version.mount, at=version.root)
        yield ("sh", "-c", inside, str(group))
    finally:
        deadline = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        group.rmdir()
