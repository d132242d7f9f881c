"""What fairlead's runtime does when a process of an engine with several GPUs is killed or stopped, and when it is asked to end.

workers_gpu.py --output FILE [--gpus 0,1] [--streams 16]: runs where the GPUs are, see README.md. Each row is one runtime, a 7B model without
weights that two GPUs share, with streams open; what happens is told by its probes, its clients, its exit code and the record that it leaves.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gpu_servers
from gpu_models import write_model
from gpu_servers import Server, get
from runtime_gpu import gpu_of_this_machine, write

from fairlead_cli.bench.asking import Outcome, Question, ask
from fairlead_cli.bench.load import session
from fairlead_cli.bench.record import Ended, Startup, WorkersRecord, Workload, this_machine, today
from fairlead_cli.bench.target import Api, Target
from fairlead_runtime.processes import descendants
from fairlead_runtime.termination import read_record

#: Tokens of one answer: some ten seconds, so that all streams are open when something is done.
TOKENS = 2000
EXTRA = ("--load-format=dummy",)
#: Seconds for the streams to begin.
UNDER_WAY = 3.0
#: Seconds: the watchdog's idle time, its canary, and as long again.
ENDS_WITHIN = 180


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def find(server: Server, title: str) -> int:
    """The engine's process whose title has that in it. Raises RuntimeError."""
    seen = {process.pid: command_line(process.pid) for process in descendants(server.process.pid)}
    for pid, line in seen.items():
        if title in line:
            return pid
    raise RuntimeError(f"no process {title} among {seen}")


def sends(number: signal.Signals, title: str) -> Callable[[Server], None]:
    return lambda server: os.kill(find(server, title), number)


@dataclass(frozen=True)
class Deed:
    name: str
    do: Callable[[Server], None]
    #: Whether clients wait meanwhile.
    busy: bool = True


DEEDS: Sequence[Deed] = (
    Deed("SIGKILL to the process of the second GPU", sends(signal.SIGKILL, "Worker_TP1")),
    Deed("SIGSTOP to the process of the second GPU", sends(signal.SIGSTOP, "Worker_TP1")),
    Deed("SIGTERM to the runtime", lambda server: server.process.send_signal(signal.SIGTERM)),
    Deed("SIGKILL to the process of the first GPU, nobody asks", sends(signal.SIGKILL, "Worker_TP0"), busy=False),
    Deed("SIGKILL to the engine's core", sends(signal.SIGKILL, "EngineCore")),
)


@dataclass
class Streams:
    """Open ones, in a thread of their own."""

    url: str
    count: int
    outcomes: list[Outcome] = field(default_factory=list)
    ended: float | None = None

    def begin(self) -> "Streams":
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()), daemon=True)
        self._thread.start()
        return self

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    async def _ask(self) -> None:
        question = Question(Target(self.url, Api.COMPLETIONS, "m"), TOKENS, True, 0.7, True)
        async with session({}, 600.0) as connections:
            self.outcomes = await asyncio.gather(
                *(ask(connections, question, f"w{n} w{2 * n} w{3 * n}") for n in range(self.count))
            )
        self.ended = time.monotonic()


@dataclass
class Seen:
    """Moments, on the monotonic clock, after something was done."""

    unready: float | None = None
    ended: float | None = None

    def watch(self, server: Server, until: float) -> None:
        assert server.management
        while time.monotonic() < until and self.ended is None:
            if self.unready is None and get(server.management, "/readyz")[0] != 200:
                self.unready = time.monotonic()
            if server.process.poll() is not None:
                self.ended = time.monotonic()
                # It may have been ready when it was asked last.
                self.unready = self.unready or self.ended
            time.sleep(0.02)


