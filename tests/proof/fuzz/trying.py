"""How a target is fuzzed: so many examples, counted, with the work of each bounded.

Two Hypothesis profiles: `proof-ci` derives its examples from the test's name, so that every run tries the same ones; `proof-full`
(FAIRLEAD_PROOF=full) tries ten times as many, from a seed that is printed and can be given as FAIRLEAD_PROOF_SEED.
"""

import contextlib
import functools
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import UnsatisfiedAssumption
from hypothesis.strategies import SearchStrategy

from proof.results import FULL

#: Examples of one target in CI; a target that takes longer has a share of it.
EXAMPLES = 100
SEED = int(os.environ.get("FAIRLEAD_PROOF_SEED") or random.SystemRandom().getrandbits(32))

settings.register_profile(
    "proof-ci",
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("proof-full", settings.get_profile("proof-ci"), max_examples=10 * EXAMPLES, derandomize=False)
PROFILE = settings.get_profile("proof-full" if FULL else "proof-ci")

#: By target: examples that were tried, and the targets that failed.
TRIED: Counter[str] = Counter()
FAILED: set[str] = set()


def fuzzed(target: str, *strategies: SearchStrategy[Any], share: float = 1.0) -> Callable[[Callable[..., None]], Any]:
    """A test of `target` for values of the strategies, its last parameters. share: of the profile's examples."""

    def around(test: Callable[..., None]) -> Any:
        @functools.wraps(test)
        def counted(*args: Any, **kwargs: Any) -> None:
            try:
                test(*args, **kwargs)
            except UnsatisfiedAssumption:
                raise
            except Exception:
                FAILED.add(target)
                raise
            finally:
                TRIED[target] += 1

        limited = settings(PROFILE, max_examples=max(1, int(PROFILE.max_examples * share)))
        found = limited(given(*strategies)(counted))
        return pytest.mark.timeout(3600 if FULL else 300)(seed(SEED)(found) if FULL else found)

    return around


class TooMuchWorkError(AssertionError):
    """More calls than the input can be worth: on the way to never ending."""


@contextlib.contextmanager
def work(most: int) -> Iterator[None]:
    """Ends what makes more than `most` calls of Python functions; counted, since time says nothing on a busy machine."""
    left = most

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal left
        if event == "call":
            left -= 1
            if left < 0:
                sys.setprofile(None)
                raise TooMuchWorkError(f"more than {most:,} calls")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
