"""The node's configuration files parse as what they are, and agree with each other."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead_cli.local import cgroups, cluster, node
from fairlead_cli.local.node import Places

PLACES = Places(Path("/run/fairlead"), Path("/cache/cluster"), Path("/cache/containerd"), Path("/cache/bin"))


def containerd() -> dict[str, Any]:
    return tomllib.loads(node.containerd(PLACES, Path("/cache/bin/runc")))


def runc() -> dict[str, Any]:
    runtimes = containerd()["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]
    options: dict[str, Any] = runtimes["runc"]["options"]
    return options


def kubelet() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(node.kubelet(PLACES, Path("/cache/cluster/pki")))
    return config


def proxy() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(node.kube_proxy(Path("/cache/kube-proxy.yaml")))
    return config


def test_kubelet_and_containerd_meet_at_one_socket() -> None:
    assert kubelet()["containerRuntimeEndpoint"] == f"unix://{containerd()['grpc']['address']}"


def test_kubelet_and_runc_make_groups_in_the_same_way_below_a_group_of_their_own() -> None:
    assert kubelet()["cgroupDriver"] == "cgroupfs"
    assert runc()["SystemdCgroup"] is False
    assert kubelet()["cgroupRoot"] == f"/{cgroups.NAME}"


def test_containerd_keeps_everything_in_our_folders() -> None:
    plugins = containerd()["plugins"]
    kept = [
        containerd()["root"],
        containerd()["state"],
        containerd()["grpc"]["address"],
        plugins["io.containerd.shim.v1.manager"]["socket_dir"],
        plugins["io.containerd.internal.v1.opt"]["path"],
        plugins["io.containerd.cri.v1.runtime"]["cni"]["conf_dir"],
        runc()["Root"],
    ]

    assert all(path.startswith(("/run/fairlead/", "/cache/")) for path in kept)
    assert plugins["io.containerd.nri.v1.nri"]["disable"] is True


def test_the_kubelet_keeps_what_can_be_told_it_in_our_folders() -> None:
    config = kubelet()

    assert all(config[key].startswith("/cache/cluster/") for key in ("podLogsDir", "volumePluginDir", "resolvConf"))


def test_sockets_of_shims_fit_what_containerd_allows() -> None:
    assert len(containerd()["plugins"]["io.containerd.shim.v1.manager"]["socket_dir"]) <= 42


def test_pods_get_addresses_of_the_network_that_is_forwarded() -> None:
    [plugin] = json.loads(node.network(PLACES))["plugins"]

    assert plugin["ipam"]["ranges"] == [[{"subnet": node.POD_CIDR}]]
    assert proxy()["clusterCIDR"] == node.POD_CIDR


def test_kube_proxy_leaves_the_kernels_settings_alone() -> None:
    assert set(map(str, proxy()["conntrack"].values())) == {"0", "0s"}
    assert proxy()["iptables"]["localhostNodePorts"] is False


@pytest.mark.parametrize(
    ("forward", "rest"),
    [
        pytest.param(True, "forward . /etc/resolv.conf", id="with resolvers, other names are asked there"),
        pytest.param(False, "template ANY ANY {", id="without any, other names do not exist"),
    ],
)
def test_names(forward: bool, rest: str) -> None:  # noqa: FBT001  a column of the table
    corefile = node.coredns(Path("/cache/dns.yaml"), forward=forward)

    assert rest in corefile
    assert f"bind {node.ADDRESS}\n" in corefile
    assert corefile.count("{") == corefile.count("}")
    assert kubelet()["clusterDNS"] == [node.ADDRESS]


def test_what_is_checked_to_be_free_is_what_the_files_name() -> None:
    named = {
        (kubelet()["address"], kubelet()["port"]),
        (kubelet()["healthzBindAddress"], kubelet()["healthzPort"]),
        *(tuple(proxy()[key].split(":")) for key in ("healthzBindAddress", "metricsBindAddress")),
    }
    checked = {(address, port) for name, address, port in node.LISTENERS if name != "coredns"}

    assert {(address, int(port)) for address, port in named} == checked
    corefile = node.coredns(Path("/x"), forward=False)
    for name, address, port in node.LISTENERS:
        if name == "coredns":
            assert address in corefile
            assert f":{port}" in corefile


def test_every_component_is_among_the_programs() -> None:
    assert set(cluster.COMPONENTS) <= set(cluster.PROGRAMS)
