"""The engine's processes as /proc shows them. Linux only, like the pods."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process. state: the letter of proc(5), T = stopped. cpu_seconds: user and system time of all its threads."""

    pid: int
    parent: int
    name: str
    state: str
    cpu_seconds: float


def read(pid: int, root: Path = Path("/proc")) -> Process | None:
    """None when it has ended."""
    try:
        text = (root / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold spaces and parentheses itself.
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    return Process(pid, int(fields[1]), name, fields[0], (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND)


def descendants(pid: int, root: Path = Path("/proc")) -> tuple[Process, ...]:
    """Children, their children and so on, in no order."""
    everyone = [
        process for entry in root.iterdir() if entry.name.isdigit() and (process := read(int(entry.name), root))
    ]
    found: list[Process] = []
    parents = {pid}
    while parents:
        children = [process for process in everyone if process.parent in parents]
        found += children
        parents = {process.pid for process in children}
    return tuple(found)


def kill_descendants(pid: int) -> None:
    """SIGKILL ends stopped processes too."""
    for process in descendants(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
