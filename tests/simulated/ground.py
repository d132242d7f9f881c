"""What the simulated nodes run on: kwok's command line, and what the controllers beside it are told."""

from pathlib import Path
from typing import Final

from fairlead_cli.local.controlplane import ControlPlane

#: Addresses of pods: loopback, since the operator asks them for /state and nothing may leave the machine.
PODS: Final = "127.89.0.1/16"
#: They refuse loopback addresses, again and again.
WITHOUT_ENDPOINTS: Final = (
    "--controllers=*,-endpointslice-controller,-endpoints-controller,-endpointslice-mirroring-controller"
)
ARGUMENTS: Final = {
    "kube-controller-manager": [
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--node-monitor-period=1s",
        "--horizontal-pod-autoscaler-sync-period=1s",
        WITHOUT_ENDPOINTS,
    ]
}


def kwok_command(program: Path, plane: ControlPlane, config: Path, node: str = "127.0.0.1") -> list[str]:
    """All nodes there are belong to it, and their Leases, without which they would be given up after 40 s.

    `node` is the address of every node.
    """
    return [
        str(program),
        f"--kubeconfig={plane.kubeconfig}",
        f"--config={config}",
        "--manage-all-nodes",
        "--node-lease-duration-seconds=40",
        f"--cidr={PODS}",
        f"--node-ip={node}",
    ]
