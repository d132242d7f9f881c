"""The election against an API server of one object, with a clock of its own."""

import threading
import time
from typing import Any

import pytest

from fairlead_operator.controller.kinds import Kind
from fairlead_operator.controller.lease import RENEW_DEADLINE, TICK_DEADLINE, Lease, uptime
from fairlead_operator.controller.outcomes import ApiError, LostLeaseError
from unit.operator.controller.objects import Clock


class OneLease:
    """Stands in for Cluster: get, create, replace with a version check, and failures on demand."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.down = False
        self.writes = 0

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return self.lease

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        if self.down:
            raise ApiError(0, "", "no answer")
        return self.lease

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.lease is not None:
            raise ApiError(409, "AlreadyExists", "exists")
        return self._store(body)

    async def replace(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise ApiError(409, "Conflict", "changed")
        return self._store(body)

    async def close(self) -> None:
        """Nothing to close."""


def candidate(server: OneLease, clock: Clock, name: str) -> tuple[Lease, list[str]]:
    """One contender and the log of what happened to it."""
    log: list[str] = []

    async def connect() -> Any:
        return server

    lease = Lease("ns", "lease", name, connect, lambda: log.append("won"), log.append, now=clock, period=0)
    return lease, log


async def attempt(lease: Lease, server: OneLease) -> None:
    """One period of the loop."""
    await lease._attempt(server)  # type: ignore[arg-type]


async def test_the_first_wins_and_the_second_waits_out_the_duration() -> None:
    server, clock = OneLease(), Clock()
    (first, won), (second, later) = candidate(server, clock, "a"), candidate(server, clock, "b")
    await attempt(first, server)
    await attempt(second, server)
    assert (won, later) == (["won"], [])

    clock.time += 14
    await attempt(second, server)
    assert not second.held
    clock.time += 2
    second.tick()
    await attempt(second, server)

    assert second.held
    assert not first.held
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1


async def test_a_standby_looks_again_when_the_holders_time_runs_out_not_a_period_later() -> None:
    server, clock = OneLease(), Clock()
    (first, _), (second, _) = candidate(server, clock, "a"), candidate(server, clock, "b")
    second.period = 2
    await attempt(first, server)
    await attempt(second, server)
    begin = clock.time
    assert second.next_look() == begin + 2

    clock.time = begin + 14
    assert second.next_look() == pytest.approx(begin + 15.05)

    clock.time = begin + 15.05
    await attempt(second, server)
    assert second.held
    assert second.next_look() == pytest.approx(begin + 17.05)


def test_time_goes_on_while_the_machine_sleeps() -> None:
    """Linux' monotonic clock stands still then; a leader that slept through its Lease would go on writing."""
    assert uptime() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=1)


async def test_a_renewing_leader_is_never_overtaken() -> None:
    server, clock = OneLease(), Clock()
    (first, _), (second, _) = candidate(server, clock, "a"), candidate(server, clock, "b")
    for _ in range(30):
        first.tick()
        await attempt(first, server)
        await attempt(second, server)
        clock.time += 2

        assert first.held
        assert not second.held


async def test_without_renewal_writes_are_refused_before_another_may_take_over() -> None:
    server, clock = OneLease(), Clock()
    lease, _ = candidate(server, clock, "a")
    with pytest.raises(LostLeaseError):
        lease.check()
    await attempt(lease, server)
    lease.check()

    server.down = True
    clock.time += RENEW_DEADLINE
    await attempt(lease, server)

    with pytest.raises(LostLeaseError):
        lease.check()


async def test_a_stuck_reconcile_loop_is_not_renewed() -> None:
    server, clock = OneLease(), Clock()
    lease, _ = candidate(server, clock, "a")
    await attempt(lease, server)
    writes = server.writes

    clock.time += TICK_DEADLINE + 0.1
    await attempt(lease, server)
    assert server.writes == writes

    lease.tick()
    await attempt(lease, server)
    assert server.writes == writes + 1


