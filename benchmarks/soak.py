"""An hour at saturation on the real node, with the watchdog armed: does it ever take the busy engine for a stuck one? `make soak`.

soak.py [--minutes 60] [--concurrency 32] [--output FILE]

The local cluster, a service of the demo's model, and twice as many clients as the engine computes at a time, each of which asks again
the moment it has its answer: the engine never rests, and requests always wait. Counted: restarts, failed requests, how often the
watchdog asked its question, and the memory of each of the pod's processes, ten seconds apart.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import servers

from fairlead_cli.bench.load import Clients
from fairlead_cli.bench.record import HeldMemory, SoakRecord, Workload, this_machine, today
from fairlead_cli.bench.statistics import LevelResult, median
from fairlead_cli.bench.sweep import Plan, run, words
from fairlead_cli.bench.target import Api, Target
from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local import cluster, stack
from fairlead_runtime.processes import descendants

OUTPUT = servers.ROOT / "docs" / "benchmarks" / "soak.json"
NAMESPACE = NAME = "soak"
FLAGS = ("--enforce-eager",)
#: Sequences that the engine computes at a time.
AT_A_TIME = 16
#: Of a prompt and of an answer, in tokens.
IN, OUT = 32, 64
#: Seconds between two looks at the memory.
LOOK_EVERY = 10.0
#: Seconds that a level takes, about; the end is looked for between two.
LEVEL_SECONDS = 30.0
#: What the watchdog logs before it asks the engine for one token.
QUESTION = b"Is the engine stuck?"
SUPERVISOR = b"fairlead_runtime\0"
#: The part of the samples in which caches fill and pools grow: left out of the trend.
WARM_UP = 0.2
MIB = 1024


def manifests(image: str) -> list[dict[str, Any]]:
    engine = {"maxModelLen": 1024, "maxNumSeqs": AT_A_TIME, "kvCacheMemory": "128Mi", "extraArgs": list(FLAGS)}
    spec = {
        "model": {"uri": f"oci://{image}"},
        "engine": engine,
        "resources": {"device": "CPU", "cpu": "250m", "memory": "4Gi"},
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "InferenceService",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": spec,
        },
    ]


@contextlib.contextmanager
def service() -> Iterator[Kubectl]:
    """One that is Ready, on a cluster that is left as it was found."""
    was_up = cluster.status().running
    try:
        local = stack.up(say)
        kubectl = local.kubectl
        try:
            for manifest in manifests(local.images["model"].ref):
                kubectl.run("apply", "-f", "-", given=json.dumps(manifest))
            ready = ("wait", "-n", NAMESPACE, "--for=condition=Ready", f"infs/{NAME}")
            kubectl.run(*ready, f"--timeout={servers.READY_WITHIN}s")
            yield kubectl
        finally:
            kubectl.run("delete", "namespace", NAMESPACE, "--wait", "--ignore-not-found")
    finally:
        if not was_up:
            cluster.down(say)


def pods(kubectl: Kubectl) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kubectl.get("pods", "-n", NAMESPACE)["items"]
    return found


def restarts(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> int:
    """Containers that were started again, and pods that another one replaced."""
    names = {pod["metadata"]["name"] for pod in after}
    gone = [pod for pod in before if pod["metadata"]["name"] not in names]
    rows = [row for pod in after for row in pod["status"].get("containerStatuses", [])]
    return len(gone) + sum(int(row["restartCount"]) for row in rows)


def supervisor(uid: str, root: Path = Path("/proc")) -> int:
    """The process id, on this machine, of the first of the runtime's processes in the pod with that uid. Raises RuntimeError."""
    for folder in root.iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            group = (folder / "cgroup").read_text()
            ours = uid in group or uid.replace("-", "_") in group
            if ours and (folder / "cmdline").read_bytes().endswith(SUPERVISOR):
                return int(folder.name)
    raise RuntimeError(f"no supervisor of the pod {uid} on this machine")


