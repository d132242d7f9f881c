"""Keeps how many examples were tried, and prints the seed with which they can be tried again."""

from collections.abc import Iterator

import pytest

from proof.fuzz.trying import FAILED, PROFILE, SEED, TRIED
from proof.results import FULL, Tally

WHICH = f"FAIRLEAD_PROOF_SEED={SEED}" if FULL else "the same in every run"


@pytest.fixture(scope="session", autouse=True)
def kept() -> Iterator[None]:
    """Once for all targets, when the last one is done."""
    yield
    tally = Tally("fuzz")
    tally.notes.append(f"fuzz: {PROFILE.max_examples:,} examples a target or a share of it; {WHICH}")
    for target, count in TRIED.items():
        # A target fails once: how often Hypothesis repeats that to find the smallest example says nothing.
        failed = target in FAILED
        tally.count(target, failed=False, times=count - failed)
        if failed:
            tally.count(target, failed=True)
    tally.keep()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many, and how to try the same again."""
    if TRIED:
        terminalreporter.write_line(f"fuzzed: {sum(TRIED.values()):,} examples of {len(TRIED)} targets, {WHICH}")
