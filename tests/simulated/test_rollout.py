"""Rollouts where accelerators are free and where they are not; what stays Ready meanwhile, and what becomes of a bad template."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api.cluster import Kubectl, Manifest, conditions, eventually
from api.listening import listening
from api.operators import OperatorProcess
from fairlead_operator.core.giving_up import TRIES
from simulated.fates import Fate, record
from simulated.nodes import Pool

pytestmark = pytest.mark.usefixtures("operator")
#: Seconds instead of the minute that is the default.
SOON = {"surgeWaitSeconds": 2}
BAD = record("KVCacheTooSmall", "3072 tokens fit, 4096 are asked for", "spec.engine.maxModelLen", "3072")


def up_to_date(kubectl: Kubectl) -> Manifest:
    """The condition, or nothing yet."""
    return conditions(kubectl.get("infs", "mistral")).get("UpToDate", {})


def ready(kubectl: Kubectl) -> int:
    """Pods that serve now."""
    return sum(
        any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", ()))
        for pod in kubectl.items("pod")
        if not pod["metadata"].get("deletionTimestamp")
    )


@contextmanager
def watched(kubectl: Kubectl) -> Iterator[tuple[list[int], list[str]]]:
    """Counts of Ready pods, over and over, and every message of UpToDate, however short it stood."""
    counts: list[int] = []
    said: list[str] = []
    over = threading.Event()

    def note(_: str, service: Manifest) -> None:
        said.append(conditions(service).get("UpToDate", {}).get("message", ""))

    def count() -> None:
        while not over.is_set():
            counts.append(ready(kubectl))
            over.wait(0.05)

    counter = threading.Thread(target=count)
    services = f"/apis/fairlead.dev/v1alpha1/namespaces/{kubectl.namespace}/inferenceservices"
    with listening(kubectl.kubeconfig, services, note):
        counter.start()
        try:
            yield counts, said
        finally:
            over.set()
            counter.join()


def serves(kubectl: Kubectl, pool: Pool, replicas: int, **rollout: object) -> None:
    """The service is there, all of it."""
    kubectl.apply(pool.service(replicas=replicas, rollout=rollout, fate=Fate()))
    kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=30s")


def change(kubectl: Kubectl, pool: Pool, fate: Fate, replicas: int, **rollout: object) -> None:
    """Another template."""
    kubectl.apply(pool.service(replicas=replicas, rollout=rollout, engine={"seed": 7}, fate=fate), force=True)


def finished(kubectl: Kubectl) -> bool:
    """Whether the status of the newest generation says that every pod runs it and is Ready."""
    found = kubectl.get("infs", "mistral")
    said = conditions(found).get("Ready", {})
    return found is not None and said.get("observedGeneration") == found["metadata"]["generation"] and said["status"] == "True"  # fmt: skip


def strategy(kubectl: Kubectl) -> Manifest:
    """How the Deployment replaces pods now."""
    found: Manifest = (kubectl.get("deployment", "mistral") or {})["spec"]["strategy"]["rollingUpdate"]
    return found


@pytest.mark.parametrize("replicas", [1, 3])
def test_with_every_accelerator_taken_it_replaces_and_finishes(kubectl: Kubectl, pool: Pool, replicas: int) -> None:
    pool.add(replicas)
    serves(kubectl, pool, replicas, **SOON)

    with watched(kubectl) as (counts, said):
        change(kubectl, pool, Fate(drains="300ms"), replicas, **SOON)
        eventually(lambda: finished(kubectl), "the end of the rollout", within=60)

    assert min(counts) == replicas - 1
    assert any("surging, but no room is found yet" in message for message in said)
    assert any("replacing one by one, since no room was found for one more pod in 2 s" in message and "Insufficient nvidia.com/gpu" in message for message in said)  # fmt: skip
    assert any("no replica serves until" in message for message in said) == (replicas == 1)
    eventually(lambda: strategy(kubectl) == {"maxSurge": 1, "maxUnavailable": 0}, "the strategy of the next rollout")


def test_with_one_accelerator_free_it_surges_and_loses_none(kubectl: Kubectl, pool: Pool) -> None:
    """A pod that goes drains for longer than a surge may take to find room: that is no reason to replace."""
    pool.add(4)
    serves(kubectl, pool, 3, **SOON)
    kubectl.apply(pool.service(replicas=3, rollout=SOON, fate=Fate(drains="4s")), force=True)
    eventually(lambda: finished(kubectl), "pods that drain", within=60)

    with watched(kubectl) as (counts, said):
        change(kubectl, pool, Fate(drains="4s"), 3, **SOON)
        eventually(lambda: finished(kubectl), "the end of the rollout", within=90)

    assert min(counts) == 3
    assert any("surging, one accelerator set is free" in message for message in said)
    assert not any("replacing" in message for message in said)


def test_replace_takes_one_at_a_time_although_there_is_room(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(4)
    serves(kubectl, pool, 3, strategy="Replace")

    with watched(kubectl) as (counts, said):
        change(kubectl, pool, Fate(ready="600ms"), 3, strategy="Replace")
        eventually(lambda: finished(kubectl), "the end of the rollout", within=60)

    assert min(counts) == 2
    assert any("replacing one by one, as spec.rollout.strategy asks; 2 of 3 replicas serve" in message for message in said)  # fmt: skip


def test_a_quota_that_is_used_up_is_no_deadlock(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(4)
    serves(kubectl, pool, 2, **SOON)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "2"}}}  # fmt: skip
    kubectl.create(quota)
    eventually(lambda: (kubectl.get("resourcequota", "gpus") or {}).get("status", {}).get("used"), "the quota's start")

    with watched(kubectl) as (counts, said):
        change(kubectl, pool, Fate(), 2, **SOON)
        eventually(lambda: finished(kubectl), "the end of the rollout", within=60)

    assert min(counts) == 1
    assert any("replacing one by one" in message and "exceeded quota" in message for message in said)


def test_surge_waits_for_room_and_takes_it(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(1)
    serves(kubectl, pool, 1, strategy="Surge")

    with watched(kubectl) as (counts, _):
        change(kubectl, pool, Fate(), 1, strategy="Surge")
        eventually(lambda: "waits for it, as spec.rollout.strategy asks" in up_to_date(kubectl).get("message", ""), "the wait")  # fmt: skip
        pool.add(1)
        eventually(lambda: finished(kubectl), "the end of the rollout", within=60)

    assert min(counts) == 1


def test_a_bad_template_is_held_beside_the_old_pods(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(3)
    serves(kubectl, pool, 2)

    with watched(kubectl) as (counts, _):
        change(kubectl, pool, BAD, 2)
        eventually(lambda: up_to_date(kubectl).get("reason") == "RolloutBlocked", "the block")
        assert "KVCacheTooSmall" in up_to_date(kubectl)["message"]
        assert conditions(kubectl.get("infs", "mistral"))["Available"]["status"] == "True"
        assert "Stalled" in conditions(kubectl.get("infs", "mistral"))
        serves(kubectl, pool, 2)
        eventually(lambda: finished(kubectl) and len(kubectl.items("pod")) == 2, "the way back", within=60)

    assert min(counts) == 2


def failures(kubectl: Kubectl) -> int:
    """Equal ones in a row, as the status counts them."""
    return int((kubectl.get("infs", "mistral") or {})["status"].get("lastFailure", {}).get("count", 0))


def test_the_last_old_pod_beside_a_bad_template_is_made_again_when_it_is_lost(kubectl: Kubectl, pool: Pool) -> None:
    """A quota keeps its successor away for so long that the operator sees nothing but the pod that fails."""
    pool.add(2)
    serves(kubectl, pool, 1)
    [old] = kubectl.items("pod")
    change(kubectl, pool, BAD, 1)
    eventually(lambda: failures(kubectl) >= TRIES, "more failures than are tried without an old pod", within=60)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "1"}}}  # fmt: skip
    kubectl.create(quota)
    eventually(lambda: (kubectl.get("resourcequota", "gpus") or {}).get("status", {}).get("used"), "the quota's start")

    kubectl.delete("pod", old["metadata"]["name"], gracePeriodSeconds=0)
    seen = failures(kubectl)
    eventually(lambda: failures(kubectl) > seen + 1, "looks at the failing pod alone", within=60)

    assert kubectl.items("pod") != []
    assert (kubectl.get("deployment", "mistral") or {})["spec"]["replicas"] == 1
    kubectl.delete("resourcequota", "gpus")
    eventually(lambda: ready(kubectl) == 1, "another pod of the former spec", within=60)
    assert up_to_date(kubectl)["reason"] == "RolloutBlocked"


def test_going_back_starts_no_pod_that_still_runs(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(3)
    serves(kubectl, pool, 2)
    before = {pod["metadata"]["uid"] for pod in kubectl.items("pod")}
    change(kubectl, pool, BAD, 2)
    eventually(lambda: up_to_date(kubectl).get("reason") == "RolloutBlocked", "the block")

    serves(kubectl, pool, 2)

    eventually(lambda: {pod["metadata"]["uid"] for pod in kubectl.items("pod")} == before, "the former pods")


def test_a_bad_template_is_taken_back_where_it_replaced(kubectl: Kubectl, pool: Pool) -> None:
    pool.add(2)
    serves(kubectl, pool, 2, **SOON)

    with watched(kubectl) as (counts, _):
        change(kubectl, pool, BAD, 2, **SOON)
        eventually(lambda: "is restored" in up_to_date(kubectl).get("message", ""), "the restoration", within=60)
        eventually(lambda: ready(kubectl) == 2, "both pods again", within=60)
        assert up_to_date(kubectl)["reason"] == "RolloutBlocked"
        assert "KVCacheTooSmall" in up_to_date(kubectl)["message"]
        kubectl("scale", "infs/mistral", "--replicas=1")
        eventually(lambda: len(kubectl.items("pod")) == 1, "one pod")
        assert up_to_date(kubectl)["reason"] == "RolloutBlocked", "a scaler's change is no other try"

    assert min(counts) == 1
    change(kubectl, pool, Fate(), 1, **SOON)
    eventually(lambda: finished(kubectl), "the corrected spec", within=60)


@pytest.mark.parametrize("moment", ["it begins to replace", "the failure is written down"])
def test_an_operator_killed_on_the_way_changes_nothing_of_the_end(kubectl: Kubectl, pool: Pool, operator: OperatorProcess, moment: str) -> None:  # fmt: skip
    """As soon as the one write is seen, before whatever would have come next."""
    pool.add(2)
    serves(kubectl, pool, 2, **SOON)

    def written() -> bool:
        if moment == "it begins to replace":
            return bool(strategy(kubectl)["maxSurge"] == 0)
        return any("fairlead.dev/failed" in item["metadata"].get("annotations", {}) for item in kubectl.items("controllerrevision"))  # fmt: skip

    with watched(kubectl) as (counts, _):
        change(kubectl, pool, BAD, 2, **SOON)
        eventually(written, moment, within=60)
        operator.end(signal.SIGKILL)
        operator.start().ready()
        eventually(lambda: "is restored" in up_to_date(kubectl).get("message", ""), "the restoration", within=60)
        eventually(lambda: ready(kubectl) == 2 and len(kubectl.items("pod")) == 2, "both pods again", within=60)

    assert min(counts) == 1
    assert "KVCacheTooSmall" in up_to_date(kubectl)["message"]
