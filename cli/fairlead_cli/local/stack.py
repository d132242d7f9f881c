"""Everything fairlead on the local cluster: programs, images, the chart. The demo and the node tests stand on it."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fairlead_cli import images
from fairlead_cli.demo.kubectl import Kubectl, run
from fairlead_cli.images import Image, recipes
from fairlead_cli.local import binaries, cluster, machine
from fairlead_cli.local.cluster import Cluster
from fairlead_cli.local.errors import LocalError
from fairlead_cli.local.progress import Progress, step

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "fairlead"
#: Where the chart is installed, and under which name: as the documentation does it.
NAMESPACE, RELEASE = "fairlead-system", "fairlead"
#: Helm waits this long for the operator to be ready.
INSTALL_TIMEOUT = "180s"


@dataclass(frozen=True)
class Stack:
    """A running cluster with fairlead installed in it."""

    cluster: Cluster
    kubectl: Kubectl
    images: Mapping[str, Image]


def up(progress: Progress) -> Stack:
    """Cluster, images and operator, each built only where it is missing. Raises LocalError.

    The images and the programs are built side by side: one waits for the network and the disk, the other for the
    processor.
    """
    recipes.check_sources()
    images.prepare(progress, machine.NODE)
    with ThreadPoolExecutor(max_workers=1) as beside:
        building = beside.submit(images.build, progress=progress)
        try:
            running = cluster.up(progress)
            programs = binaries.ensure("kubectl", "helm", progress=progress)
        except LocalError as failure:
            if not building.done():
                progress(f"{str(failure).splitlines()[0]} (ends when the images that are being built are done)")
            raise
        if not building.done():
            progress("waiting for the images")
        built = building.result()
    images.load(running, built, progress=progress)
    kubectl = Kubectl(programs["kubectl"], running.kubeconfig)
    with step("installing the chart", progress):
        install(programs["helm"], kubectl, built)
    return Stack(running, kubectl, built)


def install(helm: Path, kubectl: Kubectl, built: Mapping[str, Image]) -> None:
    """`helm upgrade --install` of the chart with the local images."""
    values = {
        "image.reference": built["operator"].ref,
        "runtime.image": built["runtime"].ref,
        "runtime.imageCPU": built["runtime"].ref,
        "runtime.engineVersion": recipes.engine_version(),
        "runtime.engineVersionCPU": recipes.engine_version(),
    }
    settings = [part for key, value in values.items() for part in ("--set-string", f"{key}={value}")]
    restrict(kubectl, NAMESPACE)
    run(
        *(str(helm), "upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE),
        *("--wait", "--timeout", INSTALL_TIMEOUT, *settings),
        environment=kubectl.environment,
    )


def restrict(kubectl: Kubectl, namespace: str) -> None:
    """Make a namespace that takes only pods of Pod Security `restricted`, or one of the namespaces there are into such a one."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    kubectl.run("apply", "--server-side", "-f", "-", given=json.dumps(manifest))
