"""How busy the engine is, from vLLM's own metrics. The operator scales by these numbers."""

from prometheus_client import CollectorRegistry

from fairlead_runtime.lifecycle import InFlight
from fairlead_runtime.metrics import ENGINE_KV_CACHE_USAGE, ENGINE_RUNNING, ENGINE_STEPS, ENGINE_WAITING, total


def in_flight(registry: CollectorRegistry) -> InFlight:
    """The requests in the engine, and how much it has done. An idle engine makes no steps, so an unchanged count is idleness."""
    return InFlight(
        running=int(total(registry, ENGINE_RUNNING)),
        waiting=int(total(registry, ENGINE_WAITING)),
        # A share of 1 in vLLM's metric. One engine per pod: a sum is its own.
        kv_cache_percent=min(100, round(100 * total(registry, ENGINE_KV_CACHE_USAGE))),
        steps=int(total(registry, ENGINE_STEPS)),
    )
