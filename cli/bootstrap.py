"""Makes .venv from nothing but Python: what `make` runs first. Standard library only.

Everything is pinned by hash in locks/: first uv, with the pip that comes with Python, then the rest with uv.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)


def main() -> None:
    """Leave .venv/.ready newer than the lock files, or say in one message what is missing."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"fairlead needs Python 3.11 or newer; {sys.executable} is {platform.python_version()}. Try: make PYTHON=python3.12"
        )
    if not (VENV / "bin" / "pip").exists():
        shutil.rmtree(VENV, ignore_errors=True)
        create_environment()
    python = str(VENV / "bin" / "python")
    print("Installing the pinned dependencies into .venv ...", flush=True)
    run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", "locks/bootstrap.txt")
    uv = [str(VENV / "bin" / "uv"), "pip"]
    quiet = ["--quiet", "--python", python]
    # Compiled here, for PYTHONDONTWRITEBYTECODE may be set: each start of a program would compile all that it imports.
    run(*uv, "sync", *quiet, "--compile-bytecode", "--require-hashes", "locks/bootstrap.txt", "locks/dev.txt")
    run(*uv, "install", *quiet, "--no-deps", "--no-build-isolation", "--editable", ".")
    run(python, "-m", "compileall", "-q", "operator", "runtime", "cli")
    (VENV / ".ready").touch()


def create_environment() -> None:
    """A virtual environment with pip. Debian ships Python without the parts that this needs: fetch them there."""
    if not has_venv():
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            sys.exit(f"This Python has no venv module. Install it first (Debian, Ubuntu: apt-get install {package}).")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-q", env=environment)
        run("apt-get", "install", "-q", "-y", "--no-install-recommends", package, env=environment)
    run(sys.executable, "-m", "venv", str(VENV))


def has_venv() -> bool:
    """Whether this Python can make an environment with pip in it."""
    probe = [sys.executable, "-c", "import ensurepip, venv"]
    return subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0


def run(*command: str, env: dict[str, str] | None = None) -> None:
    """Run one step in the repository's root; its own output says what went wrong."""
    done = subprocess.run(command, cwd=ROOT, env=env, check=False)
    if done.returncode:
        sys.exit(f"failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
