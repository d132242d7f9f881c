"""fairlead's runtime with one GPU for a replica, or two, and with more that share each layer: runs where the GPUs are, see README.md.

parallel_gpu.py --output FILE [--gpus 2] [--models 7B,13B | 70B] [--rounds N] [--seconds S]. Two models' servers are measured at the same
time, but never two that share a GPU. The servers of a model stand beside each other, so that rounds alternate.
"""

import argparse
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import gpu_servers
from gpu_models import write_model
from gpu_servers import Server
from runtime_gpu import IN, OUT, gpu_of_this_machine, times, tok_s, write

from fairlead_cli.bench.load import Clients
from fairlead_cli.bench.record import ParallelRecord, ParallelRow, Startup, Workload, this_machine, today
from fairlead_cli.bench.statistics import LevelResult, ratio
from fairlead_cli.bench.sweep import Plan, run, words
from fairlead_cli.bench.target import Api, Target

#: A 13B without grouped queries takes 75 GiB of KV cache for 256 requests.
LEVELS = {"7B": (1, 16, 64, 256), "13B": (1, 16, 64, 128), "70B": (1, 16, 64, 256)}
CALLED = {"7B": "Mistral 7B", "13B": "Llama 2 13B", "70B": "Llama 3 70B"}
EXTRA = ("--load-format=dummy",)


@dataclass(frozen=True)
class Place:
    """Where one server stands. kv_gib: on each GPU; what its most sequences of IN + OUT take."""

    model: str
    gpus: tuple[int, ...]
    kv_gib: float

    @property
    def name(self) -> str:
        return f"{self.model}, tensor {len(self.gpus)}"


#: By the number of GPUs: of 80 GiB where there are four, of 140 where there are two, and for 70B.
PLACES = {
    4: (
        Place("7B", (0,), 13.0),
        Place("7B", (0, 1), 6.5),
        Place("13B", (2,), 40.0),
        Place("13B", (1, 3), 20.0),
        Place("70B", (0, 1), 17.0),
        Place("70B", (0, 1, 2, 3), 8.5),
    ),
    2: (Place("7B", (0,), 13.0), Place("7B", (0, 1), 6.5), Place("13B", (1,), 40.0), Place("13B", (0, 1), 20.0)),
}


