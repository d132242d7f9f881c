"""Pairs of measurements, interleaved, until their ratio is known well enough or the time is up."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from fairlead_cli.bench.statistics import LEAST_PAIRS, Ratio

T = TypeVar("T")


def pairs(
    first: Callable[[int, int], T],
    second: Callable[[int, int], T],
    levels: Sequence[int],
    known: Callable[[Sequence[tuple[T, T]]], Ratio],
    *,
    seconds: float,
    most: int,
) -> dict[int, list[tuple[T, T]]]:
    """For each level, pairs of (first's, second's) results; each is called with the level and the pair's number, which seeds its prompts.

    The order is A B, B A, A B, ...: a machine that gets slower or faster meanwhile is on nobody's side. A level is done when it has
    seven pairs and a narrow interval; after `seconds`, or `most` pairs, all that have seven are.
    """
    deadline = time.monotonic() + seconds
    results: dict[int, list[tuple[T, T]]] = {level: [] for level in levels}
    for number in range(most):
        for level in levels:
            have = results[level]
            if len(have) >= LEAST_PAIRS and (time.monotonic() > deadline or not known(have).noisy):
                continue
            if number % 2:
                b = second(level, number)
                a = first(level, number)
            else:
                a = first(level, number)
                b = second(level, number)
            have.append((a, b))
            so_far = known(have)
            print(f"{level:4} #{number + 1}: {so_far.median:.3f} [{so_far.low:.3f}, {so_far.high:.3f}]", flush=True)
    return results
