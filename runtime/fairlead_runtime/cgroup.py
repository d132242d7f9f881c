"""How often the kernel has killed a process of this container for memory: cgroup version 2, or 1.

An engine process killed by signal 9 looks the same whoever sent it; this counter tells the kernel from a person.
"""

from pathlib import Path

#: (file, line that starts with): version 2, and the memory controller of version 1 as a container sees its own.
SOURCES = (
    (Path("/sys/fs/cgroup/memory.events"), "oom_kill "),
    (Path("/sys/fs/cgroup/memory/memory.oom_control"), "oom_kill "),
)


def oom_kills(sources: tuple[tuple[Path, str], ...] = SOURCES) -> int:
    """The counter; 0 where there is none to read, so that only its growth means something."""
    for path, prefix in sources:
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            continue
        for line in lines:
            if line.startswith(prefix):
                return int(line.removeprefix(prefix))
    return 0
