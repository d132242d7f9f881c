"""Pods' fates as kubelet and scheduler would write them, and what the user then reads."""

import pytest

from api import pods
from api.cluster import Kubectl, Manifest, conditions, eventually, service
from api.operators import OperatorProcess

pytestmark = pytest.mark.usefixtures("operator")


#: Looks at a service that went well.
DONE = 'fairlead_reconcile_duration_seconds_count{outcome="Done"}'


def seen(kubectl: Kubectl) -> Manifest:
    """The service, with a status."""
    return {"status": {}, **(kubectl.get("infs", "mistral") or {})}


def condition(kubectl: Kubectl, kind: str) -> Manifest:
    """One condition, {} while it is not there."""
    return conditions(kubectl.get("infs", "mistral")).get(kind, {})


def becomes(kubectl: Kubectl, kind: str, status: str, reason: str) -> Manifest:
    """The condition, once it has this status and reason."""

    def seen() -> Manifest | None:
        found = condition(kubectl, kind)
        return found if (found.get("status"), found.get("reason")) == (status, reason) else None

    try:
        return eventually(seen, f"{kind}={status} {reason}")
    except AssertionError as late:
        raise AssertionError(f"{late}; conditions: {conditions(kubectl.get('infs', 'mistral'))}") from late


def test_all_conditions_are_there_at_first_sight(kubectl: Kubectl) -> None:
    kubectl.apply(service())

    seen = eventually(lambda: conditions(kubectl.get("infs", "mistral")), "conditions")

    expected = {"Accepted", "Scheduled", "ModelAvailable", "EngineHealthy", "UpToDate", "Secured", "Available", "Ready"}
    assert expected <= seen.keys()
    assert all(item["observedGeneration"] == 1 and item["reason"] and item["message"] for item in seen.values())
    assert seen["Ready"]["status"] == "False"
    assert seen["Reconciling"]["status"] == "True"


def test_ready_once_every_pod_is_ready(kubectl: Kubectl) -> None:
    kubectl.apply(service(replicas=2))
    first, second = (pods.make(kubectl, "mistral", suffix) for suffix in "ab")
    pods.report(kubectl, "mistral", 2, 1)
    pods.set_status(kubectl, first, pods.ready())

    becomes(kubectl, "Available", "True", condition_reason(kubectl, "Available", "True"))
    assert condition(kubectl, "Ready")["status"] == "False"
    pods.set_status(kubectl, second, pods.ready())
    pods.report(kubectl, "mistral", 2, 2)

    kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=20s")
    status = (kubectl.get("infs", "mistral") or {})["status"]
    assert (status["replicas"], status["readyReplicas"], status["replicaSummary"]) == (2, 2, "2/2")
    assert status["url"] == f"http://mistral.{kubectl.namespace}.svc/v1"
    assert "Reconciling" not in conditions(kubectl.get("infs", "mistral"))


def condition_reason(kubectl: Kubectl, kind: str, status: str) -> str:
    """The reason once the condition has this status."""
    return str(eventually(lambda: (found := condition(kubectl, kind)).get("status") == status and found["reason"], f"{kind}={status}"))  # fmt: skip


def test_kubectl_waits_for_each_condition(kubectl: Kubectl) -> None:
    kubectl.apply(service(serving={"apiKeySecretRef": {"name": "keys", "key": "keys"}}))
    kubectl("wait", "--for=condition=Reconciling", "infs/mistral", "--timeout=20s")
    pods.set_status(kubectl, pods.make(kubectl, "mistral", "a"), pods.ready())
    pods.report(kubectl, "mistral", 1, 1)

    for kind in (
        "Accepted",
        "Scheduled",
        "ModelAvailable",
        "EngineHealthy",
        "UpToDate",
        "Secured",
        "Available",
        "Ready",
    ):
        kubectl("wait", f"--for=condition={kind}", "infs/mistral", "--timeout=20s")

    kubectl.patch("infs", "mistral", {"spec": {"engine": {"extraArgs": ["--port=1"]}}})
    kubectl("wait", "--for=condition=Stalled", "infs/mistral", "--timeout=20s")
    kubectl("wait", "--for=condition=Ready=false", "infs/mistral", "--timeout=20s")
    kubectl("wait", "--for=condition=Available", "infs/mistral", "--timeout=20s")


