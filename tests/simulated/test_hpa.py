"""A real HorizontalPodAutoscaler on our scale: the Deployment follows it, and nobody else."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from api.cluster import Kubectl, eventually
from api.operators import OperatorProcess
from api.watching import Replicas
from fairlead_cli.local.controlplane import ControlPlane
from simulated.external_metrics import METRIC, ExternalMetrics, external_metrics
from simulated.nodes import Pool

#: Seconds from the scale to the Deployment.
FOLLOWS = 10.0
TARGET = 10


@pytest.fixture
def metrics(admin: Kubectl, plane: ControlPlane) -> Iterator[ExternalMetrics]:
    """What the autoscaler goes by."""
    with external_metrics(admin, plane) as served:
        served.total = TARGET
        yield served


def autoscaler() -> dict[str, Any]:
    """From one to six replicas, ten units each, at once."""
    at_once = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 10, "periodSeconds": 1}]}
    target = {"type": "AverageValue", "averageValue": str(TARGET)}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "mistral"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "fairlead.dev/v1alpha1", "kind": "InferenceService", "name": "mistral"},
            "minReplicas": 1,
            "maxReplicas": 6,
            "metrics": [{"type": "External", "external": {"metric": {"name": METRIC}, "target": target}}],
            "behavior": {"scaleUp": at_once, "scaleDown": at_once},
        },
    }


def test_the_deployment_follows_the_autoscaler_alone(
    kubectl: Kubectl, plane: ControlPlane, operator: OperatorProcess, pool: Pool, metrics: ExternalMetrics
) -> None:
    """Across a kill of the operator and a rollout."""
    pool.add(8)
    kubectl.apply(pool.service(replicas=1))
    kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=30s")
    kubectl.apply(autoscaler())

    with (
        Replicas(kubectl, "infs", "mistral") as service,
        Replicas(kubectl, "deployment", "mistral") as deployment,
    ):

        def become(total: int, replicas: int, within: float = FOLLOWS) -> None:
            metrics.total = total
            eventually(lambda: service.values[-1] == replicas, f"a scale of {replicas}", within=40)
            eventually(lambda: deployment.values[-1] == replicas, f"{replicas} replicas", within=within)

        become(30, 3)
        eventually(lambda: matched(kubectl, 3), "a selector that finds the three pods")
        become(10, 1)

        operator.end(signal.SIGKILL)
        metrics.total = 50
        eventually(lambda: service.values[-1] == 5, "a scale of 5", within=40)
        assert deployment.values[-1] == 1
        operator.start().ready()
        eventually(operator.leads, "leadership", within=40)
        become(50, 5)

        kubectl.patch("infs", "mistral", {"spec": {"engine": {"seed": 7}}})
        become(20, 2)
        become(40, 4)
        kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=60s")
        eventually(lambda: matched(kubectl, 4), "a selector that finds the four pods")

        assert service.values == [1, 3, 1, 5, 2, 4]
        assert deployment.values == service.values


def matched(kubectl: Kubectl, count: int) -> bool:
    """Whether status.selector finds the service's pods, all of them and nothing else."""
    status = (kubectl.get("infs", "mistral") or {})["status"]
    found = {pod["metadata"]["name"] for pod in kubectl.items("pod", status["selector"])}
    every = {pod["metadata"]["name"] for pod in kubectl.items("pod")}
    return found == every and len(found) == count == status["replicas"]
