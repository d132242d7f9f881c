"""Operators that start in a moment: everything is imported once (forking.py), and each operator is a fork of that."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from api.operators import OperatorProcess

TESTS = Path(__file__).parents[2]


class Forked:
    """An operator that was forked; what the tests need of a Popen. Its exit code is not known: somebody else is its parent."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """None while it lives."""
        return None if Path(f"/proc/{self.pid}").exists() else 0

    def send_signal(self, sig: int) -> None:
        """Also to one that has ended."""
        try:
            os.kill(self.pid, sig)
        except ProcessLookupError:
            return

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended. Raises TimeoutExpired."""
        deadline = time.monotonic() + (timeout or float("inf"))
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.002)
        return 0


@dataclass
class Nursery:
    """The program that forks; a context manager. Whatever it started ends with it."""

    log: Path
    #: One of broken.py, or none.
    breakage: str = ""

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "proof.crash.forking", self.breakage],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**_environment(), "PYTHONPATH": str(TESTS)},
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def bear(self, environment: Mapping[str, str], log: Path) -> Forked:
        """A new operator with these variables."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps({"environment": dict(environment), "log": str(log)}) + "\n")
            self._process.stdin.flush()
            return Forked(int(self._process.stdout.readline()))


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}


@dataclass
class ForkedOperator(OperatorProcess):
    """An operator out of the nursery."""

    nursery: Nursery = field(kw_only=True)

    def launch(self) -> Forked:
        """A fork."""
        return self.nursery.bear(self.variables, self.log)
