"""A whole Kubernetes on this machine: control plane, containerd, kubelet, kube-proxy and DNS, as detached processes.

`up` brings it to life from any state, `down` leaves nothing of it but the cache: programs, and images in containerd's folder.
"""

import json
import os
import subprocess
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from fairlead_cli.local import (
    binaries,
    cgroups,
    claim,
    components,
    containers,
    controlplane,
    health,
    machine,
    mounts,
    neighbours,
    network,
    node,
    paths,
    pause,
    podlogs,
    sysctls,
)
from fairlead_cli.local.call import call
from fairlead_cli.local.components import LOOPBACK, ControlPlaneSettings, Ports
from fairlead_cli.local.credentials import ADMIN, PROXY, Credentials
from fairlead_cli.local.daemons import ENVIRONMENT, Daemons
from fairlead_cli.local.errors import MachineUnfit, StartFailed, StopFailed
from fairlead_cli.local.lock import held
from fairlead_cli.local.node import Places
from fairlead_cli.local.progress import Progress, silent, step

COMPONENTS = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("containerd", "kubelet", "kube-proxy", "coredns"),
)
PROGRAMS = (*COMPONENTS, "containerd-shim-runc-v2", "runc", "ctr", "ptp", "host-local", "pause", "kubectl")
#: Seconds for one component, with compilers or image builds beside it.
START_TIMEOUT = 120.0
#: Seconds for the node of a cluster all of whose programs run: on a busy machine, or one that was just woken, it is not ready at once.
PATIENCE = 60.0
POLL = 1.0


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
    def alive(self) -> bool:
        """Whether every program runs."""
        return all(self.components.values())

    @property
    def running(self) -> bool:
        """Whether pods would run now."""
        return self.node_ready and self.alive


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
    """What runs now; changes nothing. Raises MachineUnfit where only root can tell."""
    _root_for("see it")
    runs = _daemons().running()
    alive = {name: name in runs for name in COMPONENTS}
    kubectl = binaries.at_hand("kubectl") if alive["kube-apiserver"] else None
    return Status(alive, kubectl is not None and _node_is_ready(kubectl))


def up(progress: Progress = silent) -> Cluster:
    """Start the cluster unless it runs; a half-dead one is taken down first. Raises LocalError."""
    machine.prepare(machine.NODE, progress=progress)
    with _locked(progress):
        _only_ours()
        if _lives(progress):
            return _cluster()
        _down(progress)
        neighbours.refuse([*_settings().listeners, *node.LISTENERS])
        programs = binaries.ensure(*PROGRAMS, progress=progress)
        try:
            _start(programs, progress)
        except BaseException:
            _down(silent)
            raise
        return _cluster()


def down(progress: Progress = silent) -> None:
    """Stop everything and take away every trace but the cache. Nothing happens where nothing is. Raises LocalError."""
    _root_for("stop it")
    if claim.read() is None and not _daemons().running():
        return
    with _locked(progress):
        _only_ours()
        _down(progress)


def _root_for(what: str) -> None:
    """Raise MachineUnfit where a cluster is, or may be, and this is not root: others do not see its programs."""
    if os.geteuid() == 0:
        return
    try:
        there = claim.read() is not None
    except PermissionError:
        there = True
    if there:
        raise MachineUnfit(f"the local cluster runs as root, and only root can {what}: run the same command with sudo")


def _lives(progress: Progress) -> bool:
    """Whether it runs, or does so within PATIENCE: only what is dead may be taken down."""
    seen = status()
    if seen.running or not seen.alive:
        return seen.running
    if binaries.at_hand("kubectl") is None:
        # It was started by one that is not on PATH any more.
        binaries.ensure("kubectl", progress=progress)
    deadline = time.monotonic() + PATIENCE
    with step("waiting for the node of the cluster that runs", progress):
        while time.monotonic() < deadline:
            seen = status()
            if seen.running or not seen.alive:
                return seen.running
            time.sleep(POLL)
    return False


def _locked(progress: Progress) -> AbstractContextManager[None]:
    """One for the machine, since it has room for one cluster."""
    return held(paths.RUN / "lock", progress, waiting_for="another command that changes the cluster")


def _only_ours() -> None:
    """Raise MachineUnfit when the cluster of this machine belongs to another folder of programs and data."""
    there = claim.read()
    if there is not None and there.home != paths.home():
        raise MachineUnfit(
            f"a local cluster of {there.home} runs on this machine, or was not taken down; there is room for one: "
            f"FAIRLEAD_HOME={there.home} fairlead cluster down"
        )


def _cluster() -> Cluster:
    spots = places()
    kubeconfig = _settings().kubeconfig(ADMIN)
    return Cluster(kubeconfig, spots.socket, spots.directory / "audit.log", spots.logs)


