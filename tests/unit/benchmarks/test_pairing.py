"""Pairs are interleaved, at least seven, and no more than it takes."""

from collections.abc import Sequence

import pytest
from pairing import pairs

from fairlead_cli.bench.statistics import Ratio, ratio

Pair = tuple[float, float]


def known(have: Sequence[Pair]) -> Ratio:
    return ratio(have)


def measured(
    noise: float, *, seconds: float, most: int, levels: Sequence[int] = (1,)
) -> tuple[list[str], dict[int, list[Pair]]]:
    """Calls in their order, and the pairs. noise: by how much every other pair of A differs."""
    calls: list[str] = []

    def first(level: int, number: int) -> float:
        calls.append(f"A{level}#{number}")
        return 100.0 + noise * (number % 3)

    def second(level: int, number: int) -> float:
        calls.append(f"B{level}#{number}")
        return 100.0

    return calls, pairs(first, second, levels, known, seconds=seconds, most=most)


def test_the_order_is_abba_over_all_levels() -> None:
    calls, _ = measured(0.0, seconds=60, most=2, levels=(1, 8))

    assert calls == ["A1#0", "B1#0", "A8#0", "B8#0", "B1#1", "A1#1", "B8#1", "A8#1"]


@pytest.mark.parametrize(
    ("noise", "seconds", "most", "expected"),
    [
        pytest.param(0.0, 60, 25, 7, id="seven are enough when they agree"),
        pytest.param(10.0, 60, 25, 25, id="a noisy level goes on to the end"),
        pytest.param(10.0, 0, 25, 7, id="without time, seven all the same"),
        pytest.param(0.0, 60, 3, 3, id="never more than the most"),
    ],
)
def test_there_are_as_many_pairs_as_it_takes(noise: float, seconds: float, most: int, expected: int) -> None:
    _, found = measured(noise, seconds=seconds, most=most)

    assert len(found[1]) == expected
    assert all(b == 100.0 for _, b in found[1])


def test_a_level_that_is_known_waits_for_no_other() -> None:
    noisy = {1: 0.0, 8: 10.0}

    found = pairs(
        lambda level, number: 100.0 + noisy[level] * (number % 3), lambda *_: 100.0, (1, 8), known, seconds=60, most=12
    )

    assert {level: len(have) for level, have in found.items()} == {1: 7, 8: 12}
