"""Runtimes that are started to see what becomes of them: supervisor, front end and a real vLLM on the CPU. No cluster."""

import contextlib
import http.client
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai

from asking import managed
from fairlead_cli.local.health import free_ports

from .environment import engine_python

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "model" / "weights"
#: What a caller says to a runtime that has keys.
API_KEY = "sesame"


def configured(
    *,
    path: str | None = str(MODEL),
    repository: str | None = None,
    parallelism: Mapping[str, int] | None = None,
    **engine: Any,
) -> dict[str, Any]:
    """A RuntimeConfig in JSON: the tiny model, without compilation. None takes an engine field away."""
    settings = {"maxModelLen": 256, "maxNumSeqs": 4, "kvCacheMemoryBytes": 64 * 2**20, "extraArgs": ["--enforce-eager"]}
    model = {"repository": repository} if repository else {"path": path}
    return {
        "model": {"servedName": "tiny", **model},
        "engine": {name: value for name, value in (settings | engine).items() if value is not None},
        "parallelism": dict(parallelism or {}),
        "device": "CPU",
    }


@dataclass(frozen=True)
class Started:
    """One runtime. `log` is all that its processes print."""

    process: "subprocess.Popen[bytes]"
    port: int
    management: int
    termination: Path
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        """GET on the management port; status 0 when nobody answers."""
        return managed(self.management, path)

    def client(self) -> httpx.Client:
        """For the serving port."""
        headers = {"Authorization": f"Bearer {API_KEY}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=120, trust_env=False)

    def openai(self) -> openai.OpenAI:
        """The same, as users have it; it never asks twice."""
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key=API_KEY, max_retries=0)

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        return self.get("/readyz")[0] == 200

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/state")[1])
        return found

    def record(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.termination.read_text())
        return found

    def complete(self, **body: Any) -> tuple[int, dict[str, Any]]:
        """POST /v1/completions."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            asked = {"model": "tiny", "prompt": "fairlead is", "temperature": 0, **body}
            connection.request("POST", "/v1/completions", json.dumps(asked), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def ask_and_be_cut(self, **body: Any) -> None:
        """A request whose runtime goes away before, or while, it answers."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.complete(**body)

    def sample(self, name: str) -> float:
        """The sum of one metric over its labels."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def processes(self, name: str) -> list[int]:
        """Pids in this runtime's tree whose command line or name holds `name`."""
        found, parents = [], [self.process.pid]
        while parents:
            parent = parents.pop()
            for children in Path(f"/proc/{parent}/task").glob("*/children"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    parents += [int(pid) for pid in children.read_text().split()]
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if name in Path(f"/proc/{parent}/cmdline").read_text():
                    found.append(parent)
        return found


@contextlib.contextmanager
def started(
    folder: Path,
    config: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    port: int | None = None,
    before: Sequence[str] = (),
) -> Iterator[Started]:
    """A runtime that has just begun; at the end it is stopped, or killed. before: words before its command."""
    (folder / "config.json").write_text(json.dumps(config))
    free, management = free_ports(2)
    ports = port or free, management
    variables = os.environ | {
        "PYTHONPATH": str(ROOT / "runtime"),
        "FAIRLEAD_CONFIG": str(folder / "config.json"),
        "FAIRLEAD_SERVING_PORT": str(ports[0]),
        "FAIRLEAD_MANAGEMENT_PORT": str(ports[1]),
        "FAIRLEAD_TERMINATION_PATH": str(folder / "termination"),
        "VLLM_CACHE_ROOT": str(folder / "cache"),
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(folder),
        **(environ or {}),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*before, engine_python(), "-P", "-m", "fairlead_runtime"],
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Started(process, *ports, folder / "termination", folder / "log")
    finally:
        if process.poll() is None:
            # Twice: the second ends a drain.
            process.terminate()
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)
