"""The operator's own metrics. One registry per operator, so that two fit into one process."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fairlead_operator import __version__
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, WATCHED
from fairlead_operator.controller.store import Store

_TRUTH = {"True": 1.0, "False": 0.0, "Unknown": -1.0}
#: How a reconcile ends. Each has its series from the start, so that the first failure is seen as an increase.
OUTCOMES = ("Done", "Rejected", "NotYet", "Failed")
#: state -> the field of an InferenceService's status.
_REPLICAS = {"running": "replicas", "ready": "readyReplicas", "updated": "updatedReplicas"}


class StoreCollector(Collector):
    """Object counts and conditions, read from the store at scrape time: a deleted service leaves no stale series.

    Nothing is told of services while `doubt` says why the store may not be what the cluster is: an operator that is cut off would go
    on saying that all is well, beside another that knows better.
    """

    def __init__(self, store: Store, depth: Callable[[], int], doubt: Callable[[], str] = lambda: "") -> None:
        self._store = store
        self._depth = depth
        self._doubt = doubt

    def collect(self) -> Iterator[Metric]:
        """The families; called by prometheus_client, in a thread: what the store gives out at once is whole, and nobody changes it."""
        yield GaugeMetricFamily("fairlead_workqueue_depth", "Services that wait for a worker.", value=self._depth())
        objects = GaugeMetricFamily("fairlead_store_objects", "Known objects by kind.", labels=["kind"])
        for kind in WATCHED:
            objects.add_metric([kind.name], self._store.count(kind))
        yield objects
        conditions = GaugeMetricFamily(
            "fairlead_condition",
            "Status of each condition: 1 True, 0 False, -1 Unknown.",
            labels=["namespace", "name", "type", "reason"],
        )
        replicas = GaugeMetricFamily(
            "fairlead_replicas",
            "Replicas of each service: wanted by its spec; running, ready and updated by its status.",
            labels=["namespace", "name", "state"],
        )
        startup = GaugeMetricFamily(
            "fairlead_replica_startup_seconds",
            "From a pod's creation, or the end of its container's last run, to the end of each step of its start,"
            " of the pods that a service's status names.",
            labels=["namespace", "name", "pod", "step"],
        )
        for service in () if self._doubt() else self._store.all(INFERENCE_SERVICES):
            spec, status = service.get("spec") or {}, service.get("status") or {}
            place = [service["metadata"]["namespace"], service["metadata"]["name"]]
            for condition in status.get("conditions", ()):
                labels = [*place, condition["type"], condition.get("reason", "")]
                conditions.add_metric(labels, _TRUTH.get(condition["status"], -1.0))
            replicas.add_metric([*place, "wanted"], 0 if spec.get("suspend") else spec.get("replicas", 1))
            for state, field_name in _REPLICAS.items():
                replicas.add_metric([*place, state], status.get(field_name, 0))
            for replica in status.get("replicaStates", ()):
                for step, seconds in (replica.get("startup") or {}).items():
                    startup.add_metric([*place, replica["pod"], step], seconds)
        yield from (conditions, replicas, startup)

    def describe(self) -> Iterable[Metric]:
        """Nothing: registration must not scrape."""
        return ()


@dataclass
class Metrics:
    """Everything that is counted while running."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.reconciles = Histogram(
            "fairlead_reconcile_duration_seconds",
            f"Duration of reconciles by outcome: {', '.join(OUTCOMES)}.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in OUTCOMES:
            self.reconciles.labels(outcome)
        self.requests = Counter(
            "fairlead_api_requests",
            "Requests to the API server; code 0 when there was no answer.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self.leading = Gauge("fairlead_leader", "1 while this process holds the Lease.", registry=self.registry)
        self.watch_restarts = Counter("fairlead_watch_restarts", "Restarts of the watches.", registry=self.registry)
        self.engines_unreachable = Counter(
            "fairlead_engine_polls_failed", "Polls of a pod's /state that got no answer.", registry=self.registry
        )
        self.build = Gauge("fairlead_build_info", "The running release.", ["version"], registry=self.registry)
        self.build.labels(__version__).set(1)
        ProcessCollector(registry=self.registry)
