"""Accelerators that are there, taken, queued for or not allowed: what the user reads, and that it mends itself."""

import json
from typing import Any

import pytest

from api.cluster import Kubectl, Manifest, conditions, eventually, service
from api.objects import RefusedError
from fairlead_operator.core import names
from simulated import policies
from simulated.fates import Fate
from simulated.nodes import GPU, Pool

pytestmark = pytest.mark.usefixtures("operator")
AMD = "amd.com/gpu"
#: Seconds for which the operator uses a listing of all nodes, and a little.
COUNTED = 45.0


def condition(kubectl: Kubectl, kind: str, name: str = "mistral") -> Manifest:
    """One condition, {} while it is not there."""
    return conditions(kubectl.get("infs", name)).get(kind, {})


def becomes(kubectl: Kubectl, kind: str, reason: str, name: str = "mistral") -> Manifest:
    """The condition, once it has this reason."""

    def seen() -> Manifest | None:
        found = condition(kubectl, kind, name)
        return found if found.get("reason") == reason else None

    return eventually(seen, f"{kind} {reason}")


def ready(kubectl: Kubectl, name: str = "mistral") -> None:
    kubectl("wait", "--for=condition=Ready", f"infs/{name}", "--timeout=40s")


def evict(kubectl: Kubectl, pod: str) -> None:
    """Through the Eviction API, as a node that is emptied does. Raises RefusedError."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": kubectl.namespace}}
    kubectl("create", "--raw", f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod}/eviction", "-f", "-", stdin=body)


def pods(kubectl: Kubectl, name: str = "mistral") -> list[Manifest]:
    """Its pods that are not on their way out."""
    found = kubectl.items("pod", f"fairlead.dev/service={name}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def test_what_lacks_is_said_with_numbers_and_places_for_any_vendor(kubectl: Kubectl, pool: Pool) -> None:
    first, second, other = pool.add(2), pool.add(1), pool.add(1, AMD)

    kubectl.apply(pool.service("green", parallelism={"tensor": 2}))
    kubectl.apply(pool.service("red", resources={"acceleratorName": AMD}))
    for name in ("green", "red"):
        ready(kubectl, name)

    kubectl("scale", "infs", "green", "red", "--replicas=2")

    expected = {
        "green": [f"needs 2 {GPU}", f"1 of 3 are free (1 on {second})"],
        "red": [f"needs 1 {AMD}", "0 of 1 are free"],
    }
    for name, parts in expected.items():
        becomes(kubectl, "Scheduled", "InsufficientAccelerators", name)
        eventually(lambda name=name, parts=parts: all(part in condition(kubectl, "Scheduled", name)["message"] for part in parts), f"{parts}", COUNTED)  # type: ignore[misc]  # fmt: skip
    assert {pod["spec"].get("nodeName") for pod in pods(kubectl, "green")} == {first, None}
    assert {pod["spec"].get("nodeName") for pod in pods(kubectl, "red")} == {other, None}
    pool.add(2)
    ready(kubectl, "green")


@pytest.mark.parametrize("resource", [GPU, AMD])
def test_a_node_that_keeps_others_away_by_a_taint_is_used(kubectl: Kubectl, pool: Pool, resource: str) -> None:
    pool.add(1, resource, taints=[{"key": resource, "effect": "NoSchedule"}])

    kubectl.apply(pool.service(resources={"acceleratorName": resource}))

    ready(kubectl)


def test_the_least_memory_of_an_accelerator_chooses_the_node(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(1, labels={"nvidia.com/gpu.memory": "40960"})
    large = pool.add(1, labels={"nvidia.com/gpu.memory": "81559"})

    kubectl.apply(pool.service(placement={"minAcceleratorMemory": "60Gi"}))

    ready(kubectl)
    assert [pod["spec"]["nodeName"] for pod in pods(kubectl)] == [large]


def test_a_quota_stops_the_third_replica_and_the_others_serve(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(3)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus"}, "spec": {"hard": {f"requests.{GPU}": "2"}}}  # fmt: skip
    kubectl.apply(quota)
    eventually(lambda: (kubectl.get("resourcequota", "gpus") or {}).get("status", {}).get("used"), "the quota's start")

    kubectl.apply(pool.service(replicas=3))

    assert "gpus" in becomes(kubectl, "Scheduled", "QuotaExceeded")["message"]
    assert "2 of 3" in becomes(kubectl, "Available", "Serving")["message"]
    kubectl.apply({**quota, "spec": {"hard": {f"requests.{GPU}": "3"}}}, force=True)
    ready(kubectl)


def test_a_queue_holds_the_pod_and_lets_it_go(kubectl: Kubectl, pool: Pool, admission: None) -> None:
    pool.add(1)

    kubectl.apply(pool.service(placement={"queueName": "gpus"}))

    becomes(kubectl, "Scheduled", "Queued")
    [pod] = pods(kubectl)
    assert pod["metadata"]["labels"][names.QUEUE_LABEL] == "gpus"
    assert pod["spec"]["schedulingGates"] == [{"name": policies.GATE}]
    kubectl("patch", "pod", pod["metadata"]["name"], "--type=json", "-p", json.dumps([{"op": "remove", "path": "/spec/schedulingGates"}]))  # fmt: skip
    ready(kubectl)


def test_a_pod_waits_for_the_own_one_that_drains(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(1)
    kubectl.apply(pool.service(fate=Fate(drains="15s")))
    ready(kubectl)
    [pod] = pods(kubectl)

    kubectl.delete("pod", pod["metadata"]["name"])

    assert "stopping" in becomes(kubectl, "Scheduled", "WaitingForDrain")["message"]
    ready(kubectl)


def test_suspended_keeps_everything_but_the_pods(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(2)
    kubectl.apply(pool.service(replicas=2))
    ready(kubectl)
    kept = kubectl("get", "service,configmap", "-l", "fairlead.dev/service=mistral", "-o", "name")

    kubectl.patch("infs", "mistral", {"spec": {"suspend": True}})

    becomes(kubectl, "Available", "Suspended")
    eventually(lambda: not kubectl.items("pod"), "no pod")
    assert kubectl("get", "service,configmap", "-l", "fairlead.dev/service=mistral", "-o", "name") == kept
    assert (kubectl.get("infs", "mistral") or {})["spec"]["replicas"] == 2
    kubectl.patch("infs", "mistral", {"spec": {"suspend": False}})
    becomes(kubectl, "Available", "Serving")
    ready(kubectl)
    assert len(pods(kubectl)) == 2


def test_scale_follows_each_number(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(3)
    kubectl.apply(pool.service())
    ready(kubectl)

    for wanted in (3, 0, 1):
        kubectl("scale", "infs/mistral", f"--replicas={wanted}")
        eventually(lambda wanted=wanted: (kubectl.get("infs", "mistral") or {})["status"]["replicaSummary"] == f"{wanted}/{wanted}", f"{wanted} replicas")  # type: ignore[misc]  # fmt: skip
        eventually(lambda wanted=wanted: len(kubectl.items("pod")) == wanted, f"{wanted} pods")  # type: ignore[misc]
        ready(kubectl)
        scale = json.loads(kubectl("get", "--raw", f"/apis/fairlead.dev/v1alpha1/namespaces/{kubectl.namespace}/inferenceservices/mistral/scale"))  # fmt: skip
        assert (scale["spec"].get("replicas", 0), scale["status"]["replicas"]) == (wanted, wanted)
        assert len(kubectl.items("pod", scale["status"]["selector"])) == wanted


def test_deletion_leaves_nothing(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(3)
    kubectl.apply(pool.service(replicas=2))
    ready(kubectl)
    kubectl.patch("infs", "mistral", {"spec": {"engine": {"seed": 1}}})
    eventually(lambda: condition(kubectl, "UpToDate").get("observedGeneration") == 2, "the rollout")
    ready(kubectl)

    kubectl.delete("infs", "mistral")

    kinds = "deployments,replicasets,pods,services,configmaps,poddisruptionbudgets,controllerrevisions"
    eventually(lambda: not left(kubectl, kinds), "nothing")


def left(kubectl: Kubectl, kinds: str) -> list[str]:
    """What is there that Kubernetes itself did not make."""
    return [name for name in kubectl("get", kinds, "-o", "name").split() if name != "configmap/kube-root-ca.crt"]


def test_a_node_is_emptied_one_replica_at_a_time(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(3)
    kubectl.apply(pool.service(replicas=2, fate=Fate(ready="1500ms")))
    ready(kubectl)
    eventually(lambda: (kubectl.get("pdb", "mistral") or {}).get("status", {}).get("disruptionsAllowed") == 1, "a budget")  # fmt: skip
    first, second = (pod["metadata"]["name"] for pod in pods(kubectl))

    evict(kubectl, first)
    with pytest.raises(RefusedError, match="disruption budget"):
        evict(kubectl, second)

    eventually(lambda: first not in {pod["metadata"]["name"] for pod in pods(kubectl)}, "its end")
    ready(kubectl)
    eventually(lambda: evicted(kubectl, second), "the other's turn")


def evicted(kubectl: Kubectl, pod: str) -> bool:
    """Whether the eviction was let through."""
    try:
        evict(kubectl, pod)
    except RefusedError:
        return False
    return True


@pytest.mark.parametrize(("disruption", "goes"), [("Allow", 1), ("Block", 0)])
def test_a_single_replica_goes_if_its_owner_lets_it(kubectl: Kubectl, pool: Pool, disruption: str, goes: int) -> None:
    pool.add(1)
    kubectl.apply(pool.service(disruption=disruption))
    ready(kubectl)
    [pod] = pods(kubectl)
    if disruption == "Block":
        eventually(lambda: (kubectl.get("pdb", "mistral") or {}).get("status", {}).get("expectedPods") == 1, "a budget")

    assert evicted(kubectl, pod["metadata"]["name"]) is bool(goes)


def _child(kubectl: Kubectl, kind: str, owner: list[Manifest]) -> Manifest:
    """An object of that kind called second, of this owner."""
    labels = {"app": "other"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "example.com/a:1"}]}}
    content: dict[str, Any] = {
        "Deployment": {"apiVersion": "apps/v1", "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}},
        "Service": {"apiVersion": "v1", "spec": {"ports": [{"port": 1}]}},
        "PodDisruptionBudget": {"apiVersion": "policy/v1", "spec": {"selector": {"matchLabels": labels}}},
    }  # fmt: skip
    metadata = {"name": "second", "ownerReferences": owner}
    kubectl.create({"kind": kind, "metadata": metadata, **content[kind]})
    return kubectl.get(kind.lower(), "second") or {}


@pytest.mark.parametrize("kind", ["Deployment", "Service", "PodDisruptionBudget"])
@pytest.mark.parametrize("owners", [1, 0], ids=["another InferenceService's", "nobody's"])
def test_a_name_that_is_taken_is_left_alone(kubectl: Kubectl, kind: str, owners: int) -> None:
    """The first service has it, or somebody else: the second says so and makes nothing at all."""
    first = kubectl.apply(service("first", suspend=True))["metadata"]
    owner = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "InferenceService", "name": "first", "uid": first["uid"], "controller": True}  # fmt: skip
    before = _child(kubectl, kind, [owner] * owners)

    kubectl.apply(service("second", replicas=2))

    message = becomes(kubectl, "Accepted", "NameTaken", "second")["message"]
    assert f"{kind} second" in message
    after = kubectl.get(kind.lower(), "second") or {}
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    assert not kubectl.items("configmap", "fairlead.dev/service=second")
    assert not kubectl.items("pod", "fairlead.dev/service=second")


def test_two_namespaces_may_use_the_same_name(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(2)
    other = kubectl.new_namespace(f"{kubectl.namespace}-b")

    for each in (kubectl, other):
        each.apply(pool.service())

    ready(kubectl)
    ready(other)
    other.delete("infs", "mistral")
