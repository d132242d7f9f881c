"""`fairlead bench` against vLLM's own serving benchmark, on one server: about ten minutes.

agreement.py [--servers engine,paced] [--levels 1,8] [--pairs MOST] [--minutes M] [--output FILE]
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import servers
from pairing import pairs

from fairlead_cli.bench.load import Clients
from fairlead_cli.bench.record import Agreement, AgreementRecord, Workload, this_machine, today
from fairlead_cli.bench.statistics import Ratio, median, ratio
from fairlead_cli.bench.sweep import Plan, run, words
from fairlead_cli.bench.target import Api, Target
from fairlead_cli.local.health import free_ports

OUTPUT = servers.ROOT / "docs" / "benchmarks" / "agreement.json"
SCRIPT = Path(__file__).with_name("vllm_serve.py")
#: Of a prompt and of an answer, in tokens.
IN, OUT = 32, 64
#: A figure's name, and what vLLM calls it.
FIGURES = {
    "tok_s": "output_throughput",
    "latency_p50_ms": "median_e2el_ms",
    "ttft_p50_ms": "median_ttft_ms",
    "inter_token_p50_ms": "median_itl_ms",
    "inter_token_p99_ms": "p99_itl_ms",
}
Figures = dict[str, float]


class VllmServe:
    """vLLM's benchmark as a process that takes runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, *arguments: str) -> Figures:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("RESULT "):
                result = json.loads(line.removeprefix("RESULT "))
                if result["failed"]:
                    raise SystemExit(f"vLLM's benchmark had {result['failed']} failed requests")
                return {own: float(result[theirs]) for own, theirs in FIGURES.items()}
        raise SystemExit(f"vLLM's benchmark ended with {self._process.wait()}")


@contextlib.contextmanager
def vllm_serve(log: Path) -> Iterator[VllmServe]:
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [servers.python(), str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            yield VllmServe(process)
        finally:
            try:
                process.communicate(timeout=60)  # closes its input, and so ends it
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[str]:
    """fairlead's runtime with the demo's model; its address."""
    with servers.fairlead(folder) as server:
        server.wait()
        server.settle()
        yield server.url


@contextlib.contextmanager
def paced(folder: Path) -> Iterator[str]:
    """A server that only keeps time; its address."""
    (port,) = free_ports(1)
    command = [sys.executable, str(Path(__file__).with_name("paced_server.py")), str(port)]
    with servers.started(command, folder, {}) as process:
        server = servers.Server(process, port, None, folder / "log")
        server.wait()
        os.sched_setaffinity(process.pid, servers.halves()[0])
        yield server.url


SERVERS = {"engine": engine, "paced": paced}


def main() -> int:
    """Zero when every figure agrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", default="engine,paced")
    parser.add_argument("--levels", default="1,8")
    parser.add_argument("--pairs", type=int, default=25, help="at most so many for a level")
    parser.add_argument(
        "--minutes", type=float, default=4, help="after these no more pairs than seven, for each server"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    machine, (_, rest) = this_machine(), servers.halves()

    rows: list[Agreement] = []
    for name in asked.servers.split(","):
        with TemporaryDirectory() as scratch, contextlib.ExitStack() as up:
            url = up.enter_context(SERVERS[name](Path(scratch) / "server"))
            every = os.sched_getaffinity(0)
            up.callback(os.sched_setaffinity, 0, every)
            os.sched_setaffinity(0, rest)
            theirs = up.enter_context(vllm_serve(Path(scratch) / "serve.log"))
            clients = up.enter_context(Clients(1))
            rows += compared(name, url, theirs, clients, asked)

    record = AgreementRecord(
        machine=machine,
        versions=servers.versions(),
        command=f"python benchmarks/agreement.py --servers {asked.servers} --levels {asked.levels}",
        date=today(),
        workload=Workload(
            model="the demo's (examples/model, 3 M parameters)",
            input_tokens=IN,
            output_tokens=OUT,
            flags=tuple(servers.flags()),
        ),
        rows=tuple(rows),
        notes=(
            "vLLM's prompts are random tokens of its tokenizer, fairlead's are words: both have about the same length in tokens.",
            "engine: fairlead's runtime with the demo's model, whose own figures differ from one run to the next by more than the "
            "benchmarks do. paced: a server that only keeps time, with a first chunk after 20 ms and every other 5 ms after it.",
            "Of paced the truth is known: 191.0 tokens a second for each stream, 335 ms, 20 ms and 5 ms. All streams of a level end at "
            "the same moment there and ask again together: what a client takes to send and read them all is in its time to first "
            "token.",
        ),
    )
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(record.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")
    for each in rows:
        print(f"{each.server} {each.concurrency:4} {each.figure:20} {each.ratio:.3f} {each.interval} {each.verdict}")
    return 0 if all(each.verdict == "agrees" for each in rows) else 1


def compared(name: str, url: str, theirs: VllmServe, clients: Clients, asked: argparse.Namespace) -> list[Agreement]:
    """Both benchmarks on the server at `url`, at every level."""
    levels = [int(level) for level in asked.levels.split(",")]
    target = Target(url, Api.COMPLETIONS, "tiny")
    length = words(Plan(target, [1], seed=0, input_tokens=IN))

    def own(concurrency: int, number: int) -> Figures:
        plan = Plan(target, [concurrency], seed=number, output_tokens=OUT)
        result = run(clients, plan, length, concurrency, 8 * concurrency, "agreement", lambda *_: None)
        if result.failed:
            raise SystemExit(f"{result.failed} requests failed: {result.errors}")
        return {figure: float(getattr(result, figure)) for figure in FIGURES}

    def vllm(concurrency: int, number: int) -> Figures:
        return theirs.run(
            *("--backend", "openai", "--base-url", url.removesuffix(Api.COMPLETIONS)),
            *("--model", "tiny", "--tokenizer", str(servers.MODEL), "--dataset-name", "random"),
            *("--random-input-len", str(IN), "--random-output-len", str(OUT), "--seed", str(number)),
            *("--num-prompts", str(8 * concurrency), "--max-concurrency", str(concurrency)),
            *("--temperature", "0", "--percentile-metrics", "ttft,itl,e2el", "--metric-percentiles", "50,99"),
            "--disable-tqdm",
        )

    for warm_up in (own, vllm):
        warm_up(levels[0], 2**31 - 1)
    found = pairs(own, vllm, levels, known, seconds=60 * asked.minutes, most=asked.pairs)
    return [row(name, figure, level, have) for level, have in found.items() for figure in FIGURES]


def known(have: Sequence[tuple[Figures, Figures]]) -> Ratio:
    """Of the figure that is known least."""
    return max((of(figure, have) for figure in FIGURES), key=lambda found: found.high - found.low)


def of(figure: str, have: Sequence[tuple[Figures, Figures]]) -> Ratio:
    return ratio([(own[figure], vllm[figure]) for own, vllm in have])


def row(server: str, figure: str, level: int, have: Sequence[tuple[Figures, Figures]]) -> Agreement:
    found = of(figure, have)
    return Agreement(
        server=server,
        figure=figure,
        concurrency=level,
        fairlead=round(median([own[figure] for own, _ in have]), 2),
        vllm=round(median([vllm[figure] for _, vllm in have]), 2),
        ratio=found.median,
        interval=(found.low, found.high),
        pairs=found.pairs,
    )


if __name__ == "__main__":
    sys.exit(main())
