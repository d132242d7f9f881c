"""What every test of a started runtime does: ask its management port, and wait for what is to become true."""

import contextlib
import http.client
import time
from collections.abc import Callable


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
