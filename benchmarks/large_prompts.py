"""Whether streams keep their pace while prompts of a megabyte arrive: gaps between tokens, quiet and disturbed in turn.

large_prompts.py [--context 2048 | --url http://HOST:PORT --model NAME --key KEY] [--streams 4] [--megabytes 1] [--every 0.5] ...

With a real engine on this machine's CPU, or against a service that is up. A context of 65536 makes the demo's model take a megabyte
as a prompt that may fit, so that it is tokenized; with 2048 its characters alone are too many. The order is quiet, disturbed, disturbed, quiet, ...: a machine that gets slower meanwhile is on
nobody's side. The large prompts are sent by a process of their own, so that their making does not hold up the measuring one.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import servers

from fairlead_cli.bench.record import this_machine, today
from fairlead_runtime.processes import descendants

#: What is sent, by route: a prompt of `text`. No answer is wanted; where the text fits the model, one token is computed.
ROUTES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "/generate": lambda _model, text: {"prompt": text, "max_tokens": 1},
    "/v1/completions": lambda model, text: {"model": model, "prompt": text, "max_tokens": 1},
    "/v1/chat/completions": lambda model, text: {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 1,
    },
    "/tokenize": lambda model, text: {"model": model, "prompt": text},
}
#: Tokens of one measured stream; begun again when it ends.
LENGTH = 400
TIMEOUT = 120


class Pace:
    """Milliseconds between two tokens of a stream, and until GET /health was answered, by what happened meanwhile.

    The front end answers a probe by itself: where gaps are long and probes are not, it is the engine that had no time.
    """

    def __init__(self) -> None:
        self.now = ""
        self.gaps: dict[str, list[float]] = {}
        self.probes: dict[str, list[float]] = {}

    async def probe(self, client: httpx.AsyncClient) -> None:
        """A hundred times a second until cancelled."""
        while True:
            began, now = time.perf_counter(), self.now
            await client.get("/health")
            if now and now == self.now:
                self.probes.setdefault(now, []).append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.01)

    async def stream(self, client: httpx.AsyncClient, model: str) -> None:
        """One stream after the other until cancelled. Raises when one is refused or cut: the gaps of the others tell nothing of it."""
        body = {"model": model, "prompt": "a", "max_tokens": LENGTH, "stream": True, "ignore_eos": True}
        while True:
            async with client.stream("POST", "/v1/completions", json=body) as answer:
                answer.raise_for_status()
                last = None
                async for line in answer.aiter_lines():
                    if not line.startswith("data: {"):
                        continue
                    came = time.perf_counter()
                    if '"error"' in line:
                        raise RuntimeError(line)
                    if last is not None and self.now:
                        self.gaps.setdefault(self.now, []).append(1000 * (came - last))
                    last = came


def disturb(asked: argparse.Namespace, orders: Connection, stop: Event) -> None:
    """In a process of its own: for each route that is ordered, sends large prompts until told to stop, and reports statuses and seconds."""
    text = "lorem ipsum dolor sit amet " * (asked.megabytes * 1024 * 1024 // 27)
    bodies = {path: json.dumps(make(asked.model, text)).encode() for path, make in ROUTES.items()}

    async def send(path: str) -> tuple[Counter[int], list[float]]:
        statuses: Counter[int] = Counter()
        seconds: list[float] = []

        async def one() -> None:
            started = time.perf_counter()
            answer = await client.post(path, content=bodies[path])
            seconds.append(time.perf_counter() - started)
            statuses[answer.status_code] += 1

        async with client_of(asked) as client, asyncio.TaskGroup() as sent:
            while not stop.is_set():
                sent.create_task(one())
                await asyncio.sleep(asked.every)
        return statuses, seconds

    while path := orders.recv():
        orders.send(asyncio.run(send(path)))


def client_of(asked: argparse.Namespace) -> httpx.AsyncClient:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {asked.key}"} if asked.key else {})
    return httpx.AsyncClient(base_url=asked.url, headers=headers, timeout=TIMEOUT, trust_env=False)


async def compare(asked: argparse.Namespace, path: str, orders: Connection, stop: Event) -> dict[str, Any]:
    pace, statuses, seconds = Pace(), Counter[int](), list[float]()
    async with client_of(asked) as client:
        streams = [asyncio.create_task(pace.stream(client, asked.model)) for _ in range(asked.streams)]
        streams.append(asyncio.create_task(pace.probe(client)))
        try:
            await asyncio.sleep(1)  # all have begun
            for number in range(2 * asked.rounds):
                pace.now = "disturbed" if number % 4 in (1, 2) else "quiet"
                if pace.now == "disturbed":
                    stop.clear()
                    orders.send(path)
                await all_go_on(streams, asked.seconds)
                if pace.now == "disturbed":
                    stop.set()
                    # What was sent is still disturbing until it is answered.
                    counted, took = await asyncio.to_thread(orders.recv)
                    statuses += counted
                    seconds += took
            await all_go_on(streams, 0)
        finally:
            stop.set()
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
    return {
        "route": path,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "answered_ms_p50": round(1000 * statistics.median(seconds), 1),
        **{phase: figures(pace.gaps[phase]) for phase in ("quiet", "disturbed")},
        **{f"{phase}_probes": figures(pace.probes[phase]) for phase in ("quiet", "disturbed")},
    }


async def all_go_on(tasks: Collection["asyncio.Task[Any]"], seconds: float) -> None:
    """For so long. Raises what the first of them raised."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


