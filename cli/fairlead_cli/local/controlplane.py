"""A control plane without a node, as children of the calling process: what tests talk to.

etcd and kube-apiserver always; controller-manager and scheduler if asked for. No root, no containers: objects are
stored, checked and watched, and nothing runs. It dies with its caller.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from fairlead_cli.local import binaries, components, health
from fairlead_cli.local.components import LOOPBACK, ControlPlaneSettings, Ports
from fairlead_cli.local.credentials import ADMIN, CONTROLLER_MANAGER, SCHEDULER, Credentials
from fairlead_cli.local.errors import LocalError
from fairlead_cli.local.processes import Child
from fairlead_cli.local.progress import Progress, silent

#: Seconds. The API server needs under 3 on an idle machine; compilers may be running beside it.
START_TIMEOUT = 90.0
#: A free port may be taken by someone else between finding and using it.
ATTEMPTS = 3
SERVICE_CIDR = "10.0.0.0/24"
#: Options, per component, that a caller may add: `{"kube-apiserver": ["--v=2"]}`.
Arguments = Mapping[str, Sequence[str]]


class ControlPlane:
    """A running control plane; a context manager that stops it."""

    def __init__(self, settings: ControlPlaneSettings, credentials: Credentials, kubectl: Path) -> None:
        self.settings = settings
        self._credentials = credentials
        self._children: list[Child] = []
        self.kubectl = kubectl
        """The kubectl that fits it."""
        self.kubeconfig = self.user(ADMIN, ["system:masters"])
        """May do everything."""

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self.settings.server

    @property
    def audit_log(self) -> Path:
        """JSON lines, one per write; see `components.AUDIT_POLICY`."""
        return self.settings.directory / "audit.log"

    def user(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig that speaks for `name` in `groups`; what that user may do is up to RBAC objects.

        `system:serviceaccount:NAMESPACE:NAME` with the groups `system:serviceaccounts` and
        `system:serviceaccounts:NAMESPACE` speaks for a service account.
        """
        path = self.settings.kubeconfig(name.replace(":", "."))
        return self._credentials.kubeconfig(path, self.server, name, groups)

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start one more program that ends with this control plane; its log stands beside the others."""
        child = Child(name, command, self.settings.directory / "logs" / f"{name}.log")
        self._children.append(child)
        return child

    def stop(self) -> None:
        """Kill everything, last started first. The folder stays: logs and the audit log are read afterwards."""
        while self._children:
            self._children.pop().stop()
        shutil.rmtree(self.settings.etcd_data, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    directory: Path,
    *,
    controller_manager: bool = False,
    scheduler: bool = False,
    arguments: Arguments | None = None,
    progress: Progress = silent,
) -> ControlPlane:
    """Start a fresh control plane in `directory` and return once it is ready to serve.

    `directory` holds its logs, kubeconfigs and audit log and may be any empty or not yet existing folder. `arguments`
    are added to the command lines, by component name. Missing programs are built first, with `progress`.

    Raises StartFailed with the end of the guilty component's log, and what `binaries.ensure` raises.
    """
    names = ["etcd", "kube-apiserver", "kubectl"]
    names += ["kube-controller-manager"] if controller_manager else []
    names += ["kube-scheduler"] if scheduler else []
    programs = binaries.ensure(*names, progress=progress)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _start(directory, programs, arguments or {})
        except LocalError as failure:
            if attempt == ATTEMPTS or "address already in use" not in str(failure):
                raise
    raise AssertionError("the last attempt returns or raises")


def _start(directory: Path, programs: Mapping[str, Path], arguments: Arguments) -> ControlPlane:
    settings = ControlPlaneSettings(
        directory=directory,
        ports=Ports(*health.free_ports(5)),
        address=LOOPBACK,
        service_cidr=SERVICE_CIDR,
        audit_log=directory / "audit.log",
    )
    pki = prepare(settings, [LOOPBACK, "localhost"])
    plane = ControlPlane(settings, pki, programs["kubectl"])

    def run(name: str, command: list[str]) -> Child:
        return plane.start(name, [*command, *arguments.get(name, ())])

    try:
        run("etcd", components.etcd(programs["etcd"], settings, pki))
        apiserver = run("kube-apiserver", components.kube_apiserver(programs["kube-apiserver"], settings, pki))
        ca = pki.path("ca.crt")
        apiserver.wait_until(lambda: health.ok(LOOPBACK, settings.ports.apiserver, "/readyz", ca), START_TIMEOUT)
        if program := programs.get("kube-controller-manager"):
            child = run("kube-controller-manager", components.kube_controller_manager(program, settings, pki))
            port = settings.ports.controller_manager
            child.wait_until(lambda: health.ok(LOOPBACK, port, "/healthz"), START_TIMEOUT)
        if program := programs.get("kube-scheduler"):
            child = run("kube-scheduler", components.kube_scheduler(program, settings))
            port = settings.ports.scheduler
            child.wait_until(lambda: health.ok(LOOPBACK, port, "/healthz"), START_TIMEOUT)
    except BaseException:
        plane.stop()
        raise
    return plane


def prepare(settings: ControlPlaneSettings, api_addresses: Sequence[str]) -> Credentials:
    """Write everything the control plane's programs read, into an emptied `settings.directory`."""
    shutil.rmtree(settings.etcd_data, ignore_errors=True)
    settings.directory.mkdir(parents=True, exist_ok=True)
    settings.audit_policy.write_text(components.AUDIT_POLICY)
    if settings.audit_log is not None:
        settings.audit_log.unlink(missing_ok=True)
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    pki = Credentials.create(settings.directory / "pki", [*api_addresses, *names])
    for name, user in (("kube-controller-manager", CONTROLLER_MANAGER), ("kube-scheduler", SCHEDULER)):
        pki.kubeconfig(settings.kubeconfig(name), settings.server, user)
    return pki