def test_the_engines_own_words_reach_the_user(kubectl: Kubectl) -> None:
    kubectl.apply(service(engine={"maxModelLen": 4096}))
    pod = pods.make(kubectl, "mistral", "a")
    message = "the KV cache holds 3072 tokens, maxModelLen asks for 4096"

    pods.set_status(kubectl, pod, pods.failed("KVCacheTooSmall", message, "spec.engine.maxModelLen", "3072"))

    verdict = becomes(kubectl, "EngineHealthy", "False", "KVCacheTooSmall")
    assert message in verdict["message"]
    assert "spec.engine.maxModelLen" in verdict["message"]
    assert becomes(kubectl, "Ready", "False", "KVCacheTooSmall")["message"] == verdict["message"]
    status = (kubectl.get("infs", "mistral") or {})["status"]
    assert status["lastFailure"]["code"] == "KVCacheTooSmall"
    assert status["lastFailure"]["pod"] == pod
    assert status["replicaStates"][0]["failure"]["field"] == "spec.engine.maxModelLen"


def test_the_last_failure_outlives_its_pod(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    pod = pods.make(kubectl, "mistral", "a")
    pods.set_status(
        kubectl, pod, pods.failed("OutOfGPUMemory", "tried 20 GiB", "spec.engine.gpuMemoryUtilizationPercent", "80")
    )
    becomes(kubectl, "EngineHealthy", "False", "OutOfGPUMemory")

    kubectl.delete("pod", pod, gracePeriodSeconds=0)

    eventually(lambda: not (kubectl.get("infs", "mistral") or {})["status"].get("replicaStates"), "no pods")
    assert (kubectl.get("infs", "mistral") or {})["status"]["lastFailure"]["code"] == "OutOfGPUMemory"


def test_a_service_whose_last_pod_went_is_not_written_at_the_next_look(
    kubectl: Kubectl, operator: OperatorProcess
) -> None:
    """Whatever the API server leaves of the list of pods."""
    kubectl.apply(service())
    pod = pods.make(kubectl, "mistral", "a")
    eventually(lambda: seen(kubectl)["status"].get("replicaStates"), "the pod")
    kubectl.delete("pod", pod, gracePeriodSeconds=0)
    eventually(lambda: not seen(kubectl)["status"].get("replicaStates"), "no pods")
    looks = operator.metric(DONE) or 0

    kubectl("annotate", "infs/mistral", "look=again")
    written = seen(kubectl)
    eventually(lambda: (operator.metric(DONE) or 0) > looks, "another look")
    kubectl("annotate", "infs/mistral", "look-")
    eventually(lambda: (operator.metric(DONE) or 0) > looks + 1, "one look more")

    assert not written["status"].get("replicaStates")
    assert seen(kubectl)["status"] == written["status"]


def test_a_pod_without_a_node(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    pod = pods.make(kubectl, "mistral", "a", node=None)

    pods.set_status(kubectl, pod, pods.unschedulable())

    assert "nvidia.com/gpu" in becomes(kubectl, "Scheduled", "False", "InsufficientAccelerators")["message"]


def test_a_pod_without_accelerators_says_how_many_are_free_and_where(kubectl: Kubectl) -> None:
    """Nodes and pods of the whole cluster are read with the operator's own rights."""
    node, resource = f"node-{kubectl.namespace}", f"{kubectl.namespace}.example.com/gpu"
    kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    capacity = {"cpu": "64", "memory": "512Gi", "pods": "110", resource: "4"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    kubectl.patch(
        "node",
        node,
        {"status": {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}},
        subresource="status",
    )
    kubectl.patch("node", node, {"spec": {"taints": None}})
    kubectl.apply(service(resources={"acceleratorName": resource}, parallelism={"tensor": 3}))
    pods.make(kubectl, "mistral", "a", node=node)
    second = pods.make(kubectl, "mistral", "b", node=None)

    pods.set_status(kubectl, second, pods.unschedulable(resource))

    becomes(kubectl, "Scheduled", "False", "InsufficientAccelerators")
    words = f"; 1 of 4 are free (1 on {node}); "
    # An earlier test's listing may be used for half a minute.
    eventually(lambda: words in condition(kubectl, "Scheduled")["message"], words, within=45)
    assert f"needs 3 {resource}" in condition(kubectl, "Scheduled")["message"]
    kubectl.delete("node", node)


def test_a_missing_secret_is_read_from_the_pods_events(kubectl: Kubectl) -> None:
    """The kubelet tells it in events only; those are looked up for a pod that is late, and the user reads the name."""
    kubectl.apply(service(model={"uri": "hf://org/model", "tokenSecretRef": {"name": "hf", "key": "token"}}))
    pod = pods.make(kubectl, "mistral", "a")
    pods.cannot_mount(kubectl, pod, 'MountVolume.SetUp failed for volume "hub-token" : secret "hf" not found')

    pods.set_status(kubectl, pod, pods.creating(11))

    verdict = becomes(kubectl, "Accepted", "False", "SecretNotFound")
    assert "hf" in verdict["message"]


def test_no_key_no_security(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    becomes(kubectl, "Secured", "False", "NoAPIKey")

    kubectl.patch("infs", "mistral", {"spec": {"serving": {"apiKeySecretRef": {"name": "keys", "key": "keys"}}}})

    assert eventually(lambda: condition(kubectl, "Secured")["status"] == "True", "Secured")


def test_kubectl_get_shows_ready_and_why(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    eventually(lambda: condition(kubectl, "Ready"), "conditions")

    header, line = kubectl("get", "infs").splitlines()
    wide = kubectl("get", "infs", "-o", "wide").splitlines()[0].split()

    assert header.split() == ["NAME", "MODEL", "READY", "REASON", "REPLICAS", "AGE"]
    assert line.split()[:5] == ["mistral", "hf://mistralai/Mistral-7B-Instruct-v0.3", "False", "RollingOut", "0/1"]
    assert wide == ["NAME", "MODEL", "READY", "REASON", "REPLICAS", "URL", "GPU", "AGE"]


def test_kubectl_describe_shows_the_events(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    pod = pods.make(kubectl, "mistral", "a")
    pods.set_status(kubectl, pod, pods.failed("KVCacheTooSmall", "too small", "spec.engine.maxModelLen", "3072"))
    becomes(kubectl, "EngineHealthy", "False", "KVCacheTooSmall")

    def told() -> str:
        events = kubectl("describe", "infs", "mistral").split("Events:")[1]
        return events if "KVCacheTooSmall" in events else ""

    text = eventually(told, "the event")

    assert "Warning" in text
    assert "fairlead.dev/operator" in text


def test_metrics_tell_conditions_and_requests(kubectl: Kubectl, operator: OperatorProcess) -> None:
    kubectl.apply(service())
    eventually(lambda: condition(kubectl, "Ready"), "conditions")
    labels = f'name="mistral",namespace="{kubectl.namespace}",reason="Valid",type="Accepted"'

    eventually(lambda: operator.metric(f"fairlead_condition{{{labels}}}") == 1.0, "the condition's metric")

    assert operator.metric("fairlead_workqueue_depth") is not None
    done = 'fairlead_reconcile_duration_seconds_count{outcome="Done"}'
    eventually(lambda: (operator.metric(done) or 0) > 0, "a look that is over")
    assert (operator.metric('fairlead_api_requests_total{code="201",resource="deployments",verb="apply"}') or 0) > 0
    kubectl.delete("infs", "mistral")
    eventually(lambda: operator.metric(f"fairlead_condition{{{labels}}}") is None, "the metric's end")
