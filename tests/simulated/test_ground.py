"""The simulation itself: pods are scheduled, get ready, fail, restart and go as on a real node."""

import pytest

from api.cluster import Kubectl, conditions, eventually
from simulated.fates import ANNOTATION, STUCK, Fate, record
from simulated.nodes import Pool
from simulated.witness import witness

pytestmark = pytest.mark.usefixtures("operator")


def test_a_service_becomes_ready_on_a_simulated_node(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(2)

    kubectl.apply(pool.service(replicas=2))

    kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=30s")


def test_a_stuck_pod_runs_and_is_never_ready(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(1)

    kubectl.apply(pool.service(fate=STUCK))

    pod = eventually(
        lambda: next((p for p in kubectl.items("pod") if p["status"]["phase"] == "Running"), None), "a pod"
    )
    assert not pod["status"]["containerStatuses"][0]["ready"]


def test_a_failing_engine_restarts_and_recovers(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(1)

    kubectl.apply(pool.service(fate=record("KVCacheTooSmall", "too small", "spec.engine.maxModelLen", "3072", times=2)))

    eventually(lambda: conditions(kubectl.get("infs", "mistral")).get("EngineHealthy", {}).get("reason") == "KVCacheTooSmall", "the failure")  # fmt: skip
    kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=30s")
    [pod] = kubectl.items("pod")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 2


def test_an_engine_that_fails_after_it_served_loses_ready(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(1)

    # It serves again within seconds: a look now and then may miss what a watch shows.
    with witness(kubectl.kubeconfig) as watching:
        kubectl.apply(pool.service(fate=record("EngineStalled", serves=True, times=1)))

        kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=30s")
        said = watching.seen[kubectl.namespace, "mistral"]
        eventually(lambda: {("EngineHealthy", "False", "EngineStalled"), ("Ready", "False", "EngineStalled")} <= said.keys(), "the end")  # fmt: skip
        kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=30s")


def test_a_deleted_pod_drains_before_it_is_gone(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(2)
    kubectl.apply(pool.service(fate=Fate(drains="2s")))
    kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=30s")
    [pod] = [item["metadata"]["name"] for item in kubectl.items("pod")]

    kubectl.delete("pod", pod)

    assert (kubectl.get("pod", pod) or {})["metadata"]["deletionTimestamp"]
    eventually(lambda: kubectl.get("pod", pod) is None, "its end")


def test_one_pods_fate_changes_by_annotation(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(2)
    kubectl.apply(pool.service())
    kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=30s")
    [pod] = [item["metadata"]["name"] for item in kubectl.items("pod")]
    evicted = Fate(gives_up={"reason": "Evicted", "message": "the node was low on memory"})

    kubectl("annotate", "pod", pod, f"{ANNOTATION}={evicted.text()}")

    eventually(lambda: (kubectl.get("pod", pod) or {})["status"]["phase"] == "Failed", "the eviction")
    eventually(lambda: len(kubectl.items("pod")) == 2, "another pod")
    kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=30s")