async def test_losing_a_race_is_no_error() -> None:
    server, clock = OneLease(), Clock()
    lease, log = candidate(server, clock, "a")
    await attempt(lease, server)
    assert server.lease is not None
    stale = server.lease
    server.version += 1

    async def get(*_: Any) -> Any:
        return stale

    server.get = get  # type: ignore[assignment, method-assign]
    other, _ = candidate(server, clock, "a")
    await attempt(other, server)

    assert not other.held
    assert log == ["won"]


def test_the_thread_wins_loses_and_reports() -> None:
    server, lost = OneLease(), threading.Event()
    why: list[str] = []

    async def connect() -> Any:
        return server

    def note(reason: str) -> None:
        why.append(reason)
        lost.set()

    clock = Clock()
    won = threading.Event()
    lease = Lease("ns", "lease", "a", connect, won.set, note, now=clock, period=0)
    lease.start()
    assert won.wait(10)

    server.down = True
    clock.time += RENEW_DEADLINE

    assert lost.wait(10)
    assert "ns/lease" in why[0]
    assert not lease.held
    lease.release()


def test_release_gives_the_lease_back() -> None:
    server, won = OneLease(), threading.Event()

    async def connect() -> Any:
        return server

    lease = Lease("ns", "lease", "a", connect, won.set, lambda _: None, period=0)
    lease.start()
    assert won.wait(10)

    lease.release()

    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == ""
    assert not lease.held


def in_a_thread(
    server: OneLease, clock: Clock, fails: BaseException | None = None
) -> tuple[Lease, threading.Event, list[str]]:
    """A Lease, whether it was lost, and why. fails: connecting does."""
    lost, why = threading.Event(), list[str]()

    async def connect() -> Any:
        if fails:
            raise fails
        return server

    def note(reason: str) -> None:
        why.append(reason)
        lost.set()

    return Lease("ns", "lease", "a", connect, lambda: why.append("won"), note, now=clock, period=0), lost, why


def test_who_sees_another_holder_leads_no_more_though_its_time_is_not_over() -> None:
    server = OneLease()
    lease, lost, why = in_a_thread(server, Clock())
    lease.start()
    while not lease.held:
        time.sleep(0.01)

    assert server.lease is not None
    taken = {**server.lease, "spec": {**server.lease["spec"], "holderIdentity": "b"}}
    # The leader renews without a pause: one of its writes may come in between.
    while not lost.wait(0.05):
        server._store(taken)

    assert "is held by b" in why[-1]
    assert not lease.held
    lease.release()
    assert server.lease["spec"]["holderIdentity"] == "b", "it is not given back either"


def test_who_takes_an_expired_lease_keeps_it() -> None:
    """What it read last is the name of the one that is gone."""
    server, clock = OneLease(), Clock()
    lease, lost, why = in_a_thread(server, clock)
    server._store({"metadata": {}, "spec": {"holderIdentity": "b", "renewTime": "then", "leaseDurationSeconds": 15}})
    lease.start()
    while not lease.held:
        clock.time += 0.5
        time.sleep(0.01)

    assert clock.time > 1015
    assert not lost.wait(0.2)
    assert why == ["won"]
    lease.release()


@pytest.mark.parametrize("where", ["connect", "ask"])
def test_a_thread_that_ends_by_a_bug_is_told(where: str, caplog: pytest.LogCaptureFixture) -> None:
    server, bug = OneLease(), ZeroDivisionError("a bug")

    async def get(*_: Any) -> Any:
        raise bug

    server.get = get  # type: ignore[assignment, method-assign]
    lease, lost, why = in_a_thread(server, Clock(), bug if where == "connect" else None)
    lease.start()

    assert lost.wait(10)
    assert "a bug" in why[0]
    assert any(record.exc_info for record in caplog.records)
    lease.release()
