"""A control plane of its own with simulated nodes that have what sound specs ask for, and one operator."""

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from api.client import connect
from api.cluster import Kubectl, eventually
from api.conftest import install
from api.operators import OperatorProcess, operator_on
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_operator.core.build.placement import MEMORY_LABEL
from hub_server import hub
from proof.explore import ground, specs
from proof.results import FULL, Tally
from simulated.ground import simulated

#: How many times more examples the long run takes: ten minutes in all, on two cores.
FACTOR = 5
#: Always the same in the short run, so that it fails for a change of the code alone.
SEED = int(os.environ.get("FAIRLEAD_SEED", secrets.randbelow(2**31) if FULL else 20261128))
#: Complaints that are told in full.
MOST_TOLD = 10
ACCELERATORS_PER_NODE = 1_000_000
#: Exit code of an operator that lost its Lease.
LOST = 1
#: Seconds for nodes to be usable and for the operator to lead.
START_PATIENCE = 60.0


@dataclass(frozen=True)
class Judge:
    """Counts what was tried and what failed, over all tests."""

    tally: Tally

    def __call__(self, what: str, tried: int, complaints: dict[str, object]) -> None:
        """Count, and fail with the complaints; they are by what was tried."""
        failed = min(len(complaints), tried)
        self.tally.count(what, failed=False, times=tried - failed)
        self.tally.count(what, failed=True, times=failed)
        self.tally.keep()
        told = "\n".join(f"{name}: {complaint}" for name, complaint in list(complaints.items())[:MOST_TOLD])
        assert not complaints, f"seed {SEED}: {len(complaints)} of {tried} failed:\n{told}"


@dataclass(frozen=True)
class Size:
    """How much is tried."""

    seed: int = SEED
    factor: int = FACTOR if FULL else 1

    def count(self, usual: int) -> int:
        """So many examples, where the short run takes `usual`."""
        return usual * self.factor


@pytest.fixture(scope="session")
def size() -> Size:
    """Of this run."""
    print(f"seed {SEED}")
    return Size()


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Of this run."""
    tally = Tally("explore")
    tally.notes.append(f"seed {SEED}")
    return Judge(tally)


@pytest.fixture(scope="package")
def exploring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane, its nodes, and what specs refer to."""
    with simulated(tmp_path_factory.mktemp("explore")) as plane:
        furnish(install(plane))
        yield plane


def furnish(admin: Kubectl) -> None:
    """Two nodes with accelerators, and the classes that sound specs name."""
    admin.apply(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": specs.RUNTIME_CLASS},
            "handler": "explore",
        }
    )
    admin.apply(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": specs.PRIORITY_CLASS},
            "value": 1,
        }
    )
    for number, resource in enumerate(specs.ACCELERATORS):
        amounts = {
            "cpu": "4M",
            "memory": "8Pi",
            "ephemeral-storage": "8Pi",
            "pods": "10k",
            resource: str(ACCELERATORS_PER_NODE),
        }
        label, pool = specs.NODE_LABEL
        labels = {label: pool, "kubernetes.io/hostname": f"explore-{number}", MEMORY_LABEL: str(specs.NODE_MEMORY)}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"explore-{number}", "labels": labels},
            "status": {"capacity": amounts, "allocatable": amounts},
        }
        admin.create(node)
    # Each node has a taint until it is seen to be Ready.
    eventually(lambda: not any(item["spec"].get("taints") for item in admin.items("node")), "nodes", START_PATIENCE)


@pytest.fixture(scope="package")
def operator(exploring: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """The operator; its hub has no model, so that nothing is planned."""
    with hub({}) as empty:
        process = operator_on(
            exploring, tmp_path_factory.mktemp("operator"), "explorer", FAIRLEAD_HUB_ENDPOINT=empty.url
        )
        with process, kept(process):
            process.ready()
            eventually(process.leads, "leadership", START_PATIENCE)
            yield process
            process.end()


@contextmanager
def kept(process: OperatorProcess) -> Iterator[None]:
    """Its kubelet: one that ends because it lost its Lease, on a machine that was busy for too long, is started again."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(1):
            running = process.process
            if running is not None and running.poll() == LOST:
                process.start()

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


@pytest.fixture
def field(
    exploring: ControlPlane, operator: OperatorProcess, request: pytest.FixtureRequest
) -> Iterator[ground.Ground]:
    """A namespace of the test's own."""
    with fenced(exploring, request.node.name) as there:
        yield there


@contextmanager
def fenced(exploring: ControlPlane, name: str) -> Iterator[ground.Ground]:
    """A namespace with the claim that sound specs name; its services end with it."""
    kubectl = Kubectl(exploring.kubectl, exploring.kubeconfig, "default").within(name)
    lay_claim(kubectl)
    with connect(exploring.kubeconfig) as http:
        there = ground.Ground(http, kubectl.namespace)
        yield there
        for service in there.services():
            there.delete_service(service)


def lay_claim(kubectl: Kubectl) -> None:
    """A claim that is bound."""
    name = f"{kubectl.namespace}-{specs.CLAIM}"
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeMode": "Filesystem"}
    volume = {
        **common,
        "capacity": {"storage": "1Ti"},
        "hostPath": {"path": "/nowhere"},
        "claimRef": {"namespace": kubectl.namespace, "name": specs.CLAIM},
    }
    kubectl.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume})
    claim = {**common, "volumeName": name, "resources": {"requests": {"storage": "1Ti"}}}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": specs.CLAIM}, "spec": claim}
    )
