"""The node's link and iptables rules, made and taken away.

Ours are: the link fairlead0, the links and routes of pods, rules with the comment "fairlead", and, since `neighbours`
lets no cluster start beside another Kubernetes, all chains named KUBE-.
"""

import json
import shlex
import time
from ipaddress import IPv4Network
from itertools import pairwise

from fairlead_cli.local import node
from fairlead_cli.local.call import call
from fairlead_cli.local.errors import StartFailed, StopFailed

NETWORKS = tuple(IPv4Network(text) for text in (node.ADDRESS, node.POD_CIDR, node.SERVICE_CIDR))
COMMENT = "fairlead"
_COMMENT = ("-m", "comment", "--comment", COMMENT)
_ANSWERS = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
#: (table, chain, rule): pods are forwarded, reach the API server and DNS, and answer what this machine asks them, whatever the
#: policy or a firewall such as ufw says of strangers; and they reach other networks under this machine's address.
RULES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("filter", "FORWARD", ("-s", node.POD_CIDR, *_COMMENT, "-j", "ACCEPT")),
    ("filter", "FORWARD", ("-d", node.POD_CIDR, *_COMMENT, "-j", "ACCEPT")),
    ("filter", "INPUT", ("-s", node.POD_CIDR, "-d", node.ADDRESS, *_COMMENT, "-j", "ACCEPT")),
    ("filter", "INPUT", ("-s", node.POD_CIDR, *_ANSWERS, *_COMMENT, "-j", "ACCEPT")),
    ("nat", "POSTROUTING", ("-s", node.POD_CIDR, "!", "-d", node.NETWORK, *_COMMENT, "-j", "MASQUERADE")),
)
CHAINS_OF_KUBERNETES = "KUBE-"
FAMILIES = ("iptables", "ip6tables")
#: Seconds until the kernel has taken away the links of ended pods.
PATIENCE = 10.0
_POLL = 0.1


def connect() -> None:
    """Make the link and the rules. Raises StartFailed."""
    call("ip", "link", "add", node.LINK, "type", "bridge")
    call("ip", "address", "add", f"{node.ADDRESS}/32", "dev", node.LINK)
    if (made := call("ip", "link", "set", node.LINK, "up")).returncode:
        raise StartFailed(
            f"the link {node.LINK} cannot be made ({made.stderr.strip()}); is the kernel's bridge driver there?"
        )
    for table, chain, rule in RULES:
        if call("iptables", "-w", "-t", table, "-C", chain, *rule).returncode:
            added = call("iptables", "-w", "-t", table, "-I", chain, *rule)
            if added.returncode:
                raise StartFailed(f"iptables takes no rule: {added.stderr.strip()}")


def disconnect() -> None:
    """The reverse of connect(), with kube-proxy's rules; the processes have ended. Raises StopFailed.

    `kube-proxy --cleanup` is not used: it leaves a chain behind, loads kernel modules of its other modes, and is not
    there any more once somebody has emptied the cache.
    """
    for family in FAMILIES:
        if instructions := without_ours(saved(family)):
            done = call(f"{family}-restore", "--noflush", "--wait", given=instructions)
            if done.returncode:
                raise StopFailed(f"{family}-restore does not take our rules away: {done.stderr.strip()}; try again")
    call("ip", "link", "delete", node.LINK)
    deadline = time.monotonic() + PATIENCE
    pods = IPv4Network(node.POD_CIDR)
    while any(pods.supernet_of(network) for network, _ in routes()) and time.monotonic() < deadline:
        time.sleep(_POLL)


def saved(family: str) -> str:
    """All rules of `iptables` or `ip6tables`; nothing where the kernel has no such tables."""
    return call(f"{family}-save").stdout


def chains(saved_rules: str) -> list[str]:
    """Names of Kubernetes' chains in the output of iptables-save, each once."""
    names = [line[1:].split()[0] for line in saved_rules.splitlines() if line.startswith(":")]
    return sorted({name for name in names if name.startswith(CHAINS_OF_KUBERNETES)})


def without_ours(saved_rules: str) -> str:
    """What iptables-restore --noflush must read to take away our rules and Kubernetes' chains, and nothing else.

    Empty when there is nothing to take away.
    """
    whole: list[str] = []
    for table in saved_rules.split("COMMIT\n"):
        lines = table.splitlines()
        name = next((line for line in lines if line.startswith("*")), "")
        names = chains(table)
        rules = [line for line in lines if line.startswith("-A ") and _is_ours(shlex.split(line))]
        if names or rules:
            # A line with a chain's name empties it; only then no rule refers to another that is deleted.
            emptied = [f":{chain} - [0:0]" for chain in names]
            whole += [
                name,
                *emptied,
                *(f"-D{rule[2:]}" for rule in rules),
                *(f"-X {chain}" for chain in names),
                "COMMIT",
            ]
    return "\n".join([*whole, ""]) if whole else ""


def _is_ours(words: list[str]) -> bool:
    """Of a rule outside of Kubernetes' chains: whether it leads into one, or has our comment."""
    if words[1].startswith(CHAINS_OF_KUBERNETES):
        return False  # goes with its chain
    pairs = list(pairwise(words))
    jumps = any(option in {"-j", "-g"} and target.startswith(CHAINS_OF_KUBERNETES) for option, target in pairs)
    return jumps or ("--comment", COMMENT) in pairs


def routes() -> list[tuple[IPv4Network, str]]:
    """Where this machine's packets go: networks and the links towards them, without default routes."""
    return parse_routes(call("ip", "-json", "-4", "route", "show", "table", "all").stdout)


def parse_routes(printed: str) -> list[tuple[IPv4Network, str]]:
    """The output of `ip -json route`. Halves of everything, as some VPNs set them, are default routes too."""
    rows = [(row["dst"], row.get("dev", ""), row.get("type", "unicast")) for row in json.loads(printed or "[]")]
    networks = [
        (IPv4Network(destination), link)
        for destination, link, kind in rows
        if destination != "default" and kind not in {"broadcast", "multicast"}
    ]
    return [(network, link) for network, link in networks if network.prefixlen > 1]
