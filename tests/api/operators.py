"""The operator as a process of its own, as a pod would run it."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from api import access
from api.cluster import eventually
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_cli.local.health import free_ports


class Running(Protocol):
    """What is needed of a process."""

    pid: int

    def poll(self) -> int | None:
        """None while it lives."""

    def send_signal(self, sig: int) -> None:
        """Also to one that has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended; the exit code. Raises subprocess.TimeoutExpired."""


@dataclass
class OperatorProcess:
    """One `python -m fairlead_operator`, or what `program` runs instead."""

    kubeconfig: Path
    log: Path
    namespace: str
    name: str
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = ("-m", "fairlead_operator")
    process: Running | None = None

    @property
    def variables(self) -> dict[str, str]:
        """Its environment."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")},
            "KUBECONFIG": str(self.kubeconfig),
            "FAIRLEAD_RUNTIME_IMAGE": "example.com/fairlead-runtime:1",
            "FAIRLEAD_RUNTIME_IMAGE_CPU": "example.com/fairlead-runtime-cpu:1",
            "FAIRLEAD_NAMESPACE": self.namespace,
            "FAIRLEAD_POD_NAME": self.name,
            "FAIRLEAD_HEALTH_PORT": str(self.port),
            "FAIRLEAD_WORKERS": "4",
            "FAIRLEAD_LOG_LEVEL": "DEBUG",
            # The client writes a kubeconfig's key into a file of its own, and one that is killed leaves it there.
            "TMPDIR": str(self.log.parent),
            **self.environment,
        }

    def launch(self) -> Running:
        """The process itself."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-P", *self.program]
            return subprocess.Popen(command, env=self.variables, stdout=log, stderr=log)

    def start(self) -> Self:
        """Start it; use `ready` to wait."""
        self.process = self.launch()
        return self

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.end(signal.SIGKILL)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of its health port; 0 when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()
        except OSError as failure:
            return 0, str(failure)

    def ready(self) -> Self:
        """Wait for /readyz."""
        eventually(lambda: self.get("/readyz")[0] == 200, f"readiness of {self.name}, see {self.log}")
        return self

    def metric(self, line: str) -> float | None:
        """The value of the sample that begins with `line`, labels included."""
        for sample in self.get("/metrics")[1].splitlines():
            if sample.rpartition(" ")[0] == line:
                return float(sample.rpartition(" ")[2])
        return None

    def leads(self) -> bool:
        """Whether it holds the Lease."""
        return self.metric("fairlead_leader") == 1.0

    def send(self, number: signal.Signals) -> None:
        """Send a signal and go on."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        self.process = None
        return code

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None


def operator_on(plane: ControlPlane, folder: Path, name: str, **environment: str) -> OperatorProcess:
    """An operator that is not started yet."""
    user, port = plane.user(access.USER), free_ports(1)[0]
    return OperatorProcess(user, folder / f"{name}.log", access.SYSTEM, name, port, environment)


@contextmanager
def leading(plane: ControlPlane, folder: Path, name: str, **environment: str) -> Iterator[OperatorProcess]:
    """An operator that leads, and that ends cleanly with the block."""
    with operator_on(plane, folder, name, **environment) as process:
        process.ready()
        eventually(process.leads, "leadership")
        yield process
        assert process.end() == 0
