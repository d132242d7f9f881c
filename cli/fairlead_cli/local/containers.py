"""Ends all containers of our containerd, whether it still runs or not."""

import signal
import time
from pathlib import Path

from fairlead_cli.local import cgroups
from fairlead_cli.local.daemons import send
from fairlead_cli.local.errors import StopFailed

#: Seconds until killed processes are gone.
PATIENCE = 20.0
_POLL = 0.1


def end(socket: Path) -> None:
    """Kill every shim of the containerd at `socket`, everything below it, and everything in the pods' control group.

    Raises StopFailed when some survive.
    """
    deadline = time.monotonic() + PATIENCE
    hierarchies = cgroups.mounted()
    while True:
        shims = _shims(socket)
        # The shims last: what is below them could not be found any more.
        pids = [*cgroups.processes(hierarchies), *(pid for shim in shims for pid in (*_descendants(shim), shim))]
        if not pids:
            return
        if time.monotonic() > deadline:
            raise StopFailed(f"processes of pods do not end: {', '.join(map(str, pids))}; try again in a minute")
        for pid in pids:
            send(pid, signal.SIGKILL)
        time.sleep(_POLL)


def _shims(socket: Path) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended meanwhile
            if b"containerd-shim" in words[0] and str(socket).encode() in words:
                found.append(int(folder.name))
    return found


def _descendants(pid: int) -> list[int]:
    below: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text(encoding="utf-8").split()]
        except OSError:
            continue  # it has ended meanwhile
        for child in children:
            below += [*_descendants(child), child]
    return below
