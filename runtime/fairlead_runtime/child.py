"""The engine's process and all that it starts: begun, watched, ended. Standard library only; Linux.

They live in a session of their own, so that one signal ends what is left of them, and die with the supervisor.
"""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fairlead_runtime.lifecycle import STATE_FD_ENV
from fairlead_runtime.ring import LogRing, Tee

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
#: Seconds for the last lines and events to come through after the last writer is gone.
LAST_WORDS = 5.0


@dataclass(frozen=True)
class Engine:
    """The running child. `state` is the reading end of its event pipe, `tees` carry its output."""

    process: "subprocess.Popen[bytes]"
    state: int
    tees: tuple[Tee, ...]

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """To the front end alone: the engine's other processes are its to stop."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def kill_all(self) -> None:
        """Every process of the session that still lives."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def last_lines_read(self) -> None:
        """Wait until the output has come through, a few seconds at most: a process that escaped may hold it open."""
        for tee in self.tees:
            tee.join(LAST_WORDS)


def start(command: Sequence[str], environ: Mapping[str, str], ring: LogRing) -> Engine:
    """Begin `command`. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Orphans of the engine come to this process to be reaped, also where it is not PID 1.
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    state_out, state_in = os.pipe()
    outputs = [os.pipe() for _ in range(2)]
    process = subprocess.Popen(
        command,
        env={**environ, STATE_FD_ENV: str(state_in)},
        stdin=subprocess.DEVNULL,
        stdout=outputs[0][1],
        stderr=outputs[1][1],
        pass_fds=(state_in,),
        start_new_session=True,
        preexec_fn=_die_with(libc, os.getpid()),  # noqa: PLW1509  no thread runs yet
    )
    for writer in (state_in, outputs[0][1], outputs[1][1]):
        os.close(writer)
    tees = tuple(Tee(reader, target, ring) for target, (reader, _) in enumerate(outputs, start=1))
    for tee in tees:
        tee.start()
    return Engine(process, state_out, tees)


def _die_with(libc: ctypes.CDLL, parent: int) -> Callable[[], None]:
    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return before_exec


def reap(pid: int) -> int | None:
    """Collect every child that has ended, adopted ones included; the exit status of `pid` if it is among them.

    As subprocess counts: 128 and more are codes, negative numbers signals.
    """
    found = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if ended == 0:
            return found
        if ended == pid:
            found = os.waitstatus_to_exitcode(status)
