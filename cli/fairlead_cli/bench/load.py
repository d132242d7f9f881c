"""Closed-loop load: so many clients, each of which asks again as soon as it has its answer, until all requests of a level are out.

The clients are spread over processes of their own, because one Python process reads some 40,000 chunks a second at most, and one that
is busy half the time is late for its chunks already. aiohttp, because its parser is C: 23 us of CPU for a chunk where httpx takes 70.
"""

import asyncio
import contextlib
import gc
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Self

import aiohttp

from fairlead_cli.bench import BenchError
from fairlead_cli.bench.asking import Outcome, Question, ask
from fairlead_cli.bench.prompts import prompt

#: An idle connection is not used again after this many seconds: servers close them after 5, and a request that crosses the close
#: would count as failed.
KEEP_ALIVE_SECONDS = 3.0
#: How often the parent looks at the board; seconds.
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Level:
    """seed: what the prompts are made from; two levels with one seed send the same. timeout: seconds for one request."""

    question: Question
    concurrency: int
    requests: int
    words: int
    seed: str
    timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class Share:
    """What one process did. busy: the part of its time that it computed; near 1, the client was the limit."""

    outcomes: list[Outcome]
    busy: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a level is."""

    done: int
    failed: int
    tokens: int


Watch = Callable[[Standing], None]


class Board:
    """Counters that the processes share: the next request, and how far they are."""

    def __init__(self, context: Any) -> None:
        self._next = context.Value("q", 0)
        self._done = context.Value("q", 0)
        self._failed = context.Value("q", 0)
        self._tokens = context.Value("q", 0)

    def reset(self) -> None:
        for value in (self._next, self._done, self._failed, self._tokens):
            value.value = 0

    def tickets(self, requests: int) -> Iterator[int]:
        """Numbers of requests, each to one asker only."""
        while True:
            with self._next.get_lock():
                ticket = self._next.value
                self._next.value += 1
            if ticket >= requests:
                return
            yield ticket

    def note(self, outcome: Outcome) -> None:
        with self._done.get_lock():
            self._done.value += 1
        if outcome.error:
            with self._failed.get_lock():
                self._failed.value += 1
        else:
            with self._tokens.get_lock():
                self._tokens.value += outcome.tokens

    def standing(self) -> Standing:
        return Standing(self._done.value, self._failed.value, self._tokens.value)


def session(headers: dict[str, str], timeout: float) -> aiohttp.ClientSession:
    """Without a limit of connections: the level is the limit."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)
    return aiohttp.ClientSession(connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=timeout))


async def share(level: Level, clients: int, board: Board, connections: aiohttp.ClientSession) -> Share:
    """One process's part of a level: `clients` of its clients."""
    outcomes: list[Outcome] = []
    tickets = board.tickets(level.requests)

    async def client() -> None:
        for ticket in tickets:
            outcome = await ask(connections, level.question, prompt(level.words, level.seed, ticket))
            outcomes.append(outcome)
            board.note(outcome)

    # What is there now stays: a full collection in the middle would look like a slow token.
    gc.collect()
    gc.freeze()
    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*[client() for _ in range(clients)])
    seconds = time.perf_counter() - began
    return Share(outcomes, (time.process_time() - used) / seconds if seconds else 0.0)


class Clients:
    """Processes that ask. A context manager: at its end they are gone."""

    def __init__(self, processes: int) -> None:
        # A fork would take over the parent's threads and its terminal.
        context = multiprocessing.get_context("spawn")
        self._board = Board(context)
        self._processes = []
        self._pipes: list[Connection[Any, Any]] = []
        for number in range(processes):
            mine, its = context.Pipe()
            process = context.Process(target=_work, args=(its, self._board), name=f"bench-{number}", daemon=True)
            process.start()
            its.close()
            self._processes.append(process)
            self._pipes.append(mine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.terminate()
            process.join()

    def run(self, level: Level, watch: Watch = lambda _: None) -> list[Share]:
        """Runs one level to its end. `watch` is called several times a second. Raises BenchError when a process ends by itself."""
        self._board.reset()
        count = min(len(self._pipes), level.concurrency)
        fair, more = divmod(level.concurrency, count)
        pending = self._pipes[:count]
        shares: list[Share] = []
        try:
            for number, pipe in enumerate(pending):
                pipe.send((level, fair + (number < more)))
            while pending:
                answered = wait(pending, LOOK_SECONDS)
                for pipe in [pipe for pipe in pending if pipe in answered]:
                    shares.append(pipe.recv())
                    pending.remove(pipe)
                watch(self._board.standing())
        except (EOFError, OSError) as error:
            raise BenchError("a client process ended by itself; use fewer --processes or less memory") from error
        return shares


def _work(pipe: Connection, board: Board) -> None:
    """A client process: levels come in, shares go out, until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends this process
    with contextlib.suppress(EOFError, OSError):
        asyncio.run(_serve(pipe, board))


async def _serve(pipe: Connection, board: Board) -> None:
    """Connections stay open from level to level."""
    level, clients = pipe.recv()
    async with session(level.question.target.headers(), level.timeout) as connections:
        while True:
            pipe.send(await share(level, clients, board, connections))
            level, clients = await asyncio.to_thread(pipe.recv)
