"""Everything in which people see what a service is doing who may not read Secrets, on the node itself too, as text by place."""

import base64
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.images.loading import NAMESPACE as CONTAINERD_NAMESPACE
from fairlead_cli.local import binaries
from fairlead_cli.local.cluster import Cluster
from fairlead_cli.local.stack import NAMESPACE as OPERATORS

from . import operator_pod, pods

#: Of a service's namespace. Secrets themselves are not among it.
KINDS = "infs,deployments,replicasets,controllerrevisions,pods,services,configmaps,networkpolicies,endpointslices,events,events.events.k8s.io"
#: The node's programs that know what is in a pod.
DAEMONS = ("kubelet", "containerd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def places(cluster: Cluster, kubectl: Kubectl, pod: dict[str, Any]) -> dict[str, str]:
    """Of a service's pod whose container has ended and runs again."""
    name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
    operator = operator_pod.current(kubectl)
    assert operator is not None
    return {
        "the API": kubectl.run("get", KINDS, "-o", "yaml"),
        "kubectl describe": kubectl.run("describe", "infs,pods,deployments,events"),
        "the engine's log": kubectl.run("logs", name, "--all-containers", "--tail=-1"),
        "the log of the engine that died": kubectl.run("logs", name, "--all-containers", "--tail=-1", "--previous"),
        "the engine's metrics": asked(pod, pods.MANAGEMENT_PORT, "metrics"),
        "the engine's state": asked(pod, pods.MANAGEMENT_PORT, "state"),
        "the operator's log": kubectl.run("logs", "-n", OPERATORS, operator["metadata"]["name"], "--tail=-1"),
        "the operator's metrics": asked(operator, operator_pod.PORT, "metrics"),
        "the kubelet's pods": kubectl.run("get", "--raw", f"/api/v1/nodes/{node}/proxy/pods"),
        "the audit log": cluster.audit_log.read_text(errors="replace"),
        **{f"{program}'s log": (cluster.logs / f"{program}.log").read_text(errors="replace") for program in DAEMONS},
        "containerd's containers": "".join(containers(cluster, pod)),
        "the processes' environment": "".join(processes(pod, "environ")),
        "the processes' command lines": "".join(processes(pod, "cmdline")),
    }


def asked(pod: dict[str, Any], port: int, path: str) -> str:
    """What a pod answers to whoever reaches it."""
    with urlopen(f"http://{pod['status']['podIP']}:{port}/{path}", timeout=10) as answer:
        return str(answer.read().decode())


def containers(cluster: Cluster, pod: dict[str, Any]) -> Iterator[str]:
    """What containerd keeps of each container of the pod: its whole specification for runc, environment and mounts included."""
    ctr = [str(binaries.ensure("ctr")["ctr"]), "--address", str(cluster.containerd_socket), "-n", CONTAINERD_NAMESPACE]
    label = f'labels."io.kubernetes.pod.uid"=={pod["metadata"]["uid"]}'
    for found in told([*ctr, "containers", "ls", "--quiet", label]).split():
        yield told([*ctr, "containers", "info", found])


def told(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def processes(pod: dict[str, Any], what: str) -> Iterator[str]:
    """A file below /proc of each process of the pod."""
    for pid in pods.processes(pod, b""):
        yield Path(f"/proc/{pid}/{what}").read_bytes().replace(b"\0", b"\n").decode(errors="replace")


def mounted(pod: dict[str, Any], process: bytes, file: str) -> str:
    """A file as the process of the pod has it."""
    return Path(f"/proc/{pods.processes(pod, process)[0]}/root{file}").read_text()


def seen(places: Mapping[str, str], secrets: Iterable[str]) -> list[str]:
    """Where which of the secrets is, as it is or in base64."""
    forms = {secret: (secret, base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]) for secret in secrets}
    return [
        f"{secret} in {place}"
        for place, text in places.items()
        for secret, written in forms.items()
        if any(form in text for form in written)
    ]
