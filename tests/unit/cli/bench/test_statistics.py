"""Figures against hand-computed ones."""

import pytest

from fairlead_cli.bench.asking import Outcome
from fairlead_cli.bench.statistics import Failed, level_result, median, quantile, ratio


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([7.0], 0.99, 7.0, id="one value is every quantile"),
        pytest.param([1.0, 2.0], 0.5, 1.5, id="between two"),
        pytest.param([1.0, 2.0, 3.0, 4.0, 5.0], 0.5, 3.0, id="an odd number's middle"),
        pytest.param([0.0, 10.0, 20.0, 30.0], 0.99, 29.7, id="0.97 of the way from the third to the fourth"),
        pytest.param([float(n) for n in range(101)], 0.99, 99.0, id="exactly one of them"),
        pytest.param([1.0, 2.0, 3.0], 1.0, 3.0, id="the highest"),
        pytest.param([1.0, 2.0, 3.0], 0.0, 1.0, id="the lowest"),
    ],
)
def test_quantiles_lie_between_neighbours(values: list[float], share: float, expected: float) -> None:
    assert quantile(values, share) == pytest.approx(expected)


def test_the_median_needs_no_order() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0


def test_a_levels_figures() -> None:
    outcomes = [
        # 10 tokens in 2 s: 5 a second
        Outcome(100.0, seconds=2.0, prompt_tokens=8, tokens=10, first=0.1, gaps=[0.1, 0.3]),
        # 20 tokens in 1 s: 20 a second
        Outcome(101.0, seconds=1.0, prompt_tokens=10, tokens=20, first=0.3, gaps=[0.5]),
        # ends last: its time counts, its tokens do not
        Outcome(100.5, seconds=4.5, tokens=7, first=9.0, gaps=[9.0], error="cut"),
        Outcome(100.5, error="HTTP 500"),
        Outcome(100.5, error="cut"),
    ]

    result = level_result(3, outcomes, busy=0.1234)

    assert (result.success, result.failed) == (2, 3)
    assert result.errors == (Failed(text="cut", count=2), Failed(text="HTTP 500", count=1))
    assert result.seconds == 5.0
    assert result.tok_s == 30 / 5.0
    assert result.per_request_tok_s == 12.5
    assert (result.prompt_tokens, result.output_tokens) == (9.0, 15.0)
    assert (result.latency_p50_ms, result.latency_p99_ms) == (1500.0, 1990.0)
    assert (result.ttft_p50_ms, result.ttft_p99_ms) == (200.0, 298.0)
    assert (result.inter_token_p50_ms, result.inter_token_p99_ms) == (300.0, 496.0)
    assert result.client_busy == 0.123


def test_a_level_without_a_success_has_no_figures() -> None:
    result = level_result(2, [Outcome(1.0, seconds=1.0, error="no"), Outcome(1.0, seconds=2.0, error="no")])

    assert (result.success, result.failed, result.tok_s, result.latency_p50_ms) == (0, 2, 0.0, None)


def test_a_unary_level_has_no_times_between_tokens() -> None:
    result = level_result(1, [Outcome(1.0, seconds=1.0, tokens=4)])

    assert (result.tok_s, result.ttft_p50_ms, result.inter_token_p99_ms, result.prompt_tokens) == (
        4.0,
        None,
        None,
        None,
    )


def test_pairs_that_agree_have_a_point_for_an_interval() -> None:
    result = ratio([(99.0, 100.0)] * 7)

    assert (result.median, result.low, result.high, result.pairs) == (0.99, 0.99, 0.99, 7)
    assert not result.noisy


def test_the_ratio_is_of_pairs_and_not_of_sums() -> None:
    # The machine slowed down eightfold in between; each pair saw 1.1.
    assert ratio([(110.0, 100.0), (55.0, 50.0), (13.75, 12.5)]).median == 1.1


def test_the_interval_holds_the_median_and_its_ends_are_medians_of_resamples() -> None:
    # Of three ratios the resamples' medians are 0.9, 1.0 and 1.1, with 7/27, 13/27 and 7/27: the 2.5 % ends are the outer two.
    result = ratio([(0.9, 1.0), (1.0, 1.0), (1.1, 1.0)])

    assert (result.median, result.low, result.high) == (1.0, 0.9, 1.1)
    assert result.noisy


def test_an_interval_narrows_with_more_pairs() -> None:
    few = [(100.0 + noise, 100.0) for noise in (-3, 0, 3)]

    assert ratio(few * 12).high - ratio(few * 12).low < ratio(few).high - ratio(few).low


def test_the_interval_is_the_same_each_time() -> None:
    pairs = [(100.0 + number % 5, 100.0) for number in range(9)]

    assert ratio(pairs) == ratio(pairs)


def test_of_seven_pairs_the_interval_leaves_out_the_least_and_the_most() -> None:
    """Between them the true median lies with 1 - 2 * (1 + 7) / 2**7, which is what the page says of seven."""
    result = ratio([(number / 10, 1.0) for number in range(7)])

    assert (result.low, result.high) == (0.1, 0.5)
