import pytest

from fairlead_operator.controller.bucket import TokenBucket
from unit.operator.controller.objects import Clock


def test_a_burst_passes_then_the_rate_holds() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=Clock())

    assert [bucket.reserve() for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])


def test_tokens_come_back_up_to_the_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=10, burst=2, now=clock)
    for _ in range(2):
        bucket.reserve()
    clock.time += 3600

    assert [bucket.reserve() for _ in range(3)] == pytest.approx([0, 0, 0.1])


def test_the_servers_retry_after_is_kept() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=10, burst=5, now=clock)

    bucket.pause(2)

    assert bucket.reserve() == pytest.approx(2.1)
    clock.time += 3
    assert bucket.reserve() == 0


def test_a_silence_begins_when_it_is_asked_for() -> None:
    """Not when the last token was taken: the request that is answered so may have been on its way for long."""
    clock = Clock()
    bucket = TokenBucket(rate=10, burst=5, now=clock)
    bucket.reserve()
    clock.time += 3

    bucket.pause(2)

    assert bucket.reserve() == pytest.approx(2.1)


def test_silence_is_kept_for_no_longer_than_the_longest_pause() -> None:
    bucket = TokenBucket(rate=10, burst=5, now=Clock(), longest_pause=2)

    bucket.pause(30)

    assert bucket.reserve() == pytest.approx(2.1)
