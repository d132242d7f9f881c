"""What `spec.replicas` of an object was, from one change to the next: no value that it ever had is missed."""

import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from api.cluster import Kubectl, eventually


@dataclass
class Replicas:
    """Watches one object while the test runs inside it; `seen` has (monotonic time, value) at each change."""

    kubectl: Kubectl
    kind: str
    name: str
    seen: list[tuple[float, int]] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        command = [
            str(self.kubectl.program),
            f"--kubeconfig={self.kubectl.kubeconfig}",
            f"--namespace={self.kubectl.namespace}",
            *("get", self.kind, self.name, "--watch", "-o", r"jsonpath={.spec.replicas}{'\n'}"),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        eventually(lambda: self.seen, f"the first look at {self.kind} {self.name}")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._reader is not None
        self._process.kill()
        self._reader.join()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not self.seen or self.seen[-1][1] != int(line):
                self.seen.append((time.monotonic(), int(line)))

    @property
    def values(self) -> list[int]:
        """Each value once per change."""
        return [value for _, value in self.seen]
