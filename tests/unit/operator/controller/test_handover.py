"""What one thread saw is told in another's loop: all of it, in order, and not so much at a time that the loop stands still."""

import asyncio
from threading import Thread
from typing import Any

from fairlead_operator.controller.handover import AT_A_TIME, HandOver
from fairlead_operator.controller.kinds import PODS
from unit.operator.controller.objects import obj


async def test_everything_comes_in_the_order_in_which_it_was_seen() -> None:
    over, told = HandOver(asyncio.get_running_loop()), list[int]()
    number = 20 * AT_A_TIME + 1

    def see() -> None:
        for version in range(number):
            over.put(lambda _, seen: told.append(int(seen["metadata"]["resourceVersion"])), PODS, obj(version=version))

    thread = Thread(target=see)
    thread.start()
    async with asyncio.timeout(20):
        while len(told) < number:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
    thread.join()

    assert told == list(range(number))


async def test_other_work_has_its_turn_between() -> None:
    over, told, between = HandOver(asyncio.get_running_loop()), list[Any](), list[int]()
    for _ in range(3 * AT_A_TIME):
        over.put(lambda *seen: told.append(seen), PODS, obj())

    while len(told) < 3 * AT_A_TIME:
        await asyncio.sleep(0)
        between.append(len(told))

    assert AT_A_TIME in between
    assert 2 * AT_A_TIME in between
