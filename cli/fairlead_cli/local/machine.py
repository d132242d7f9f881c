"""What the whole node needs of this machine, said in one message before anything is started; on Debian it is installed."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from fairlead_cli.local.errors import MachineUnfit
from fairlead_cli.local.progress import Progress

#: Programs that are called, by the Debian package that has them.
PROGRAMS = {
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "mount": "mount",
    "gcc": "gcc",
    "pkg-config": "pkg-config",
}
#: Headers that runc is built with.
HEADERS = {Path("/usr/include/seccomp.h"): "libseccomp-dev", Path("/usr/include/stdlib.h"): "libc6-dev"}


def prepare(progress: Progress) -> None:
    """Return once everything is there. Raises MachineUnfit with the whole list of what is missing."""
    missing = packages()
    problems = []
    if platform.system() != "Linux":
        problems.append("Linux: containers are a feature of its kernel")
    if os.geteuid() != 0:
        problems.append("root: the node makes namespaces, mounts and iptables rules")
    if missing and (problems or shutil.which("apt-get") is None):
        problems.append(f"these programs or headers, named as Debian's packages: {', '.join(missing)}")
    if problems:
        raise MachineUnfit("a Kubernetes node on this machine needs:\n" + "\n".join(f"  - {item}" for item in problems))
    if missing:
        progress(f"installing {', '.join(missing)}")
        install(missing)


def packages() -> list[str]:
    """Debian packages that are missing, each once."""
    wanted = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    return sorted({*wanted, *(package for header, package in HEADERS.items() if not header.exists())})


def install(names: list[str]) -> None:
    """By apt-get, asking nothing. Raises MachineUnfit with its last words."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *names]):
        command = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300", *step]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MachineUnfit(f"`{' '.join(command)}` failed:\n{(done.stderr or done.stdout)[-1500:]}")
