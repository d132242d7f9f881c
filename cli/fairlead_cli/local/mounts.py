"""Mounts below folders of ours, and deleting those folders without ever reaching through a mount."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from fairlead_cli.local.call import call
from fairlead_cli.local.errors import StopFailed

MOUNTINFO = Path("/proc/self/mountinfo")


def points(mountinfo: bytes) -> list[Path]:
    """All mount points, in the order in which they were mounted. Spaces and the like are written in octal there."""
    fields = [line.split()[4] for line in mountinfo.splitlines()]
    return [
        Path(os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), field))) for field in fields
    ]


def below(folders: Sequence[Path]) -> list[Path]:
    """What is mounted at or below the folders, the latest first."""
    found = points(MOUNTINFO.read_bytes())
    return [point for point in reversed(found) if any(point.is_relative_to(folder) for folder in folders)]


def clear(*paths: Path) -> None:
    """Unmount all at or below the paths, then delete them.

    Raises StopFailed, and deletes nothing, while something is still mounted there: a pod's volume may be a folder of
    this machine, and deleting would go through.
    """
    for point in below(paths):
        call("umount", "--lazy", str(point))
    if left := below(paths):
        raise StopFailed(f"these mounts cannot be taken away: {', '.join(map(str, left))}; umount them, then try again")
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
