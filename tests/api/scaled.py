"""Services with pods that the real controllers make, and engines that the test plays."""

from contextlib import ExitStack
from typing import Any

from api.cluster import Kubectl, Manifest, conditions, eventually, service
from api.engines import EngineStub, engine

PODS = "fairlead.dev/service=mistral"


def pods_of(kubectl: Kubectl, count: int) -> list[str]:
    """The names of the service's pods, once there are so many."""

    def found() -> list[str]:
        names = [pod["metadata"]["name"] for pod in kubectl.items("pod", PODS)]
        return names if len(names) == count else []

    return eventually(found, f"{count} pods")


def replicas(kubectl: Kubectl, kind: str = "deployment") -> int:
    """What is wanted of the Deployment, or of the InferenceService itself."""
    return int((kubectl.get(kind, "mistral") or {"spec": {"replicas": -1}})["spec"]["replicas"])


def busy(kubectl: Kubectl, engines: ExitStack, *running: int, **spec: Any) -> dict[str, EngineStub]:
    """A service whose pods are Ready and compute so many requests each; pod name -> its engine."""
    kubectl.apply(service(replicas=len(running), **spec))
    stubs = {}
    for pod, requests in zip(pods_of(kubectl, len(running)), running, strict=True):
        stubs[pod] = engines.enter_context(engine(requests))
        stubs[pod].serve(kubectl, pod)
    ready = f"{len(running)}/{len(running)}"
    eventually(lambda: status(kubectl).get("replicaSummary") == ready, "Ready pods")
    return stubs


def status(kubectl: Kubectl) -> Manifest:
    """Of the InferenceService, {} while there is none."""
    return (kubectl.get("infs", "mistral") or {}).get("status") or {}


def autoscaled(kubectl: Kubectl) -> Manifest:
    """The condition, {} while it is not there."""
    return conditions(kubectl.get("infs", "mistral")).get("Autoscaled", {})
