"""Programs of the node: they outlive the command that starts them, and are found again by process id and start time.

A process id alone may belong to somebody else by now; together with its start time it cannot.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fairlead_cli.local.errors import StartFailed
from fairlead_cli.local.logs import last_lines

POLL = 0.1
#: Seconds between asking a program to end and ending it.
FAREWELL = 5.0


class Daemons:
    """What runs of ours; `book` remembers it between commands."""

    def __init__(self, book: Path, logs: Path) -> None:
        self._book, self._logs = book, logs

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start `command` in a session of its own, with its output in the log NAME.log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,
                cwd="/",
            )
        self._write({**self._read(), name: [process.pid, started(process.pid)]})

    def wait_until(self, name: str, ready: Callable[[], bool], timeout: float) -> None:
        """Return once `ready` does. Raises StartFailed with the end of NAME's log when it ends or time is over."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.alive(name):
                raise StartFailed(f"{name} has ended (log: {self.log(name)}):\n{last_lines(self.log(name))}")
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{name} is not ready after {timeout:.0f} s (log: {self.log(name)}):\n{last_lines(self.log(name))}"
                )
            time.sleep(POLL)

    def alive(self, name: str) -> bool:
        """Whether the process that we started under this name still runs."""
        found = self._read().get(name)
        return found is not None and started(found[0]) == found[1]

    def names(self) -> list[str]:
        """All that were started and not stopped by us, dead ones included."""
        return list(self._read())

    def stop(self, name: str) -> None:
        """Ask it to end, then end it."""
        if self.alive(name):
            pid = self._read()[name][0]
            deadline = time.monotonic() + FAREWELL
            send(pid, signal.SIGTERM)
            while self.alive(name) and time.monotonic() < deadline:
                collect(pid)
                time.sleep(POLL)
            if self.alive(name):
                send(pid, signal.SIGKILL)
                collect(pid)
        self._write({other: found for other, found in self._read().items() if other != name})

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _read(self) -> dict[str, list[int]]:
        try:
            found: dict[str, list[int]] = json.loads(self._book.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def _write(self, entries: Mapping[str, object]) -> None:
        self._book.parent.mkdir(parents=True, exist_ok=True)
        new = self._book.with_suffix(".new")
        new.write_text(json.dumps(entries), encoding="utf-8")
        new.replace(self._book)


def started(pid: int) -> int | None:
    """The start of a process in clock ticks since boot; None when there is no such process, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


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
