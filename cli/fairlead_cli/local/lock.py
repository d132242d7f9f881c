"""One at a time: a lock that the kernel drops with the process that holds it, however that one ends."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead_cli.local.progress import Progress, step

#: Seconds between two tries while another process holds the lock.
POLL = 0.2


@contextmanager
def held(path: Path, progress: Progress, *, waiting_for: str) -> Iterator[None]:
    """Hold the lock on the file, which is made if need be, while the block runs.

    `waiting_for` is what the person at the terminal reads while another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        if not _taken(file.fileno()):
            with step(f"waiting for {waiting_for}", progress):
                while not _taken(file.fileno()):
                    time.sleep(POLL)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
