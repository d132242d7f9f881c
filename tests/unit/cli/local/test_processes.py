"""Children end with the process that started them, however that one ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead_cli.local import health
from fairlead_cli.local.errors import StartFailed
from fairlead_cli.local.logs import last_lines
from fairlead_cli.local.processes import Child


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not true():
        if time.monotonic() > deadline:
            return False
        os.sched_yield()
    return True


def is_gone(pid: int) -> bool:
    """Also when nobody has collected it yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def test_a_child_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = Child("etcd", ["/bin/sh", "-c", "echo no space left; exit 3"], tmp_path / "etcd.log")

    with pytest.raises(StartFailed, match=r"(?s)etcd ended with code 3.*no space left"):
        child.wait_until(lambda: False, timeout=20)
    child.stop()


def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom fairlead_cli.local.processes import Child\n"
        f"note = Path({str(note)!r})\n"
        "child = Child('x', ['/bin/sh', '-c', f'echo $$ > {note}.new; mv {note}.new {note}; exec sleep 600'],"
        f" Path({str(tmp_path / 'x.log')!r}))\n"
        "child.wait_until(note.exists, 20)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], check=False)

    assert ended.returncode == -signal.SIGKILL
    assert eventually(lambda: is_gone(int(note.read_text())))


def test_free_ports_are_different_and_avoid_a_taken_preference() -> None:
    taken = health.free_ports(1)[0]
    with socket.create_server(("127.0.0.1", taken)):
        ports = health.free_ports(3, preferred=(taken,))

    assert len(set(ports)) == 3
    assert taken not in ports


def test_the_end_of_a_log_that_is_not_there(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log") == "  (its log is empty)"
