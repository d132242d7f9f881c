"""The runtime as one process tree, with the scripted engine where vLLM would be."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asking import managed, until
from fairlead_cli.local.health import free_ports

TESTS = Path(__file__).resolve().parents[1]
RUNTIME = TESTS.parent / "runtime"
#: Seconds in which a start on two busy cores is over.
READY_WITHIN = 60
#: Sockets of two thousand connections and what comes beside them.
OPEN_FILES = 8192


@dataclass
class Runtime:
    """A started supervisor. port: of serving; management: of probes."""

    process: "subprocess.Popen[bytes]"
    port: int
    management: int
    folder: Path

    def stop(self) -> None:
        """As the kubelet does it."""
        self.process.send_signal(signal.SIGTERM)

    def managed(self, path: str) -> tuple[int, str]:
        """GET on the management port; status 0 when nobody answers."""
        return managed(self.management, path)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def left(self) -> dict[str, int]:
        """What the engine said of its requests at its end: left, finished, aborted."""
        (line,) = [line for line in self.log.splitlines() if line.startswith("scripted engine ")]
        found: dict[str, int] = json.loads(line.removeprefix("scripted engine "))
        return found

    @property
    def record(self) -> dict[str, str] | None:
        """The termination message, None without one."""
        path = self.folder / "termination"
        return json.loads(path.read_text()) if path.exists() and path.read_text() else None


@contextlib.contextmanager
def running(folder: Path, *, max_num_seqs: int = 4096, **serving: Any) -> Iterator[Runtime]:
    """A runtime that is ready; killed at the end if it still runs. serving: of the RuntimeConfig."""
    more_open_files()
    config = {
        "model": {"servedName": "scripted", "path": "/model"},
        "engine": {"maxModelLen": 4096, "maxNumSeqs": max_num_seqs},
        "serving": serving,
    }
    (folder / "config.json").write_text(json.dumps(config))
    port, management = free_ports(2)
    environment = os.environ | {
        "PYTHONPATH": f"{RUNTIME}:{TESTS / 'serving' / 'stand_in'}:{TESTS}",
        "FAIRLEAD_CONFIG": str(folder / "config.json"),
        "FAIRLEAD_SERVING_PORT": str(port),
        "FAIRLEAD_MANAGEMENT_PORT": str(management),
        "FAIRLEAD_TERMINATION_PATH": str(folder / "termination"),
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fairlead_runtime"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    runtime = Runtime(process, port, management, folder)

    def ready() -> bool:
        assert process.poll() is None, runtime.log[-4000:]
        return runtime.managed("/readyz")[0] == 200

    try:
        until(ready, "ready", READY_WITHIN)
        yield runtime
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def more_open_files() -> None:
    """For this process and those it starts; the hard limit may be below what is wanted, and then the test says what it lacks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
