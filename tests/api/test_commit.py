"""A model's branch is one commit for all replicas: the first pod's word is kept, and pods that differ are told."""

import pytest

from api import pods
from api.cluster import Kubectl, Manifest, conditions, eventually, service
from api.engines import EngineStub, engine

pytestmark = pytest.mark.usefixtures("operator")
ONE, OTHER = "1" * 40, "2" * 40


def serve(kubectl: Kubectl, stub: EngineStub, suffix: str, commit: str) -> str:
    """One more Ready pod, which says that it serves this commit."""
    stub.model = {"name": "mistral", "revision": commit}
    pod = pods.make(kubectl, "mistral", suffix)
    stub.serve(kubectl, pod)
    return pod


def pin(kubectl: Kubectl) -> Manifest | None:
    """The ConfigMap that pods of the service's template mount as their pin."""
    deployment = eventually(lambda: kubectl.get("deployment", "mistral"), "the Deployment")
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    name = next(volume["configMap"]["name"] for volume in volumes if volume["name"] == "pinned")
    return kubectl.get("configmap", name)


def test_the_first_pods_commit_is_pinned_and_another_one_is_told(kubectl: Kubectl) -> None:
    kubectl.apply(service(replicas=2))
    with engine() as first, engine() as second:
        serve(kubectl, first, "a", ONE)
        pinned = eventually(lambda: pin(kubectl), "the pin")
        before = kubectl.get("deployment", "mistral")
        other = serve(kubectl, second, "b", OTHER)
        pods.report(kubectl, "mistral", 2, 2)

        eventually(lambda: conditions(kubectl.get("infs", "mistral"))["UpToDate"]["reason"] == "MixedRevisions", "MixedRevisions")  # fmt: skip

        assert pinned["data"] == {"commit": ONE}
        assert pinned["immutable"]
        assert f"{other} serves {OTHER[:12]}" in conditions(kubectl.get("infs", "mistral"))["UpToDate"]["message"]
        after = kubectl.get("deployment", "mistral")
        assert before is not None
        assert after is not None
        assert after["spec"]["template"] == before["spec"]["template"], "a pin makes no new pods"

        kubectl.delete("pod", other, gracePeriodSeconds=0)
        second.model = {}
        serve(kubectl, second, "c", ONE)

        eventually(lambda: conditions(kubectl.get("infs", "mistral"))["UpToDate"]["status"] == "True", "one commit")
