"""How many tokens per second one front end streams to 256 clients: fairlead's against bare vLLM's, with an engine that computes nothing.

front_end.py [--pairs MOST] [--seconds S] [--output FILE]. About six minutes. It is what limits a fast GPU at high concurrency.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import servers
from pairing import pairs

from fairlead_cli.bench.load import Clients
from fairlead_cli.bench.record import Row, RuntimeRecord, Workload, this_machine, today
from fairlead_cli.bench.statistics import LevelResult, Ratio, median, ratio
from fairlead_cli.bench.sweep import Plan, run, words
from fairlead_cli.bench.target import Api, Target
from fairlead_cli.local.health import free_ports

OUTPUT = servers.ROOT / "docs" / "benchmarks" / "front-end.json"
STREAMS = 256
#: Of a prompt and of an answer, in tokens; requests of one measurement.
IN, OUT, REQUESTS = 64, 256, 2 * STREAMS
CONFIG = {
    "model": {"servedName": "tiny", "path": str(servers.MODEL)},
    "engine": {"maxModelLen": 1024, "maxNumSeqs": STREAMS, "extraArgs": ["--disable-uvicorn-access-log"]},
    "device": "CPU",
}
APIS = (Api.COMPLETIONS, Api.CHAT)


@contextlib.contextmanager
def front_end(which: str, folder: Path) -> Iterator[servers.Server]:
    """which: bare or fairlead."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    variables = {
        "PYTHONPATH": str(servers.ROOT / "runtime"),
        "FAIRLEAD_CONFIG": str(folder / "config.json"),
        "FAIRLEAD_SERVING_PORT": str(port),
        # Nobody listens to what the engine's process tells its supervisor.
        "FAIRLEAD_STATE_FD": "2",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    }
    script = str(Path(__file__).with_name("scripted_core.py"))
    with servers.started([servers.python(), script, which], folder, variables) as process:
        yield servers.Server(process, port, None, folder / "log")


class Comparison:
    """Both front ends on one half of the cores, the clients on the other; one of the two runs at a time."""

    def __init__(self, own: servers.Server, bare: servers.Server, clients: Clients, api: Api) -> None:
        self._own, self._bare, self._clients, self._api = own, bare, clients, api
        own.signal(signal.SIGCONT)
        self._words = words(self._plan(own, 0))
        own.signal(signal.SIGSTOP)

    def own(self, _: int, number: int) -> LevelResult:
        return self._measure(self._own, number)

    def bare(self, _: int, number: int) -> LevelResult:
        return self._measure(self._bare, number)

    def _measure(self, server: servers.Server, number: int) -> LevelResult:
        server.signal(signal.SIGCONT)
        try:
            result = run(
                self._clients, self._plan(server, number), self._words, STREAMS, REQUESTS, "pair", lambda *_: None
            )
        finally:
            server.signal(signal.SIGSTOP)
        if result.failed:
            raise SystemExit(f"{result.failed} requests failed: {result.errors}\n{server.log.read_text()[-3000:]}")
        return result

    def _plan(self, server: servers.Server, number: int) -> Plan:
        target = Target(server.url.removesuffix(Api.COMPLETIONS) + self._api, self._api, "tiny")
        return Plan(target, [STREAMS], seed=number, input_tokens=IN, output_tokens=OUT)


def known(have: Sequence[tuple[LevelResult, LevelResult]]) -> Ratio:
    return ratio([(own.tok_s, bare.tok_s) for own, bare in have])


def row(api: Api, have: Sequence[tuple[LevelResult, LevelResult]]) -> Row:
    found = known(have)
    busiest = max(result.client_busy for pair in have for result in pair)
    return Row(
        profile="Balanced",
        concurrency=STREAMS,
        bare_tok_s=round(median([bare.tok_s for _, bare in have]), 1),
        fairlead_tok_s=round(median([own.tok_s for own, _ in have]), 1),
        ratio=found.median,
        interval=(found.low, found.high),
        pairs=found.pairs,
        gate=1.0,
        note=f"{api}; the clients used {100 * busiest:.0f} % of their core at most",
    )


def main() -> int:
    """Zero when fairlead's is not the slower one on either route."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15, help="at most so many for a route")
    parser.add_argument("--seconds", type=float, default=150, help="for a route; after these no more pairs than seven")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()

    rows, machine = [], this_machine()
    with TemporaryDirectory() as scratch, contextlib.ExitStack() as up:
        own, bare = (up.enter_context(front_end(which, Path(scratch) / which)) for which in ("fairlead", "bare"))
        for server in (own, bare):
            server.wait()
        cores, others = servers.halves()
        for server in (own, bare):
            for process in server.processes():
                for thread in Path(f"/proc/{process.pid}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), cores)
            server.signal(signal.SIGSTOP)
        os.sched_setaffinity(0, others)
        clients = up.enter_context(Clients(1))
        for api in APIS:
            compared = Comparison(own, bare, clients, api)
            found = pairs(compared.own, compared.bare, [STREAMS], known, seconds=asked.seconds, most=asked.pairs)
            rows.append(row(api, found[STREAMS]))
    record = RuntimeRecord(
        machine=machine,
        versions=servers.versions(),
        command="python benchmarks/front_end.py",
        date=today(),
        workload=Workload(model="none: every request gets a token each step", input_tokens=IN, output_tokens=OUT),
        rows=tuple(rows),
        notes=(
            "The front end has half of the cores and the clients the other half; the one whose turn it is not is stopped.",
        ),
    )
    asked.output.write_text(record.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")
    for each in rows:
        print(f"{each.note}: {each.bare_tok_s} {each.fairlead_tok_s} {each.ratio} {each.interval} {each.verdict}")
    return 0 if all(each.verdict == "passed" for each in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
