"""How many replicas, from what pods are busy with."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.api.autoscaling import Autoscaling
from fairlead_operator.core.autoscale import Memory, Outlook, Recommendation, Replica, State, configured, decide
from fairlead_operator.core.load import Load

START = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
ROUND = timedelta(seconds=5)


def rules(**more: Any) -> Autoscaling:
    """One to eight replicas, five may wait in each, fewer after 300 s."""
    return Autoscaling.model_validate({"maxReplicas": 8, **more})


def ready(running: int = 0, waiting: int = 0, kv: int = 0, idle: int = 0, slots: int = 64) -> Replica:
    return Replica(ready=True, load=Load(running, waiting, kv, idle, slots))


STARTING = Replica(ready=False)
SILENT = Replica(ready=True)


class Service:
    """Looked at every five seconds; the decisions are carried out at once."""

    def __init__(self, replicas: int, **more: Any) -> None:
        self.rules, self.replicas = rules(**more), replicas
        self.memory: Memory | None = None
        self.now = START

    def look(self, *pods: Replica) -> Outlook:
        outlook = decide(self.rules, self.replicas, pods, self.memory, self.now)
        self.memory = outlook.memory
        self.now += ROUND
        if outlook.to is not None:
            self.replicas = outlook.to
            self.memory = Memory(self.memory.since, outlook.to, self.memory.recent)
        return outlook

    def after(self, seconds: int, *pods: Replica) -> int:
        """Replicas once that has been the load for so long."""
        until = self.now + timedelta(seconds=seconds)
        while self.now < until:
            self.look(*pods)
        return self.replicas


@pytest.mark.parametrize(
    ("replicas", "pods", "expected"),
    [
        pytest.param(1, [ready(4, 5)], None, id="as many wait as may"),
        pytest.param(1, [ready(4, 6)], 2, id="more wait than may"),
        pytest.param(1, [ready(4, 31)], 4, id="35 requests, of which a replica takes 4 and lets 5 wait"),
        pytest.param(1, [ready(256, 50)], 2, id="one more takes all that wait"),
        pytest.param(1, [ready(256, 20)], 2, id="a large replica's queue counts as any other's"),
        pytest.param(1, [ready(0, 500)], 8, id="never more than maxReplicas"),
        pytest.param(2, [ready(4, 12), ready(4, 0)], 3, id="12 wait on two: 6 on average"),
        pytest.param(2, [ready(4, 11), ready(4, 0)], None, id="the average is within the tolerance"),
        pytest.param(1, [ready(9, 0, kv=95)], 2, id="the KV cache is fuller than wanted"),
        pytest.param(2, [ready(9, 0, kv=87), ready(9, 0, kv=88)], None, id="and now within the tolerance"),
        pytest.param(1, [ready(4, 14, kv=95)], 2, id="the larger need counts: KV cache asks for two, and so do requests"),
        pytest.param(2, [ready(4, 6), STARTING], None, id="the one that starts will take them"),
        pytest.param(2, [ready(4, 40), STARTING], 5, id="one that starts will not do: the need is absolute"),
        pytest.param(5, [ready(4, 40), STARTING, STARTING, STARTING, STARTING], None, id="and the same load asks for no more"),
        pytest.param(2, [ready(4, 12), SILENT], 3, id="a silent pod counts as idle, and blocks nothing"),
        pytest.param(2, [ready(4, 9), SILENT], None, id="a silent pod counts as idle: 9 on two"),
    ],
)  # fmt: skip
def test_more_replicas(replicas: int, pods: list[Replica], expected: int | None) -> None:
    assert Service(replicas).look(*pods).to == expected


@pytest.mark.parametrize(
    ("replicas", "pods", "expected"),
    [
        pytest.param(3, [ready(), ready(), ready()], 1, id="one is enough for nothing"),
        pytest.param(3, [ready(20), ready(20), ready(20)], 2, id="60 requests: 64 at a time would leave no room"),
        pytest.param(3, [ready(10), ready(10), ready(10)], 1, id="30 requests find place in one of 64"),
        pytest.param(3, [ready(5, 0, kv=50), ready(5, 0, kv=50), ready(5)], 2, id="the KV caches fit into two"),
        pytest.param(3, [ready(5, 0, kv=70), ready(5, 0, kv=70), ready(5, 0, kv=70)], 3, id="the KV caches do not"),
        pytest.param(2, [ready(4, 3), ready(4, 3)], 2, id="requests wait already"),
        pytest.param(2, [ready(4, slots=0), ready(4, slots=0)], 1, id="how many it takes is not known: as many as now, and those that may wait"),
        pytest.param(2, [ready(9, slots=0), ready(9, slots=0)], 2, id="not known, and nearly twice as many"),
        pytest.param(3, [ready(), ready(), SILENT], 2, id="a silent pod counts as full"),
        pytest.param(2, [ready(), SILENT], 2, id="a silent pod counts as full, and one is needed for the others"),
        pytest.param(3, [ready(10), ready(10), STARTING], 1, id="one that starts carries nothing"),
        pytest.param(2, [SILENT, SILENT], 2, id="nothing is known"),
        pytest.param(2, [STARTING, STARTING], 2, id="nothing is Ready"),
    ],
)  # fmt: skip
def test_fewer_replicas_after_the_delay(replicas: int, pods: list[Replica], expected: int) -> None:
    service = Service(replicas)

    assert service.after(300, *pods) == replicas, "not before the delay, counted from the first look"
    assert service.after(20, *pods) == expected


def test_a_spike_begins_the_delay_anew() -> None:
    service = Service(2, scaleDownDelaySeconds=60)
    service.after(50, ready(), ready())
    service.look(ready(60), ready(60))

    assert service.after(50, ready(), ready()) == 2
    assert service.after(20, ready(), ready()) == 1


def test_it_falls_to_the_highest_need_of_the_delay() -> None:
    service = Service(4, scaleDownDelaySeconds=60)
    service.after(30, *[ready()] * 4)
    service.after(10, *[ready(25)] * 4)

    assert service.after(40, *[ready()] * 4) == 2
    assert service.after(30, *[ready()] * 2) == 1


def test_a_constant_load_is_answered_once() -> None:
    """120 requests that last: the queue asks for more, what came is kept, and nothing moves any more."""
    service = Service(1, scaleDownDelaySeconds=30)
    taken = []
    for _ in range(100):
        each = 120 // service.replicas
        taken.append(service.look(*[ready(min(each, 16), max(0, each - 16), slots=16)] * service.replicas).to)

    assert [number for number in taken if number] == [6]


def test_without_a_delay_fewer_come_at_the_second_look() -> None:
    service = Service(3, scaleDownDelaySeconds=0)
    service.look(ready(), ready(), ready())

    assert service.look(ready(), ready(), ready()).to == 1


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [pytest.param(1, 2, id="below"), pytest.param(9, 8, id="above"), pytest.param(2, None, id="within")],
)
def test_bounds_hold_whatever_the_load(replicas: int, expected: int | None) -> None:
    assert Service(replicas, minReplicas=2).look().to == expected


def test_what_somebody_else_sets_is_where_it_goes_on_from() -> None:
    service = Service(1, scaleDownDelaySeconds=60)
    service.after(120, ready())
    service.replicas = 5

    assert service.after(60, *[ready()] * 5) == 5, "it stays for the delay"
    assert service.after(20, *[ready()] * 5) == 1


@pytest.mark.parametrize("idle", [899, 900])
def test_it_falls_asleep_when_there_was_no_request_for_long_enough(idle: int) -> None:
    service = Service(1, minReplicas=0)

    assert service.after(60, ready(idle=idle)) == (1 if idle < 900 else 0)


@pytest.mark.parametrize(
    ("pods", "more"),
    [
        pytest.param([ready(idle=5000)], {"minReplicas": 1}, id="minReplicas is 1"),
        pytest.param([ready(idle=5000), ready(idle=3)], {}, id="one had a request"),
        pytest.param([ready(idle=5000), STARTING], {}, id="one is just starting"),
        pytest.param([ready(idle=5000), SILENT], {}, id="one does not say"),
        pytest.param([ready(1, idle=0)], {}, id="a request runs"),
    ],
)
def test_it_stays_awake(pods: list[Replica], more: dict[str, Any]) -> None:
    service = Service(len(pods), **{"minReplicas": 0, "scaleDownDelaySeconds": 3600, **more})

    assert service.after(200, *pods) == len(pods)


def test_a_new_operator_puts_nothing_to_sleep_at_its_first_look() -> None:
    service = Service(1, minReplicas=0)

    assert service.after(30, ready(idle=5000)) == 1
    assert service.after(30, ready(idle=5000)) == 0


@pytest.mark.parametrize("minimum", [0, 2])
def test_asleep_it_stays_until_somebody_wakes_it(minimum: int) -> None:
    service = Service(0, minReplicas=minimum)

    assert service.after(60) == 0
    service.replicas = 1
    assert service.after(60, ready(idle=30)) == max(1, minimum)


@pytest.mark.parametrize(
    ("replicas", "pods", "expected"),
    [
        pytest.param(2, [ready(9), ready(9)], State.ACTIVE, id="within the bounds"),
        pytest.param(1, [ready()], State.AT_MINIMUM, id="at the least"),
        pytest.param(8, [ready(4, 50)] * 8, State.AT_MAXIMUM, id="the load asks for more than allowed"),
        pytest.param(8, [ready(40)] * 8, State.ACTIVE, id="at the most, and that is enough"),
        pytest.param(1, [SILENT], State.UNAVAILABLE, id="no Ready pod answers"),
        pytest.param(2, [SILENT, ready(70, slots=100)], State.ACTIVE, id="one of two answers"),
        pytest.param(1, [STARTING], State.STARTING, id="none is Ready"),
        pytest.param(1, [], State.STARTING, id="there is none"),
        pytest.param(0, [], State.ASLEEP, id="asleep"),
    ],
)
def test_where_it_stands(replicas: int, pods: list[Replica], expected: State) -> None:
    assert Service(replicas).look(*pods).state is expected


def test_a_suspended_service_is_left_alone() -> None:
    outlook = decide(rules(minReplicas=3), 1, [], None, START, suspended=True)

    assert (outlook.state, outlook.to) == (State.SUSPENDED, None)


@pytest.mark.parametrize(
    ("replicas", "pods", "expected"),
    [
        pytest.param(1, [ready(4, 31)], "31 requests wait on 1 Ready, more than 5 each; one computes 4 at a time", id="requests"),
        pytest.param(1, [ready(4, 0, kv=97)], "requests take 97% of the KV cache on average, more than 80%", id="KV cache"),
        pytest.param(9, [], "maxReplicas is 8", id="bound"),
    ],
)  # fmt: skip
def test_the_reason_has_the_numbers(replicas: int, pods: list[Replica], expected: str) -> None:
    assert Service(replicas).look(*pods).reason == expected


def test_the_memory_of_a_long_delay_stays_short() -> None:
    service = Service(3, scaleDownDelaySeconds=86_400)
    service.after(3600, ready(9), ready(9), ready(9))

    assert service.memory is not None
    assert service.memory.recent[0] == Recommendation(START, 3)
    assert len(service.memory.recent) <= 3


@pytest.mark.parametrize("raw", [None, {"minReplicas": 1}, {"maxReplicas": "many"}])
def test_what_cannot_be_read_is_not_configured(raw: Any) -> None:
    assert configured({"spec": {"autoscaling": raw}}) is None


LOADS = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 200), st.integers(0, 100)), min_size=1, max_size=60)


@given(LOADS, st.integers(0, 2), st.integers(2, 6))
def test_whatever_the_load_it_stays_within_its_bounds_and_takes_nothing_away_too_early(
    loads: list[tuple[int, int, int]], minimum: int, maximum: int
) -> None:
    """Each load holds for one look; a replica may go when nothing of the last minute asked for it."""
    service = Service(2, minReplicas=minimum, maxReplicas=maximum, scaleDownDelaySeconds=60)
    numbers = [2]
    for load in loads:
        service.look(*[ready(*load)] * service.replicas)
        numbers.append(service.replicas)
        if numbers[-1] < numbers[-2]:
            assert len(numbers) > 12, "not before it has looked for a minute"

        assert max(1, minimum) <= numbers[-1] <= maximum
