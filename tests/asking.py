"""What every test of a started runtime does: ask its management port, wait for what is to become true, and keep its engine from the rest."""

import contextlib
import http.client
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def managed(port: int, path: str) -> tuple[int, str]:
    """GET on the management port; status 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""


#: Seconds until an engine on two busy cores is ready, or has failed.
WITHIN = 300


def until(condition: Callable[[], bool], what: str, seconds: float = WITHIN) -> None:
    """Return once it holds; fail, naming it, when that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        time.sleep(0.05)


def give_way(engine: Sequence[int], policy: int = os.SCHED_IDLE) -> None:
    """Let these processes compute only when nobody else wants their CPU; with os.SCHED_OTHER as all others again.

    On two CPUs and a kernel without preemption, an engine that is at work can keep its front end, and the test, from running until
    every answer is complete. What a test does in the middle of an answer would come after it.
    """
    for pid in engine:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(0))
