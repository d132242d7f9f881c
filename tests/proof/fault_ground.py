"""The ground of the fault tests: a control plane, a proxy before it, one operator behind the proxy, and who looks on."""

import dataclasses
import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api import access
from api.access import SYSTEM
from api.cluster import eventually
from api.conftest import install
from api.operators import OperatorProcess, operator_on
from fairlead_cli.local import binaries, components, controlplane
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_operator.core import names
from proof.invariants import INJECTED, Picture, place
from proof.observer import CHILDREN, GROUP, Admin, Observer
from proof.proxy import Hooks, Proxy
from proof.scenario import Scenario, differences
from proof.traces import Counted, traces
from proof.watch_harm import WATCHED

#: Requests of the operator per second, but the Lease's; operator.py lets twice as many come at once.
RATE = 30
#: Looks that have to show the same before it counts as the end.
SETTLED = 8
#: What is lacking until then.
CHANGES, WRITES = "it still changes", "it still writes"
#: What is refused here on purpose may be refused for longer than a minute, and must be told to nobody, however long that takes.
UNTOLD = """
import runpy
from fairlead_operator.controller import refusals
refusals.LASTS = float("inf")
"""
#: The operator with shorter waits, for CI: what takes a minute to be noticed takes some seconds. Only the Lease is held more
#: patiently: on a machine that stands still for ten seconds the process would end.
HURRIED = """
from fairlead_operator.controller import cluster, freshness, informer, lease, workqueue
cluster.REQUEST_TIMEOUT, cluster.WRITE_TIMEOUT = 4.0, 2
freshness.INTERVAL, freshness.RETRY, freshness.PATIENCE = 5.0, 1.0, 5.0
informer.REQUEST_TIMEOUT, informer.SILENCE, informer.LONGEST_WAIT, informer.STOP_TIMEOUT = 4.0, 6.0, 4.0, 4.0
workqueue.LONGEST_BACKOFF = 1.0
lease.DURATION, lease.RENEW_DEADLINE, lease.TICK_DEADLINE = 60, 40.0, 20.0
"""
#: Then something in it is broken, by its name in fault_breakages.py.
BROKEN = """
from proof.fault_breakages import BREAKAGES
BREAKAGES[{!r}]()
"""
RUN = """
runpy.run_module("fairlead_operator", run_name="__main__")
"""
TESTS = Path(__file__).parents[1]