@dataclass
class Measured:
    """One model's servers, the one with fewest GPUs first: it is what the others are compared with."""

    places: Sequence[Place]
    servers: Sequence[Server]
    clients: Clients
    length: int = 0
    results: dict[tuple[Place, int], list[LevelResult]] = field(default_factory=dict)

    def ask(self, at: int, level: int, number: int) -> LevelResult:
        target = Target(self.servers[at].url, Api.COMPLETIONS, "m")
        plan = Plan(target, [level], seed=number, input_tokens=IN, output_tokens=OUT, temperature=0.7)
        self.length = self.length or words(plan)
        requests = 3 if level == 1 else 2 * level
        result = run(self.clients, plan, self.length, level, requests, "pair", lambda *_: None)
        if result.failed:
            raise SystemExit(f"{self.places[at].name}: {result.failed} requests failed: {result.errors}")
        return result

    def round(self, number: int, levels: Sequence[int], alone: "Alone") -> None:
        order = range(len(self.places))
        for level in levels:
            for at in order if number % 2 else reversed(order):
                self._ask_alone(at, level, number, alone)
        if number % 2 == 0:
            # What two replicas of the fewest GPUs give at the whole.
            for level in {level // 2 for level in levels if level > 1} - set(levels):
                self._ask_alone(0, level, number, alone)

    def _ask_alone(self, at: int, level: int, number: int, alone: "Alone") -> None:
        with alone(self.places[at].gpus):
            found = self.ask(at, level, number)
        self.results.setdefault((self.places[at], level), []).append(found)

    def rows(self) -> list[ParallelRow]:
        found = []
        # The other model's thread asks too, while this one's adds.
        for (place, level), seen in list(self.results.items()):
            one = self.results.get((self.places[0], level), ())
            pairs = [(mine.tok_s, other.tok_s) for mine, other in zip(seen, one, strict=False)]
            against = ratio(pairs) if pairs and place is not self.places[0] else None
            compared = {"ratio": against.median, "interval": (against.low, against.high)} if against else {}
            half = self.results.get((place, level // 2)) if place is self.places[0] and level > 1 else None
            found.append(
                ParallelRow.model_validate({
                    "model": place.model,
                    "tensor": len(place.gpus),
                    "kv_cache_gib": place.kv_gib,
                    "concurrency": level,
                    "tok_s": tok_s(seen),
                    "two_replicas_tok_s": round(2 * tok_s(half), 1) if half else None,
                    "pairs": len(seen),
                    **compared,
                    **times(seen),
                })
            )  # fmt: skip
        return sorted(found, key=lambda row: (row.model, row.tensor, row.concurrency))


class Alone:
    """GPUs that one measurement has to itself."""

    def __init__(self, gpus: int) -> None:
        self._locks = [threading.Lock() for _ in range(gpus)]

    @contextmanager
    def __call__(self, gpus: Sequence[int]) -> Iterator[None]:
        with ExitStack() as held:
            for gpu in sorted(gpus):
                held.enter_context(self._locks[gpu])
            yield


def started(places: Sequence[Place], scratch: Path) -> list[Server]:
    """All at once; they are waited for by others."""
    servers = []
    for number, place in enumerate(places):
        model = scratch / place.model
        if not model.exists():
            write_model(model, place.model)
        asked = gpu_servers.config(model, "Balanced", place.kv_gib, "Accelerator", EXTRA, tensor=len(place.gpus))
        folder = scratch / place.name.replace(", ", "-").replace(" ", "-")
        servers.append(
            gpu_servers.start(
                place.name,
                asked,
                port=19000 + 10 * number,
                gpus=place.gpus,
                folder=folder,
                cache=scratch / "cache" / str(number),
            )
        )
    return servers


def recorded(
    measured: Sequence[Measured], starts: Sequence[Startup], asked: argparse.Namespace, flags: Sequence[str]
) -> ParallelRecord:
    name, gib = gpu_of_this_machine()
    own = (gpu_servers.ROOT / "operator/fairlead_operator/__init__.py").read_text(encoding="utf-8")
    return ParallelRecord(
        machine=this_machine().model_copy(update={"gpu": name, "gpus": asked.gpus, "gpu_memory_gib": gib}),
        versions={
            "fairlead": own.split('__version__ = "')[1].split('"')[0],
            **{each: version(each) for each in ("vllm", "torch")},
        },
        command=" ".join(["benchmarks/parallel_gpu.py", *sys.argv[1:]]).partition(" --output")[0],
        date=today(),
        workload=Workload(
            model=f"{' and '.join(CALLED[model] for model in asked.models.split(','))} by shape, in bfloat16 with dummy weights",
            input_tokens=IN,
            output_tokens=OUT,
            flags=tuple(flags),
        ),
        rows=tuple(row for each in measured for row in each.rows()),
        startups=tuple(starts),
    )


def main() -> int:
    """Zero when nothing broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, default=4, choices=tuple(PLACES))
    parser.add_argument("--models", default="7B,13B")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=400, help="no new round after these")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--logs", type=Path, help="keep the servers' folders here")
    asked = parser.parse_args()
    models = asked.models.split(",")
    places = [place for place in PLACES[asked.gpus] if place.model in models]
    alone, servers, measured = Alone(asked.gpus), list[Server](), list[Measured]()
    lock = threading.Lock()
    with TemporaryDirectory() as directory:
        scratch = asked.logs or Path(directory)
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            servers = started(places, scratch)
            starts = []
            for server in servers:
                print(f"{server.name} ready after {server.wait():.0f} s", flush=True)
                phases = server.phases()
                starts.append(Startup(name=server.name, phases=phases, total=round(sum(phases.values()), 1)))
            flags = (f"--max-model-len={gpu_servers.MAX_MODEL_LEN}", f"--max-num-seqs={gpu_servers.MAX_NUM_SEQS}", *EXTRA,
                     gpu_servers.WITHOUT_MULTICAST_FLAG)  # fmt: skip
            until = time.monotonic() + asked.seconds

            def measure(model: str) -> None:
                mine = [(place, server) for place, server in zip(places, servers, strict=True) if place.model == model]
                with Clients(4) as clients:
                    each = Measured([place for place, _ in mine], [server for _, server in mine], clients)
                    measured.append(each)
                    for at, place in enumerate(each.places):
                        with alone(place.gpus):
                            each.ask(at, 16, -1)
                    for number in range(asked.rounds):
                        each.round(number, LEVELS[model], alone)
                        print(f"{model}: round {number + 1} of {asked.rounds}", flush=True)
                        with lock:
                            ready = [one for one in measured if one.results]
                            write(recorded(ready, starts, asked, flags), asked.output)
                        if time.monotonic() > until:
                            return

            threads = [threading.Thread(target=measure, args=(model,)) for model in models]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for server in servers:
                server.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
