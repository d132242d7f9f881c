"""Beside others: another group's kind of the same name, and a queue that holds pods."""

from collections.abc import Iterator
from typing import Any

import pytest

from api import pods
from api.cluster import Kubectl, Manifest, conditions, eventually, service

OURS = "app.kubernetes.io/managed-by=fairlead"
KSERVE = "inferenceservices.serving.kserve.io"


def reason(kubectl: Kubectl, condition: str, name: str = "mistral") -> str:
    """A condition's reason, "" while it is not there."""
    return str(conditions(kubectl.get("infs", name)).get(condition, {}).get("reason", ""))


@pytest.fixture
def kserve(admin: Kubectl) -> Iterator[None]:
    """A CRD of the same kind and plural in KServe's group, without its controller."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names = {
        "kind": "InferenceService",
        "plural": "inferenceservices",
        "singular": "inferenceservice",
        "shortNames": ["isvc"],
    }
    admin.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": KSERVE},
            "spec": {"group": "serving.kserve.io", "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    eventually(lambda: "isvc" in admin("api-resources", "--api-group=serving.kserve.io", "--cached=false"), "discovery")
    yield
    admin("delete", "crd", KSERVE)


def theirs(kubectl: Kubectl, name: str) -> Manifest:
    """An InferenceService of KServe."""
    spec = {"predictor": {"model": {"modelFormat": {"name": "huggingface"}}}}
    body = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": spec,
    }
    return kubectl.apply(body)


@pytest.mark.usefixtures("operator", "kserve")
def test_beside_kserves_kind_of_the_same_name_each_is_served_by_its_own(kubectl: Kubectl) -> None:
    before = theirs(kubectl, "mistral")
    theirs(kubectl, "only-theirs")

    kubectl.apply(service())

    eventually(lambda: reason(kubectl, "Accepted") == "Valid", "our status")
    children = kubectl.items("deployment,service,configmap", OURS)
    assert {item["metadata"]["labels"]["fairlead.dev/service"] for item in children} == {"mistral"}
    assert all(
        owner["apiVersion"] == "fairlead.dev/v1alpha1"
        for item in children
        for owner in item["metadata"]["ownerReferences"]
    )
    after = kubectl.get(KSERVE, "mistral")
    assert after is not None
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]

    kubectl.delete(KSERVE, "mistral")
    kubectl.patch("infs", "mistral", {"spec": {"replicas": 2}})
    eventually(lambda: (kubectl.get("deployment", "mistral") or {})["spec"]["replicas"] == 2, "ours goes on")


@pytest.mark.usefixtures("operator", "kserve")
def test_a_child_of_kserves_service_is_not_ours_and_the_message_says_whose(kubectl: Kubectl) -> None:
    owner = theirs(kubectl, "mistral")
    reference: dict[str, Any] = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "name": "mistral",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    labels = {"app.kubernetes.io/managed-by": "fairlead", "fairlead.dev/service": "mistral"}
    port = {"name": "http", "port": 80}
    taken = kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "mistral", "labels": labels, "ownerReferences": [reference]},
            "spec": {"ports": [port]},
        }
    )

    kubectl.apply(service())

    eventually(lambda: reason(kubectl, "Accepted") == "NameTaken", "NameTaken")
    message = conditions(kubectl.get("infs", "mistral"))["Accepted"]["message"]
    assert "Service mistral exists and belongs to InferenceService.serving.kserve.io mistral; " in message
    found = kubectl.get("service", "mistral")
    assert found is not None
    assert found["metadata"]["resourceVersion"] == taken["metadata"]["resourceVersion"]
    assert kubectl.get("deployment", "mistral") is None


@pytest.mark.usefixtures("operator")
def test_a_queue_is_passed_on_and_a_pod_that_it_holds_is_queued(kubectl: Kubectl) -> None:
    """The API server itself writes the condition of a gated pod; Kueue adds the gate to pods with this label."""
    kubectl.apply(service(placement={"queueName": "team-a"}))
    deployment = eventually(lambda: kubectl.get("deployment", "mistral"), "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert (
        deployment["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == labels["kueue.x-k8s.io/queue-name"] == "team-a"
    )

    pods.make(kubectl, "mistral", "a", node=None, gate="kueue.x-k8s.io/admission")

    eventually(lambda: reason(kubectl, "Scheduled") == "Queued", "Queued")
    assert reason(kubectl, "Ready") == "Queued"
    message = conditions(kubectl.get("infs", "mistral"))["Ready"]["message"]
    assert message.startswith("pod mistral-a waits in queue team-a (kueue.x-k8s.io/admission); ")
    assert "LocalQueue team-a" in message
    assert "Stalled" not in conditions(kubectl.get("infs", "mistral"))
