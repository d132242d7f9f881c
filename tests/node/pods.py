"""The pods of a service on the real node: which there are, what runs in them, and an eviction."""

import json
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from fairlead_cli.demo.kubectl import Kubectl

MANAGEMENT_PORT = 9090


def of(kubectl: Kubectl, service: str) -> list[dict[str, Any]]:
    """All that exist, stopping ones too."""
    found: list[dict[str, Any]] = kubectl.get("pods", "-l", f"fairlead.dev/service={service}")["items"]
    return found


def names(pods: list[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}


def ready(pod: dict[str, Any]) -> bool:
    """Whether it serves and is to stay."""
    rows = pod["status"].get("conditions", [])
    return "deletionTimestamp" not in pod["metadata"] and any(
        row["type"] == "Ready" and row["status"] == "True" for row in rows
    )


def unfinished(pod: dict[str, Any]) -> int:
    """Requests in its engine, as it says itself."""
    with urlopen(f"http://{pod['status']['podIP']}:{MANAGEMENT_PORT}/state", timeout=5) as answer:
        inside = json.load(answer)["inflight"]
    return int(inside["running"]) + int(inside["waiting"])


def restarts(pod: dict[str, Any]) -> int:
    """Of all its containers."""
    return sum(int(row["restartCount"]) for row in pod["status"].get("containerStatuses", []))


def processes(pod: dict[str, Any], command: bytes) -> list[int]:
    """Process ids on this machine, the node, of what runs in the pod with `command` in its command line."""
    uid, found = pod["metadata"]["uid"], []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            line, group = (folder / "cmdline").read_bytes(), (folder / "cgroup").read_text()
        except OSError:
            continue  # it has ended
        if command in line and (uid in group or uid.replace("-", "_") in group):
            found.append(int(folder.name))
    assert found, f"no process {command!r} of the pod {pod['metadata']['name']} on this machine"
    return found


def evict(kubectl: Kubectl, pod: str) -> None:
    """Through the API that `kubectl drain` uses. Raises KubectlFailed when a budget forbids it."""
    namespace = kubectl.get("pod", pod)["metadata"]["namespace"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
    }
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    kubectl.run("create", "--raw", path, "-f", "-", given=json.dumps(eviction))


def wait(
    kubectl: Kubectl, service: str, within: float, condition: Callable[[list[dict[str, Any]]], bool], what: str
) -> None:
    """Returns once the condition holds of all pods of the service; `within` so many seconds."""
    deadline = time.monotonic() + within
    while not condition(found := of(kubectl, service)):
        assert time.monotonic() < deadline, f"after {within:g} s still not: {what}: {[summary(pod) for pod in found]}"
        time.sleep(1)


def wait_ready(kubectl: Kubectl, service: str, within: float, number: int, *, without: Collection[str] = ()) -> None:
    """Returns once that many pods are there, all ready and none of them in `without`: the others are gone."""

    def settled(found: list[dict[str, Any]]) -> bool:
        return len(found) == number and all(map(ready, found)) and names(found).isdisjoint(without)

    wait(kubectl, service, within, settled, f"{number} ready pods and no other")


def summary(pod: dict[str, Any]) -> str:
    stopping = " stopping" if "deletionTimestamp" in pod["metadata"] else ""
    return f"{pod['metadata']['name']} {'ready' if ready(pod) else 'not ready'}{stopping}"
