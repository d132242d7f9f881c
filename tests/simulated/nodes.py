"""Nodes with accelerators that exist in the API alone, kept Ready by kwok."""

from dataclasses import dataclass, field
from typing import Any

from api.cluster import Kubectl, Manifest, eventually, service
from simulated.fates import Fate

LABEL = "tests.fairlead.dev/pool"
GPU = "nvidia.com/gpu"


@dataclass
class Pool:
    """The nodes of one test: only its services ask for the label, so that no other test takes its accelerators."""

    kubectl: Kubectl
    name: str
    nodes: list[str] = field(default_factory=list)

    def add(self, accelerators: int, resource: str = GPU, **node: Any) -> str:
        """One more node, once pods may go there; returns its name. `node` holds labels and further parts of its spec."""
        name = f"{self.name}-{len(self.nodes)}"
        amounts = {
            "cpu": "4k",
            "memory": "64Ti",
            "pods": "1k",
            **({resource: str(accelerators)} if accelerators else {}),
        }
        labels = {LABEL: self.name, "kubernetes.io/hostname": name, **node.pop("labels", {})}
        manifest = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": node,
            "status": {"capacity": amounts, "allocatable": amounts},
        }
        self.kubectl.create(manifest)
        self.nodes.append(name)
        eventually(lambda: _usable(self.kubectl.get("node", name), len(node.get("taints", ()))), f"node {name}")
        return name

    def service(self, name: str = "mistral", fate: Fate | None = None, **spec: Any) -> Manifest:
        """An InferenceService whose pods go to these nodes and have this fate."""
        placement = {"nodeSelector": {LABEL: self.name}} | spec.pop("placement", {})
        engine = dict(spec.pop("engine", {}))
        if fate is not None:
            engine["env"] = [*engine.get("env", ()), fate.variable()]
        return service(name, placement=placement, engine=engine, **spec)


def _usable(node: Manifest | None, taints: int) -> bool:
    """Ready, and without the taint that each node has in the beginning."""
    if node is None:
        return False
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in node["status"].get("conditions", ()))
    return ready and len(node["spec"].get("taints", ())) == taints