def tried(deed: Deed, server: Server, streams: int, record: Path) -> Ended:
    """One runtime's end. record: where it leaves its word."""
    open_streams = Streams(server.url, streams).begin() if deed.busy else None
    time.sleep(UNDER_WAY)
    below = [process.pid for process in descendants(server.process.pid)]
    began = time.monotonic()
    deed.do(server)
    seen = Seen()
    seen.watch(server, began + ENDS_WITHIN)
    if open_streams:
        open_streams.wait(30)
    left = [pid for pid in below if command_line(pid)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    outcomes = open_streams.outcomes if open_streams else []
    text = record.read_text(encoding="utf-8") if record.exists() else ""
    found = read_record(text)

    def after(moment: float | None) -> float | None:
        return None if moment is None else round(moment - began, 2)

    return Ended(
        done=deed.name,
        streams=streams if deed.busy else 0,
        complete=sum(not outcome.error and outcome.tokens == TOKENS for outcome in outcomes),
        errors=dict(Counter(outcome.error or f"{outcome.tokens} tokens" for outcome in outcomes if outcome.error or outcome.tokens != TOKENS)),
        unready=after(seen.unready),
        told=after(open_streams.ended) if open_streams else None,
        ended=after(seen.ended),
        exit_code=server.process.returncode,
        code=found.failure.code if found else "",
        message=found.failure.message if found else text,
        left=len(left),
    )  # fmt: skip


def look(server: Server) -> dict[str, Any]:
    """What a ready runtime says of itself. Raises RuntimeError for a lie."""
    assert server.management
    state: dict[str, Any] = json.loads(get(server.management, "/state")[1])
    answers = {path: get(server.management, path)[0] for path in ("/livez", "/readyz", "/startupz", "/metrics")}
    if set(answers.values()) != {200} or not state["ready"] or state["phase"] != "ready":
        raise RuntimeError(f"ready, and says {answers} and {state}")
    return state | {"probes": answers}


def memory_in_use() -> str:
    ask = ["nvidia-smi", "--query-gpu=index,memory.used", "--format=csv,noheader"]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip().replace("\n", "; ")


def main() -> int:
    """Zero when nothing broke here; what the rows say is for their reader."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=lambda given: [int(gpu) for gpu in given.split(",")], default=[0, 1])
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--deeds", help="numbers from 0, with commas: instead of all")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--logs", type=Path, help="keep the servers' folders here")
    asked = parser.parse_args()
    deeds = [DEEDS[int(number)] for number in asked.deeds.split(",")] if asked.deeds else DEEDS
    rows: list[Ended] = []
    starts: list[Startup] = []
    with TemporaryDirectory() as directory:
        scratch = asked.logs or Path(directory)
        write_model(scratch / "model")
        config = gpu_servers.config(scratch / "model", "Balanced", 8.0, "Accelerator", EXTRA, tensor=len(asked.gpus))
        config["serving"] = {"drainSeconds": 120, "requestTimeoutSeconds": 120}
        for number, deed in enumerate(deeds):
            folder = scratch / f"runtime-{number}"
            server = gpu_servers.start(
                deed.name, config, port=18400 + 10 * number, gpus=asked.gpus, folder=folder, cache=scratch / "cache"
            )
            try:
                print(f"ready after {server.wait():.0f} s", flush=True)
                phases = server.phases()
                starts.append(
                    Startup(
                        name="tensor 2, compiled graphs cached" if number else "tensor 2, cold",
                        phases=phases,
                        total=round(sum(phases.values()), 1),
                    )
                )
                print(json.dumps(look(server)), flush=True)
                rows.append(tried(deed, server, asked.streams, folder / "termination"))
                print(rows[-1].model_dump_json(), memory_in_use(), flush=True)
            except (RuntimeError, OSError, AssertionError) as failure:
                print(f"{deed.name}: {failure}", flush=True)
            finally:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.kill()
            write(recorded(rows, starts, asked), asked.output)
    return len(deeds) - len(rows)


def recorded(rows: Sequence[Ended], starts: Sequence[Startup], asked: argparse.Namespace) -> WorkersRecord:
    name, gib = gpu_of_this_machine()
    own = (gpu_servers.ROOT / "operator/fairlead_operator/__init__.py").read_text(encoding="utf-8")
    return WorkersRecord(
        machine=this_machine().model_copy(update={"gpu": name, "gpus": len(asked.gpus), "gpu_memory_gib": gib}),
        versions={
            "fairlead": own.split('__version__ = "')[1].split('"')[0],
            **{each: version(each) for each in ("vllm", "torch")},
        },
        command=" ".join(["benchmarks/workers_gpu.py", *sys.argv[1:]]).partition(" --output")[0],
        date=today(),
        workload=Workload(
            model="Mistral 7B's shape in bfloat16, dummy weights",
            input_tokens=3,
            output_tokens=TOKENS,
            flags=("--tensor-parallel-size=2", *EXTRA, gpu_servers.WITHOUT_MULTICAST_FLAG),
        ),
        rows=tuple(rows),
        startups=tuple(starts),
    )


if __name__ == "__main__":
    sys.exit(main())
