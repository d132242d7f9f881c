"""Requests at an even rate."""

import threading

import pytest
from scale.pace import paced


def test_each_item_is_done_once_and_no_sooner_than_the_rate() -> None:
    done: list[int] = []

    took = paced(done.append, range(5), 20)

    assert sorted(done) == [0, 1, 2, 3, 4]
    assert took >= 4 / 20


def test_a_slow_one_holds_up_no_other() -> None:
    last = threading.Event()

    def work(item: int) -> None:
        if item:
            last.set()
        else:
            assert last.wait(60)

    paced(work, [0, 1], 1000)


def test_what_fails_is_said() -> None:
    def work(item: int) -> None:
        raise OSError(f"refused {item}")

    with pytest.raises(OSError, match="refused 1"):
        paced(work, [1], 1000)
