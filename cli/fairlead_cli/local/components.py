"""The command line of each program of the control plane: one function per program, no process started here.

Both ways to run them (`controlplane`, as children of a test; `cluster`, detached) use these lines, so what is tested
against the small one holds on the node too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead_cli.local.credentials import Credentials

LOOPBACK = "127.0.0.1"
#: A folder below a cluster's own: kubelet and controller-manager make an empty one in /usr/libexec unless told where.
VOLUME_PLUGINS = "volume-plugins"

#: Every request that can change something, who sent it and what came of it, without bodies. Reads are left out: they
#: are a hundred times as many and no test counts them. One line per request: the RequestReceived stage is omitted.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [get, list, watch]
- level: Metadata
"""


@dataclass(frozen=True)
class Ports:
    """TCP ports of the control plane, all on loopback but the API server's."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int


@dataclass(frozen=True)
class ControlPlaneSettings:
    """Where one control plane lives: everything its command lines are made from."""

    directory: Path
    """etcd's data, kubeconfigs and the audit policy; credentials are in pki/ below it."""
    ports: Ports
    address: str
    """Where the API server listens, and what pods are told to reach it by: not loopback if there are pods."""
    service_cidr: str
    audit_log: Path | None
    """Written if given; at most three files of 100 MB."""

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.ports.apiserver}"

    @property
    def etcd_data(self) -> Path:
        """etcd's data, thrown away whenever the control plane is started anew."""
        return self.directory / "etcd"

    @property
    def audit_policy(self) -> Path:
        """What the API server writes to the audit log."""
        return self.directory / "audit-policy.yaml"

    @property
    def listeners(self) -> list[tuple[str, str, int]]:
        """Where each program listens: name, address, TCP port."""
        return [
            ("etcd", LOOPBACK, self.ports.etcd),
            ("etcd", LOOPBACK, self.ports.etcd_peer),
            ("kube-apiserver", self.address, self.ports.apiserver),
            ("kube-controller-manager", LOOPBACK, self.ports.controller_manager),
            ("kube-scheduler", LOOPBACK, self.ports.scheduler),
        ]

    def kubeconfig(self, name: str) -> Path:
        """The kubeconfig of one component or user."""
        return self.directory / "kubeconfigs" / f"{name}.yaml"


def etcd(program: Path, settings: ControlPlaneSettings, pki: Credentials) -> list[str]:
    """Durability is switched off: the data never outlives its processes, and fsync would dominate every write."""
    client = f"https://{LOOPBACK}:{settings.ports.etcd}"
    peer = f"https://{LOOPBACK}:{settings.ports.etcd_peer}"
    return [
        str(program),
        "--name=fairlead",
        f"--data-dir={settings.etcd_data}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=fairlead={peer}",
        f"--cert-file={pki.path('etcd.crt')}",
        f"--key-file={pki.path('etcd.key')}",
        f"--trusted-ca-file={pki.path('etcd-ca.crt')}",
        "--client-cert-auth",
        f"--peer-cert-file={pki.path('etcd.crt')}",
        f"--peer-key-file={pki.path('etcd.key')}",
        f"--peer-trusted-ca-file={pki.path('etcd-ca.crt')}",
        "--peer-client-cert-auth",
        "--log-level=warn",
    ]


def kube_apiserver(program: Path, settings: ControlPlaneSettings, pki: Credentials) -> list[str]:
    """The API server with upstream's defaults for admission, Pod Security included."""
    audit: Sequence[str] = ()
    if settings.audit_log is not None:
        audit = (
            f"--audit-policy-file={settings.audit_policy}",
            f"--audit-log-path={settings.audit_log}",
            "--audit-log-maxsize=100",
            "--audit-log-maxbackup=2",
        )
    # Endpoints of the `kubernetes` service may not be loopback addresses: without pods there are none.
    reconciler = "none" if settings.address == LOOPBACK else "lease"
    return [
        str(program),
        f"--bind-address={settings.address}",
        f"--advertise-address={settings.address}",
        f"--endpoint-reconciler-type={reconciler}",
        f"--secure-port={settings.ports.apiserver}",
        f"--etcd-servers=https://{LOOPBACK}:{settings.ports.etcd}",
        f"--etcd-cafile={pki.path('etcd-ca.crt')}",
        f"--etcd-certfile={pki.path('apiserver-etcd.crt')}",
        f"--etcd-keyfile={pki.path('apiserver-etcd.key')}",
        f"--tls-cert-file={pki.path('apiserver.crt')}",
        f"--tls-private-key-file={pki.path('apiserver.key')}",
        f"--client-ca-file={pki.path('ca.crt')}",
        f"--kubelet-certificate-authority={pki.path('ca.crt')}",
        f"--kubelet-client-certificate={pki.path('apiserver-kubelet.crt')}",
        f"--kubelet-client-key={pki.path('apiserver-kubelet.key')}",
        # The node's name resolves nowhere; its address does.
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={pki.path('service-account.pub')}",
        f"--service-account-signing-key-file={pki.path('service-account.key')}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={settings.service_cidr}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        *audit,
    ]


def kube_controller_manager(program: Path, settings: ControlPlaneSettings, pki: Credentials) -> list[str]:
    """All controllers, each under its own service account so that the audit log tells them apart."""
    kubeconfig = settings.kubeconfig("kube-controller-manager")
    return [
        str(program),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={settings.ports.controller_manager}",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--root-ca-file={pki.path('ca.crt')}",
        f"--service-account-private-key-file={pki.path('service-account.key')}",
        f"--cluster-signing-cert-file={pki.path('ca.crt')}",
        f"--cluster-signing-key-file={pki.path('ca.key')}",
        f"--flex-volume-plugin-dir={settings.directory / VOLUME_PLUGINS}",
        "--profiling=false",
    ]


def kube_scheduler(program: Path, settings: ControlPlaneSettings) -> list[str]:
    """The default scheduler."""
    kubeconfig = settings.kubeconfig("kube-scheduler")
    return [
        str(program),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={settings.ports.scheduler}",
        "--leader-elect=false",
        "--profiling=false",
    ]
