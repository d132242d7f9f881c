"""Places beside the running requests."""

import contextlib

import pytest

from fairlead_runtime.exchange import Exchange, Message
from fairlead_runtime.queue_limit import QueueLimit
from fairlead_runtime.refusals import RefusedError


async def nothing() -> Message:
    raise AssertionError("nobody reads")


async def nowhere(_: Message) -> None:
    raise AssertionError("nobody answers")


def exchange() -> Exchange:
    return Exchange(nothing, nowhere, body_limit=1, headers=[], closing=lambda: False)


def entered(queue: QueueLimit, requests: int) -> list[Exchange]:
    """Those of `requests` at one instant that were let in."""
    inside = []
    for request in [exchange() for _ in range(requests)]:
        with contextlib.suppress(RefusedError):
            queue.enter(request)
            inside.append(request)
    return inside


@pytest.mark.parametrize(
    ("waits", "sequences", "expected"),
    [
        pytest.param(0, 0, 8, id="none may wait: as many as run"),
        pytest.param(5, 0, 13, id="five may wait"),
        pytest.param(5, 13, 0, id="one request of thirteen sequences fills the engine"),
    ],
)
async def test_places_for_two_thousand_at_one_instant(waits: int, sequences: int, expected: int) -> None:
    queue = QueueLimit(runs=8, waits=waits, unfinished=lambda: sequences)

    assert len(entered(queue, 2000)) == expected


async def test_what_is_inside_and_in_the_engine_counts_once() -> None:
    inside: list[Exchange] = []
    queue = QueueLimit(runs=8, waits=0, unfinished=lambda: len(inside))
    inside += entered(queue, 7)

    assert len(entered(queue, 2)) == 1


async def test_a_place_is_given_away_once() -> None:
    queue = QueueLimit(runs=1, waits=0, unfinished=lambda: 0)
    (inside,) = entered(queue, 2)
    queue.leave(exchange())
    assert entered(queue, 1) == []

    queue.leave(inside)
    queue.leave(inside)

    assert len(entered(queue, 2)) == 1
