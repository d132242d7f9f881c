"""What building images needs from this machine, and how it gets there."""

import os
import shutil
import subprocess

from fairlead_cli.local.errors import BuildFailed, MachineUnfit

#: Programs and the Debian package that brings each.
PROGRAMS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
#: Bytes that a first build takes: storage, layout and what passes through.
DISK = 25 * 10**9


def requirements() -> list[str]:
    """What is missing and cannot be installed without asking; empty if `build` can start."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    told = []
    if os.geteuid() != 0:
        told.append("root: images are built in chroots; run it with sudo")
    if shutil.which("apt-get") is None:
        told.append("Debian or Ubuntu: the images' base system is made from this machine's apt sources")
        told += [f"{program}: install it with this system's package manager" for program in missing]
    elif missing and os.geteuid() != 0:
        told.append(f"{', '.join(missing)}: apt-get install {' '.join(PROGRAMS[name] for name in missing)}")
    return told


def install() -> None:
    """Install what `PROGRAMS` lacks. Raises MachineUnfit with everything that the user must do, BuildFailed."""
    if told := requirements():
        raise MachineUnfit("images cannot be built here; missing:\n" + "\n".join(f"  - {line}" for line in told))
    packages = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not packages:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
        # Another apt on this machine (the cluster's own set-up) is waited for.
        whole = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *command]
        done = subprocess.run(whole, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise BuildFailed(f"{' '.join(whole)} failed:\n{done.stderr.strip()[-2000:]}")
