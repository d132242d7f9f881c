"""Which replicas go when there are to be fewer, with the real Deployment and ReplicaSet controllers."""

import dataclasses
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from api import pods
from api.audit import Audit
from api.cluster import Kubectl, eventually
from api.engines import serving, silence
from api.operators import OperatorProcess, leading
from api.scaled import busy, pods_of, replicas
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_operator.core.scale_down import DELETION_COST

#: The operator, which leaves time to kill it between the costs and the smaller number: a second is soon over on a busy machine.
PATIENT = """
import runpy
from fairlead_operator.controller import scale_down
scale_down.SETTLE = 10.0
runpy.run_module("fairlead_operator", run_name="__main__")
"""


@pytest.fixture(scope="module")
def operator(managed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One for this file."""
    with leading(managed, tmp_path_factory.mktemp("operator"), "scale-down") as process:
        yield process


@pytest.fixture
def kubectl(managed: ControlPlane, operator: OperatorProcess, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl in a namespace of its own."""
    assert operator.running
    return Kubectl(managed.kubectl, managed.kubeconfig, "default").within(request.node.name)


def cost(kubectl: Kubectl, pod: str) -> str | None:
    """The annotation, if the pod is there and has one."""
    metadata = (kubectl.get("pod", pod) or {"metadata": {}})["metadata"]
    value: str | None = metadata.get("annotations", {}).get(DELETION_COST)
    return value


def test_the_busiest_pod_stays(kubectl: Kubectl, engines: ExitStack, managed: ControlPlane) -> None:
    stubs = busy(kubectl, engines, 1, 4, 0)
    busiest = next(pod for pod, stub in stubs.items() if stub.inflight["running"] == 4)
    audit = Audit(managed.audit_log)

    kubectl("scale", "infs/mistral", "--replicas=1")

    assert pods_of(kubectl, 1) == [busiest]
    order = [write.resource for write in audit.writes() if write.resource in {"pods", "deployments"}]
    assert order == ["pods", "pods", "deployments"], "an idle pod needs no annotation"
    assert cost(kubectl, busiest) == "4"


def test_the_idlest_of_equals_goes_first_by_what_is_true_now(kubectl: Kubectl, engines: ExitStack) -> None:
    """Costs of an earlier scale-down are not believed."""
    stubs = busy(kubectl, engines, 3, 2, 1)
    kubectl("scale", "infs/mistral", "--replicas=2")
    former, latter = pods_of(kubectl, 2)
    stubs[former].load(running=0)
    stubs[latter].load(running=9)

    kubectl("scale", "infs/mistral", "--replicas=1")

    assert pods_of(kubectl, 1) == [latter]


def test_silent_pods_delay_nothing(kubectl: Kubectl, engines: ExitStack) -> None:
    stubs = busy(kubectl, engines, 2, 3, 0)
    silent = next(pod for pod, stub in stubs.items() if stub.inflight["running"] == 3)
    pods.set_status(kubectl, silent, serving(engines.enter_context(silence())))

    kubectl("scale", "infs/mistral", "--replicas=2")

    eventually(lambda: replicas(kubectl) == 2, "the scale-down")
    assert silent in pods_of(kubectl, 2), "its requests are not known to be few"


def test_a_scale_down_that_was_cut_short_is_finished(
    kubectl: Kubectl, engines: ExitStack, operator: OperatorProcess
) -> None:
    stubs = busy(kubectl, engines, 0, 0, 5)
    busiest = next(pod for pod, stub in stubs.items() if stub.inflight["running"] == 5)
    operator.end()
    with dataclasses.replace(operator, program=("-c", PATIENT)) as patient:
        patient.ready()
        eventually(patient.leads, "leadership")
        kubectl("scale", "infs/mistral", "--replicas=1")
        eventually(lambda: cost(kubectl, busiest) == "5", "the cost")

        patient.end(signal.SIGKILL)
    at_death = replicas(kubectl)
    operator.start().ready()

    assert at_death == 3, "the smaller number waits after the costs"
    assert eventually(lambda: replicas(kubectl) == 1, "the scale-down", within=40)
    assert pods_of(kubectl, 1) == [busiest]


def test_nothing_is_asked_when_all_pods_go(kubectl: Kubectl, engines: ExitStack, managed: ControlPlane) -> None:
    busy(kubectl, engines, 1, 2)
    audit = Audit(managed.audit_log)

    kubectl.patch("infs", "mistral", {"spec": {"suspend": True}})

    eventually(lambda: replicas(kubectl) == 0, "no replicas")
    assert [write for write in audit.writes() if write.resource == "pods"] == []
