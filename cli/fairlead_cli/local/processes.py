"""Child processes that cannot outlive the process that started them, however that one ends.

For control planes that belong to a test or a command. The node's own components are the opposite, see `daemons`.
"""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fairlead_cli.local.errors import StartFailed
from fairlead_cli.local.logs import last_lines

#: Runs a program and kills it once standard input ends: the write end is held by our process alone, so the kernel
#: closes it even after a kill -9. (Linux' parent-death signal would fire when the starting *thread* ends.)
_LEASH = """
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ read -r _ <&3; kill -9 "$child"; } &
leash=$!
exec 3<&-
wait "$child"
code=$?
kill "$leash" 2>/dev/null
exit "$code"
"""
#: Seconds between two looks at a starting component.
POLL = 0.05


class Child:
    """One running program; its output goes to a log file."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            # Its own session: an interrupt at the terminal is for us, and we stop what we started in order.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LEASH, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return once `ready` does.

        Raises StartFailed with the end of the log when the program exits or `timeout` seconds have passed.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if self.exit_code is not None:
                raise StartFailed(
                    f"{self.name} ended with code {self.exit_code} (log: {self.log}):\n{last_lines(self.log)}"
                )
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{self.name} is not ready after {timeout:.0f} s (log: {self.log}):\n{last_lines(self.log)}"
                )
            time.sleep(POLL)

    def stop(self) -> None:
        """Kill it: whatever it would still write is about to be thrown away."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
