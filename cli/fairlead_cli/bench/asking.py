"""One request, and what came of it: tokens from the server's `usage`, never from chunks; times at the client.

Time to first token: from sending the request to the first chunk of text. Inter-token: the gap between two successive chunks, as
vLLM's own serving benchmark defines it. Where a chunk carries several tokens (a stream interval, speculative decoding, a front end
that falls behind), it is the gap between chunks, longer than the time for one token: what a reader sees, not what the engine does.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from fairlead_cli.bench.target import Api, Target, reason

#: Finish reasons that mean: this is not the whole answer.
UNFINISHED = frozenset({"abort", "error"})


@dataclass(frozen=True, slots=True)
class Question:
    """What every request asks for, beside its prompt. full_length: no end before `tokens` (vLLM's ignore_eos; not on /generate)."""

    target: Target
    tokens: int
    stream: bool
    temperature: float = 0.0
    full_length: bool = True

    def body(self, prompt: str) -> dict[str, Any]:
        target = self.target
        body: dict[str, Any] = {"max_tokens": self.tokens, "temperature": self.temperature, "stream": self.stream}
        if target.api is Api.CHAT:
            body["messages"] = [{"role": "user", "content": prompt}]
        else:
            body["prompt"] = prompt
        if target.api is Api.GENERATE:
            return body
        body["model"] = target.model
        if self.full_length:
            body["ignore_eos"] = True
        if self.stream:
            body["stream_options"] = {"include_usage": True}
        return body


@dataclass(slots=True)
class Outcome:
    """began: seconds of the machine's monotonic clock, the same in every process. seconds: until the end of the answer.

    prompt_tokens: None where the server does not tell. gaps: seconds between successive chunks. error: "" for success.
    """

    began: float
    seconds: float = 0.0
    prompt_tokens: int | None = None
    tokens: int = 0
    first: float | None = None
    gaps: list[float] = field(default_factory=list)
    error: str = ""


async def ask(session: aiohttp.ClientSession, question: Question, prompt: str) -> Outcome:
    """Never raises: whatever goes wrong is the outcome's error."""
    began = time.perf_counter()
    outcome = Outcome(began)
    reader = _Stream(outcome) if question.stream else None
    try:
        async with session.post(question.target.url, json=question.body(prompt)) as answer:
            if answer.status != 200:
                outcome.error = f"HTTP {answer.status}: {reason(await answer.text())}"
            elif reader is None:
                _read(outcome, json.loads(await answer.read()))
            else:
                async for received in answer.content.iter_any():
                    reader.feed(received, time.perf_counter())
                reader.close()
    except TimeoutError:
        outcome.error = "timed out"
    except aiohttp.ClientPayloadError:
        outcome.error = "cut: the connection ended before the answer did"
    except (aiohttp.ClientError, OSError) as error:
        outcome.error = f"{type(error).__name__}: {error}"[:200]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        outcome.error = f"not the answer of such a route: {type(error).__name__}: {error}"[:200]
    outcome.seconds = time.perf_counter() - began
    return outcome


def _read(outcome: Outcome, answer: dict[str, Any]) -> None:
    """A complete answer of any of the routes."""
    if "tokens_generated" in answer:
        outcome.tokens = answer["tokens_generated"]
        finish = answer.get("finish_reason")
    else:
        _count(outcome, answer["usage"])
        finish = answer["choices"][0].get("finish_reason")
    _finish(outcome, finish)


def _count(outcome: Outcome, usage: dict[str, Any]) -> None:
    outcome.tokens = usage["completion_tokens"]
    outcome.prompt_tokens = usage.get("prompt_tokens")


def _finish(outcome: Outcome, reason: str | None) -> None:
    if reason is None:
        outcome.error = outcome.error or "ended without a finish_reason"
    elif reason in UNFINISHED:
        outcome.error = f"finish_reason {reason}"
    elif not outcome.tokens:
        outcome.error = "no usage, so no token to count"


class _Stream:
    """Server-sent events, as their bytes come. Events that arrive together have one time."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._rest = b""
        self._last = outcome.began
        self._finish: str | None = None

    def feed(self, received: bytes, now: float) -> None:
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            if line.startswith(b"data: {"):
                self._event(json.loads(line[6:]), now)

    def close(self) -> None:
        _finish(self._outcome, self._finish)

    def _event(self, event: dict[str, Any], now: float) -> None:
        outcome = self._outcome
        if error := event.get("error"):
            outcome.error = f"error event: {reason(json.dumps(error))}"
            return
        if usage := event.get("usage"):
            _count(outcome, usage)
        choices = event.get("choices")
        # /generate's events are their own choice.
        choice = event if choices is None else choices[0] if choices else None
        if choice is None:
            return
        self._finish = choice.get("finish_reason") or self._finish
        if choices is None and not event.get("text"):
            return  # the last event of /generate, after the last text
        if _opens(choice):
            return
        if outcome.first is None:
            outcome.first = now - outcome.began
        else:
            outcome.gaps.append(now - self._last)
        self._last = now


def _opens(choice: dict[str, Any]) -> bool:
    """A chat stream's first chunk: the role, and no token yet."""
    delta = choice.get("delta") or {}
    said = any(value for name, value in delta.items() if name != "role")
    return "role" in delta and not said and choice.get("finish_reason") is None
