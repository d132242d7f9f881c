"""The control plane's command lines: nothing of them leads outside of the cluster's own folder."""

import re
from pathlib import Path

from fairlead_cli.local import components
from fairlead_cli.local.certificates import Authority
from fairlead_cli.local.components import LOOPBACK, ControlPlaneSettings, Ports
from fairlead_cli.local.credentials import Credentials

FOLDER = Path("/cache/cluster")
SETTINGS = ControlPlaneSettings(FOLDER, Ports(1, 2, 3, 4, 5), LOOPBACK, "10.99.0.0/16", FOLDER / "audit.log")


def test_files_and_folders_are_the_clusters_own() -> None:
    pki = Credentials(FOLDER / "pki", Authority.create("a test"))
    lines = [
        *components.etcd(Path("etcd"), SETTINGS, pki),
        *components.kube_apiserver(Path("kube-apiserver"), SETTINGS, pki),
        *components.kube_controller_manager(Path("kube-controller-manager"), SETTINGS, pki),
        *components.kube_scheduler(Path("kube-scheduler"), SETTINGS),
    ]
    paths = {
        name: value
        for line in lines
        if (found := re.fullmatch(r"--([\w-]+)=(/.*)", line))
        for name, value in [found.groups()]
    }

    assert "flex-volume-plugin-dir" in paths, "without it one is made in /usr/libexec"
    assert {name: value for name, value in paths.items() if not Path(value).is_relative_to(FOLDER)} == {}
