"""The servers of the GPU benchmarks: bare vLLM and fairlead's runtime with each profile, several beside each other on one GPU.

Each has a KV cache of a fixed size, so that they fit; one that nobody asks computes nothing. Needs what the engine's own environment
has and aiohttp, nothing else: it runs where the GPU is.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_runtime.arguments import build_argv, build_environment
from fairlead_runtime.config import RuntimeConfig
from fairlead_runtime.engine_shim import ENTRY
from fairlead_runtime.processes import descendants

ROOT = Path(__file__).resolve().parent.parent
BARE = "Bare"
#: Seconds until an engine that compiles is ready, beside others.
READY_WITHIN = 400
#: Tokens of the longest sequence, and requests at a time where the profile does not say.
MAX_MODEL_LEN, MAX_NUM_SEQS = 4096, 256


#: Without NVLink's multicast, which some hosts of several GPUs do not allow: the all-reduce is the engine's own or NCCL's.
WITHOUT_MULTICAST_FLAG = '--compilation-config={"pass_config":{"fuse_allreduce_rms":false}}'
WITHOUT_MULTICAST = {
    "VLLM_ALLREDUCE_USE_SYMM_MEM": "0",
    "VLLM_ALLREDUCE_USE_FLASHINFER": "0",
    "NCCL_NVLS_ENABLE": "0",
    "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
}


def config(
    model: Path, profile: str | None, kv_gib: float, device: str, extra: tuple[str, ...] = (), *, tensor: int = 1
) -> dict[str, Any]:
    """A RuntimeConfig in JSON. profile: None for bare vLLM. kv_gib: on each GPU. tensor: how many of them share it."""
    engine: dict[str, Any] = {
        "maxModelLen": min(MAX_MODEL_LEN, 1024 if device == "CPU" else MAX_MODEL_LEN),
        "kvCacheMemoryBytes": int(kv_gib * 2**30),
        # The share is what must be free at the start, although the cache's size is given.
        "extraArgs": ["--disable-uvicorn-access-log", "--gpu-memory-utilization=0.08", *extra],
    }
    if profile:
        engine["profile"] = profile
    if profile != "ThroughputFP8":
        engine["maxNumSeqs"] = MAX_NUM_SEQS
    found: dict[str, Any] = {"model": {"servedName": "m", "path": str(model)}, "engine": engine, "device": device}
    if tensor > 1:
        engine["extraArgs"].append(WITHOUT_MULTICAST_FLAG)
        found["parallelism"] = {"tensor": tensor}
    return found


@dataclass(frozen=True)
class Server:
    """A running one. management: the port of the supervisor's probes, None for bare vLLM. began: monotonic seconds."""

    name: str
    process: "subprocess.Popen[bytes]"
    port: int
    management: int | None
    log: Path
    began: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/completions"

    def wait(self) -> float:
        """Seconds until it answered for ready. Raises RuntimeError with its last words."""
        port, path = (self.management, "/readyz") if self.management else (self.port, "/health")
        while get(port, path)[0] != 200:
            if self.process.poll() is not None or time.monotonic() > self.began + READY_WITHIN:
                raise RuntimeError(f"{self.name} is not ready: {self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.25)
        return time.monotonic() - self.began

    def phases(self) -> dict[str, float]:
        """The cold-start ledger: seconds by phase, in order."""
        assert self.management is not None
        found: dict[str, float] = json.loads(get(self.management, "/state")[1])["startupPhases"]
        return found

    def kill(self) -> None:
        """All of it, at once: nothing of it is needed any more."""
        for pid in (*(process.pid for process in descendants(self.process.pid)), self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""


def start(name: str, asked: dict[str, Any], *, port: int, gpus: Sequence[int], folder: Path, cache: Path) -> Server:
    """Begin it; wait() says when it serves. The management port is the next one."""
    folder.mkdir(parents=True, exist_ok=True)
    checked = RuntimeConfig.model_validate(asked)
    environ = {
        **os.environ,
        **(WITHOUT_MULTICAST if len(gpus) > 1 else {}),
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus)),
        "VLLM_CACHE_ROOT": str(cache),
        "HF_HUB_OFFLINE": "1",
        # Compiles for two minutes at its first use.
        "VLLM_USE_FLASHINFER_SAMPLER": "0",
    }
    if name.startswith(BARE):
        command = [sys.executable, "-m", ENTRY[-1], *build_argv(checked, {"FAIRLEAD_SERVING_PORT": str(port)})]
        environ |= build_environment(checked)
    else:
        (folder / "config.json").write_text(json.dumps(asked), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "fairlead_runtime"]
        environ |= {
            "FAIRLEAD_CONFIG": str(folder / "config.json"),
            "FAIRLEAD_SERVING_PORT": str(port),
            "FAIRLEAD_MANAGEMENT_PORT": str(port + 1),
            "FAIRLEAD_TERMINATION_PATH": str(folder / "termination"),
        }
    began = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
    management = None if name.startswith(BARE) else port + 1
    return Server(name, process, port, management, folder / "log", began)
