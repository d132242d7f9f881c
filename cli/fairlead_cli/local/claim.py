"""Who runs a cluster on this machine, and what the machine was like before.

Written before the first change, deleted after the last one is undone: a command that is killed in between leaves it,
and the next one knows that there is something to undo, and the values of before. It is in a folder that a reboot
empties, like everything that it speaks of.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fairlead_cli.local import paths, podlogs, sysctls

#: Folders outside of ours that the kubelet, containerd and the network plugins make, whatever they are told.
FOREIGN = (
    *(Path("/var/lib/kubelet"), Path("/var/lib/kubelet/device-plugins")),
    *(Path("/var/lib/cni"), Path("/var/lib/cni/results"), Path("/opt/containerd"), podlogs.LINKS),
)


@dataclass(frozen=True)
class Claim:
    """`home` is whose cluster it is; `sysctls` and `absent` are how the machine was before."""

    home: Path
    sysctls: dict[str, str]
    absent: tuple[Path, ...]
    """Those of `FOREIGN` that were not there."""


def file() -> Path:
    """One for the whole machine: link, addresses and ports allow one cluster."""
    return paths.RUN / "machine.json"


def read() -> Claim | None:
    """The claim on this machine, None when there is no cluster and nothing is left of one."""
    try:
        seen = json.loads(file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Claim(Path(seen["home"]), seen["sysctls"], tuple(Path(path) for path in seen["absent"]))


def make(home: Path) -> Claim:
    """Remember the machine as it is now. An earlier claim stays as it is: since then the machine was changed."""
    if there := read():
        return there
    claim = Claim(home, sysctls.read(), tuple(path for path in FOREIGN if not path.exists()))
    text = json.dumps(
        {"home": str(claim.home), "sysctls": claim.sysctls, "absent": [str(path) for path in claim.absent]}
    )
    file().parent.mkdir(parents=True, exist_ok=True)
    new = file().with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(file())
    return claim


def drop() -> None:
    """All is undone."""
    file().unlink(missing_ok=True)


def remove_empty(folders: Iterable[Path]) -> None:
    """Take folders away that were not there before, the deepest first, unless somebody else has put something in."""
    for folder in sorted(folders, reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
