"""What a kind of work needs of this machine: said in one message before anything is started; on Debian it is installed."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairlead_cli.local import surroundings
from fairlead_cli.local.errors import MachineUnfit
from fairlead_cli.local.progress import Progress, step


@dataclass(frozen=True)
class Needs:
    """What one kind of work, named as the subject of a sentence, cannot do without."""

    work: str
    why_root: str
    programs: Mapping[str, str]
    """The Debian package that has it, by program."""
    headers: Mapping[Path, str] = field(default_factory=dict)
    why_debian: str = ""
    """Given where another system will not do even with all programs installed."""


#: Of the whole node. conntrack, ip and iptables are called by kube-proxy and by us, gcc and the headers build runc.
NODE = Needs(
    work="the local cluster",
    why_root="it makes namespaces, mounts and iptables rules",
    programs={
        "ip": "iproute2",
        "ss": "iproute2",
        "iptables": "iptables",
        "conntrack": "conntrack",
        "mount": "mount",
        "gcc": "gcc",
        "pkg-config": "pkg-config",
    },
    headers={Path("/usr/include/seccomp.h"): "libseccomp-dev", Path("/usr/include/stdlib.h"): "libc6-dev"},
)


def prepare(*needs: Needs, progress: Progress) -> None:
    """Return once everything is there. Raises MachineUnfit with the whole list of what the user must do."""
    packages = missing(needs)
    if told := problems(needs, packages):
        lines = "\n".join(f"  - {line}" for line in told)
        raise MachineUnfit(f"nothing was started; this machine lacks:\n{lines}")
    if packages:
        with step(f"installing {', '.join(packages)}", progress):
            install(packages)
        if left := missing(needs):
            raise MachineUnfit(
                f"apt-get installed {' '.join(left)}, and what is needed of it is found neither on PATH nor below /usr/include"
            )


def problems(needs: Iterable[Needs], packages: Iterable[str]) -> list[str]:
    """What only the user can change, a sentence for each."""
    told = []
    if platform.system() != "Linux":
        told.append(f"Linux: this is {platform.system()}; use a virtual machine with Debian or Ubuntu")
    root, apt = os.geteuid() == 0, shutil.which("apt-get") is not None
    if not root:
        told += [
            f"root: {need.work} needs it, because {need.why_root}; run the same command with sudo" for need in needs
        ]
    if not apt:
        told += [
            f"Debian or Ubuntu: {need.work} needs it, because {need.why_debian}" for need in needs if need.why_debian
        ]
    names = " ".join(packages)
    if names and not apt:
        told.append(f"programs and headers; install what this system calls Debian's packages {names}")
    elif names and not root:
        told.append(f"programs and headers; root gets them by itself, or: apt-get install {names}")
    return told


def missing(needs: Iterable[Needs]) -> list[str]:
    """Debian packages that have what is not there, each once."""
    packages: set[str] = set()
    folders = surroundings.search_path()
    for need in needs:
        packages |= {package for program, package in need.programs.items() if not shutil.which(program, path=folders)}
        packages |= {package for header, package in need.headers.items() if not header.exists()}
    return sorted(packages)


def install(packages: Iterable[str]) -> None:
    """By apt-get, asking nothing. Raises MachineUnfit with its last words."""
    environment = surroundings.whole() | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        # Another apt-get on this machine is waited for, at most five minutes.
        command = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MachineUnfit(f"`{' '.join(command)}` failed:\n{(done.stderr or done.stdout).strip()[-1500:]}")
