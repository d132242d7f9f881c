"""One run: so many services are created, left alone, survive a restart of the operator and are all changed; and a loop without it."""

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from api import access
from api.cluster import Manifest, conditions, eventually, service
from api.conftest import install_crd
from api.operators import OperatorProcess, operator_on
from fairlead_cli.bench import statistics
from fairlead_cli.local.logs import last_lines
from scale import audit, latency, process
from scale.engine import engine
from scale.ground import NAMESPACE, Ground, ground
from scale.pace import paced

#: Services a second.
RATE: Final = 100.0
SERVICES: Final = f"/apis/fairlead.dev/v1alpha1/namespaces/{NAMESPACE}/inferenceservices"
DEPLOYMENTS: Final = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
#: What every service of this run has.
CHILDREN: Final = frozenset({"controllerrevisions", "configmaps", "services", "deployments"})
#: As the chart sets it; the tests' operators have fewer workers and say more.
SETTINGS: Final = {"FAIRLEAD_WORKERS": "16", "FAIRLEAD_LOG_LEVEL": "INFO"}
#: Seconds that a service may take on the slowest machine, before the run is given up.
PATIENCE: Final = 1.5
#: Seconds without a write after which a run has settled.
QUIET: Final = 5.0
#: The mass update: another template for every pod.
CHANGE: Final = {"spec": {"engine": {"maxNumSeqs": 128}}}
_CONTROLLER: Final = "system:serviceaccount:kube-system:deployment-controller"
_OF_A_CLUSTER: Final = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "ownerReferences")


@dataclass(frozen=True)
class Update:
    """Another template for every pod: seconds from the first change to the last status."""

    seconds: float
    writes: Mapping[str, int]


@dataclass(frozen=True)
class Seen:
    """What one run showed; seconds, unless a name says otherwise. cpu is the operator's, for creating all."""

    children: Sequence[float]
    children_s: float
    converged_s: float
    writes: Mapping[str, int]
    cpu_s: float
    peak_mib: float
    api_p99_s: float
    idle_writes: int
    restart_s: float
    restart_writes: int
    #: None where it was left out.
    update: Update | None
    #: One of the Deployments that the operator made.
    deployment: Manifest


@dataclass
class Run:
    """The operator on a ground of its own."""

    on: Ground
    operator: OperatorProcess
    log: audit.Log
    names: Sequence[str]

    def own(self) -> list[audit.Write]:
        """The operator's writes since the last call."""
        return audit.by_user(self.log.more(), access.USER)

    def settle(self) -> list[audit.Write]:
        """Wait until the operator writes nothing; returns its writes since the last call."""
        writes: list[audit.Write] = []
        while True:
            time.sleep(QUIET)
            more = self.own()
            if not more:
                return writes
            writes += more

    def settled(self, well: Callable[[Manifest], bool]) -> list[audit.Write]:
        """Wait until all services are well and nothing more is written; returns every write since the last call, whoever's."""
        self.on.until_all(SERVICES, len(self.names), well, 60 + PATIENCE * len(self.names))
        writes = self.log.more()
        while more := self._in(QUIET):
            writes += more
        return writes

    def _in(self, seconds: float) -> list[audit.Write]:
        """All writes of that time; none if the operator made none."""
        time.sleep(seconds)
        more = self.log.more()
        return more if audit.by_user(more, access.USER) else []

    def lead(self) -> None:
        """Wait until the operator leads."""
        within = 60 + PATIENCE * len(self.names)
        eventually(lambda: self.operator.get("/readyz")[0] == 200, "readiness of the operator", within)
        eventually(self.operator.leads, "leadership", within)

    def pid(self) -> int:
        """The operator's."""
        assert self.operator.process is not None
        return self.operator.process.pid


def with_operator(folder: Path, number: int, idle_minutes: float, say: Callable[[str], None], *, update: bool) -> Seen:
    """All phases of one run with the operator, with the mass update or without."""
    with ground(folder, number) as on, engine():
        install_crd(on.kubectl)
        system = replace(on.kubectl, namespace=access.SYSTEM)
        for manifest in access.manifests(access.SYSTEM):
            system.apply(manifest)
        with operator_on(on.plane, folder, "operator", **SETTINGS) as operator:
            run = Run(on, operator, audit.Log(on.plane.audit_log), names(number))
            run.lead()
            say(f"the operator is process {run.pid()}")
            return _phases(run, idle_minutes, say, update=update)


