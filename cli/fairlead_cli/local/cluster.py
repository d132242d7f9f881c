"""A whole Kubernetes on this machine: control plane, containerd, kubelet, kube-proxy and DNS, as detached processes.

`up` brings it to life from any state, `down` leaves nothing of it but the cache: programs, and images in containerd's folder.
"""

import fcntl
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairlead_cli.local import binaries, components, controlplane, health, machine, node, paths, pause, traces
from fairlead_cli.local.components import ControlPlaneSettings, Ports
from fairlead_cli.local.credentials import ADMIN, PROXY, Credentials
from fairlead_cli.local.daemons import Daemons
from fairlead_cli.local.errors import MachineUnfit, StartFailed
from fairlead_cli.local.node import Places
from fairlead_cli.local.progress import Progress, silent

COMPONENTS = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("containerd", "kubelet", "kube-proxy", "coredns"),
)
PROGRAMS = (*COMPONENTS, "containerd-shim-runc-v2", "runc", "ctr", "ptp", "host-local", "pause", "kubectl")
#: Seconds for one component, with compilers or image builds beside it.
START_TIMEOUT = 120.0


@dataclass(frozen=True)
class Cluster:
    """A running cluster, and where its user finds things."""

    kubeconfig: Path
    containerd_socket: Path
    audit_log: Path
    logs: Path


@dataclass(frozen=True)
class Status:
    """`components` says of each program whether it runs."""

    components: dict[str, bool]
    node_ready: bool

    @property
    def running(self) -> bool:
        """Whether pods would run now."""
        return self.node_ready and all(self.components.values())


def places() -> Places:
    """Where this user's cluster lives."""
    home = paths.home()
    return Places(paths.RUN, home / "cluster", home / "containerd", binaries.folder())


def running() -> Cluster:
    """The cluster that runs. Raises MachineUnfit when none does."""
    if not status().running:
        raise MachineUnfit("no local cluster is running; start one with `fairlead cluster up`")
    return _cluster()


def status() -> Status:
    """What runs now; changes nothing."""
    daemons = _daemons()
    alive = {name: daemons.alive(name) for name in COMPONENTS}
    return Status(alive, alive["kube-apiserver"] and _node_is_ready())


def up(progress: Progress = silent) -> Cluster:
    """Start the cluster unless it runs; a half-dead one is taken down first. Raises LocalError."""
    with _locked(progress):
        if status().running:
            return _cluster()
        machine.prepare(progress)
        programs = binaries.ensure(*PROGRAMS, progress=progress)
        _down(progress)
        try:
            _start(programs, progress)
        except BaseException:
            _down(silent)
            raise
        return _cluster()


def down(progress: Progress = silent) -> None:
    """Stop everything and take away every trace but the cache. Nothing happens where nothing is."""
    with _locked(progress):
        _down(progress)


def _cluster() -> Cluster:
    spots = places()
    kubeconfig = _settings().kubeconfig(ADMIN)
    return Cluster(kubeconfig, spots.socket, spots.directory / "audit.log", spots.logs)


def _daemons() -> Daemons:
    spots = places()
    return Daemons(spots.directory / "processes.json", spots.logs)


def _settings() -> ControlPlaneSettings:
    directory = places().directory
    return ControlPlaneSettings(
        directory=directory,
        ports=Ports(etcd=12379, etcd_peer=12380, apiserver=6443, controller_manager=10257, scheduler=10259),
        address=node.ADDRESS,
        service_cidr=node.SERVICE_CIDR,
        audit_log=directory / "audit.log",
    )


def _start(programs: dict[str, Path], progress: Progress) -> None:
    spots, settings, daemons = places(), _settings(), _daemons()
    for folder in (spots.run, spots.directory, spots.images, spots.directory / "cni"):
        folder.mkdir(parents=True, exist_ok=True)
    traces.connect(spots.directory / "forwarding")
    progress("starting the control plane")
    pki = controlplane.prepare(settings, [node.ADDRESS, node.API_SERVICE])
    pki.kubeconfig(settings.kubeconfig(ADMIN), settings.server, ADMIN, ["system:masters"])
    daemons.start("etcd", components.etcd(programs["etcd"], settings, pki))
    daemons.start("kube-apiserver", components.kube_apiserver(programs["kube-apiserver"], settings, pki))
    ca = pki.path("ca.crt")
    daemons.wait_until(
        "kube-apiserver", lambda: health.ok(node.ADDRESS, settings.ports.apiserver, "/readyz", ca), START_TIMEOUT
    )
    manager = components.kube_controller_manager(programs["kube-controller-manager"], settings, pki)
    daemons.start("kube-controller-manager", manager)
    daemons.start("kube-scheduler", components.kube_scheduler(programs["kube-scheduler"], settings))
    progress("starting the node")
    _start_node(programs, settings, pki, daemons)
    daemons.wait_until("kubelet", _node_is_ready, START_TIMEOUT)
    daemons.wait_until("coredns", lambda: health.ok("127.0.0.1", 8181, "/ready", tls=False), START_TIMEOUT)


