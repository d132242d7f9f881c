"""fairlead's runtime against bare vLLM on the CPU, and the probes meanwhile: `make bench`. About ten minutes.

runtime_cpu.py [--levels 1,8,32] [--pairs MOST] [--minutes M] [--output FILE]
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import servers
from pairing import pairs

from fairlead_cli.bench.load import Clients
from fairlead_cli.bench.record import ProbeTimes, Row, RuntimeRecord, Workload, this_machine, today
from fairlead_cli.bench.statistics import LevelResult, Ratio, median, quantile, ratio
from fairlead_cli.bench.sweep import Plan, run, words
from fairlead_cli.bench.target import Api, Target

OUTPUT = servers.ROOT / "docs" / "benchmarks" / "runtime-cpu.json"
#: Of a prompt and of an answer, in tokens.
IN, OUT = 32, 64
#: Requests of one measurement, by concurrency: some seconds each.
REQUESTS = {1: 8, 8: 64, 32: 128}
#: What is asked of every level.
GATE = 0.98
#: Seconds between two probes of a kind.
PROBE_EVERY = 0.1


@dataclass
class Probing:
    """Seconds that each probe took, by path; None for no answer."""

    took: dict[str, list[float | None]] = field(default_factory=dict)

    @contextlib.contextmanager
    def during(self, port: int) -> Iterator[None]:
        """Ask /livez and /readyz as a kubelet does, but ten times a second, from the first answer until the block ends."""
        over = threading.Event()

        def ask() -> None:
            while not servers.status(port, "/livez") and not over.wait(0.01):
                pass
            while not over.wait(PROBE_EVERY):
                for path in ("/livez", "/readyz"):
                    began = time.perf_counter()
                    answered = servers.status(port, path)
                    self.took.setdefault(path, []).append(time.perf_counter() - began if answered else None)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield
        finally:
            over.set()
            asking.join()

    def times(self, during: str) -> list[ProbeTimes]:
        result = []
        for path, took in self.took.items():
            answered = sorted(1000 * seconds for seconds in took if seconds is not None)
            p50, p99, worst = [round(quantile(answered, at), 2) if answered else None for at in (0.5, 0.99, 1)]
            failed = len(took) - len(answered)
            result.append(
                ProbeTimes(
                    during=during, path=path, count=len(took), failed=failed, p50_ms=p50, p99_ms=p99, worst_ms=worst
                )
            )
        return result


@dataclass(frozen=True)
class Turn:
    """One server's measurement. front_end: CPU seconds."""

    result: LevelResult
    front_end: float

    @property
    def cpu_us(self) -> float:
        """For one token."""
        return 1e6 * self.front_end / (self.result.success * (self.result.output_tokens or 1))


class Comparison:
    """Two servers that are up, and one client process that asks them in turn."""

    def __init__(self, own: servers.Server, bare: servers.Server, clients: Clients) -> None:
        self._own, self._bare, self._clients = own, bare, clients
        self._words = words(self._plan(own, 1, 0))
        self.saturated = Probing()

    def warm_up(self) -> None:
        for server in (self._own, self._bare):
            server.settle()
            self._measure(server, 8, -1)
            server.signal(signal.SIGSTOP)

    def own(self, concurrency: int, number: int) -> Turn:
        port = self._own.management
        assert port is not None
        busiest = concurrency == max(REQUESTS)
        with self.saturated.during(port) if busiest and number % 3 == 0 else contextlib.nullcontext():
            return self._alone(self._own, concurrency, number)

    def bare(self, concurrency: int, number: int) -> Turn:
        return self._alone(self._bare, concurrency, number)

    def _alone(self, server: servers.Server, concurrency: int, number: int) -> Turn:
        """While the other one is stopped: an engine that has just worked polls for seconds, on the cores that this one needs."""
        server.signal(signal.SIGCONT)
        try:
            used = server.front_end_seconds()
            result = self._measure(server, concurrency, number)
            return Turn(result, server.front_end_seconds() - used)
        finally:
            server.signal(signal.SIGSTOP)

    def _measure(self, server: servers.Server, concurrency: int, number: int) -> LevelResult:
        plan = self._plan(server, concurrency, number)
        requests = REQUESTS.get(concurrency, 4 * concurrency)
        result = run(self._clients, plan, self._words, concurrency, requests, "pair", lambda *_: None)
        if result.failed:
            raise SystemExit(f"{result.failed} requests failed: {result.errors}\n{server.log.read_text()[-3000:]}")
        return result

    def _plan(self, server: servers.Server, concurrency: int, number: int) -> Plan:
        target = Target(server.url, Api.COMPLETIONS, "tiny")
        return Plan(target, [concurrency], seed=number, input_tokens=IN, output_tokens=OUT)


