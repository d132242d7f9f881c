"""A whole control plane for the session: real controllers and scheduler, and nodes whose kubelets are simulated by kwok."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from api.cluster import Kubectl, eventually
from api.conftest import admin, kubectl, model_hub, operator
from fairlead_cli.local import binaries, controlplane
from fairlead_cli.local.controlplane import ControlPlane
from simulated import policies
from simulated.fates import STAGES
from simulated.nodes import Pool

__all__ = ["admin", "kubectl", "model_hub", "operator"]

#: Addresses of pods: loopback, since the operator asks them for /state and nothing may leave the machine.
PODS = "127.89.0.1/16"
ARGUMENTS = {
    "kube-controller-manager": [
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--node-monitor-period=1s",
        "--horizontal-pod-autoscaler-sync-period=1s",
        # They refuse loopback addresses, again and again.
        "--controllers=*,-endpointslice-controller,-endpoints-controller,-endpointslice-mirroring-controller",
    ]
}


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane and kwok; missing programs are built."""
    folder = tmp_path_factory.mktemp("control-plane")
    kwok = binaries.ensure("kwok", progress=print)["kwok"]
    with controlplane.start(
        folder, controller_manager=True, scheduler=True, arguments=ARGUMENTS, progress=print
    ) as started:
        config = folder / "kwok.yaml"
        config.write_text(yaml.safe_dump_all(STAGES))
        started.start("kwok", kwok_command(kwok, started, config))
        yield started


def kwok_command(program: Path, plane: ControlPlane, config: Path) -> list[str]:
    """All nodes there are belong to it, and their Leases, without which they would be given up after 40 s."""
    return [
        str(program),
        f"--kubeconfig={plane.kubeconfig}",
        f"--config={config}",
        "--manage-all-nodes",
        "--node-lease-duration-seconds=40",
        f"--cidr={PODS}",
        "--node-ip=127.0.0.1",
    ]


@pytest.fixture(scope="session")
def admission(admin: Kubectl) -> None:
    """The policies of policies.py, each in force where a namespace's label names it."""
    for manifest in policies.POLICIES:
        admin.apply(manifest)
    for name in (policies.UNATTENDED, policies.WITHOUT_IMAGE_VOLUMES):
        labels = {policies.LABEL: name}
        admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"probe-{name}", "labels": labels}})
    for probe in policies.PROBES:
        # The API server reads new policies from time to time.
        eventually(lambda probe=probe: probe(admin), "the policies in force")  # type: ignore[misc]


@pytest.fixture
def pool(kubectl: Kubectl) -> Iterator[Pool]:
    """Nodes of this test's own; its services end with it, so that their pods keep nobody busy."""
    yield Pool(kubectl, kubectl.namespace)
    kubectl("delete", "infs", "--all", "--wait=false")