def _start_node(programs: dict[str, Path], settings: ControlPlaneSettings, pki: Credentials, daemons: Daemons) -> None:
    spots = places()
    systemd = Path("/run/systemd/system").is_dir()
    files = {
        "containerd.toml": node.containerd(spots, programs["runc"], systemd=systemd),
        "cni/10-fairlead.conflist": node.network(spots),
        "kubelet.yaml": node.kubelet(spots, pki.directory, systemd=systemd),
        "resolv.conf": f"nameserver {node.ADDRESS}\n",
    }
    proxy = pki.kubeconfig(settings.kubeconfig("kube-proxy"), settings.server, PROXY)
    dns = pki.kubeconfig(settings.kubeconfig("coredns"), settings.server, "fairlead-dns", ["system:masters"])
    files |= {"kube-proxy.yaml": node.kube_proxy(proxy), "Corefile": node.coredns(dns, forward=_has_resolvers())}
    for name, text in files.items():
        (spots.directory / name).write_text(text, encoding="utf-8")
    user = f"system:node:{node.NAME}"
    pair = pki.node(node.NAME, [node.ADDRESS])
    kubelet = pki.kubeconfig_of(settings.kubeconfig("kubelet"), settings.server, user, pair)

    environment = {"PATH": f"{spots.programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    directory = spots.directory
    daemons.start(
        "containerd", [str(programs["containerd"]), "--config", str(directory / "containerd.toml")], environment
    )
    ctr = [str(programs["ctr"]), "--address", str(spots.socket), "--namespace", "k8s.io"]
    daemons.wait_until("containerd", lambda: traces.call(*ctr, "images", "ls").returncode == 0, START_TIMEOUT)
    image = pause.archive(programs["pause"], node.PAUSE_IMAGE)
    imported = subprocess.run([*ctr, "images", "import", "-"], input=image, capture_output=True, check=False)
    if imported.returncode:
        raise StartFailed(f"containerd did not take the pause image: {imported.stderr.decode(errors='replace')}")
    daemons.start(
        "kubelet",
        [
            *(str(programs["kubelet"]), f"--config={directory / 'kubelet.yaml'}", f"--kubeconfig={kubelet}"),
            *(f"--root-dir={spots.kubelet}", f"--hostname-override={node.NAME}", f"--node-ip={node.ADDRESS}"),
            f"--cert-dir={pki.directory}",
        ],
        environment,
    )
    daemons.start("kube-proxy", [str(programs["kube-proxy"]), f"--config={directory / 'kube-proxy.yaml'}"], environment)
    daemons.start("coredns", [str(programs["coredns"]), "-conf", str(directory / "Corefile")], environment)


def _node_is_ready() -> bool:
    kubectl = binaries.folder() / "kubectl"
    command = (str(kubectl), "--kubeconfig", str(_settings().kubeconfig(ADMIN)), "--request-timeout=5s")
    asked = traces.call(*command, "get", "node", node.NAME, "-o", "json")
    if asked.returncode:
        return False
    conditions = json.loads(asked.stdout)["status"].get("conditions", [])
    return any(row["type"] == "Ready" and row["status"] == "True" for row in conditions)


def _has_resolvers() -> bool:
    path = Path("/etc/resolv.conf")
    return path.exists() and any(line.startswith("nameserver") for line in path.read_text().splitlines())


def _down(progress: Progress) -> None:
    spots, daemons = places(), _daemons()
    if daemons.names():
        progress("stopping the cluster")
    # The kubelet first: it would start again what is ended below.
    for name in reversed(daemons.names()):
        if name != "containerd":
            daemons.stop(name)
    traces.end_containers(spots)
    if "containerd" in daemons.names():
        daemons.stop("containerd")
    traces.end_containers(spots)
    traces.unmount(spots.run / "containerd", spots.kubelet)
    kube_proxy = binaries.folder() / "kube-proxy"
    traces.disconnect(kube_proxy if kube_proxy.exists() else None, spots.directory / "forwarding")
    traces.remove_cgroups()
    traces.clear(
        spots.kubelet, spots.directory / "etcd", spots.directory / "pki", spots.directory / "kubeconfigs",
        spots.directory / "pod-logs", spots.run / "containerd", spots.run / "addresses",
    )  # fmt: skip


@contextmanager
def _locked(progress: Progress) -> Iterator[None]:
    directory = places().directory
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another command that changes the cluster")
            started = time.monotonic()
            fcntl.flock(lock, fcntl.LOCK_EX)
            progress(f"waited {time.monotonic() - started:.0f} s")
        yield
