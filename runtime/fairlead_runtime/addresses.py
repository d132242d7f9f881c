"""On which addresses ports are opened: all that there are, of IPv4 and of IPv6. Standard library only, because the supervisor reads it.

Where a cluster gives pods IPv6 addresses the kubelet probes those, and a port that is open on IPv4 alone never answers it. Where it gives
none the port is IPv4's, so that clients' addresses are logged in the form that they have.
"""

import socket
from pathlib import Path
from typing import Final

#: Of Linux, one line for each address of the network namespace: address, interface, prefix, scope, flags, name. Not there without IPv6.
ADDRESSES: Final = Path("/proc/net/if_inet6")
#: Scope of an address that others can reach, in hexadecimal; loopback's is 10, a link's own 20.
_GLOBAL: Final = "00"
#: All addresses of IPv4, and all of both.
IPV4_ONLY: Final = ""
BOTH: Final = "::"


def everywhere() -> str:
    """The host to listen on, `""` or `"::"`."""
    try:
        lines = ADDRESSES.read_text(encoding="ascii").splitlines()
    except OSError:
        return IPV4_ONLY
    return BOTH if any(line.split()[3] == _GLOBAL for line in lines) else IPV4_ONLY


def family(host: str) -> socket.AddressFamily:
    """Of a socket that listens on what `everywhere` returned."""
    return socket.AF_INET6 if host == BOTH else socket.AF_INET


def open_for_both(listening: socket.socket) -> None:
    """Have a socket of IPv6 take IPv4's connections too, whatever the node's default is; before it is bound."""
    if listening.family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