@dataclass
class Ground:
    """`within` is how long a scenario may take to reach its end, in seconds."""

    plane: ControlPlane
    proxy: Proxy
    operator: OperatorProcess
    observer: Observer
    within: float
    name: str = "faults"
    rate: int = RATE
    #: How it all ends without faults.
    undisturbed: dict[str, object] = field(default_factory=dict)
    _runs: int = 0

    def run(
        self, harm: Hooks, *, changing: Callable[["Ground", Scenario], None] | None = None, late: bool = False
    ) -> None:
        """The scenario under harm, from its beginning or, `late`, from its change; `changing` is called right before that."""
        self._runs += 1
        said = self.operator.log.stat().st_size
        rejected = self.rejected
        counted = Counted(self.rate, Hooks() if late else harm)

        def stuck() -> str:
            return self._traces(counted, said)

        with self.namespace(str(self._runs)) as namespace:
            scenario = Scenario(self.observer.admin, namespace)
            self.proxy.hooks = counted
            scenario.begin()
            self.observer.until(scenario.begun, self.within, stuck)
            counted.inner = harm
            if changing is not None:
                changing(self, scenario)
            scenario.change()
            self.observer.until(scenario.changed, self.within, stuck)
            if self.undisturbed:
                self.observer.until(
                    lambda seen: differences(self.undisturbed, scenario.state(seen)), self.within, stuck
                )
            else:
                self.undisturbed = self._settled(scenario)
        assert not counted.flood(), counted.flood()
        assert self.rejected == rejected, "a fault was taken for the user's"
        for wrong in (unfit(self.operator.log, said), self.told_to_users(scenario.namespace)):
            assert not wrong, wrong

    def _traces(self, counted: Counted, since: int) -> str:
        """What tells an operator that is stuck from a slow one; `since` is where its log begins."""
        found = traces(
            counted,
            watches=sum(map(self.proxy.watched, WATCHED)),
            unanswered=self.proxy.unanswered(),
            said=[entry["message"] for entry, _ in entries(self.operator.log, since)],
            services=["/".join(place(service)) for service in self.observer.last.services],
            now=time.monotonic(),
        )
        return "".join(f"; {trace}" for trace in found)

    def absent(self) -> list[str]:
        """Kinds that are not watched, and kinds of children that an undisturbed run has not left."""
        left = {name.partition(" ")[0] for name in self.undisturbed}
        return [
            *(kind for kind in WATCHED if not self.proxy.watched(kind)),
            *(kind for kind in CHILDREN if kind not in left),
        ]

    def _settled(self, scenario: Scenario) -> dict[str, object]:
        """The state once it has been the same for some looks in a row."""
        states: list[dict[str, object]] = []

        def moving(seen: Picture) -> str:
            states.append(scenario.state(seen))
            same = len(states) > SETTLED and all(state == states[-1] for state in states[-SETTLED:])
            return "" if same else CHANGES

        self.observer.until(moving, self.within)
        return states[-1]

    @contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace of its own for services that go with the block."""
        whole = f"{self.name}-{name}"
        self.observer.wrong.clear()
        self.observer.admin.namespace(whole)
        try:
            yield whole
        finally:
            self.proxy.hooks = Hooks()
            self.observer.admin.ask("DELETE", f"/{GROUP}/namespaces/{whole}/inferenceservices")
        assert not self.observer.wrong, self.observer.wrong

    def until_still(self) -> None:
        """Until nothing was written for some looks."""
        written: list[int] = []

        def writing(_: Picture) -> str:
            written.append(len(self.proxy.writes))
            same = len(written) > SETTLED and written[-SETTLED] == written[-1]
            return "" if same else WRITES

        self.observer.until(writing, self.within)

    @property
    def rejected(self) -> float:
        """Reconciles that ended with a spec's refusal."""
        return self.outcome("Rejected")

    def outcome(self, name: str) -> float:
        """Reconciles with this outcome so far."""
        return self.operator.metric(f'fairlead_reconcile_duration_seconds_count{{outcome="{name}"}}') or 0

    @property
    def retries(self) -> float:
        """Reconciles that ended with another try."""
        return self.outcome("Failed") + self.outcome("NotYet")

    def until_unwatched(self) -> None:
        """Wait until the operator watches nothing."""
        eventually(lambda: not any(map(self.proxy.watched, WATCHED)), "the end of the watches", self.within)

    def told_to_users(self, namespace: str) -> list[str]:
        """Events that warn, or that tell of an injected error."""
        events = self.observer.admin.items(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
        ours = [event for event in events if event.get("reportingController", "").startswith("fairlead")]
        return [
            f"{event['reason']}: {event['note']}"
            for event in ours
            if event["type"] == "Warning" or INJECTED in event["note"]
        ]


def entries(log: Path, since: int) -> Iterator[tuple[dict[str, Any], str]]:
    """Of the log from `since` on, each with its line. Whole lines only: it may be written to right now, and when `since` was taken."""
    written = log.read_bytes()
    begin = written.rfind(b"\n", 0, since) + 1
    begin = since if begin == since else written.find(b"\n", since) + 1 or len(written)
    for line in written[begin : written.rfind(b"\n") + 1].decode().splitlines():
        yield json.loads(line) if line.startswith("{") else {"level": "ERROR", "message": line}, line


def unfit(log: Path, since: int) -> list[str]:
    """Lines of the log that are worse than a warning, or that show a bug."""
    found = []
    for entry, line in entries(log, since):
        # kopf shows what ended it; that is no bug of ours, and it is started anew.
        bug = "exception" in entry and not entry["logger"].startswith("kopf")
        if entry["level"] not in {"DEBUG", "INFO", "WARNING"} or bug:
            found.append(line[:2000])
    return found


def program(*, hurried: bool, breakage: str = "") -> tuple[str, str]:
    """Python's arguments for an operator that is disturbed, with its own waits or shorter ones, and with a bug or none."""
    waits, bug = HURRIED if hurried else "", BROKEN.format(breakage) if breakage else ""
    return "-c", UNTOLD + waits + bug + RUN


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """API server and controllers, with CRD and rights."""
    with controlplane.start(folder, progress=print) as plane:
        install(plane)
        # After the CRD: the garbage collector looks for new kinds every half minute only.
        program = binaries.ensure("kube-controller-manager", progress=print)["kube-controller-manager"]
        command = components.kube_controller_manager(program, plane.settings, plane._credentials)
        plane.start("kube-controller-manager", command)
        yield plane


def left(seen: Picture) -> str:
    """What there still is after the end of all scenarios."""
    names = [f"{obj.get('kind', '?')} {'/'.join(place(obj))}" for obj in (*seen.services, *seen.children, *seen.pods)]
    return f"{len(names)} objects are left: {', '.join(sorted(names)[:10])}" if names else ""


@contextmanager
def ground(plane: ControlPlane, folder: Path, *, hurried: bool, within: float) -> Iterator[Ground]:
    """An operator that leads, and that is well in the end."""
    with _operated(plane, folder, "faults", program(hurried=hurried), within, RATE) as found:
        found.run(Hooks())
        assert found.absent() == [], "what is not there meets no harm"
        yield found
        found.observer.wrong.clear()
        found.observer.until(left, within)
        assert found.operator.end() == 0


@contextmanager
def broken_ground(plane: ControlPlane, folder: Path, breakage: str, within: float, rate: int) -> Iterator[Ground]:
    """An operator that leads, hurried, with a bug. Nothing that it did is left behind."""
    broken = program(hurried=True, breakage=breakage)
    with (
        _operated(plane, folder, breakage.replace(" ", "-"), broken, within, rate, PYTHONPATH=str(TESTS)) as found,
        closing(Admin(plane.kubeconfig)) as admin,
    ):
        try:
            yield found
        finally:
            found.operator.end(signal.SIGKILL)
            # Or the next one waits until it has expired.
            admin.delete(f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/{names.LEASE}")
            eventually(lambda: not left(admin.picture()), "the end of all services", within)


@contextmanager
def _operated(
    plane: ControlPlane, folder: Path, name: str, program: Sequence[str], within: float, rate: int, **environment: str
) -> Iterator[Ground]:
    with Proxy(plane.user(access.USER), folder) as proxy:
        settings = {"FAIRLEAD_API_REQUESTS_PER_SECOND": str(rate), "FAIRLEAD_NETWORK_POLICIES": "true", **environment}
        operator = operator_on(plane, folder, name, **settings)
        operator = dataclasses.replace(operator, kubeconfig=proxy.kubeconfig, program=program)

        def unwell() -> str:
            if not operator.running:
                return f"the operator ended, see {operator.log}"
            code, said = operator.get("/livez")
            # Its waits are shortened, and so is the time until a lost event makes it red.
            fine = code in {0, 200} or "not shown by the watches" in said
            return "" if fine else f"the operator says it is not alive: {said}"

        with operator, Observer(plane.kubeconfig, unwell) as observer:
            operator.ready()
            eventually(operator.leads, "leadership")
            yield Ground(plane, proxy, operator, observer, within, name, rate)