def figures(milliseconds: list[float]) -> dict[str, float]:
    """Of the gaps or probes in one phase."""
    percent = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return {
        "count": len(milliseconds),
        "p50_ms": round(percent[49], 1),
        "p99_ms": round(percent[98], 1),
        "worst_ms": round(max(milliseconds), 1),
    }


def give_way(supervisor: int) -> None:
    """Lets the engine compute only when nobody else wants a CPU, as one on a GPU does.

    Otherwise it keeps the front end from running, on two CPUs for a second and more, and the gaps tell of nothing else.
    """
    for process in descendants(supervisor):
        if "VLLM::" in process.name:
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_IDLE, os.sched_param(0))


@contextlib.contextmanager
def engine(context: int) -> Iterator[str]:
    """The URL of the demo's model with this context, which it was not trained for: only the time that it takes is of interest."""
    with TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        shutil.copytree(servers.MODEL, model)
        settings = json.loads((model / "config.json").read_text(encoding="utf-8"))
        (model / "config.json").write_text(
            json.dumps(settings | {"max_position_embeddings": context}), encoding="utf-8"
        )
        config = servers.CONFIG | {
            "model": {"servedName": "tiny", "path": str(model)},
            "engine": servers.CONFIG["engine"] | {"maxModelLen": context},
        }
        with servers.fairlead(Path(scratch) / "fairlead", config) as server:
            server.wait()
            give_way(server.process.pid)
            yield server.url.removesuffix("/v1/completions")


def main() -> int:
    """Prints a line for each route as it is measured, and at the end all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--url", default="")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--key", default="")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=1)
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two large prompts")
    parser.add_argument("--seconds", type=float, default=5, help="of one quiet or disturbed time")
    parser.add_argument("--rounds", type=int, default=4, help="of each")
    asked = parser.parse_args()
    with contextlib.ExitStack() as up:
        asked.url = asked.url or up.enter_context(engine(asked.context))
        result = {
            "machine": this_machine().model_dump(exclude_defaults=True),
            "date": today(),
            "asked": {name: value for name, value in vars(asked).items() if name not in {"url", "key"}},
            "rows": measure(asked),
        }
        print(json.dumps(result, indent=1))
    return 0


def measure(asked: argparse.Namespace) -> list[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")
    orders, theirs = context.Pipe()
    stop = context.Event()
    sender = context.Process(target=disturb, args=(asked, theirs, stop))
    sender.start()
    rows = []
    try:
        for path in ROUTES:
            row = asyncio.run(compare(asked, path, orders, stop))
            rows.append(row)
            print(f"{path:22} {row['statuses']} in {row['answered_ms_p50']:.0f} ms", file=sys.stderr, flush=True)
            for what, kind in (("gaps", ""), ("probes", "_probes")):
                quiet, disturbed = row[f"quiet{kind}"], row[f"disturbed{kind}"]
                told = (
                    f"{name} {quiet[f'{name}_ms']} -> {disturbed[f'{name}_ms']} ms" for name in ("p50", "p99", "worst")
                )
                print(f"  {what:8} {', '.join(told)}", file=sys.stderr, flush=True)
    finally:
        orders.send("")
        sender.join(TIMEOUT)
    return rows


if __name__ == "__main__":
    sys.exit(main())
