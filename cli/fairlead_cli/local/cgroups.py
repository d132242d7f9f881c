"""The control group that all pods of the local cluster live in, made and taken away.

The kubelet and runc make their groups below it as plain folders, under cgroup v1 and v2 and also where systemd runs:
systemd leaves alone what it did not make, and one way to go about it is one way to be tested.
"""

import os
import time
from pathlib import Path

from fairlead_cli.local.errors import MachineUnfit

#: The kubelet's cgroupRoot, below the mount point of each hierarchy.
NAME = "fairlead"
#: Those that the kubelet insists on, where the kernel has them.
CONTROLLERS = ("cpu", "cpuset", "memory", "hugetlb", "pids")
#: Seconds until the kernel has let go of the groups of ended processes.
PATIENCE = 10.0
_POLL = 0.1


def hierarchies(mountinfo: str) -> list[tuple[Path, str]]:
    """Mount points of control groups and their kinds, `cgroup` or `cgroup2`, from /proc/self/mountinfo."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split()[0]
        if kind in {"cgroup", "cgroup2"}:
            found.append((Path(before.split()[4]), kind))
    return found


def mounted() -> list[tuple[Path, str]]:
    """Those of this machine."""
    return hierarchies(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))


def create(where: list[tuple[Path, str]]) -> None:
    """Make the group in every hierarchy that the kubelet looks at. Raises MachineUnfit when it cannot be made."""
    # Where version 1 is there at all, the kubelet uses nothing else, and version 2 is mounted beside it without controllers.
    first = "cgroup" if any(kind == "cgroup" for _, kind in where) else "cgroup2"
    tops = [top for top, kind in where if kind == first]
    if not tops:
        raise MachineUnfit(
            "no control groups are mounted on this machine, so pods cannot be limited; mount /sys/fs/cgroup"
        )
    for top in tops:
        try:
            if first == "cgroup2":
                _pass_on(top)
            (top / NAME).mkdir(exist_ok=True)
        except OSError as error:
            raise MachineUnfit(
                f"pods cannot have a control group below {top} ({error}); "
                "in a container this needs --privileged and --cgroupns=host: better run on the machine itself"
            ) from error


def processes(where: list[tuple[Path, str]]) -> set[int]:
    """Ids of all that live in the group or below."""
    found: set[int] = set()
    for top, _ in where:
        for folder, _, _ in os.walk(top / NAME):
            try:
                found |= {int(word) for word in Path(folder, "cgroup.procs").read_text(encoding="utf-8").split()}
            except OSError:
                continue  # a group that went away meanwhile has no processes
    return found


def remove(where: list[tuple[Path, str]]) -> bool:
    """Take the group away from every hierarchy; False when one is still in use after `PATIENCE`."""
    tops = [top / NAME for top, _ in where]
    deadline = time.monotonic() + PATIENCE
    while left := [top for top in tops if not _removed(top)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
        tops = left
    return True


def _removed(top: Path) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def _pass_on(top: Path) -> None:
    """Let groups below have the controllers. They stay on: another program may have come to rely on them by `down`."""
    has = (top / "cgroup.controllers").read_text(encoding="utf-8").split()
    passed = (top / "cgroup.subtree_control").read_text(encoding="utf-8").split()
    for name in CONTROLLERS:
        if name in has and name not in passed:
            (top / "cgroup.subtree_control").write_text(f"+{name}")
