"""How busy the engine is: read from its metrics, told over the pipe, shown in /state."""

from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry, Gauge, Histogram

from fairlead_runtime.activity import in_flight
from fairlead_runtime.lifecycle import Heartbeat, InFlight, Phase, PhaseReached, decode, encode
from fairlead_runtime.reports import Reports

BUSY = InFlight(running=3, waiting=2, kv_cache_percent=41, steps=7)


def test_the_numbers_are_the_engines() -> None:
    registry = CollectorRegistry()
    for name, value in (
        ("vllm:num_requests_running", 3),
        ("vllm:num_requests_waiting", 2),
        ("vllm:kv_cache_usage_perc", 0.412),
    ):
        Gauge(name, "As vLLM has it.", ["engine"], registry=registry).labels("0").set(value)
    steps = Histogram("vllm:iteration_tokens_total", "As vLLM has it.", ["engine"], registry=registry)
    for _ in range(7):
        steps.labels("0").observe(1)

    assert in_flight(registry) == BUSY


def test_an_engine_without_metrics_does_nothing() -> None:
    assert in_flight(CollectorRegistry()) == InFlight(0, 0)


def test_they_pass_through_the_pipe() -> None:
    assert decode(encode(BUSY)) == BUSY


@dataclass
class Pod:
    """The reports of one engine, on a clock that only moves when told."""

    time: float = 100.0

    def __post_init__(self) -> None:
        self.reports = Reports(clock=lambda: self.time)
        self.reports.take(PhaseReached(Phase.READY))

    def after(self, seconds: float, *events: InFlight | Heartbeat) -> dict[str, int]:
        """What /state says about requests so many seconds later, once these events have come."""
        self.time += seconds
        for event in events:
            self.reports.take(event)
        said: dict[str, int] = self.reports.state()["inflight"]
        return said


def test_state_has_them() -> None:
    assert Pod().after(5, BUSY) == {"running": 3, "waiting": 2, "kvCacheUsagePercent": 41, "idleSeconds": 0}


@pytest.mark.parametrize(
    ("events", "idle"),
    [
        pytest.param([], 60, id="since it was ready"),
        pytest.param([InFlight(1, 0, 1, 1)], 0, id="a request runs, however long"),
        pytest.param([InFlight(0, 3, 0, 1)], 0, id="a request waits"),
        pytest.param([InFlight(1, 0, 1, 1), InFlight(0, 0, 0, 9)], 60, id="since the last one ended"),
        pytest.param([InFlight(0, 0, 0, 4)], 60, id="since a short one that was never seen running"),
    ],
)
def test_idleness(events: list[InFlight], idle: int) -> None:
    pod = Pod()
    pod.after(0, *events)

    assert pod.after(60, Heartbeat())["idleSeconds"] == idle


def test_idleness_begins_anew_with_every_request() -> None:
    pod = Pod()
    pod.after(40)

    assert pod.after(0, InFlight(0, 0, 0, 1))["idleSeconds"] == 0
    assert pod.after(25)["idleSeconds"] == 25
