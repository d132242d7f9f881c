"""A control plane with simulated nodes for one run: real etcd, API server, controllers and scheduler, and kwok."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from api.client import connect
from api.cluster import Kubectl, Manifest
from fairlead_cli.local.controlplane import ControlPlane
from scale.engine import ADDRESS
from simulated.fates import STAGES
from simulated.ground import WITHOUT_ENDPOINTS, simulated

#: Everything lies in it.
NAMESPACE: Final = "scale"
GPU: Final = "nvidia.com/gpu"
#: Of a simulated node: fewer and larger nodes than real ones, so that their heartbeats are not what is measured.
ACCELERATORS: Final = 64
#: Accelerators for each service: one that runs, one more while its pod is replaced, and some to spare.
ROOM: Final = 2.25
#: What the programs are told, beside fairlead's defaults for a local control plane; it stands in the data.
FLAGS: Final[Mapping[str, tuple[str, ...]]] = {
    # Each service has an address of its own: the local control plane's 254 are not enough.
    "kube-apiserver": ("--audit-log-maxsize=4000", "--service-cluster-ip-range=10.96.0.0/16"),
    "kube-controller-manager": (
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--concurrent-deployment-syncs=50",
        "--concurrent-replicaset-syncs=50",
        "--concurrent-gc-syncs=50",
        WITHOUT_ENDPOINTS,
    ),
}
SCHEDULER: Final[Manifest] = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "leaderElection": {"leaderElect": False},
    "clientConnection": {"qps": 500, "burst": 1000},
}
#: Seconds for a node to be there.
PATIENCE: Final = 120.0
#: Objects per page of a list.
PAGE: Final = 500


def flags() -> tuple[str, ...]:
    """All of them, for the record."""
    told = [f"{program} {flag}" for program, given in FLAGS.items() for flag in given]
    connection = SCHEDULER["clientConnection"]
    return (*told, *(f"kube-scheduler clientConnection.{name}={value}" for name, value in connection.items()))


@dataclass(frozen=True)
class Ground:
    """A running one. `http` may do everything, and may be used by many threads."""

    plane: ControlPlane
    http: httpx.Client
    kubectl: Kubectl

    def create(self, path: str, manifest: Manifest) -> Manifest:
        """POST. Raises httpx.HTTPStatusError."""
        answer: Manifest = self.http.post(path, json=manifest).raise_for_status().json()
        return answer

    def patch(self, path: str, body: Manifest) -> None:
        """JSON merge patch. Raises httpx.HTTPStatusError."""
        kind = {"Content-Type": "application/merge-patch+json"}
        self.http.patch(path, content=json.dumps(body), headers=kind).raise_for_status()

    def items(self, path: str) -> Iterator[Manifest]:
        """All objects of a collection, page by page."""
        asked: dict[str, Any] = {"limit": PAGE}
        while True:
            page = self.http.get(path, params=asked).raise_for_status().json()
            yield from page["items"]
            asked["continue"] = page["metadata"].get("continue")
            if not asked["continue"]:
                return

    def until_all(self, path: str, number: int, well: Callable[[Manifest], bool], seconds: float) -> None:
        """Wait until there are so many and all are well, in their own words; looks seldom, for each look costs the server.

        Raises TimeoutError with how many are.
        """
        deadline = time.monotonic() + seconds
        pause = max(1.0, number / 100)
        while (found := sum(well(item) for item in self.items(path))) < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds:.0f} s {found} of {number} {path.rpartition('/')[2]} are well")
            time.sleep(pause)

    def metrics(self) -> str:
        """The API server's own."""
        return self.http.get("/metrics").raise_for_status().text


@contextlib.contextmanager
def ground(folder: Path, services: int) -> Iterator[Ground]:
    """A fresh one, with room for so many services of one accelerator each; its programs end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    scheduler = folder / "scheduler.yaml"
    kubeconfig = str(folder / "kubeconfigs" / "kube-scheduler.yaml")
    connection = {**SCHEDULER["clientConnection"], "kubeconfig": kubeconfig}
    scheduler.write_text(yaml.safe_dump({**SCHEDULER, "clientConnection": connection}))
    arguments = {**FLAGS, "kube-scheduler": (f"--config={scheduler}",)}
    with (
        simulated(folder, arguments=arguments, stages=sharing_an_address(STAGES), node=ADDRESS) as plane,
        connect(plane.kubeconfig) as http,
    ):
        there = Ground(plane, http, Kubectl(plane.kubectl, plane.kubeconfig, NAMESPACE))
        there.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        nodes = math.ceil(ROOM * services / ACCELERATORS)
        for number in range(nodes):
            there.create("/api/v1/nodes", node(number))
        there.until_all("/api/v1/nodes", nodes, usable, PATIENCE)
        yield there


def sharing_an_address(stages: tuple[Manifest, ...]) -> list[Manifest]:
    """kwok's stages with pods that have their node's address: one engine answers for all of them."""
    own, shared = "PodIPWith .spec.nodeName false", "PodIPWith .spec.nodeName true"
    return [json.loads(json.dumps(stage).replace(own, shared)) for stage in stages]


def node(number: int) -> Manifest:
    """One node that exists in the API alone."""
    amounts = {"cpu": "4k", "memory": "64Ti", "pods": "1k", GPU: str(ACCELERATORS)}
    name = f"node-{number:04}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": amounts, "allocatable": amounts},
    }


def usable(found: Manifest) -> bool:
    """Ready, and without the taint that each node has in the beginning."""
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in found["status"].get("conditions", ()))
    return ready and not found["spec"].get("taints")
