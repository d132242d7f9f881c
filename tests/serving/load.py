"""Clients of a service that never stop asking while something happens to its pods, and that look at every answer to its last token.

Some keep their connections in a pool, some open one for each request, some are the openai client's. Nobody ever tries again.
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import openai
import uvloop

from asking import until
from serving.client import Answer, Connection
from serving.process import more_open_files

#: Every stream must have its first token before the load counts as open; seconds.
OPEN_WITHIN = 90
#: Streams come one after another, as clients do: what a node's accept queue holds is not what is tried here.
ARRIVAL_SECONDS = 0.01


@dataclass(frozen=True)
class Clients:
    """How many ask at a time, each the next request `pause` seconds after it has the answer of the last.

    pooled, fresh: streams, on a kept connection and on one of its own. library: streams of the openai client with its pool.
    whole, batches: /generate and /generate/batch, half of each on a kept connection. tokens: shortest and longest stream.
    scripted: the engine's words are its tokens, so both are counted. key: the service's API key, "" where none is asked for.
    """

    pooled: int = 0
    fresh: int = 0
    library: int = 0
    whole: int = 0
    batches: int = 0
    tokens: tuple[int, int] = (10, 24)
    scripted: bool = True
    key: str = ""
    pause: float = 0


@dataclass(frozen=True)
class Seen:
    """One answer, with when it was asked for, began and ended. problem: "" for what was asked for, to its last token.

    lost: "" for a whole answer, else how: `cut` after status 200, `refused` in so many words, or `failed`.
    """

    kind: str
    asked: float
    first: float
    ended: float
    problem: str = ""
    lost: Literal["", "cut", "refused", "failed"] = ""


@dataclass
class Counts:
    """What all clients saw."""

    seen: list[Seen] = field(default_factory=list)
    open_at_begin: int = 0

    @property
    def lost(self) -> list[Seen]:
        return [one for one in self.seen if one.lost]

    def figures(self, what: str) -> str:
        """One line for people."""
        kinds, lost = Counter(one.kind for one in self.seen), Counter(one.lost for one in self.seen)
        slowest = max((one.first - one.asked for one in self.seen), default=0.0)
        answers = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        return (
            f"{what}: {self.open_at_begin} streams open; {answers}; {lost['failed']} failed, {lost['cut']} cut, "
            f"{lost['refused']} refused; slowest first byte {slowest:.1f} s"
        )


class Load:
    """A running load, in a thread with a loop of its own. `counts` is whole once the block of `under` has ended."""

    def __init__(self, address: tuple[str, int], model: str, clients: Clients) -> None:
        self.counts = Counts()
        self._address, self._model, self._clients = address, model, clients
        self._open: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()), name="load")

    def begin(self) -> None:
        """Returns once every stream has its first token."""
        more_open_files()
        self._thread.start()
        streams = self._clients.pooled + self._clients.fresh + self._clients.library
        until(lambda: len(self._open) == streams or bool(self.counts.lost), "every stream open", OPEN_WITHIN)
        assert not self.counts.lost, f"lost before anything happened: {self.counts.lost[:5]}"
        self.counts.open_at_begin = streams

    def no_more(self) -> None:
        """Nobody asks again."""
        self._stop.set()

    def end(self) -> None:
        """Nobody asks again; returns once all answers have come."""
        self.no_more()
        self._thread.join()

    async def _run(self) -> None:
        clients, (host, port) = self._clients, self._address
        kinds: list[tuple[str, int, Any]] = [
            ("pooled streams", clients.pooled, self._stream),
            ("streams with a connection each", clients.fresh, self._stream),
            ("whole answers", clients.whole, self._whole),
            ("batches", clients.batches, self._batch),
        ]
        working: list[Coroutine[Any, Any, None]] = []
        for kind, number, ask in kinds:
            for index in range(number):
                kept = kind.startswith("pooled") or (ask != self._stream and index % 2 == 0)
                working.append(self._repeat(kind, len(working), ask, Connection(port, host, clients.key), kept=kept))
        async with self._library() as library:
            working += [library(len(working) + index) for index in range(clients.library)]
            await asyncio.gather(*working)

    async def _repeat(self, kind: str, number: int, ask: Any, connection: Connection, *, kept: bool) -> None:
        await asyncio.sleep(number * ARRIVAL_SECONDS)
        turn = number
        while not self._stop.is_set():
            asked, first = time.monotonic(), 0.0

            def begun() -> None:
                nonlocal first
                first = time.monotonic()
                self._open.add(number)

            answer, wrong = await ask(connection, turn, begun)
            ended = time.monotonic()
            problem = "" if not wrong else f"{wrong}: {answer.status} {answer.broken} {answer.body[-200:]!r}"
            said_no = answer.status in {429, 503} or "ConnectionRefused" in answer.broken
            lost = _how(problem, began=answer.status == 200, said_no=said_no)
            self.counts.seen.append(Seen(kind, asked, first or ended, ended, problem, lost))
            if not kept:
                connection.close()
            await self._think(problem)
            turn += 1
        connection.close()

    async def _think(self, problem: str) -> None:
        """What a client does before it asks again. One failure for each second is enough to see what happened."""
        await asyncio.sleep(max(self._clients.pause, 1.0 if problem else 0.0))

    def _tokens(self, turn: int) -> int:
        """Another number for each request, so that an answer that is another's does not pass."""
        shortest, longest = self._clients.tokens
        return shortest + turn * 7 % (longest - shortest + 1)

    def _asked(self, tokens: int) -> dict[str, Any]:
        asked = {"model": self._model, "prompt": "Tell me about ropes.", "max_tokens": tokens, "temperature": 0}
        return asked | {"ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}}

    async def _stream(self, connection: Connection, turn: int, begun: Any) -> tuple[Answer, str]:
        tokens = self._tokens(turn)
        answer = await connection.ask("/v1/completions", self._asked(tokens), begun=begun)
        if answer.status != 200 or not (answer.whole and answer.done):
            return answer, "no whole stream"
        words, counted, reasons = answer.stream_of()
        right = (counted, reasons) == (tokens, ["length"]) and (words == tokens or not self._clients.scripted)
        return answer, "" if right else f"{words} words, {counted} tokens, ended for {reasons}, asked for {tokens}"

    async def _whole(self, connection: Connection, turn: int, begun: Any) -> tuple[Answer, str]:
        tokens = self._tokens(turn) // 2
        answer = await connection.ask("/generate", {"prompt": "What is a rope?", "max_tokens": tokens}, begun=begun)
        return answer, self._wrong(answer, 1, tokens)

    async def _batch(self, connection: Connection, turn: int, begun: Any) -> tuple[Answer, str]:
        tokens = self._tokens(turn) // 2
        items = [{"prompt": f"What is rope {number}?", "max_tokens": tokens} for number in range(3)]
        answer = await connection.ask("/generate/batch", items, begun=begun)
        return answer, self._wrong(answer, 3, tokens)

    def _wrong(self, answer: Answer, items: int, tokens: int) -> str:
        if answer.status != 200 or not answer.whole:
            return "no whole answer"
        said = answer.events[0]
        parts = said if isinstance(said, list) else [said]
        ends = [(part.get("tokens_generated"), part.get("finish_reason")) for part in parts]
        if self._clients.scripted:
            return "" if ends == [(tokens, "length")] * items else f"{ends}, asked for {tokens}"
        # A real model may stop earlier, by itself.
        return "" if len(ends) == items and {reason for _, reason in ends} <= {"length", "stop"} else str(ends)

    @contextlib.asynccontextmanager
    async def _library(self) -> AsyncIterator[Any]:
        host, port = self._address
        async with openai.AsyncOpenAI(
            base_url=f"http://{host}:{port}/v1", api_key=self._clients.key or "none", max_retries=0, timeout=90
        ) as client:

            async def repeat(number: int) -> None:
                await asyncio.sleep(number * ARRIVAL_SECONDS)
                turn = number
                while not self._stop.is_set():
                    seen = await self._ask_library(client, turn, number)
                    self.counts.seen.append(seen)
                    await self._think(seen.problem)
                    turn += 1

            yield repeat

    async def _ask_library(self, client: openai.AsyncOpenAI, turn: int, number: int) -> Seen:
        kind, tokens = "streams of the openai client", self._tokens(turn)
        asked, first, counted = time.monotonic(), 0.0, 0
        reasons: list[str] = []
        problem, said_no = "", False
        body = {name: value for name, value in self._asked(tokens).items() if name != "ignore_eos"}
        try:
            stream = await client.completions.create(**body, extra_body={"ignore_eos": True})
            async for chunk in stream:
                first = first or time.monotonic()
                self._open.add(number)
                reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
                counted += chunk.usage.completion_tokens if chunk.usage else 0
        except openai.OpenAIError as error:
            problem = repr(error)
            said_no = "ConnectionRefused" in repr(error.__cause__) or getattr(error, "status_code", 0) in {429, 503}
        ended = time.monotonic()
        if not problem and (counted, reasons) != (tokens, ["length"]):
            problem = f"{counted} tokens, ended for {reasons}, asked for {tokens}"
        return Seen(kind, asked, first or ended, ended, problem, _how(problem, began=first > 0, said_no=said_no))


def _how(problem: str, *, began: bool, said_no: bool) -> Literal["", "cut", "refused", "failed"]:
    if not problem:
        return ""
    return "cut" if began else "refused" if said_no else "failed"


@contextlib.contextmanager
def under(address: tuple[str, int], model: str, clients: Clients) -> Iterator[Counts]:
    """The block runs while all streams are open; the counts are whole after it."""
    load = Load(address, model, clients)
    try:
        load.begin()
        yield load.counts
    finally:
        load.end()


@contextlib.contextmanager
def under_way(address: tuple[str, int], model: str, clients: Clients) -> Iterator[Counts]:
    """The block begins with all streams open, and no other comes; the counts are whole after it."""
    load = Load(address, model, clients)
    try:
        load.begin()
        load.no_more()
        yield load.counts
    finally:
        load.end()
