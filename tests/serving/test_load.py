"""The judge of lost answers: it finds nothing wrong where nothing is, and everything where a replica dies or refuses."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.load import Clients, under
from serving.process import Runtime, running

CLIENTS = Clients(pooled=10, fresh=10, library=5, whole=4, batches=4, tokens=(100, 200))


def nothing(_: Runtime) -> None:
    pass


def stop(runtime: Runtime) -> None:
    """New requests are refused after 5 s; nobody else is there to take them."""
    runtime.stop()
    runtime.process.wait(30)


def kill(runtime: Runtime) -> None:
    os.killpg(runtime.process.pid, signal.SIGKILL)
    runtime.process.wait(10)


@pytest.mark.parametrize(
    ("happens", "worst"),
    [
        pytest.param(nothing, "", id="nothing happens: every answer is whole"),
        pytest.param(stop, "refused", id="it stops: what has begun is whole, what comes later is refused"),
        pytest.param(kill, "cut", id="it is killed: what has begun is cut"),
    ],
)
def test_what_is_lost_is_counted(tmp_path: Path, happens: Callable[[Runtime], None], worst: str) -> None:
    with running(tmp_path, requestTimeoutSeconds=30) as runtime:
        with under(("127.0.0.1", runtime.port), "scripted", CLIENTS) as counts:
            happens(runtime)

        found = {one.lost for one in counts.seen}
        # Who connects in the moment of the end has no answer at all: `failed`.
        assert next((how for how in ("cut", "refused") if how in found), "") == worst
        assert bool(counts.lost) == bool(worst)
        assert counts.open_at_begin == 25
        assert len(counts.seen) >= 33
