"""What else on this machine would suffer from a cluster, or be mistaken for a part of it."""

import re
import socket
from collections.abc import Iterable
from pathlib import Path

from fairlead_cli.local import network
from fairlead_cli.local.call import call
from fairlead_cli.local.errors import MachineUnfit

PROC = Path("/proc")
#: Of each kind, so that the message fits a screen.
SHOWN = 4
#: linux/in.h: bind to an address that this machine gets only later. Python has no name for it.
_IP_FREEBIND = 15


def refuse(addresses: Iterable[tuple[str, str, int]]) -> None:
    """Raise MachineUnfit with everything that stands in the way; none of ours may run.

    `addresses`: what will listen there, on which address and TCP port.
    """
    kinds = (_kubelets(), _chains(), _routes(), _listeners(addresses))
    found = [line for kind in kinds for line in _shortened(kind)]
    if found:
        lines = "\n".join(f"  - {line}" for line in found)
        raise MachineUnfit(f"nothing was started, because this machine is in use by others:\n{lines}")


def _shortened(lines: list[str]) -> list[str]:
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"and {len(lines) - SHOWN} more of this kind"]


def _kubelets() -> list[str]:
    """A kubelet in a container with a network of its own is none of this machine's."""
    ours = (PROC / "self/ns/net").stat().st_ino
    pids = []
    for folder in PROC.iterdir():
        try:
            is_kubelet = folder.name.isdigit() and (folder / "comm").read_text(encoding="utf-8").strip() == "kubelet"
            if is_kubelet and (folder / "ns/net").stat().st_ino == ours:
                pids.append(folder.name)
        except OSError:
            continue  # it has ended meanwhile
    return [
        f"it is a Kubernetes node already: a kubelet runs as process {pid}; "
        "use that cluster by its kubeconfig, or stop it first"
        for pid in pids
    ]


def _chains() -> list[str]:
    by_family = {family: network.chains(network.saved(family)) for family in network.FAMILIES}
    return [
        f"{family} has rules of another Kubernetes, in chains such as {chains[0]}; if none runs here any more, a reboot "
        f"takes them away, or: {family}-save | grep -v KUBE- | {family}-restore"
        for family, chains in by_family.items()
        if chains
    ]


def _routes() -> list[str]:
    told = [
        f"its route to {theirs} by {link or 'no link'} overlaps {ours}, which the cluster uses; take that network down meanwhile"
        for theirs, link in network.routes()
        for ours in network.NETWORKS
        if theirs.overlaps(ours)
    ]
    return list(dict.fromkeys(told))


def _listeners(addresses: Iterable[tuple[str, str, int]]) -> list[str]:
    return [
        f"port {port} of {address}, which {name} needs, is taken by {_who(port)}; stop that first"
        for name, address, port in addresses
        if _taken(address, port)
    ]


def _taken(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Closed connections that linger do not count, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


def _who(port: int) -> str:
    seen = call("ss", "-Hlntp", f"sport = :{port}").stdout
    names = re.findall(r'\("([^"]+)",pid=(\d+)', seen)
    return (
        " and ".join(sorted({f"{name} (process {pid})" for name, pid in names}))
        or "a process that cannot be seen from here"
    )
