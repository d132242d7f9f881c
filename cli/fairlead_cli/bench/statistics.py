"""From outcomes to figures; and from pairs of figures to a ratio with an interval."""

import random
from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from fairlead_cli.bench.asking import Outcome

#: How many different error texts a level reports.
ERRORS_SHOWN = 3
#: An interval wider than this says nothing: "too noisy".
WIDEST = 0.04
#: Fewer pairs than this make no interval worth the name.
LEAST_PAIRS = 7
#: Resamples of a bootstrap.
RESAMPLES = 10_000


class Failed(BaseModel):
    """One error's text and how many requests met it."""

    model_config = ConfigDict(frozen=True)

    text: str
    count: int


class LevelResult(BaseModel):
    """One level's figures, over its successful requests; None where there is none to tell.

    tok_s: output tokens of all, by the seconds from the first request's start to the last one's end. per_request_tok_s: the mean
    of each request's tokens by its latency. prompt_tokens, output_tokens: means, as the server counted. client_busy: the busiest
    client process's share of a CPU.
    """

    model_config = ConfigDict(frozen=True)

    concurrency: int
    success: int
    failed: int
    errors: tuple[Failed, ...] = ()
    seconds: float
    tok_s: float
    per_request_tok_s: float | None
    prompt_tokens: float | None
    output_tokens: float | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    inter_token_p50_ms: float | None
    inter_token_p99_ms: float | None
    client_busy: float = 0.0


def level_result(concurrency: int, outcomes: Sequence[Outcome], *, busy: float = 0.0) -> LevelResult:
    """All outcomes of a level, from every process."""
    good = [outcome for outcome in outcomes if not outcome.error]
    texts = Counter(outcome.error for outcome in outcomes if outcome.error)
    began = min((outcome.began for outcome in outcomes), default=0.0)
    seconds = max((outcome.began + outcome.seconds for outcome in outcomes), default=0.0) - began
    latencies = sorted(outcome.seconds for outcome in good)
    firsts = sorted(outcome.first for outcome in good if outcome.first is not None)
    gaps = sorted(gap for outcome in good for gap in outcome.gaps)
    return LevelResult(
        concurrency=concurrency,
        success=len(good),
        failed=len(outcomes) - len(good),
        errors=tuple(Failed(text=text, count=count) for text, count in texts.most_common(ERRORS_SHOWN)),
        seconds=round(seconds, 3),
        tok_s=round(sum(outcome.tokens for outcome in good) / seconds, 1) if seconds else 0.0,
        per_request_tok_s=_mean([outcome.tokens / outcome.seconds for outcome in good]),
        prompt_tokens=_mean([outcome.prompt_tokens for outcome in good if outcome.prompt_tokens is not None]),
        output_tokens=_mean([outcome.tokens for outcome in good]),
        latency_p50_ms=_ms(latencies, 0.5),
        latency_p99_ms=_ms(latencies, 0.99),
        ttft_p50_ms=_ms(firsts, 0.5),
        ttft_p99_ms=_ms(firsts, 0.99),
        inter_token_p50_ms=_ms(gaps, 0.5),
        inter_token_p99_ms=_ms(gaps, 0.99),
        client_busy=round(busy, 3),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Between the two nearest of `ordered`, linearly, as numpy's default and so vLLM's benchmark does."""
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def median(values: Sequence[float]) -> float:
    return quantile(sorted(values), 0.5)


class Ratio(BaseModel):
    """The median of paired ratios, and the middle 95 % of a bootstrap's medians.

    Of seven pairs these reach from the second to the sixth, which holds the true median with 88 %: 1 - 2 * (1 + 7) / 2**7.
    """

    model_config = ConfigDict(frozen=True)

    median: float
    low: float
    high: float
    pairs: int

    @property
    def noisy(self) -> bool:
        """Wider than 0.04: such a figure passes no gate."""
        return self.high - self.low > WIDEST


def ratio(pairs: Sequence[tuple[float, float]], *, seed: int = 0) -> Ratio:
    """pairs: (the measured, what it is compared with), taken one right after the other. Needs one pair at least."""
    ratios = [measured / reference for measured, reference in pairs]
    rng = random.Random(seed)  # noqa: S311
    medians = sorted(median(rng.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    low, high = quantile(medians, 0.025), quantile(medians, 0.975)
    return Ratio(median=round(median(ratios), 4), low=round(low, 4), high=round(high, 4), pairs=len(ratios))


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 1) if values else None


def _ms(ordered: Sequence[float], share: float) -> float | None:
    return round(1000 * quantile(ordered, share), 2) if ordered else None
