"""/proc as it is on this machine."""

import os
import signal
import subprocess
import sys

from fairlead_runtime import processes


def test_a_child_is_seen_with_its_state_and_killed_even_when_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        os.kill(child.pid, signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)

        seen = processes.read(child.pid)

        assert seen is not None
        assert (seen.parent, seen.state) == (os.getpid(), "T")
        assert child.pid in [process.pid for process in processes.descendants(os.getpid())]
        processes.kill_descendants(os.getpid())
        assert child.wait(5) == -signal.SIGKILL


def test_a_process_that_ended_is_none() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait(10)

    assert processes.read(child.pid) is None
