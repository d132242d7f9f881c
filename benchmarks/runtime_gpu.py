"""fairlead's profiles against bare vLLM's defaults on a GPU, a 7B model without weights: runs where the GPU is, see README.md.

runtime_gpu.py --output FILE [--gpus 2] [--seconds S] [--pairs N]. On two GPUs of one host both groups of servers run at the same time,
each with a bare vLLM of its own: a ratio is never taken across GPUs.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import gpu_servers
from gpu_models import write_model
from gpu_servers import BARE, Server

from fairlead_cli.bench.load import Clients
from fairlead_cli.bench.record import Comparison, Measured, Row, RuntimeRecord, Startup, Workload, this_machine, today
from fairlead_cli.bench.statistics import LevelResult, Ratio, median, ratio
from fairlead_cli.bench.sweep import Plan, run, words
from fairlead_cli.bench.target import Api, Target

#: Of a prompt and of an answer, in tokens.
IN, OUT = 128, 256
LEVELS = (1, 4, 16, 64, 128, 256)
BARE_UNARY = "BareUnary"
#: Waves of requests in one measurement, by concurrency: 2 where it says nothing.
WAVES = {1: 3, 4: 3}
#: Profile -> concurrency -> the least ratio that is asked of it. The other levels are measured too where PARTLY does not say.
GATES: dict[str, dict[int, float]] = {
    "Balanced": dict.fromkeys(LEVELS, 0.99),
    "Latency": dict.fromkeys(LEVELS, 1.0),
    "LatencyFP8": {1: 1.3},
    "Throughput": {256: 1.2},
    "ThroughputFP8": {256: 1.45},
}
ORDER = (BARE, BARE_UNARY, *GATES)
PARTLY = {"LatencyFP8": (1, 4, 16), "Throughput": (64, 128, 256), "ThroughputFP8": (64, 128, 256)}
#: GiB of KV cache: what 256 sequences of IN + OUT tokens take, and less for those that are asked for less.
KV_GIB = {"LatencyFP8": 3.0, "ThroughputFP8": 6.6}
KV_GIB_ELSE = 12.8
#: By GPU: so that each GPU's servers fit its memory, and a round takes as long on one as on the other.
GROUPS = (("Balanced", "Throughput"), ("Latency", "LatencyFP8", "ThroughputFP8"))


@dataclass
class Group:
    """The servers of one GPU, bare vLLM first, and what was measured of them."""

    gpu: int
    servers: list[Server]
    clients: Clients
    results: dict[tuple[str, int], list[LevelResult]] = field(default_factory=dict)
    length: int = 0

    def plan(self, server: Server, concurrency: int, number: int) -> Plan:
        target = Target(server.url, Api.COMPLETIONS, "m")
        return Plan(target, [concurrency], seed=number, input_tokens=IN, output_tokens=OUT, temperature=0.7)

    def ask(self, server: Server, concurrency: int, number: int, *, stream: bool = True) -> LevelResult:
        requests = concurrency * WAVES.get(concurrency, 2)
        plan = replace(self.plan(server, concurrency, number), stream=stream)
        result = run(self.clients, plan, self.length, concurrency, requests, "pair", lambda *_: None)
        if result.failed:
            raise SystemExit(f"{server.name}: {result.failed} requests failed: {result.errors}")
        return result

    def warm_up(self) -> None:
        self.length = words(self.plan(self.servers[0], 1, 0))
        for server in self.servers:
            self.ask(server, 16, -1)

    def rounds(self, levels: Sequence[int], most: int, until: float) -> None:
        """Each round asks every server at every level; the order turns round from one to the next. Bare vLLM without streaming shows
        what is left when nothing is sent meanwhile: at the highest level, every other round.
        """
        for number in range(most):
            if number % 2:
                self.results.setdefault((BARE_UNARY, levels[-1]), []).append(
                    self.ask(self.servers[0], levels[-1], number, stream=False)
                )
            for level in levels:
                wanted = [each for each in self.servers if level in PARTLY.get(each.name, LEVELS)]
                for server in wanted[:: 1 if number % 2 else -1]:
                    self.results.setdefault((server.name, level), []).append(self.ask(server, level, number))
            print(f"GPU {self.gpu}: round {number + 1} of {most}", flush=True)
            if time.monotonic() > until:
                return

    def rows(self) -> list[Row]:
        """Those of the profiles, and those of bare vLLM."""
        bare = {level: found for (name, level), found in self.results.items() if name == BARE}
        rows = []
        for (name, level), found in self.results.items():
            if name == BARE:
                rows.append(
                    Row(profile=name, concurrency=level, bare_tok_s=tok_s(found), pairs=len(found), **times(found))
                )
            elif name == BARE_UNARY:
                rows.append(
                    Row(profile=name, concurrency=level, mode="unary", bare_tok_s=tok_s(found), pairs=len(found))
                )
            else:
                rows.append(row(name, level, found, bare[level]))
        return sorted(rows, key=lambda each: (ORDER.index(each.profile), each.concurrency))


def tok_s(found: Sequence[LevelResult]) -> float:
    return round(median([one.tok_s for one in found]), 1)


def times(found: Sequence[LevelResult]) -> dict[str, float]:
    names = ("ttft_p50_ms", "ttft_p99_ms", "inter_token_p50_ms", "inter_token_p99_ms")
    return {name: round(median([getattr(one, name) for one in found]), 2) for name in names}


def row(name: str, level: int, own: Sequence[LevelResult], bare: Sequence[LevelResult]) -> Row:
    pairs = [(mine.tok_s, other.tok_s) for mine, other in zip(own, bare, strict=False)]
    found: Ratio = ratio(pairs)
    return Row(
        profile=name,
        concurrency=level,
        bare_tok_s=round(median([other for _, other in pairs]), 1),
        fairlead_tok_s=round(median([mine for mine, _ in pairs]), 1),
        ratio=found.median,
        interval=(found.low, found.high),
        pairs=found.pairs,
        gate=GATES.get(name, {}).get(level),
        **times(own),
    )


def startups(model: Path, scratch: Path, cache: Path, asked: argparse.Namespace) -> list[Startup]:
    """One start with compiled graphs and one with nothing in the caches, side by side where there are two GPUs."""
    config = gpu_servers.config(model, "Balanced", KV_GIB_ELSE, asked.device, tuple(asked.extra))
    found: list[Startup] = []

    def one(name: str, root: Path, gpu: int) -> None:
        port, folder = 18_200 + 10 * gpu, scratch / f"start {name}"
        server = gpu_servers.start("Balanced", config, port=port, gpus=[gpu], folder=folder, cache=root)
        try:
            server.wait()
            phases = server.phases()
            found.append(Startup(name=name, phases=phases, total=round(sum(phases.values()), 1)))
        finally:
            server.kill()

    roots = {"compiled graphs cached": cache, "cold": scratch / "empty"}
    threads = [
        threading.Thread(target=one, args=(name, root, number % asked.gpus))
        for number, (name, root) in enumerate(roots.items())
    ]
    for thread in threads:
        thread.start()
        if asked.gpus == 1:
            thread.join()
    for thread in threads:
        thread.join()
    return found


def transformers_tok_s(model: Path, gpu: int) -> float:
    """Hugging Face Transformers' generate() at its batch of 16."""
    script = str(Path(__file__).with_name("transformers_generate.py"))
    done = subprocess.run(
        [sys.executable, script, str(model), "16", str(gpu)], capture_output=True, text=True, check=False, timeout=200
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return float(json.loads(done.stdout.splitlines()[-1])["tok_s"])


def gpu_of_this_machine() -> tuple[str, int]:
    """Name and GiB of the first one."""
    ask = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    name, mib = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.splitlines()[0].split(", ")
    return name, round(int(mib) / 1024)


def main() -> int:
    """Zero when nothing broke; the gates are for the page to judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=2, choices=(1, 2))
    parser.add_argument("--seconds", type=float, default=400, help="no new round after these")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--levels", type=lambda given: [int(level) for level in given.split(",")], default=LEVELS)
    parser.add_argument("--servers-only", action="store_true", help="without the starts and Transformers")
    parser.add_argument("--device", default="Accelerator", help="CPU: to try this script")
    parser.add_argument("--model", type=Path, help="instead of a 7B without weights")
    parser.add_argument("--profiles", default=",".join(GATES))
    parser.add_argument("--extra", default="--load-format=dummy", type=str.split, help="the engine's arguments")
    asked = parser.parse_args()
    wanted = set(asked.profiles.split(","))
    cpu = asked.device == "CPU"

    with TemporaryDirectory() as directory:
        scratch = Path(directory)
        model, cache = asked.model or scratch / "model", scratch / "cache"
        if not asked.model:
            write_model(model)
        groups = GROUPS if asked.gpus == 2 else (tuple(name for group in GROUPS for name in group),)
        measured: list[Group] = []
        try:
            for gpu, names in enumerate(groups):
                servers = []
                for number, name in enumerate((BARE, *(name for name in names if name in wanted))):
                    kv = 0.25 if cpu else KV_GIB.get(name, KV_GIB_ELSE)
                    profile = None if name == BARE else name
                    config = gpu_servers.config(model, profile, kv, asked.device, tuple(asked.extra))
                    port = 18000 + 100 * gpu + 10 * number
                    servers.append(
                        gpu_servers.start(
                            name, config, port=port, gpus=[gpu], folder=scratch / f"{gpu}-{name}", cache=cache
                        )
                    )
                measured.append(Group(gpu, servers, Clients(4)))
            for group in measured:
                for server in group.servers:
                    print(f"GPU {group.gpu}: {server.name} ready after {server.wait():.0f} s", flush=True)
            until = time.monotonic() + asked.seconds
            threads = [
                threading.Thread(target=measure, args=(group, asked.levels, asked.pairs, until)) for group in measured
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for group in measured:
                for server in group.servers:
                    server.kill()
        record = recorded(measured, asked)
        write(record, asked.output)
        if not cpu and not asked.servers_only:
            record = record.model_copy(update=afterwards(record, model, scratch, cache, asked))
            write(record, asked.output)
    return 0


def measure(group: Group, levels: Sequence[int], most: int, until: float) -> None:
    with group.clients:
        group.warm_up()
        group.rounds(levels, most, until)


def recorded(measured: Sequence[Group], asked: argparse.Namespace) -> RuntimeRecord:
    first = next(iter(measured[0].results.values()))[0]
    name, gib = ("", 0) if asked.device == "CPU" else gpu_of_this_machine()
    machine = this_machine().model_copy(update={"gpu": name, "gpus": asked.gpus, "gpu_memory_gib": gib})
    version = {each: importlib.metadata.version(each) for each in ("vllm", "torch")} if name else {}
    own = (gpu_servers.ROOT / "operator/fairlead_operator/__init__.py").read_text(encoding="utf-8")
    return RuntimeRecord(
        machine=machine,
        versions={"fairlead": own.split('__version__ = "')[1].split('"')[0], **version},
        command=" ".join(["benchmarks/runtime_gpu.py", *sys.argv[1:]]).partition(" --output")[0],
        date=today(),
        workload=Workload(
            model="Mistral 7B's shape in bfloat16, dummy weights",
            input_tokens=first.prompt_tokens or IN,
            output_tokens=first.output_tokens or OUT,
            flags=(
                f"--max-model-len={gpu_servers.MAX_MODEL_LEN}",
                f"--max-num-seqs={gpu_servers.MAX_NUM_SEQS}",
                *asked.extra,
            ),
        ),
        rows=tuple(
            each
            for group in measured
            for each in group.rows()
            if group.gpu == 0 or each.profile not in {BARE, BARE_UNARY}
        ),
        notes=(
            "Servers stand beside each other on a GPU, with KV caches of a fixed size; only one of them is asked at a time.",
            "Clients run on the same host, in four processes for each GPU.",
        ),
    )


def afterwards(
    record: RuntimeRecord, model: Path, scratch: Path, cache: Path, asked: argparse.Namespace
) -> dict[str, object]:
    """What is measured once the servers are gone: starts, and Transformers."""
    found = startups(model, scratch, cache, asked)
    other = transformers_tok_s(model, 0)
    rows = {(each.profile, each.concurrency): each.fairlead_tok_s or 0.0 for each in record.rows}
    name = "Hugging Face Transformers, generate() at batch 16"
    compared = [
        Comparison(
            name=f"Balanced at {level} against {name}",
            fairlead_tok_s=rows["Balanced", level],
            other_tok_s=other,
            ratio=round(rows["Balanced", level] / other, 1),
            gate=24 if level == 256 else None,
        )
        for level in (256, 16)
    ]
    return {"startups": tuple(found), "comparisons": tuple(compared)}


def write(record: Measured, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
