"""Stuck or busy: a table of engines."""

import asyncio
from collections.abc import Callable

import pytest

from fairlead_runtime.processes import Process
from fairlead_runtime.refusals import OVERLOADED, Refusal, RefusedError
from fairlead_runtime.watchdog import Engine, Thresholds, Watchdog


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeEngine:
    """One pending request, a step counter, one process; its canary answers unless `mute`, and with a `refusal` or a `failure` where there
    is one.
    """

    def __init__(self) -> None:
        self.pending = 1
        self.steps = 10.0
        self.state = "S"
        self.cpu = 100.0
        self.mute = True
        self.refusal: Refusal | None = None
        self.failure: Exception | None = None
        self.canaries = 0
        self.looks = 0

    async def canary(self) -> None:
        self.canaries += 1
        if self.refusal:
            raise RefusedError(self.refusal)
        if self.failure:
            raise self.failure
        if self.mute:
            await asyncio.Event().wait()

    def processes(self) -> tuple[Process, ...]:
        self.looks += 1
        return (Process(7, 1, "EngineCore", self.state, self.cpu),)

    def seen(self) -> Engine:
        return Engine(
            pending=lambda: self.pending,
            progress=lambda: self.steps,
            processes=self.processes,
            canary=self.canary,
        )


def _change(**changes: float | str) -> Callable[[FakeEngine], None]:
    def apply(engine: FakeEngine) -> None:
        for name, value in changes.items():
            setattr(engine, name, value)

    return apply


@pytest.mark.parametrize(
    ("seconds", "change", "expected"),
    [
        pytest.param(61, _change(), "used 0.0 s of CPU", id="work, no step, no CPU for a minute: suspicious"),
        pytest.param(61, _change(cpu=101.0), "used 1.0 s of CPU", id="a poller's CPU is not work"),
        pytest.param(59, _change(), None, id="not yet a minute"),
        pytest.param(61, _change(cpu=150.0), None, id="busy: a long prefill or a compile"),
        pytest.param(299, _change(cpu=390.0), None, id="busy for minutes"),
        pytest.param(301, _change(cpu=390.0), "no engine step for 301 s", id="busy, but no step for five minutes"),
        pytest.param(61, _change(state="T", cpu=150.0), "process 7 (EngineCore) is stopped", id="a stopped process"),
        pytest.param(61, _change(steps=11.0), None, id="a step was made"),
        pytest.param(3600, _change(pending=0), None, id="an idle engine may sleep"),
    ],
)
def test_suspicion(seconds: float, change: Callable[[FakeEngine], None], expected: str | None) -> None:
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), Thresholds(), clock)
    clock.now = seconds
    change(engine)

    suspicion = watchdog.suspicion()

    assert (suspicion is None) == (expected is None)
    assert expected is None or expected in str(suspicion)


def test_the_time_without_work_does_not_count() -> None:
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), Thresholds(), clock)
    engine.pending, clock.now = 0, 1000
    assert watchdog.suspicion() is None

    engine.pending, clock.now = 1, 1030
    assert watchdog.suspicion() is None


def test_requests_given_up_at_their_deadline_do_not_hide_a_stuck_engine() -> None:
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), Thresholds(), clock)
    clock.now = 30
    assert watchdog.suspicion() is None

    engine.pending, clock.now = 0, 61
    assert "no engine step for 61 s" in str(watchdog.suspicion())


def test_an_engine_that_steps_or_idles_costs_no_look_at_its_processes() -> None:
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), Thresholds(), clock)
    before = engine.looks
    for second in range(1, 100):
        clock.now, engine.steps, engine.pending = second, 10.0 + second, second % 2
        assert watchdog.suspicion() is None

    assert engine.looks == before


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        pytest.param(101.0, "used 1.0 s of CPU", id="what it used before does not count"),
        pytest.param(140.0, "None", id="what it used since does"),
    ],
)
def test_an_engine_that_stepped_is_measured_from_its_first_look_without_a_step(cpu: float, expected: str) -> None:
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), Thresholds(), clock)
    clock.now, engine.steps, engine.cpu = 1000, 11.0, 50.0
    assert watchdog.suspicion() is None
    clock.now, engine.cpu = 1001, 100.0
    assert watchdog.suspicion() is None

    clock.now, engine.cpu = 1061, cpu

    assert expected in str(watchdog.suspicion())


QUICK = Thresholds(canary_seconds=0.05, interval_seconds=0)


async def test_a_suspect_whose_canary_fails_is_stalled() -> None:
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), QUICK, clock)
    clock.now = 61

    assert "1 request(s) pending" in await asyncio.wait_for(watchdog.stalled(), 5)
    assert engine.canaries == 1


async def test_an_engine_that_answers_the_canary_is_not_stuck() -> None:
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), QUICK, clock)
    engine.mute = False
    clock.now = 61

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watchdog.stalled(), 0.3)
    assert engine.canaries == 1  # and the time counts from its answer on


async def test_a_canary_that_fails_is_an_answer_too() -> None:
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), QUICK, clock)
    engine.failure, clock.now = RuntimeError("the engine finished a request for one token without a token"), 61

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watchdog.stalled(), 0.3)
    assert engine.canaries == 1  # and the time counts from there on


async def test_an_engine_that_steps_while_the_canary_waits_is_slow_not_stuck() -> None:
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), QUICK, clock)
    clock.now = 61
    stalled = asyncio.ensure_future(watchdog.stalled())
    async with asyncio.timeout(5):
        while not engine.canaries:  # noqa: ASYNC110 - the condition is an attribute
            await asyncio.sleep(0)
    engine.steps += 1

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stalled, 0.3)


FULL = Refusal(503, "too much waits", OVERLOADED)
DEAD = Refusal(500, "the engine died", "engine_dead")


@pytest.mark.parametrize(
    ("refusal", "steps", "stuck"),
    [
        pytest.param(FULL, 0.0, True, id="full of requests that do not move"),
        pytest.param(FULL, 1.0, False, id="full, and stepping"),
        pytest.param(DEAD, 0.0, False, id="dead: others tell that"),
    ],
)
async def test_a_canary_that_is_refused(refusal: Refusal, steps: float, stuck: bool) -> None:  # noqa: FBT001
    engine, clock = FakeEngine(), Clock()
    watchdog = Watchdog(engine.seen(), QUICK, clock)
    engine.refusal, clock.now = refusal, 61
    stalled = asyncio.ensure_future(watchdog.stalled())
    async with asyncio.timeout(5):
        while not engine.canaries:  # noqa: ASYNC110 - the condition is an attribute
            await asyncio.sleep(0)
    engine.steps += steps

    done, _ = await asyncio.wait({stalled}, timeout=0.5)

    assert bool(done) == stuck
    stalled.cancel()
