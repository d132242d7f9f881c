"""All keys, certificates and kubeconfigs of one control plane, in one folder.

Two authorities: one that the API server believes, and one for etcd alone. With a single one every user's certificate
would open etcd, which knows no users: whoever reaches it owns the cluster.
"""

import base64
from collections.abc import Iterable
from pathlib import Path

import yaml

from fairlead_cli.local.certificates import Authority, Pair, new_key, public_key, write_private

ADMIN = "admin"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
PROXY = "system:kube-proxy"


class Credentials:
    """Makes and finds the files that the components are pointed at.

    `directory` is created, readable by its owner alone. Made anew at every start: nothing signed for an earlier
    control plane is believed by the next one.
    """

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.directory = directory
        self._authority = authority

    @classmethod
    def create(cls, directory: Path, api_addresses: Iterable[str]) -> "Credentials":
        """Issue everything the API server and etcd need; `api_addresses` are the names the API server answers to."""
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        authority, store = Authority.create("fairlead"), Authority.create("fairlead-etcd")
        authority.pair.write(directory, "ca")
        store.pair.write(directory, "etcd-ca")
        store.server("etcd", ["127.0.0.1", "localhost"]).write(directory, "etcd")
        store.client("kube-apiserver").write(directory, "apiserver-etcd")
        authority.server("kube-apiserver", api_addresses).write(directory, "apiserver")
        # The group that the kubelet's webhook would ask about; a cluster-admin needs no further binding.
        authority.client("kube-apiserver", ["system:masters"]).write(directory, "apiserver-kubelet")
        signing = new_key()
        write_private(directory / "service-account.key", signing)
        (directory / "service-account.pub").write_bytes(public_key(signing))
        return cls(directory, authority)

    @classmethod
    def load(cls, directory: Path) -> "Credentials":
        """The credentials of a control plane that runs already.

        Raises FileNotFoundError when the folder holds none.
        """
        pair = Pair((directory / "ca.crt").read_bytes(), (directory / "ca.key").read_bytes())
        return cls(directory, Authority(pair))

    def path(self, name: str) -> Path:
        """The path of a file in the folder."""
        return self.directory / name

    def node(self, name: str, addresses: Iterable[str]) -> Pair:
        """Issue the kubelet's certificate and write it as kubelet.crt and kubelet.key."""
        pair = self._authority.node(f"system:node:{name}", ["system:nodes"], addresses)
        pair.write(self.directory, "kubelet")
        return pair

    def kubeconfig(self, path: Path, server: str, user: str, groups: Iterable[str] = ()) -> Path:
        """Write a kubeconfig that speaks for `user` in `groups`; the file holds its own certificate and key."""
        return self.kubeconfig_of(path, server, user, self._authority.client(user, groups))

    def kubeconfig_of(self, path: Path, server: str, user: str, pair: Pair) -> Path:
        """Write a kubeconfig around a certificate issued before."""
        path.parent.mkdir(parents=True, exist_ok=True)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "fairlead",
                    "cluster": {"server": server, "certificate-authority-data": self._authority.pair.certificate},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {"client-certificate-data": pair.certificate, "client-key-data": pair.key},
                }
            ],
            "contexts": [{"name": "fairlead", "context": {"cluster": "fairlead", "user": user}}],
            "current-context": "fairlead",
        }
        write_private(path, yaml.safe_dump(_encoded(config), sort_keys=False).encode())
        return path


def _encoded(value: object) -> object:
    """The value with bytes as base64 text, as kubeconfig's *-data fields want them."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _encoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encoded(item) for item in value]
    return value
