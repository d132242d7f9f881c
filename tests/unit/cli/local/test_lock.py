"""One at a time, across processes, and never held by a process that is gone."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from fairlead_cli.local.lock import held
from fairlead_cli.local.progress import silent

HOLDER = """
import sys
from pathlib import Path
from fairlead_cli.local.lock import held
with held(Path(sys.argv[1]), print, waiting_for="nobody"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(lock: Path) -> "subprocess.Popen[str]":
    """Another process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_says_what_it_waits_for_and_goes_on_when_the_first_is_done(tmp_path: Path) -> None:
    lock, waits, lines = tmp_path / "new" / "lock", threading.Event(), list[str]()

    def note(line: str) -> None:
        lines.append(line)
        waits.set()

    with holder(lock) as other:

        def end_the_other() -> None:
            assert waits.wait(20)
            assert other.stdin is not None
            other.stdin.close()

        ending = threading.Thread(target=end_the_other)
        ending.start()
        with held(lock, note, waiting_for="the other one"):
            ending.join()
            assert lines[0] == "waiting for the other one"


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as other:
        os.kill(other.pid, signal.SIGKILL)

    with held(tmp_path / "lock", silent, waiting_for="a dead one"):
        pass


def test_a_lock_that_is_free_is_taken_without_a_word(tmp_path: Path) -> None:
    lines: list[str] = []

    with held(tmp_path / "lock", lines.append, waiting_for="nobody"):
        pass

    assert lines == []
