"""What a process used, as the kernel says: /proc."""

import os
import re
from pathlib import Path

_MIB = 1024


def cpu_seconds(pid: int, proc: Path = Path("/proc")) -> float:
    """User and system time of all its threads since its start."""
    # The second field is the program's name in brackets and may hold anything.
    fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int, proc: Path = Path("/proc")) -> float:
    """The most memory that it had resident at once."""
    text = (proc / str(pid) / "status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
    assert found, "VmHWM is in the status of every process with memory of its own"
    return int(found[1]) / _MIB
