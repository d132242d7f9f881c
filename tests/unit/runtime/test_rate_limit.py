"""Token buckets by a clock that the test turns."""

import pytest

from fairlead_runtime.config import RateLimit
from fairlead_runtime.rate_limit import RateLimiter
from fairlead_runtime.refusals import Refusal, RefusedError


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def limiter(clock: Clock, rate: int, burst: int | None = None, *, max_buckets: int = 100) -> RateLimiter:
    return RateLimiter(RateLimit(requests_per_second=rate, burst=burst), clock, max_buckets=max_buckets)


def admitted(limiter: RateLimiter, requests: int, key: bytes = b"") -> int:
    """How many of `requests` at one instant are let in."""
    return sum(refusal(limiter, key) is None for _ in range(requests))


def refusal(limiter: RateLimiter, key: bytes = b"") -> Refusal | None:
    try:
        limiter.take(key)
    except RefusedError as refused:
        return refused.refusal
    return None


@pytest.mark.parametrize(
    ("rate", "burst", "expected"),
    [
        pytest.param(5, None, 5, id="without a burst, as many as in a second"),
        pytest.param(5, 20, 20, id="a burst above the rate"),
        pytest.param(5, 1, 1, id="a burst below the rate"),
    ],
)
def test_a_full_bucket_holds_the_burst(rate: int, burst: int | None, expected: int) -> None:
    assert admitted(limiter(Clock(), rate, burst), 100) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0.05, 0, id="not yet a token"),
        pytest.param(0.125, 1, id="a token"),
        pytest.param(0.5, 5, id="in proportion"),
        pytest.param(3600.0, 20, id="never more than the burst"),
        pytest.param(-5.0, 0, id="a clock that goes back gives nothing"),
    ],
)
def test_tokens_come_back_at_the_rate(seconds: float, expected: int) -> None:
    clock = Clock()
    limit = limiter(clock, 10, 20)
    assert admitted(limit, 100) == 20

    clock.seconds += seconds

    assert admitted(limit, 100) == expected


def test_over_an_hour_the_rate_is_kept_whatever_the_rhythm() -> None:
    clock = Clock()
    limit = limiter(clock, 3, 7)
    let_in = 0
    for _ in range(36_000):
        let_in += admitted(limit, 2)
        clock.seconds += 0.1

    assert abs(let_in - (3 * 3600 + 7)) <= 1


def test_a_refusal_costs_nothing_and_says_when_to_come_back() -> None:
    clock = Clock()
    limit = limiter(clock, 1, 1)
    assert admitted(limit, 1) == 1

    clock.seconds += 0.5
    refused = [refusal(limit) for _ in range(1000)][-1]

    assert refused is not None
    assert (refused.status, refused.code, refused.retry_after) == (429, "rate_limit_exceeded", 1)
    clock.seconds += refused.retry_after or 0
    assert refusal(limit) is None


def test_each_key_has_its_own_bucket() -> None:
    limit = limiter(Clock(), 2)

    assert [admitted(limit, 5, key) for key in (b"a", b"b", b"a")] == [2, 2, 0]


def test_the_bucket_used_longest_ago_is_forgotten_first() -> None:
    limit = limiter(Clock(), 1, max_buckets=2)
    for key in (b"a", b"b", b"a", b"c"):
        admitted(limit, 1, key)

    assert len(limit._buckets) == 2
    assert [admitted(limit, 1, key) for key in (b"a", b"b")] == [0, 1]
