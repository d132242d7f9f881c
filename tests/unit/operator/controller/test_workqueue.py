import asyncio

from fairlead_operator.controller.workqueue import FIRST_BACKOFF, LONGEST_BACKOFF, WorkQueue
from unit.operator.controller.objects import Clock

A, B = ("ns", "a"), ("ns", "b")


async def test_a_waiting_key_is_not_queued_twice() -> None:
    queue = WorkQueue()
    queue.add(A)
    queue.add(B)
    queue.add(A)

    assert queue.depth == 2
    assert [await queue.get(), await queue.get()] == [A, B]
    assert queue.depth == 0


async def test_a_key_in_work_is_done_once_more_afterwards_never_at_the_same_time() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    queue.add(A)
    queue.add(A)
    assert queue.depth == 0

    queue.done(A)

    assert queue.depth == 1


async def test_the_earliest_of_several_delays_wins() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add_after(A, 30)
    queue.add_after(A, 5)
    queue.add_after(A, 60)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()

    clock.time += 5
    queue.add_after(B, 99)  # wakes the worker, which looks at the clock

    assert await waiting == A
    clock.time += 50
    queue.done(A)
    assert queue.depth == 0, "the later delays were overtaken"


async def test_an_add_overtakes_a_delay() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add_after(A, 30)
    queue.add(A)
    assert await queue.get() == A
    queue.done(A)
    clock.time += 31
    queue.add(B)

    assert await queue.get() == B
    assert queue.depth == 0


def test_failures_back_off_per_key_and_success_forgets_them() -> None:
    queue = WorkQueue(Clock())

    waits = [queue.add_backed_off(A) for _ in range(12)]

    assert waits[:4] == [FIRST_BACKOFF * factor for factor in (1, 2, 4, 8)]
    assert waits[-1] == LONGEST_BACKOFF
    assert queue.add_backed_off(B) == FIRST_BACKOFF
    queue.forget(A)
    assert queue.add_backed_off(A) == FIRST_BACKOFF


async def test_a_closed_queue_sends_its_workers_home() -> None:
    queue = WorkQueue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)

    queue.close()

    assert await asyncio.gather(*workers) == [None, None, None]
    queue.add(A)
    assert await queue.get() is None


async def test_every_waiting_worker_gets_work() -> None:
    queue = WorkQueue()
    workers = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)

    queue.add(A)
    queue.add(B)

    assert set(await asyncio.gather(*workers)) == {A, B}
