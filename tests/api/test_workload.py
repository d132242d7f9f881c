"""With the real Deployment, ReplicaSet and garbage collection controllers: what they make of our Deployment, and what is left."""

from collections.abc import Iterator

import pytest

from api.audit import Audit
from api.cluster import Kubectl, accepted, conditions, eventually, service
from api.operators import OperatorProcess, leading
from fairlead_cli.local.controlplane import ControlPlane

PODS = "fairlead.dev/service=mistral"


@pytest.fixture(scope="module")
def operator(managed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """It looks again five times a second."""
    with leading(managed, tmp_path_factory.mktemp("operator"), "workload", FAIRLEAD_RESYNC_SECONDS="0.2") as process:
        yield process


@pytest.fixture
def kubectl(managed: ControlPlane, operator: OperatorProcess, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl in a namespace of its own."""
    assert operator.running
    return Kubectl(managed.kubectl, managed.kubeconfig, "default").within(request.node.name)


def status_replicas(kubectl: Kubectl) -> int:
    """Pods that the status counts."""
    return int((kubectl.get("infs", "mistral") or {}).get("status", {}).get("replicas", 0))


def test_scale_up_and_down(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    eventually(lambda: status_replicas(kubectl) == 1, "one pod")

    kubectl("scale", "infs/mistral", "--replicas=3")
    eventually(lambda: status_replicas(kubectl) == 3, "three pods")
    kubectl("scale", "infs/mistral", "--replicas=0")

    eventually(lambda: status_replicas(kubectl) == 0, "no pods")
    eventually(lambda: kubectl.items("pod") == [], "the pods' end")


def test_a_changed_spec_makes_new_pods_and_drops_the_old_config_with_the_last_old_pod(kubectl: Kubectl) -> None:
    kubectl.apply(service(engine={"seed": 1}))
    (old,) = eventually(lambda: kubectl.items("pod", PODS), "a pod")
    old_config = kubectl.items("configmap", PODS)[0]["metadata"]["name"]

    kubectl.patch("infs", "mistral", {"spec": {"engine": {"seed": 2}}})

    def templates() -> set[str]:
        return {pod["metadata"]["labels"]["fairlead.dev/template"] for pod in kubectl.items("pod", PODS)}

    # No pod becomes Ready without a node, so the old one stays, and its config with it.
    eventually(lambda: len(templates()) == 2, "a pod of each template")
    eventually(lambda: conditions(kubectl.get("infs", "mistral"))["UpToDate"]["observedGeneration"] == 2, "status")
    assert conditions(kubectl.get("infs", "mistral"))["UpToDate"]["reason"] == "RollingOut"
    assert kubectl.get("configmap", old_config) is not None

    kubectl("scale", "infs/mistral", "--replicas=0")
    eventually(lambda: kubectl.get("pod", old["metadata"]["name"]) is None, "the old pod's end")
    eventually(lambda: kubectl.get("configmap", old_config) is None, "the old config's end")


def test_deleting_the_resource_leaves_nothing(kubectl: Kubectl) -> None:
    kubectl.apply(service(replicas=2))
    eventually(lambda: status_replicas(kubectl) == 2, "two pods")

    kubectl.delete("infs", "mistral")

    kinds = "deployments,replicasets,pods,services,configmaps,poddisruptionbudgets,controllerrevisions"
    eventually(lambda: kubectl("get", kinds, "-l", PODS, "-o", "name") == "", "the end of every child", within=40)


def test_the_resource_can_be_deleted_while_no_operator_runs(kubectl: Kubectl, operator: OperatorProcess) -> None:
    kubectl.apply(service())
    eventually(lambda: status_replicas(kubectl) == 1, "a pod")
    assert operator.end() == 0
    try:
        kubectl("delete", "infs", "mistral", "--timeout=20s")

        eventually(lambda: kubectl.items("deployment") == [], "the Deployment's end", within=40)
    finally:
        operator.start().ready()


def test_beside_the_real_controllers_it_is_silent(
    kubectl: Kubectl, operator: OperatorProcess, managed: ControlPlane
) -> None:
    """They write status and annotations into our Deployment; none of that is drift."""
    kubectl.apply(service(replicas=2))
    eventually(lambda: status_replicas(kubectl) == 2 and accepted(kubectl), "two pods")
    looks = 'fairlead_reconcile_duration_seconds_count{outcome="Done"}'

    def silent() -> bool:
        audit, begin = Audit(managed.audit_log), operator.metric(looks) or 0
        eventually(lambda: (operator.metric(looks) or 0) >= begin + 100, "a hundred looks")
        return audit.writes() == []

    assert silent() or silent(), "the first hundred may still see the last pod's birth"


@pytest.mark.parametrize(
    ("hard", "made"),
    [
        pytest.param({"pods": "0"}, 0, id="no pod"),
        pytest.param({"requests.nvidia.com/gpu": "1"}, 1, id="accelerators for one of three replicas"),
    ],
)
def test_a_quota_that_forbids_pods_is_named(kubectl: Kubectl, hard: dict[str, str], made: int) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": hard},
    }
    kubectl.create(quota)
    eventually(lambda: (kubectl.get("resourcequota", "none") or {}).get("status", {}).get("hard"), "the quota's start")

    kubectl.apply(service(replicas=3))

    def refused() -> bool:
        return conditions(kubectl.get("infs", "mistral")).get("Scheduled", {}).get("reason") == "QuotaExceeded"

    eventually(refused, "QuotaExceeded")
    message = conditions(kubectl.get("infs", "mistral"))["Ready"]["message"]
    assert "exceeded quota" in message
    assert message.endswith("raise the namespace's quota, or ask for less in spec.resources or spec.replicas")
    assert len(kubectl.items("pod")) == made
