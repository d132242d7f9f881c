import asyncio
import threading
from collections.abc import AsyncIterator

import aiohttp
import pytest

from fairlead_operator.controller.health import Health
from fairlead_operator.controller.kinds import INFERENCE_SERVICES
from fairlead_operator.controller.metrics import Metrics, StoreCollector
from fairlead_operator.controller.store import Store
from unit.operator.controller.objects import obj


class State:
    ready, live = "", ""


@pytest.fixture
async def url() -> AsyncIterator[tuple[str, State, Store]]:
    state, store, metrics = State(), Store(), Metrics()
    metrics.registry.register(StoreCollector(store, lambda: 3))
    health = Health(metrics.registry, ready=lambda: state.ready, live=lambda: state.live)
    port = await health.start(0)
    yield f"http://127.0.0.1:{port}", state, store
    await health.stop()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_a_probe_says_what_is_wrong(url: tuple[str, State, Store]) -> None:
    base, state, _ = url
    assert await get(f"{base}/readyz") == (200, "ok")

    state.ready = "the store is not synced yet"

    assert await get(f"{base}/readyz") == (503, "the store is not synced yet")
    assert await get(f"{base}/livez") == (200, "ok")
    state.live = "the watches are dead"
    assert await get(f"{base}/livez") == (503, "the watches are dead")


async def test_metrics_show_the_store_as_it_is_now(url: tuple[str, State, Store]) -> None:
    base, _, store = url
    status = {
        "conditions": [{"type": "Ready", "status": "False", "reason": "RollingOut"}],
        "readyReplicas": 1,
        "replicaStates": [{"pod": "mistral-a", "startup": {"scheduled": 2, "ready": 70}}, {"pod": "mistral-b"}],
    }
    store.observe(INFERENCE_SERVICES, {**obj(), "spec": {"replicas": 2}, "status": status})

    _, text = await get(f"{base}/metrics")

    assert "fairlead_workqueue_depth 3.0" in text
    assert 'fairlead_store_objects{kind="InferenceService"} 1.0' in text
    assert 'fairlead_condition{name="mistral",namespace="ns",reason="RollingOut",type="Ready"} 0.0' in text
    assert 'fairlead_replicas{name="mistral",namespace="ns",state="wanted"} 2.0' in text
    assert 'fairlead_replicas{name="mistral",namespace="ns",state="ready"} 1.0' in text
    started = 'fairlead_replica_startup_seconds{name="mistral",namespace="ns",pod="mistral-a",step="ready"} 70.0'
    assert started in text
    assert "fairlead_build_info" in text
    assert "process_resident_memory_bytes" in text
    store.remove(INFERENCE_SERVICES, ("ns", "mistral"), "u1")
    assert "mistral" not in (await get(f"{base}/metrics"))[1]


async def test_an_operator_that_is_cut_off_tells_nothing_of_services() -> None:
    """Beside another that knows better it would go on saying that all is well."""
    store, metrics, doubts = Store(), Metrics(), [""]
    status = {"conditions": [{"type": "Ready", "status": "True", "reason": "Serving"}]}
    store.observe(INFERENCE_SERVICES, {**obj(), "spec": {}, "status": status})
    metrics.registry.register(StoreCollector(store, lambda: 0, lambda: doubts[0]))
    ready = ("fairlead_condition", {"namespace": "ns", "name": "mistral", "type": "Ready", "reason": "Serving"})
    assert metrics.registry.get_sample_value(*ready) == 1

    doubts[0] = "the API server has not answered for 61 s"

    assert metrics.registry.get_sample_value(*ready) is None
    assert metrics.registry.get_sample_value("fairlead_store_objects", {"kind": "InferenceService"}) == 1


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        pytest.param({"replicas": 3}, 3, id="what the spec says"),
        pytest.param({"replicas": 3, "suspend": True}, 0, id="a suspended service wants none"),
        pytest.param({}, 1, id="the default"),
    ],
)
def test_wanted_replicas(spec: dict[str, object], wanted: int) -> None:
    store, metrics = Store(), Metrics()
    store.observe(INFERENCE_SERVICES, {**obj(), "spec": spec})
    metrics.registry.register(StoreCollector(store, lambda: 0))

    labels = {"namespace": "ns", "name": "mistral", "state": "wanted"}

    assert metrics.registry.get_sample_value("fairlead_replicas", labels) == wanted


def test_the_first_failed_reconcile_is_an_increase() -> None:
    """A series that begins with its first event shows no rate for it."""
    labels = {"outcome": "Failed"}

    assert Metrics().registry.get_sample_value("fairlead_reconcile_duration_seconds_count", labels) == 0


def test_two_operators_fit_into_one_process() -> None:
    first, second = Metrics(), Metrics()

    first.watch_restarts.inc()

    assert second.registry.get_sample_value("fairlead_watch_restarts_total") == 0


async def test_a_scrape_that_takes_long_holds_nobody_up(
    url: tuple[str, State, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, _, _ = url
    going, enough = threading.Event(), threading.Event()

    def slow(_: object) -> bytes:
        going.set()
        enough.wait(20)
        return b"done"

    monkeypatch.setattr("fairlead_operator.controller.health.generate_latest", slow)
    scrape = asyncio.create_task(get(f"{base}/metrics"))
    async with asyncio.timeout(20):
        while not going.is_set():  # noqa: ASYNC110 - the scrape is in a thread
            await asyncio.sleep(0.01)
        assert await get(f"{base}/livez") == (200, "ok")
        assert not scrape.done()
        enough.set()
        assert await scrape == (200, "done")
