"""What building images needs of this machine."""

import shutil
from pathlib import Path

from fairlead_cli.local.errors import MachineUnfit
from fairlead_cli.local.machine import Needs

#: Bytes that a first build takes: storage, layout and what passes through.
DISK = 25 * 10**9

IMAGES = Needs(
    work="building images",
    why_root="they are built in chroots",
    programs={"buildah": "buildah", "mmdebstrap": "mmdebstrap"},
    why_debian="the images' base system is made from this machine's apt sources",
)


def check_disk(folder: Path) -> None:
    """Raises MachineUnfit when a first build into the folder would fill the disk. Makes nothing."""
    if (folder / "layout").exists():
        return
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < DISK:
        raise MachineUnfit(
            f"{folder} has {free / 1e9:.0f} GB free; a first build of images needs {DISK / 1e9:.0f} GB. "
            "Make room, or set FAIRLEAD_HOME to a folder on a larger disk"
        )
