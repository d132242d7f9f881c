"""Plays Deployment controller, scheduler and kubelet: there are none here, so tests say themselves what became of a pod."""

import json
from datetime import UTC, datetime, timedelta

from api.cluster import Kubectl, Manifest, eventually


def timestamp(seconds_ago: float = 0) -> str:
    """A time as Kubernetes writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def make(kubectl: Kubectl, service: str, suffix: str, node: str | None = "node-1", gate: str = "") -> str:
    """Create one pod from the service's Deployment, as its ReplicaSet would, on a node or on none; returns its name.

    `gate` is a scheduling gate that an admission webhook would have added.
    """
    deployment = eventually(lambda: kubectl.get("deployment", service), f"Deployment {service}")
    template = deployment["spec"]["template"]
    name = f"{service}-{suffix}"
    if kubectl.get("serviceaccount", "default") is None:
        kubectl.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    metadata = {"name": name, "labels": template["metadata"]["labels"]}
    spec = {
        **template["spec"],
        **({"nodeName": node} if node else {}),
        **({"schedulingGates": [{"name": gate}]} if gate else {}),
    }
    kubectl.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return name


def report(kubectl: Kubectl, service: str, replicas: int, ready: int) -> None:
    """Write the Deployment's status, as its controller would."""
    deployment = kubectl.get("deployment", service)
    assert deployment is not None
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": replicas - ready,
    }
    kubectl.patch("deployment", service, {"status": status}, subresource="status")


def cannot_mount(kubectl: Kubectl, pod: str, message: str) -> None:
    """Write the event in which a kubelet says so: it tells it nowhere else."""
    uid = (kubectl.get("pod", pod) or {})["metadata"]["uid"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "mount", "namespace": kubectl.namespace},
        "involvedObject": {"kind": "Pod", "name": pod, "namespace": kubectl.namespace, "uid": uid, "apiVersion": "v1"},
        "type": "Warning",
        "reason": "FailedMount",
        "message": message,
        "source": {"component": "kubelet"},
        "firstTimestamp": timestamp(),
        "lastTimestamp": timestamp(),
        "count": 1,
    }
    kubectl.create(event)


def set_status(kubectl: Kubectl, pod: str, status: Manifest) -> None:
    """Write the pod's status, as its kubelet would."""
    kubectl.patch("pod", pod, {"status": status}, subresource="status")


def _status(phase: str, *, ready: bool, container: Manifest) -> Manifest:
    word = "True" if ready else "False"
    return {
        "phase": phase,
        "startTime": timestamp(60),
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp(60)},
            {"type": "Initialized", "status": "True", "lastTransitionTime": timestamp(60)},
            {"type": "ContainersReady", "status": word, "lastTransitionTime": timestamp()},
            {"type": "Ready", "status": word, "lastTransitionTime": timestamp()},
        ],
        "containerStatuses": [
            {
                "name": "engine",
                "image": "example.com/fairlead-runtime:1",
                "imageID": "sha256:0",
                "ready": ready,
                "started": ready,
                "restartCount": 0,
                "lastState": {},
                **container,
            }
        ],
    }


def ready() -> Manifest:
    """It serves."""
    return _status("Running", ready=True, container={"state": {"running": {"startedAt": timestamp(30)}}})


def creating(seconds: float) -> Manifest:
    """It got its node so long ago, and its containers are not created yet."""
    status = _status("Pending", ready=False, container={"state": {"waiting": {"reason": "ContainerCreating"}}})
    status["conditions"][0]["lastTransitionTime"] = timestamp(seconds)
    return status


def unschedulable(resource: str = "nvidia.com/gpu") -> Manifest:
    """No node takes it."""
    message = f"0/3 nodes are available: 3 Insufficient {resource}."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [{**condition, "lastTransitionTime": timestamp(5)}]}


def killed(log: str) -> Manifest:
    """It was killed without leaving a record: the kubelet gives the last lines of its log."""
    ended = {"exitCode": 137, "reason": "Error", "message": log, "startedAt": timestamp(30), "finishedAt": timestamp(5)}
    container = {
        "restartCount": 2,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}},
        "lastState": {"terminated": ended},
    }
    return _status("Running", ready=False, container=container)


def failed(code: str, message: str, field: str, suggestion: str, restarts: int = 2) -> Manifest:
    """Its engine ended with this termination record, and the kubelet waits to restart it."""
    record = {
        "code": code,
        "message": message,
        "field": field,
        "suggestion": suggestion,
        "phase": "loading",
        "engineVersion": "0.33.0",
    }
    ended = {
        "exitCode": 1,
        "reason": "Error",
        "message": json.dumps(record),
        "startedAt": timestamp(30),
        "finishedAt": timestamp(5),
    }
    container = {
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}},
        "lastState": {"terminated": ended},
    }
    return _status("Running", ready=False, container=container)
