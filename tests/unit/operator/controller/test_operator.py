"""Many services, and one event loop that the Lease, the health endpoints and the watches share with them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from fairlead_operator.controller.kinds import INFERENCE_SERVICES
from fairlead_operator.controller.operator import Operator
from fairlead_operator.controller.reconciler import Report
from fairlead_operator.controller.store import Key
from fairlead_operator.settings import Settings
from unit.operator.builders import service

MANY = 1000
RESYNC = 0.5


class Looks:
    """Stands in for the reconciler: each look finds nothing to do, and waits for nothing."""

    def __init__(self) -> None:
        self.at: list[float] = []

    async def reconcile(self, _: Key) -> Report:
        self.at.append(asyncio.get_running_loop().time())
        return Report()


@asynccontextmanager
async def working(looks: Looks) -> AsyncIterator[Operator]:
    """One that leads, with a store in step and one worker."""
    operator = Operator(Settings(runtime_image="r:1", runtime_image_cpu="c:1", resync_seconds=RESYNC))
    synced = asyncio.Event()
    parts: Any = operator
    parts.reconciler, parts.freshness = looks, SimpleNamespace(synced=synced)
    parts._leading.set()
    worker = asyncio.create_task(parts._work())
    synced.set()
    try:
        yield operator
    finally:
        operator.queue.close()
        await worker


def test_others_get_their_turn_while_a_thousand_services_are_looked_at() -> None:
    async def turns() -> int:
        looks, turns = Looks(), 0
        async with working(looks) as operator:
            for index in range(MANY):
                operator.queue.add(("models", f"s{index}"))
            while len(looks.at) < MANY:
                await asyncio.sleep(0)
                turns += 1
        return turns

    assert asyncio.run(turns()) >= MANY / 2


def test_a_resync_is_spread_over_its_interval() -> None:
    async def spread() -> float:
        looks = Looks()
        async with working(looks) as operator:
            for index in range(20):
                raw = service(f"s{index}").raw
                raw["metadata"] |= {"uid": f"u{index}", "resourceVersion": str(index)}
                operator.store.observe(INFERENCE_SERVICES, raw)
            resync: Any = operator
            task = asyncio.create_task(resync._resync())
            while len(looks.at) < 20:  # noqa: ASYNC110 - the worker tells nobody
                await asyncio.sleep(0.01)
            task.cancel()
        return looks.at[-1] - looks.at[0]

    assert asyncio.run(spread()) > RESYNC / 2


def test_watches_that_begin_anew_blind_nobody_though_they_make_unready() -> None:
    """For a moment: the alerts that go by what is told of services would begin their waits anew."""
    operator: Any = Operator(Settings(runtime_image="r:1", runtime_image_cpu="c:1"))
    unsynced = ""
    operator.lease = SimpleNamespace(now=lambda: 100.0, last_contact=100.0)
    operator.informer = SimpleNamespace(trouble="the watches are restarted")
    operator.freshness = SimpleNamespace(unready=lambda: unsynced)
    assert (operator._blind(), bool(operator._unready())) == ("", True)

    unsynced = "the store is not synced yet"
    assert operator._blind() == unsynced
    unsynced = ""
    operator.lease.last_contact = 0.0
    assert "has not answered" in operator._blind()
