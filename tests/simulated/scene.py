"""What the rows of the table of reasons do besides writing a spec."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from api.cluster import Kubectl, Manifest, eventually
from api.engines import engine
from api.pods import timestamp
from simulated.fates import ANNOTATION, Fate
from simulated.nodes import Pool

#: Seconds: sixty services start at once on two cores.
PATIENCE = 60.0


@dataclass(frozen=True)
class Scene:
    """One service that was applied."""

    kubectl: Kubectl
    pool: Pool
    name: str
    #: What ends with the test.
    engines: ExitStack

    def ready(self) -> None:
        """Wait until it serves as asked for."""
        self.kubectl("wait", "--for=condition=Ready", f"infs/{self.name}", f"--timeout={PATIENCE:.0f}s")

    def pod(self) -> Manifest:
        """One of its pods, once it has a node."""

        def placed() -> Manifest | None:
            found = self.kubectl.items("pod", f"fairlead.dev/service={self.name}")
            return next((pod for pod in found if pod["spec"].get("nodeName")), None)

        return eventually(placed, f"a pod of {self.name} on a node", PATIENCE)

    def decide(self, fate: Fate) -> None:
        """From now on this is the fate of its pod."""
        self.kubectl.patch(
            "pod", self.pod()["metadata"]["name"], {"metadata": {"annotations": {ANNOTATION: fate.text()}}}
        )

    def kubelet_says(self, reason: str, message: str) -> None:
        """An event about its pod."""
        pod = self.pod()["metadata"]
        reference = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod["name"],
            "namespace": pod["namespace"],
            "uid": pod["uid"],
        }
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{self.name}-{reason.lower()}", "namespace": pod["namespace"]},
            "involvedObject": reference,
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet"},
            "firstTimestamp": timestamp(),
            "lastTimestamp": timestamp(),
            "count": 1,
        }
        self.kubectl.create(event)

    def engine_says(self, running: int = 0, waiting: int = 0) -> None:
        """From now on its pod answers the operator: it computes so many requests, and so many wait."""
        self.engines.enter_context(engine(running, waiting, ip=self.pod()["status"]["podIP"]))

    def engines_serve(self, *commits: str) -> None:
        """From now on its pods answer the operator, each that it serves another commit of the model."""
        found = self.kubectl.items("pod", f"fairlead.dev/service={self.name}")
        for pod, commit in zip(found, commits, strict=True):
            self.engines.enter_context(engine(ip=pod["status"]["podIP"], model={"revision": commit}))

    def change(self, **spec: Any) -> None:
        """Merge into its spec."""
        self.kubectl.patch("infs", self.name, {"spec": spec})

    def lose_pod(self) -> None:
        """Somebody deletes its pod."""
        self.kubectl.delete("pod", self.pod()["metadata"]["name"])

    def lose_node(self) -> None:
        """The node's controller takes Ready away from its pod, as when the kubelet falls silent, and writes nothing else."""
        pod = self.pod()["metadata"]["name"]
        condition = {"type": "Ready", "status": "False", "lastTransitionTime": timestamp()}
        patch = json.dumps({"status": {"conditions": [condition]}})
        self.kubectl("patch", "pod", pod, "--subresource=status", "--type=strategic", "-p", patch)
