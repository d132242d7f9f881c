"""When a request that keeps failing is told, and in which words."""

import logging

import pytest

from fairlead_operator.controller.refusals import LASTS, TRIES, Refusals
from fairlead_operator.core.refusal import Refusal
from unit.operator.controller.objects import Clock

KEY = ("ns", "mistral")
QUOTA = Refusal("apply Service mistral", "403 Forbidden: exceeded quota")
WEBHOOK = Refusal("apply Service mistral", "500 InternalError: failed calling webhook")
DEPLOYMENT = Refusal("apply Deployment mistral", "403 Forbidden: exceeded quota")
#: Seconds after the first try, as the queue backs off.
BACKED_OFF = (0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 31.75, 63.75)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> Refusals:
    return Refusals(clock)


def fail(refusals: Refusals, found: Refusal, *, known: bool = False) -> Refusal | None:
    return refusals.failed(KEY, "uid", found, known=known)


def last(refusals: Refusals, clock: Clock, found: Refusal) -> None:
    """It has failed for long enough."""
    for _ in range(TRIES - 1):
        assert fail(refusals, found) is None
    clock.time += LASTS
    assert fail(refusals, found) == found


def test_it_is_told_after_a_minute_of_tries(refusals: Refusals, clock: Clock) -> None:
    begin, told = clock.time, []

    for after in BACKED_OFF:
        clock.time = begin + after
        told.append(fail(refusals, QUOTA))

    assert told == [None] * (len(BACKED_OFF) - 1) + [QUOTA]


def test_many_tries_at_once_are_not_enough(refusals: Refusals, clock: Clock) -> None:
    for _ in range(20 * TRIES):
        assert fail(refusals, QUOTA) is None
        clock.time += 0.9 * LASTS / (20 * TRIES)


def test_few_tries_over_a_long_time_are_not_enough(refusals: Refusals, clock: Clock) -> None:
    """A request that is answered by nobody takes half a minute for each."""
    for _ in range(TRIES - 1):
        assert fail(refusals, QUOTA) is None
        clock.time += LASTS

    assert fail(refusals, QUOTA) == QUOTA


def test_a_try_that_gets_further_begins_anew(refusals: Refusals, clock: Clock) -> None:
    """As many requests as there are may fail once each."""
    for number in range(10 * TRIES):
        assert fail(refusals, Refusal(f"apply ConfigMap {number}", "500 InternalError")) is None
        clock.time += LASTS / 2


def test_other_words_for_the_same_request_do_not_begin_anew(refusals: Refusals, clock: Clock) -> None:
    for _ in range(TRIES):
        assert fail(refusals, QUOTA) is None
    clock.time += LASTS

    assert fail(refusals, WEBHOOK) == WEBHOOK


def test_a_reconcile_that_comes_through_ends_it(refusals: Refusals, clock: Clock) -> None:
    last(refusals, clock, QUOTA)

    refusals.ended(KEY)

    assert fail(refusals, QUOTA) is None


def test_services_are_counted_one_by_one(refusals: Refusals, clock: Clock) -> None:
    last(refusals, clock, QUOTA)

    assert refusals.failed(("ns", "other"), "uid", QUOTA, known=False) is None


def test_another_service_of_the_same_name_begins_anew(refusals: Refusals, clock: Clock) -> None:
    """Nobody need have looked between the one and the other."""
    last(refusals, clock, QUOTA)

    assert [refusals.failed(KEY, "another", QUOTA, known=False) for _ in range(2)] == [None, None]


@pytest.mark.parametrize("other", [WEBHOOK, DEPLOYMENT], ids=["in other words", "another request"])
def test_another_refusal_is_told_when_it_has_come_twice(refusals: Refusals, clock: Clock, other: Refusal) -> None:
    last(refusals, clock, QUOTA)

    assert [fail(refusals, other), fail(refusals, other), fail(refusals, QUOTA)] == [QUOTA, other, other]


def test_what_changes_with_each_try_changes_nothing_that_is_told(refusals: Refusals, clock: Clock) -> None:
    last(refusals, clock, QUOTA)

    told = {fail(refusals, Refusal(QUOTA.request, f"500 InternalError: try {number}")) for number in range(20)}
    told |= {fail(refusals, found) for _ in range(20) for found in (WEBHOOK, QUOTA)}

    assert told == {QUOTA}


def test_after_a_restart_it_is_told_on_when_it_has_come_twice(refusals: Refusals) -> None:
    """The status says it already, stays as it is until then, and follows what else changes."""
    tried = (QUOTA, WEBHOOK, DEPLOYMENT, QUOTA, QUOTA, WEBHOOK)

    assert [fail(refusals, found, known=True) for found in tried] == [None, None, None, None, QUOTA, QUOTA]


def test_the_log_warns_once(refusals: Refusals, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    last(refusals, clock, QUOTA)
    for _ in range(10):
        fail(refusals, QUOTA)

    assert [(record.levelno, record.why) for record in caplog.records] == [(logging.WARNING, QUOTA.words)]  # type: ignore[attr-defined]
