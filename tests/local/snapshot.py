"""What a cluster could leave on a machine, read so that two moments can be compared."""

import re
import subprocess
from collections import Counter
from pathlib import Path

from fairlead_cli.local import cluster, node, paths

SYSCTLS = (
    *("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
)
#: Folders of others that programs of the node write into.
SHARED = (
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/run/containerd",
    "/run/nri",
    "/opt/containerd",
    "/etc/cni",
    "/etc/containerd",
    "/usr/libexec/kubernetes",
    "/var/log/containers",
)

#: Tests of the API run these too, at any time; ours are told apart by their mark.
ELSEWHERE = {name[:15] for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")}

Snapshot = dict[str, object]


def take() -> Snapshot:
    """Everything; equal before `up` and after `down`."""
    return {
        "processes": processes(),
        "daemons": cluster._daemons().running(),
        "mounts": sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "links": sorted(re.findall(r"^\d+: ([^:]+):", printed("ip", "-o", "link"), re.MULTILINE)),
        "routes": printed("ip", "route", "show", "table", "all"),
        "iptables": rules("iptables"),
        "ip6tables": rules("ip6tables"),
        "network namespaces": printed("lsns", "--type", "net", "--noheadings", "--output", "NS"),
        "control groups": sorted(str(path) for path in groups()),
        "kernel settings": settings(),
        "folders of others": sorted(
            str(path) for top in SHARED for path in [*Path(top).rglob("*"), Path(top)] if there(path)
        ),
        "sockets and state": sorted(path.name for path in paths.RUN.glob("*") if path.name not in {"lock", "images"}),
        "listeners": sorted(listener for listener in listeners() if int(listener.rpartition(":")[2]) in ports()),
    }


def there(path: Path) -> bool:
    """Whether anything is, a link that leads nowhere too."""
    return path.exists() or path.is_symlink()


def processes() -> Counter[str]:
    """Of our programs, and pods' processes with them: how many run, by name."""
    names = {name[:15] for name in cluster.PROGRAMS} - ELSEWHERE
    found: Counter[str] = Counter()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = file.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it has ended meanwhile
        # An ended process whose parent has not asked yet how is no trace of ours.
        if name in names and rest.split()[0] != "Z":
            found[name] += 1
    return found


def listeners() -> list[str]:
    """ADDRESS:PORT of all TCP listeners."""
    return re.findall(r"LISTEN\s+\S+\s+\S+\s+(\S+)", printed("ss", "-ltn"))


def ports() -> set[int]:
    """Those of the cluster."""
    return {port for _, _, port in [*cluster._settings().listeners, *node.LISTENERS]}


def rules(family: str) -> list[str]:
    """Without comments and counters."""
    lines = printed(f"{family}-save").splitlines()
    return [re.sub(r"\[\d+:\d+\]", "", line).strip() for line in lines if not line.startswith("#")]


def groups() -> list[Path]:
    """Folders of control groups, but those in which somebody keeps the processes of this very test."""
    own = {line.split(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines()} - {"/"}
    parents = tuple(str(Path(path).parent) for path in own)
    return [
        path
        for path in Path("/sys/fs/cgroup").glob("**/")
        if not any(parent != "/" and parent in str(path) for parent in parents)
    ]


def settings() -> dict[str, str]:
    """The kernel's settings that the kubelet writes, and everything about forwarding."""
    root = Path("/proc/sys")
    found = [root / name for name in SYSCTLS]
    found += [root / "net/ipv4/ip_forward", *root.glob("net/ipv4/conf/*/forwarding")]
    found += [*root.glob("net/ipv4/conf/*/route_localnet"), *root.glob("net/ipv4/conf/*/accept_redirects")]
    found += [path for path in root.glob("net/netfilter/nf_conntrack_*") if path.name != "nf_conntrack_count"]
    return {str(path.relative_to(root)): path.read_text().strip() for path in found}


def printed(*command: str) -> str:
    """The output of a program that must succeed."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
