"""The pods of a service on the real node: which there are, what runs in them, and an eviction."""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from asking import give_way
from fairlead_cli.demo.kubectl import Kubectl

MANAGEMENT_PORT = 9090
#: Of an engine's processes.
ENGINE = b"VLLM::"
#: Of what is to come after all others, from -20 to 19.
LATER = 10


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


@contextlib.contextmanager
def answers_come_after_starts(kubectl: Kubectl, service: str) -> Iterator[None]:
    """Engines that are ready leave the processors to those that start: two cores have no room for both.

    What they answer takes longer, which is no harm to a stream that is to be open while something happens to its pod.
    """
    over = threading.Event()

    def turn(nice: int, policy: int) -> None:
        for pod in filter(ready, of(kubectl, service)):
            with contextlib.suppress(AssertionError, OSError):  # it has gone meanwhile
                for pid in processes(pod, b""):
                    # The kernel shares out by session first, and a container is one.
                    Path(f"/proc/{pid}/autogroup").write_text(str(nice), encoding="ascii")
                give_way(processes(pod, ENGINE), policy)

    def keep_looking() -> None:
        while not over.wait(5):
            turn(LATER, os.SCHED_IDLE)

    thread = threading.Thread(target=keep_looking)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        turn(0, os.SCHED_OTHER)


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