def private_mib(pid: int) -> float | None:
    """Memory that is the process's own: no file's and nothing shared. None when it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / MIB
    return None


@dataclass
class Watched:
    """What is seen of the pod from beside. memory: (seconds, MiB) by process. questions: how often the watchdog had a suspicion.

    deaf: its log ended first, as it does when the container is started again, and what was said after that is not counted.
    """

    memory: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    questions: int = 0
    deaf: bool = False

    @contextlib.contextmanager
    def meanwhile(self, kubectl: Kubectl, pod: dict[str, Any]) -> Iterator[None]:
        first = supervisor(pod["metadata"]["uid"])
        over = threading.Event()
        follow = [str(kubectl.program), "logs", "-n", NAMESPACE, "-f", "--since=1s", pod["metadata"]["name"]]
        logs = subprocess.Popen(follow, env=kubectl.environment, stdout=subprocess.PIPE)
        threads = [
            threading.Thread(target=self._weigh, args=(first, over)),
            threading.Thread(target=self._listen, args=(logs, over)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            logs.terminate()
            logs.wait()
            for thread in threads:
                thread.join()

    def _weigh(self, first: int, over: threading.Event) -> None:
        began = time.monotonic()
        while not over.wait(LOOK_EVERY):
            for process in ((first, "supervisor"), *named(first)):
                held = private_mib(process[0])
                if held is not None:
                    self.memory.setdefault(process[1], []).append((time.monotonic() - began, held))

    def _listen(self, logs: "subprocess.Popen[bytes]", over: threading.Event) -> None:
        assert logs.stdout is not None
        with logs.stdout as lines:
            questions = sum(QUESTION in line for line in lines)
        self.deaf = not over.is_set()
        self.questions = questions


def named(first: int) -> list[tuple[int, str]]:
    """The supervisor's descendants, the front end by what it does and the engine's by their own names."""
    return [
        (process.pid, "front end" if process.parent == first else process.name)
        for process in sorted(descendants(first), key=lambda process: process.pid)
        if process.parent == first or process.name.startswith(servers.ENGINE)
    ]


def held(process: str, samples: Sequence[tuple[float, float]]) -> HeldMemory:
    """Its trend is the slope of a straight line through the samples after the warm-up; 0 where there are fewer than two."""
    warm = samples[int(len(samples) * WARM_UP) :]
    sizes = [mib for _, mib in samples]
    slope = statistics.linear_regression(*zip(*warm, strict=True)).slope if len(warm) > 1 else 0.0
    return HeldMemory(
        process=process,
        first_mib=round(warm[0][1], 1),
        last_mib=round(sizes[-1], 1),
        peak_mib=round(max(sizes), 1),
        mib_per_hour=round(3600 * slope, 2),
    )


def saturate(plan: Plan, seconds: float) -> list[LevelResult]:
    """Levels one after the other until the time is up, each with prompts of its own."""
    length, concurrency = words(plan), plan.concurrencies[0]
    requests, results = 4 * concurrency, list[LevelResult]()
    deadline = time.monotonic() + seconds
    with Clients(plan.processes) as clients:
        while time.monotonic() < deadline:
            name = f"soak {len(results)}"
            result = run(clients, plan, length, concurrency, requests, name, lambda *_: None)
            results.append(result)
            left = (deadline - time.monotonic()) / 60
            say(f"{result.success} answered, {result.failed} failed, {result.tok_s:,.0f} tok/s; {left:.1f} min left")
            requests = max(concurrency, round(requests * LEVEL_SECONDS / max(result.seconds, 1.0)))
    return results


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--minutes", type=float, default=60.0)
    arguments.add_argument("--concurrency", type=int, default=2 * AT_A_TIME)
    arguments.add_argument("--output", type=Path, default=OUTPUT)
    asked = arguments.parse_args()
    watched = Watched()
    with service() as kubectl:
        before = pods(kubectl)
        address = kubectl.get("service", "-n", NAMESPACE, NAME)["spec"]["clusterIP"]
        target = Target(f"http://{address}{Api.COMPLETIONS}", Api.COMPLETIONS, NAME)
        plan = Plan(target, [asked.concurrency], seed=0, input_tokens=IN, output_tokens=OUT)
        began = time.monotonic()
        with watched.meanwhile(kubectl, before[0]):
            results = saturate(plan, 60 * asked.minutes)
        minutes = (time.monotonic() - began) / 60
        restarted = restarts(before, pods(kubectl))
    assert restarted or not watched.deaf, (
        "the pod's log was not read to the end: nobody counted the watchdog's questions"
    )
    record = recorded(results, watched, minutes, restarted, asked.concurrency)
    asked.output.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    say(f"{record.requests} requests in {record.minutes:g} min: {record.verdict}")
    return int(bool(record.failed or record.restarts))


def recorded(
    results: Sequence[LevelResult], watched: Watched, minutes: float, restarted: int, concurrency: int
) -> SoakRecord:
    errors: Counter[str] = Counter()
    for result in results:
        errors.update({error.text: error.count for error in result.errors})
    tenth = max(1, len(results) // 10)
    return SoakRecord(
        machine=this_machine(),
        versions=servers.versions(),
        command="make soak",
        date=today(),
        workload=Workload(model="the demo's, a tiny Llama", input_tokens=IN, output_tokens=OUT, flags=FLAGS),
        minutes=round(minutes, 1),
        concurrency=concurrency,
        at_a_time=AT_A_TIME,
        requests=sum(result.success + result.failed for result in results),
        failed=sum(result.failed for result in results),
        errors=dict(errors),
        restarts=restarted,
        questions=watched.questions,
        first_tok_s=median([result.tok_s for result in results[:tenth]]),
        last_tok_s=median([result.tok_s for result in results[-tenth:]]),
        memory=tuple(held(process, samples) for process, samples in watched.memory.items()),
    )


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
