"""People who ask a service, each with pauses between an answer and the next question; whoever goes leaves answers unfinished."""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import aiohttp

#: What all prompts begin with: longer than a block of the cache, 128 tokens, so that the engine finds it there.
BEGINNING: Final = "You are a helpful assistant. Answer in short and plain words, and say so when you do not know. " * 8
QUESTIONS: Final = ("What is fairlead?", "What is a KV cache?", "How is a service scaled?", "What does Ready mean?")
#: Of an answer.
TOKENS: Final = (24, 160)
#: Seconds between an answer and the next question.
PAUSE: Final = (0.2, 1.5)
#: Seconds until somebody who was sent away, or found nobody, comes again.
AGAIN: Final = 2.0


@dataclass
class Visitors:
    """address: of the service. model: the name it has there."""

    address: str
    model: str
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def become(self, wanted: int) -> None:
        """So many at a time from now on."""
        while len(self.tasks) < wanted:
            self.tasks.append(asyncio.create_task(self._ask(random.Random(len(self.tasks)))))
        while len(self.tasks) > wanted:
            self.tasks.pop().cancel()

    async def _ask(self, chance: random.Random) -> None:
        # Each question opens a connection, so that a new replica gets its part.
        async with aiohttp.ClientSession(headers={"Connection": "close"}) as session:
            for number in count():
                good = False
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    good = await self._question(session, chance, number)
                await asyncio.sleep(chance.uniform(*PAUSE) if good else AGAIN)

    async def _question(self, session: aiohttp.ClientSession, chance: random.Random, number: int) -> bool:
        prompt = f"{BEGINNING}{chance.choice(QUESTIONS)} ({number})"
        body = {"model": self.model, "prompt": prompt, "max_tokens": chance.randint(*TOKENS), "ignore_eos": True}
        async with session.post(f"{self.address}/v1/completions", json={**body, "stream": True}) as answer:
            await answer.read()
            return answer.ok
