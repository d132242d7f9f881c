"""Programs of the node: they outlive the command that starts them, and are found again by a mark in their environment.

Nothing else has to remember them: a command that is killed right after starting one leaves it findable, and a process
id that belongs to somebody else by now is never mistaken for ours.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fairlead_cli.local.errors import StartFailed
from fairlead_cli.local.logs import last_lines
from fairlead_cli.local.progress import SIGN_OF_LIFE, Progress

PROC = Path("/proc")
POLL = 0.1
#: Seconds between asking a program to end and ending it.
FAREWELL = 5.0
#: The variable in the environment of each of our programs: whose it is, and its name.
MARK = "FAIRLEAD_DAEMON"
#: All that they get beside the mark, whoever starts them: a proxy of the user's would be asked for the cluster's own addresses.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class Daemons:
    """What runs of ours: the programs that were started for `scope`, which is any text without a colon at its end."""

    def __init__(self, scope: str, logs: Path) -> None:
        self._mark = f"{MARK}={scope}:".encode()
        self._logs = logs

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] = ENVIRONMENT) -> None:
        """Start `command` in a session of its own, with its output in the log NAME.log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        variable, _, scope = self._mark.decode().partition("=")
        with self.log(name).open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment, variable: f"{scope}{name}"},
                start_new_session=True,
                cwd="/",
            )
        # The kernel shows a program's environment a moment after it runs; until then nobody would find this one.
        while process.poll() is None and self._name_of(PROC / str(process.pid)) is None:
            time.sleep(0.001)
        process.returncode = 0  # it is meant to outlive us: Python need not warn that nobody waits for it

    def wait_until(self, name: str, ready: Callable[[], bool], timeout: float, progress: Progress) -> None:
        """Return once `ready` does, with signs of life.

        Raises StartFailed with the end of NAME's log when it ends or `timeout` seconds have passed.
        """
        started = time.monotonic()
        said = 0.0
        while not ready():
            if not self.alive(name):
                raise StartFailed(f"{name} has ended (log: {self.log(name)}):\n{last_lines(self.log(name))}")
            waited = time.monotonic() - started
            if waited > timeout:
                raise StartFailed(
                    f"{name} is not ready after {timeout:.0f} s (log: {self.log(name)}):\n{last_lines(self.log(name))}"
                )
            if waited - said >= SIGN_OF_LIFE:
                said = waited
                progress(f"waiting for {name}: {waited:.0f} s")
            time.sleep(POLL)

    def alive(self, name: str) -> bool:
        """Whether the program that we started under this name still runs."""
        return name in self.running()

    def running(self) -> dict[str, list[int]]:
        """Process ids of all that run, by name; more than one only if a killed command started one twice."""
        found: dict[str, list[int]] = {}
        for folder in PROC.iterdir():
            if folder.name.isdigit() and (name := self._name_of(folder)):
                found.setdefault(name, []).append(int(folder.name))
        return found

    def stop(self, name: str) -> None:
        """Ask it to end, then end it."""
        deadline = time.monotonic() + FAREWELL
        asked: set[int] = set()
        while pids := self.running().get(name):
            for pid in pids:
                if time.monotonic() > deadline:
                    send(pid, signal.SIGKILL)
                elif pid not in asked:
                    send(pid, signal.SIGTERM)
                    asked.add(pid)
            time.sleep(POLL)
            for pid in asked:
                collect(pid)

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _name_of(self, folder: Path) -> str | None:
        """Of a process of ours. What our programs start has the mark too, but is no leader of a session."""
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            return None  # it has ended, or is not ours to see
        marks = [variable for variable in variables if variable.startswith(self._mark)]
        if not marks or _session(folder) != int(folder.name):
            return None
        return marks[0].removeprefix(self._mark).decode()


def _session(folder: Path) -> int | None:
    try:
        fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[3])


def send(pid: int, number: signal.Signals) -> None:
    """A signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def collect(pid: int) -> None:
    """Reap it if it is a child of this very process."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