def known(have: Sequence[tuple[Turn, Turn]]) -> Ratio:
    return ratio([(own.result.tok_s, bare.result.tok_s) for own, bare in have])


def row(concurrency: int, have: Sequence[tuple[Turn, Turn]]) -> Row:
    found = known(have)

    def middle(name: str) -> float:
        return round(median([getattr(own.result, name) for own, _ in have]), 2)

    return Row(
        profile="Balanced",
        concurrency=concurrency,
        bare_tok_s=round(median([bare.result.tok_s for _, bare in have]), 1),
        fairlead_tok_s=round(median([own.result.tok_s for own, _ in have]), 1),
        ratio=found.median,
        interval=(found.low, found.high),
        pairs=found.pairs,
        gate=GATE,
        ttft_p50_ms=middle("ttft_p50_ms"),
        ttft_p99_ms=middle("ttft_p99_ms"),
        inter_token_p50_ms=middle("inter_token_p50_ms"),
        inter_token_p99_ms=middle("inter_token_p99_ms"),
        bare_cpu_us=round(median([bare.cpu_us for _, bare in have]), 1),
        fairlead_cpu_us=round(median([own.cpu_us for own, _ in have]), 1),
    )


def main() -> int:
    """Zero when every level passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", default="1,8,32")
    parser.add_argument("--pairs", type=int, default=25, help="at most so many for a level")
    parser.add_argument("--minutes", type=float, default=8, help="after these no more pairs than seven")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    levels = [int(level) for level in asked.levels.split(",")]

    machine = this_machine()
    with TemporaryDirectory() as scratch, contextlib.ExitStack() as up:
        loading = Probing()
        own = up.enter_context(servers.fairlead(Path(scratch) / "fairlead"))
        assert own.management is not None
        with loading.during(own.management):
            own.wait()
        print("fairlead's runtime is ready", flush=True)
        bare = up.enter_context(servers.bare(Path(scratch) / "bare"))
        bare.wait()
        print("bare vLLM is ready", flush=True)
        os.sched_setaffinity(0, servers.halves()[1])
        clients = up.enter_context(Clients(1))
        compared = Comparison(own, bare, clients)
        compared.warm_up()
        found = pairs(compared.own, compared.bare, levels, known, seconds=60 * asked.minutes, most=asked.pairs)

    rows = tuple(row(level, have) for level, have in found.items())
    first = next(iter(found.values()))[0][0].result
    record = RuntimeRecord(
        machine=machine,
        versions=servers.versions(),
        command="make bench",
        date=today(),
        workload=Workload(
            model="the demo's (examples/model, 3 M parameters)",
            input_tokens=first.prompt_tokens or IN,
            output_tokens=first.output_tokens or OUT,
            flags=tuple(servers.flags()),
        ),
        rows=rows,
        probes=(*loading.times("loading"), *compared.saturated.times(f"{max(REQUESTS)} streams")),
        notes=(
            "The engine's processes have half of the cores, the front end and the client the other half; both servers are up, and "
            "the one whose turn it is not is stopped (SIGSTOP).",
            "The model is so small that the front end takes most of the time: a real model hides what shows here.",
        ),
    )
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(record.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")
    for each in rows:
        print(
            f"{each.concurrency:4}: {each.ratio:.3f} {each.interval} {each.verdict};"
            f" front end {each.fairlead_cpu_us} us a token, bare {each.bare_cpu_us}"
        )
    return 0 if all(each.verdict == "passed" for each in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
