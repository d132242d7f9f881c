"""The configuration files and command lines of the node's programs: containerd, kubelet, kube-proxy, CoreDNS, CNI.

Pure: texts from paths and addresses. What this machine is like comes in as arguments.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fairlead_cli.local import cgroups
from fairlead_cli.local.components import LOOPBACK, VOLUME_PLUGINS

NAME = "fairlead"
#: A link that belongs to no network: the API server and the DNS listen on its address, pods reach it by their gateway.
LINK = "fairlead0"
ADDRESS = "10.97.0.1"
POD_CIDR = "10.98.0.0/24"
SERVICE_CIDR = "10.99.0.0/16"
#: All of these.
NETWORK = "10.96.0.0/14"
API_SERVICE = "10.99.0.1"
PAUSE_IMAGE = "localhost/fairlead/pause:1"
DOMAIN = "cluster.local"
KUBELET_PORT = 10250
KUBELET_HEALTH_PORT = 10248
PROXY_HEALTH_PORT = 10256
PROXY_METRICS_PORT = 10249
DNS_PORT = 53
DNS_READY_PORT = 8181
#: Where each program of the node listens: name, address, TCP port.
LISTENERS = (
    ("kubelet", ADDRESS, KUBELET_PORT),
    ("kubelet", LOOPBACK, KUBELET_HEALTH_PORT),
    ("kube-proxy", LOOPBACK, PROXY_HEALTH_PORT),
    ("kube-proxy", LOOPBACK, PROXY_METRICS_PORT),
    ("coredns", ADDRESS, DNS_PORT),
    ("coredns", LOOPBACK, DNS_READY_PORT),
)


@dataclass(frozen=True)
class Places:
    """Where the node's files are. `run` is short and emptied by a reboot, the rest is in the cache."""

    run: Path
    directory: Path
    images: Path
    programs: Path

    @property
    def socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        return self.directory / "kubelet"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def pod_logs(self) -> Path:
        return self.directory / "pod-logs"


def containerd(places: Places, runc: Path) -> str:
    """containerd's configuration, version 3."""
    return f"""\
version = 3
root = "{places.images}"
state = "{places.run / "containerd"}"

[grpc]
  address = "{places.socket}"

# Everything that would otherwise stand where another containerd of this machine has its own.
[plugins."io.containerd.shim.v1.manager"]
  socket_dir = "{places.run / "s"}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{places.images / "opt"}"
[plugins."io.containerd.nri.v1.nri"]
  disable = true

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
  # A container may run without the right to lower its own score; asking for less than it has fails there.
  restrict_oom_score_adj = true
  # Network namespaces are mounted below the state folder, so that they go with it.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{places.programs}"]
    conf_dir = "{places.directory / "cni"}"
    use_internal_loopback = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      SystemdCgroup = false
      Root = "{places.run / "runc"}"
"""


def network(places: Places) -> str:
    """One pair of links for each pod, no bridge: nothing is shared, and nothing is left when the pod's namespace is gone."""
    plugin = {
        "type": "ptp",
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_CIDR}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(places.run / "addresses"),
        },
    }
    return json.dumps({"cniVersion": "1.0.0", "name": NAME, "plugins": [plugin]})


def kubelet(places: Places, pki: Path) -> str:
    """The kubelet's configuration: a small machine, nothing is evicted before the disk is really full."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{places.socket}",
        "cgroupRoot": f"/{cgroups.NAME}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": str(places.directory / "resolv.conf"),
        "localStorageCapacityIsolation": False,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # Images come from the local build, and would have to be loaded again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "podLogsDir": str(places.pod_logs),
        "volumePluginDir": str(places.directory / VOLUME_PLUGINS),
        "port": KUBELET_PORT,
        "healthzBindAddress": LOOPBACK,
        "healthzPort": KUBELET_HEALTH_PORT,
        # kube-proxy makes all the rules that are needed, and takes them away again.
        "makeIPTablesUtilChains": False,
        "staticPodPath": "",
        "serializeImagePulls": False,
        "syncFrequency": "10s",
        "shutdownGracePeriod": "0s",
    }
    return yaml.safe_dump(config, sort_keys=False)


def kube_proxy(kubeconfig: Path) -> str:
    """kube-proxy's configuration."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "mode": "iptables",
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": NAME,
        "bindAddress": ADDRESS,
        "healthzBindAddress": f"{LOOPBACK}:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"{LOOPBACK}:{PROXY_METRICS_PORT}",
        # Leave the kernel's own limits alone.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        # Node ports on loopback would open loopback services to this machine's neighbours.
        "iptables": {"minSyncPeriod": "100ms", "localhostNodePorts": False},
    }
    return yaml.safe_dump(config, sort_keys=False)


def coredns(kubeconfig: Path, *, forward: bool) -> str:
    """The cluster's names, and the machine's own resolvers for the rest where it has any."""
    rest = "forward . /etc/resolv.conf" if forward else "template ANY ANY {\n        rcode NXDOMAIN\n    }"
    return f"""\
.:{DNS_PORT} {{
    bind {ADDRESS}
    errors
    ready {LOOPBACK}:{DNS_READY_PORT}
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    {rest}
    cache 5
}}
"""
