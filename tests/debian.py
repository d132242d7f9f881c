"""Programs that tests run and users need not have: out of Debian's packages, unpacked into the cache and never installed."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from fairlead_cli.local import paths
from fairlead_cli.local.errors import MachineUnfit
from fairlead_cli.local.lock import held
from fairlead_cli.local.progress import Progress, silent, step

#: Another apt-get is waited for, at most five minutes.
APT = ("apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300")


def program(name: str, package: str, progress: Progress = silent) -> Path:
    """The program's path: found on PATH, in the cache, or fetched once. Raises MachineUnfit where none of it helps."""
    if found := shutil.which(name):
        return Path(found)
    folder = paths.home() / "debian" / package
    path = folder / "usr" / "bin" / name
    if path.is_file():
        return path
    with held(folder.parent / ".lock", progress, waiting_for="another process that fetches packages"):
        if not path.is_file():
            with step(f"fetching {package} from Debian", progress):
                _unpack(package, folder, name)
    return path


def _unpack(package: str, folder: Path, name: str) -> None:
    if shutil.which("apt-get") is None:
        raise MachineUnfit(f"{name} is not on PATH, and there is no apt-get: install what this system calls {package}")
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        fetch = [*APT, "download", package]
        if _run(fetch, work):
            _run([*APT, "update"], work)
            if told := _run(fetch, work):
                raise MachineUnfit(f"`{' '.join(fetch)}` failed:\n{told[-1500:]}")
        (archive,) = Path(work).glob("*.deb")
        if told := _run(["dpkg-deb", "--extract", str(archive), "unpacked"], work):
            raise MachineUnfit(f"{archive.name} cannot be unpacked:\n{told[-1500:]}")
        shutil.move(Path(work) / "unpacked", folder)


def _run(command: list[str], folder: str) -> str:
    """What it said when it failed, "" when it did not."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return (done.stderr or done.stdout or "no word") if done.returncode else ""