def _phases(run: Run, idle_minutes: float, say: Callable[[str], None], *, update: bool) -> Seen:
    run.log.more()
    cpu, readings = process.cpu_seconds(run.pid()), latency.buckets(run.on.metrics())
    took = paced(lambda name: run.on.create(SERVICES, service(name)), run.names, RATE)
    say(f"created in {took:.1f} s")
    writes = run.settled(is_ready)
    cpu, peak = process.cpu_seconds(run.pid()) - cpu, process.peak_mib(run.pid())
    p99 = latency.quantile(readings, latency.buckets(run.on.metrics()), 0.99)
    began = first(writes, "inferenceservices")
    own = audit.by_user(writes, access.USER)
    children = audit.children_after(writes, run.names, access.USER, CHILDREN)
    converged = audit.last(own, "inferenceservices/status") - began
    say(f"converged in {converged:.1f} s, {len(own)} writes, {cpu:.1f} s of CPU, {peak:.0f} MiB")
    half, nearly = (statistics.quantile(sorted(children), part) for part in (0.5, 0.99))
    say(f"children after {half:.1f} s (p50) and {nearly:.1f} s (p99); the API server's p99 {1000 * p99:.0f} ms")

    time.sleep(60 * idle_minutes)
    idle = run.own()
    say(f"{len(idle)} writes in {idle_minutes:g} idle minutes")
    restart_s, restarted = _restart(run)
    say(f"steady {restart_s:.1f} s after a restart, {len(restarted)} writes")

    updated = _updated(run) if update else None
    peak = max(peak, process.peak_mib(run.pid()))
    if updated:
        say(f"all updated in {updated.seconds:.1f} s, {sum(updated.writes.values())} writes, {peak:.0f} MiB at most")
    return Seen(
        children=children,
        children_s=max(write.done for write in own if write.created and write.resource in CHILDREN) - began,
        converged_s=converged,
        writes=Counter(write.resource for write in own),
        cpu_s=cpu,
        peak_mib=peak,
        api_p99_s=p99,
        idle_writes=len(idle),
        restart_s=restart_s,
        restart_writes=len(restarted),
        update=updated,
        deployment=run.on.http.get(f"{DEPLOYMENTS}/{run.names[0]}").raise_for_status().json(),
    )


def _updated(run: Run) -> Update:
    paced(lambda name: run.on.patch(f"{SERVICES}/{name}", CHANGE), run.names, RATE)
    writes = run.settled(is_ready)
    own = audit.by_user(writes, access.USER)
    seconds = audit.last(own, "inferenceservices/status") - first(writes, "inferenceservices")
    return Update(seconds, Counter(write.resource for write in own))


def _restart(run: Run) -> tuple[float, list[audit.Write]]:
    """Seconds until it has looked at every service once, and what it wrote meanwhile and after."""
    running = run.operator.running
    if (code := run.operator.end()) != 0:
        how = "did not end well when asked to" if running else "had ended by itself"
        raise RuntimeError(f"the operator {how}, with {code}; its last words:\n{last_lines(run.operator.log)}")
    run.own()
    began = time.monotonic()
    run.operator.start()
    run.lead()
    pause = max(0.5, len(run.names) / 1000)

    def steady() -> bool:
        time.sleep(pause)
        return looks(run.operator.get("/metrics")[1]) >= len(run.names)

    eventually(steady, "a look at every service", 60 + PATIENCE * len(run.names))
    took = time.monotonic() - began
    return took, run.settle()


def looks(metrics: str) -> int:
    """Reconciles of the operator so far."""
    lines = (line.partition(" ") for line in metrics.splitlines())
    return int(
        sum(float(value) for name, _, value in lines if name.startswith("fairlead_reconcile_duration_seconds_count{"))
    )


def without_operator(folder: Path, number: int, deployment: Manifest) -> float:
    """Seconds from the first creation until the controllers had written the last status of as many Deployments."""
    made = [renamed(deployment, name) for name in names(number)]
    with ground(folder, number) as on:
        log = audit.Log(on.plane.audit_log)
        log.more()
        paced(lambda manifest: on.create(DEPLOYMENTS, manifest), made, RATE)
        on.until_all(DEPLOYMENTS, number, is_available, 60 + PATIENCE * number)
        time.sleep(QUIET)
        writes = log.more()
    return audit.last(audit.by_user(writes, _CONTROLLER), "deployments/status") - first(writes, "deployments")


def first(writes: Sequence[audit.Write], resource: str) -> float:
    """When the first write to a resource was received."""
    return min(write.received for write in writes if write.resource == resource)


def names(number: int) -> list[str]:
    """Of the services: all of one length, so that their children's names tell them."""
    width = max(4, math.ceil(math.log10(number + 1)))
    return [f"s{index:0{width}}" for index in range(number)]


def renamed(deployment: Manifest, name: str) -> Manifest:
    """The same Deployment under another name, as one would create it: nothing in it is of a cluster."""
    old = deployment["metadata"]["name"]
    kept = {key: value for key, value in deployment["metadata"].items() if key not in _OF_A_CLUSTER}
    made = {key: value for key, value in deployment.items() if key != "status"} | {"metadata": kept}
    kept.pop("annotations", None)
    text = json.dumps(made).replace(f'"{old}"', f'"{name}"').replace(f'"{old}-', f'"{name}-')
    renamed: dict[str, Any] = json.loads(text)
    return renamed


def is_ready(found: Manifest) -> bool:
    """Whether the operator says that the present spec is carried out."""
    ready = conditions(found).get("Ready", {})
    return (ready.get("status"), ready.get("observedGeneration")) == ("True", found["metadata"]["generation"])


def is_available(found: Manifest) -> bool:
    """Whether a Deployment's controller says that all its pods are."""
    status = found.get("status") or {}
    return bool(status.get("availableReplicas", 0) == found["spec"]["replicas"] == status.get("updatedReplicas"))
