"""What the simulated nodes run on: a whole control plane, what its controllers are told, and kwok."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from api.cluster import Manifest
from fairlead_cli.local import binaries, controlplane
from fairlead_cli.local.controlplane import Arguments, ControlPlane
from simulated.fates import STAGES

#: Addresses of pods: loopback, since the operator asks them for /state and nothing may leave the machine.
PODS: Final = "127.89.0.1/16"
#: They refuse loopback addresses, again and again.
WITHOUT_ENDPOINTS: Final = (
    "--controllers=*,-endpointslice-controller,-endpoints-controller,-endpointslice-mirroring-controller"
)
ARGUMENTS: Final[Arguments] = {
    "kube-controller-manager": [
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--node-monitor-period=1s",
        "--horizontal-pod-autoscaler-sync-period=1s",
        WITHOUT_ENDPOINTS,
    ]
}


@contextmanager
def simulated(
    folder: Path,
    *,
    arguments: Arguments = ARGUMENTS,
    stages: Iterable[Manifest] = STAGES,
    node: str = "127.0.0.1",
) -> Iterator[ControlPlane]:
    """Real etcd, API server, controllers and scheduler in `folder`, and kwok; missing programs are built.

    `stages` is what becomes of pods, `node` the address of every node.
    """
    kwok = binaries.ensure("kwok", progress=print)["kwok"]
    with controlplane.start(
        folder, controller_manager=True, scheduler=True, arguments=arguments, progress=print
    ) as plane:
        config = folder / "kwok.yaml"
        config.write_text(yaml.safe_dump_all(stages))
        plane.start("kwok", _kwok_command(kwok, plane, config, node))
        yield plane


def _kwok_command(program: Path, plane: ControlPlane, config: Path, node: str) -> list[str]:
    """All nodes there are belong to it, and their Leases, without which they would be given up after 40 s."""
    return [
        str(program),
        f"--kubeconfig={plane.kubeconfig}",
        f"--config={config}",
        "--manage-all-nodes",
        "--node-lease-duration-seconds=40",
        f"--cidr={PODS}",
        f"--node-ip={node}",
    ]