def _daemons() -> Daemons:
    spots = places()
    return Daemons(str(spots.directory), spots.logs)


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
    # Before anything is changed: from here on there is something to undo.
    claim.make(paths.home())
    sysctls.forward()
    cgroups.create(cgroups.mounted())
    network.connect()
    progress("starting the control plane")
    pki = controlplane.prepare(settings, [node.ADDRESS, node.API_SERVICE])
    pki.kubeconfig(settings.kubeconfig(ADMIN), settings.server, ADMIN, ["system:masters"])
    daemons.start("etcd", components.etcd(programs["etcd"], settings, pki))
    daemons.start("kube-apiserver", components.kube_apiserver(programs["kube-apiserver"], settings, pki))
    ca = pki.path("ca.crt")

    def serving() -> bool:
        return health.ok(node.ADDRESS, settings.ports.apiserver, "/readyz", ca)

    daemons.wait_until("kube-apiserver", serving, START_TIMEOUT, progress)
    manager = components.kube_controller_manager(programs["kube-controller-manager"], settings, pki)
    daemons.start("kube-controller-manager", manager)
    daemons.start("kube-scheduler", components.kube_scheduler(programs["kube-scheduler"], settings))
    progress("starting the node")
    _start_node(programs, settings, pki, daemons, progress)
    daemons.wait_until("kubelet", lambda: _node_is_ready(programs["kubectl"]), START_TIMEOUT, progress)
    daemons.wait_until("coredns", _dns_is_ready, START_TIMEOUT, progress)


def _start_node(
    programs: dict[str, Path], settings: ControlPlaneSettings, pki: Credentials, daemons: Daemons, progress: Progress
) -> None:
    spots = places()
    files = {
        "containerd.toml": node.containerd(spots, programs["runc"]),
        "cni/10-fairlead.conflist": node.network(spots),
        "kubelet.yaml": node.kubelet(spots, pki.directory),
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

    environment = {"PATH": f"{spots.programs}:{ENVIRONMENT['PATH']}"}
    directory = spots.directory
    daemons.start(
        "containerd", [str(programs["containerd"]), "--config", str(directory / "containerd.toml")], environment
    )
    ctr = [str(programs["ctr"]), "--address", str(spots.socket), "--namespace", "k8s.io"]
    daemons.wait_until("containerd", lambda: call(*ctr, "images", "ls").returncode == 0, START_TIMEOUT, progress)
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


def _node_is_ready(kubectl: Path) -> bool:
    command = (str(kubectl), "--kubeconfig", str(_settings().kubeconfig(ADMIN)), "--request-timeout=5s")
    asked = call(*command, "get", "node", node.NAME, "-o", "json")
    if asked.returncode:
        return False
    conditions = json.loads(asked.stdout)["status"].get("conditions", [])
    return any(row["type"] == "Ready" and row["status"] == "True" for row in conditions)


def _has_resolvers() -> bool:
    path = Path("/etc/resolv.conf")
    return path.exists() and any(line.startswith("nameserver") for line in path.read_text().splitlines())


def _dns_is_ready() -> bool:
    return health.ok(LOOPBACK, node.DNS_READY_PORT, "/ready", tls=False)


def _down(progress: Progress) -> None:
    """Undo everything, from whatever point on; where no claim is, nothing was done."""
    spots, daemons, there = places(), _daemons(), claim.read()
    if there is None and not daemons.running():
        return
    with step("stopping the cluster", progress):
        _undo(spots, daemons, there)


def _undo(spots: Places, daemons: Daemons, there: claim.Claim | None) -> None:
    # The kubelet before the containers, which it would start again; containerd after them: it helps to end them.
    for name in (*reversed([name for name in COMPONENTS if name != "containerd"]), "containerd"):
        if name == "containerd":
            containers.end(spots.socket)
        daemons.stop(name)
    containers.end(spots.socket)
    mounts.clear(
        *(spots.directory / name for name in ("kubelet", "etcd", "pki", "kubeconfigs", components.VOLUME_PLUGINS)),
        spots.pod_logs,
        *(spots.run / name for name in ("containerd", "containerd.sock", "containerd.sock.ttrpc", "runc", "s")),
        *(spots.run / "addresses", *Path("/var/lib/cni/results").glob(f"{node.NAME}-*")),
        Path("/var/lib/kubelet/device-plugins/kubelet.sock"),
    )
    podlogs.unlink(spots.pod_logs)
    network.disconnect()
    if not cgroups.remove(cgroups.mounted()):
        raise StopFailed(f"the control groups {cgroups.NAME} are still in use; try again in a minute")
    if there is not None:
        sysctls.restore(there.sysctls)
        claim.remove_empty(there.absent)
    claim.drop()
