"""What the node leaves in the kernel, made and taken away: link, rules, mounts, processes, control groups.

Only what is ours by name is touched: the link fairlead0, rules with the comment "fairlead", mounts below our folders,
processes whose containerd is ours.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from fairlead_cli.local import node
from fairlead_cli.local.daemons import send
from fairlead_cli.local.errors import MachineUnfit, StartFailed
from fairlead_cli.local.node import Places

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
CGROUPS = Path("/sys/fs/cgroup")
_COMMENT = ("-m", "comment", "--comment", "fairlead")
#: (table, chain, rule): pods are forwarded whatever the policy is, and reach other networks under this machine's address.
RULES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("filter", "FORWARD", ("-s", node.POD_CIDR, *_COMMENT, "-j", "ACCEPT")),
    ("filter", "FORWARD", ("-d", node.POD_CIDR, *_COMMENT, "-j", "ACCEPT")),
    ("nat", "POSTROUTING", ("-s", node.POD_CIDR, "!", "-d", "10.96.0.0/14", *_COMMENT, "-j", "MASQUERADE")),
)


def connect(remember: Path) -> None:
    """The link, the rules, forwarding on. Raises MachineUnfit when the addresses are in use."""
    routes = call("ip", "-o", "route").stdout
    for network in (node.ADDRESS, node.POD_CIDR, node.SERVICE_CIDR):
        prefix = network.rpartition(".")[0].removesuffix(".0")
        if any(line.startswith(f"{prefix}.") and node.LINK not in line for line in routes.splitlines()):
            raise MachineUnfit(f"a route of this machine covers {network}, which the local cluster uses: {routes}")
    call("ip", "link", "add", node.LINK, "type", "bridge")
    call("ip", "address", "add", f"{node.ADDRESS}/32", "dev", node.LINK)
    if call("ip", "link", "set", node.LINK, "up").returncode:
        raise StartFailed(f"the link {node.LINK} cannot be made; is the kernel's bridge driver there?")
    remember.write_text(FORWARDING.read_text())
    FORWARDING.write_text("1")
    for table, chain, rule in RULES:
        if call("iptables", "-w", "-t", table, "-C", chain, *rule).returncode:
            call("iptables", "-w", "-t", table, "-I", chain, *rule)


def disconnect(kube_proxy: Path | None, remembered: Path) -> None:
    """The reverse of connect(), and kube-proxy's own rules."""
    if kube_proxy is not None:
        call(str(kube_proxy), "--cleanup")
    for table, chain, rule in RULES:
        while call("iptables", "-w", "-t", table, "-D", chain, *rule).returncode == 0:
            pass
    # kube-proxy's clean-up leaves this chain of its own behind.
    for chain in ("INPUT", "OUTPUT"):
        call("iptables", "-w", "-D", chain, "-j", "KUBE-FIREWALL")
    for action in ("-F", "-X"):
        call("iptables", "-w", action, "KUBE-FIREWALL")
    call("ip", "link", "delete", node.LINK)
    if remembered.exists():
        FORWARDING.write_text(remembered.read_text())
        remembered.unlink()
    for result in Path("/var/lib/cni/results").glob(f"{node.NAME}-*"):
        result.unlink(missing_ok=True)


def end_containers(places: Places) -> None:
    """Every shim of our containerd, and everything below it, at once."""
    deadline = time.monotonic() + 20
    while (shims := _shims(places.socket)) and time.monotonic() < deadline:
        for pid in [pid for shim in shims for pid in (*_descendants(shim), shim)]:
            send(pid, signal.SIGKILL)
        time.sleep(0.1)


def unmount(*folders: Path) -> None:
    """Everything mounted at or below the folders, the deepest first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in reversed(points):
        if any(Path(point).is_relative_to(folder) for folder in folders):
            call("umount", "--lazy", point)


def remove_cgroups() -> None:
    """The kubelet's groups of pods; empty ones, since their processes have ended."""
    tops = [CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir())]
    for top in [path / "kubepods" for path in tops] + [path / "k8s.io" for path in tops]:
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                continue  # a group that is still busy goes with the next `down`


def clear(*folders: Path) -> None:
    """Delete folders that hold nothing mounted any more."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def call(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run to the end; the caller reads the code."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _shims(socket: Path) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"containerd-shim" in words[0] and str(socket).encode() in words:
                found.append(int(folder.name))
    return found


def _descendants(pid: int) -> list[int]:
    below: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            below += [*_descendants(child), child]
    return below
