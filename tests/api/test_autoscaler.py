"""The built-in autoscaler, from what pods say to what the Deployment wants, with the real Deployment and ReplicaSet controllers."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from api import pods
from api.cluster import Kubectl, eventually
from api.engines import serving, silence
from api.operators import OperatorProcess, leading
from api.scaled import autoscaled, busy, pods_of, replicas, status
from fairlead_cli.local.controlplane import ControlPlane


@pytest.fixture(scope="module")
def operator(managed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One for this file."""
    with leading(managed, tmp_path_factory.mktemp("operator"), "autoscaler") as process:
        yield process


@pytest.fixture
def kubectl(managed: ControlPlane, operator: OperatorProcess, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl in a namespace of its own."""
    assert operator.running
    return Kubectl(managed.kubectl, managed.kubeconfig, "default").within(request.node.name)


def test_a_step_of_the_load_is_answered_and_taken_back_later(kubectl: Kubectl, engines: ExitStack) -> None:
    (pod,) = (stubs := busy(kubectl, engines, 1, autoscaling={"maxReplicas": 3, "scaleDownDelaySeconds": 8}))
    eventually(lambda: autoscaled(kubectl).get("reason") == "AtMinimum", "the first look")

    stubs[pod].load(running=4, waiting=7)

    eventually(lambda: replicas(kubectl) == 2, "two replicas", within=30)
    eventually(lambda: status(kubectl)["autoscaling"]["desiredReplicas"] == 2, "the decision in status")
    (decision,) = status(kubectl)["autoscaling"]["decisions"]
    assert (decision["from"], decision["to"]) == (1, 2)
    assert decision["reason"] == "7 requests wait on 1 Ready, more than 5 each; one computes 4 at a time"
    assert autoscaled(kubectl)["message"].endswith(decision["reason"])
    managers = json.loads(kubectl("get", "infs", "mistral", "-o", "json", "--show-managed-fields"))
    (entry,) = [one for one in managers["metadata"]["managedFields"] if one["manager"] == "fairlead-autoscaler"]
    assert entry["subresource"] == "scale"
    assert "f:replicas" in entry["fieldsV1"]["f:spec"]

    stubs[pod].load(running=1)

    eventually(lambda: replicas(kubectl) == 1, "one replica", within=30)
    eventually(lambda: len(status(kubectl)["autoscaling"]["decisions"]) == 2, "the decision in status")
    eventually(lambda: "Rescaled" in kubectl("get", "events", "-o", "jsonpath={.items[*].reason}"), "the event")


def test_a_silent_pod_does_not_block_the_others(kubectl: Kubectl, engines: ExitStack) -> None:
    first, second = (stubs := busy(kubectl, engines, 1, 1, autoscaling={"maxReplicas": 3}))
    pods.set_status(kubectl, second, serving(engines.enter_context(silence())))

    stubs[first].load(running=4, waiting=40)

    eventually(lambda: replicas(kubectl) == 3, "three replicas", within=30)
    eventually(lambda: autoscaled(kubectl).get("reason") == "AtMaximum", "AtMaximum")
    assert "raise spec.autoscaling.maxReplicas" in autoscaled(kubectl)["message"]


def test_when_no_pod_answers_nothing_moves(kubectl: Kubectl, engines: ExitStack) -> None:
    (pod,) = busy(kubectl, engines, 1, autoscaling={"maxReplicas": 3, "scaleDownDelaySeconds": 0})

    pods.set_status(kubectl, pod, serving(engines.enter_context(silence())))

    eventually(lambda: autoscaled(kubectl).get("reason") == "MetricsUnavailable", "MetricsUnavailable", within=40)
    assert replicas(kubectl) == 1


def test_it_falls_asleep_and_any_scale_wakes_it(kubectl: Kubectl, engines: ExitStack) -> None:
    (pod,) = (stubs := busy(kubectl, engines, 1, autoscaling={"minReplicas": 0, "maxReplicas": 2, "idleSeconds": 10}))
    stubs[pod].load(idleSeconds=9)
    eventually(lambda: autoscaled(kubectl).get("reason") == "ScalingActive", "the first look")

    stubs[pod].load(idleSeconds=10)

    eventually(lambda: replicas(kubectl) == 0, "sleep", within=30)
    eventually(lambda: autoscaled(kubectl).get("reason") == "Asleep", "Asleep")
    assert status(kubectl)["autoscaling"]["decisions"][0]["reason"] == "no request for 10 s"

    eventually(lambda: kubectl.items("pod") == [], "the end of its pod")

    kubectl("scale", "infs/mistral", "--replicas=1")

    assert pods_of(kubectl, 1) != [pod]
    assert replicas(kubectl, "infs") == 1


def test_a_number_out_of_bounds_is_brought_back(kubectl: Kubectl, engines: ExitStack) -> None:
    busy(kubectl, engines, 1, autoscaling={"minReplicas": 1, "maxReplicas": 3})

    kubectl("scale", "infs/mistral", "--replicas=7")

    eventually(lambda: replicas(kubectl, "infs") == 3, "maxReplicas", within=30)
    kubectl.patch("infs", "mistral", {"spec": {"autoscaling": {"minReplicas": 4, "maxReplicas": 5}}})
    eventually(lambda: replicas(kubectl) == 4, "minReplicas", within=30)


def test_a_new_operator_takes_nothing_away_before_the_delay(
    kubectl: Kubectl, engines: ExitStack, operator: OperatorProcess
) -> None:
    busy(kubectl, engines, 0, 0, autoscaling={"maxReplicas": 3, "scaleDownDelaySeconds": 12})
    # The status of before that says that nobody has looked yet.
    eventually(lambda: autoscaled(kubectl).get("reason") == "ScalingActive", "the first look")
    before = autoscaled(kubectl)

    operator.end(signal.SIGKILL)
    operator.start().ready()
    eventually(operator.leads, "leadership", within=40)
    leading = time.monotonic()

    assert autoscaled(kubectl) == before, "what was true is said until somebody has looked"
    eventually(lambda: replicas(kubectl) == 1, "one replica", within=40)
    # It may have looked for the first time up to five seconds before that was seen.
    assert time.monotonic() - leading > 12 - 5
