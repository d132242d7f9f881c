"""All levels, one after the other: calibrate the prompts, warm up, measure."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairlead_cli.bench import BenchError
from fairlead_cli.bench.asking import Outcome, Question, ask
from fairlead_cli.bench.load import Clients, Level, Standing, session
from fairlead_cli.bench.prompts import words_for
from fairlead_cli.bench.statistics import LevelResult, level_result
from fairlead_cli.bench.target import Target

#: Called with the level's concurrency, its number of requests, and how far it is.
Watch = Callable[[int, int, Standing], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """requests: per level; None takes four for each concurrent one, eight at least. timeout: seconds for one request."""

    target: Target
    concurrencies: Sequence[int]
    seed: int
    requests: int | None = None
    input_tokens: int = 128
    output_tokens: int = 256
    stream: bool = True
    temperature: float = 0.0
    full_length: bool = True
    warmup: int = 16
    processes: int = 1
    timeout: float = 600.0

    def question(self, tokens: int) -> Question:
        return Question(self.target, tokens, self.stream, self.temperature, self.full_length)

    def requests_at(self, concurrency: int) -> int:
        return self.requests or max(8, 4 * concurrency)


def words(plan: Plan) -> int:
    """How many words make a prompt of the plan's length. Raises BenchError when the server does not answer a first request."""
    return asyncio.run(_words(plan))


async def _words(plan: Plan) -> int:
    async with session(plan.target.headers(), plan.timeout) as connections:

        async def count(prompt: str) -> int | None:
            outcome: Outcome = await ask(connections, plan.question(1), prompt)
            if outcome.error:
                raise BenchError(f"{plan.target.url}: the first request failed: {outcome.error}")
            return outcome.prompt_tokens

        return await words_for(plan.input_tokens, count)


def measure(plan: Plan, watch: Watch) -> list[LevelResult]:
    """A result for each level; stops after one where nothing succeeded. Raises BenchError."""
    length = words(plan)
    results = []
    with Clients(min(plan.processes, max(plan.concurrencies))) as clients:
        if plan.warmup:
            at_once = min(plan.warmup, max(plan.concurrencies))
            run(clients, plan, length, at_once, plan.warmup, "warm-up", watch)
        for place, concurrency in enumerate(plan.concurrencies):
            # With its place: a level that is measured again must not find its prompts in a prefix cache.
            name = f"level/{place}"
            result = run(clients, plan, length, concurrency, plan.requests_at(concurrency), name, watch)
            results.append(result)
            if not result.success:
                break
    return results


def run(
    clients: Clients, plan: Plan, length: int, concurrency: int, requests: int, name: str, watch: Watch
) -> LevelResult:
    """One level. name: keeps its prompts apart from those of others."""
    level = Level(
        plan.question(plan.output_tokens),
        concurrency,
        requests,
        length,
        f"{plan.seed}/{name}/{concurrency}",
        plan.timeout,
    )
    shares = clients.run(level, lambda standing: watch(concurrency, requests, standing))
    outcomes = [outcome for share in shares for outcome in share.outcomes]
    return level_result(concurrency, outcomes, busy=max(share.busy for share in shares))
