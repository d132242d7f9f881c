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
#: Of a simulated node: fewer and larger nodes than real ones, so that their heartbeats are not what is measured. With 64 each, those of
#: the nodes of 5,000 services were more than a quarter of all writes.
ACCELERATORS: Final = 512
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
#: How many pods kwok takes at a time; 4 by default, so that its requests one after the other would be what a mass update waits for.
KWOK: Final[Manifest] = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {"podPlayStageParallelism": 64},
}
#: Seconds for a node to be there.
PATIENCE: Final = 120.0
#: Objects per page of a list.
PAGE: Final = 500
#: Answers of a server that is busy, and of one that has dropped a listing's snapshot: it is asked again.
BUSY: Final = frozenset({410, 429, 500, 503, 504})
#: How often one request is asked again, with a second between, before the run is given up.
TRIES: Final = 120


def flags() -> tuple[str, ...]:
    """All of them, for the record."""
    told = [f"{program} {flag}" for program, given in FLAGS.items() for flag in given]
    told += [f"kube-scheduler clientConnection.{name}={value}" for name, value in SCHEDULER["clientConnection"].items()]
    return (*told, *(f"kwok {name}={value}" for name, value in KWOK["options"].items()))


@dataclass(frozen=True)
class Ground:
    """A running one. `http` may do everything, and may be used by many threads."""

    plane: ControlPlane
    http: httpx.Client
    kubectl: Kubectl

    def create(self, path: str, manifest: Manifest) -> None:
        """POST. Raises httpx.HTTPStatusError."""
        # There already: a try that was given up did it.
        patiently(lambda: self.http.post(path, json=manifest), done=frozenset({409}))

    def patch(self, path: str, body: Manifest) -> None:
        """JSON merge patch. Raises httpx.HTTPStatusError."""
        kind = {"Content-Type": "application/merge-patch+json"}
        patiently(lambda: self.http.patch(path, content=json.dumps(body), headers=kind))

    def items(self, path: str) -> Iterator[Manifest]:
        """All objects of a collection, page by page. Raises httpx.HTTPStatusError, also when it takes the server too long."""
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
        while (found := self._well(path, well)) < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds:.0f} s {found} of {number} {path.rpartition('/')[2]} are well")
            time.sleep(pause)

    def _well(self, path: str, well: Callable[[Manifest], bool]) -> int:
        """How many are; none while the server is too busy to say."""
        try:
            return sum(well(item) for item in self.items(path))
        except httpx.HTTPStatusError as refused:
            if refused.response.status_code not in BUSY:
                raise
        except httpx.TransportError:
            pass
        return 0

    def metrics(self) -> str:
        """The API server's own."""
        return self.http.get("/metrics").raise_for_status().text


def patiently(ask: Callable[[], httpx.Response], *, done: frozenset[int] = frozenset()) -> None:
    """Ask until it is answered by more than a busy server; `done`: answers that are as good as 200. Raises httpx.HTTPError."""
    for tries_left in reversed(range(TRIES)):
        try:
            answer = ask()
            if answer.status_code in done:
                return
            if answer.status_code not in BUSY or not tries_left:
                answer.raise_for_status()
                return
        except httpx.TransportError:
            if not tries_left:
                raise
        time.sleep(1)


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
        simulated(folder, arguments=arguments, stages=[KWOK, *sharing_an_address(STAGES)], node=ADDRESS) as plane,
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
    amounts = {"cpu": "4k", "memory": "64Ti", "pods": "8k", GPU: str(ACCELERATORS)}
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
