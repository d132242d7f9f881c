"""Who reaches which port of a pod, by the rules of NetworkPolicies.

https://kubernetes.io/docs/concepts/services-networking/network-policies/: a pod that no policy selects for ingress is open. Others
are reached only as one of their policies says; policies add up, and so do the rules and peers within one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or with `address` alone something outside of the cluster."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "203.0.113.7"


def reaches(policies: Iterable[Manifest], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether the connection is allowed."""
    closing = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == target.namespace
        and _matches(policy["spec"]["podSelector"], target.labels)
        and "Ingress" in policy["spec"].get("policyTypes", ["Ingress"])
    ]
    if not closing:
        return True
    return any(
        _opens(rule, policy["metadata"]["namespace"], source, port, protocol)
        for policy in closing
        for rule in policy["spec"].get("ingress") or ()
    )


def _opens(rule: Manifest, namespace: str, source: End, port: int, protocol: str) -> bool:
    """A rule without ports opens all, and one without peers is for everybody."""
    ports, peers = rule.get("ports") or (), rule.get("from") or ()
    return (not ports or any(_is_port(entry, port, protocol) for entry in ports)) and (
        not peers or any(_is_peer(peer, namespace, source) for peer in peers)
    )


def _is_port(entry: Manifest, port: int, protocol: str) -> bool:
    first = entry.get("port")
    assert first is None or isinstance(first, int), "a port by name would need the pod"
    return entry.get("protocol", "TCP") == protocol and (first is None or first <= port <= entry.get("endPort", first))


def _is_peer(peer: Manifest, namespace: str, source: End) -> bool:
    if block := peer.get("ipBlock"):
        address = ip_address(source.address)
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(hole) for hole in block.get("except") or ()
        )
    if not source.namespace:
        return False
    there = peer.get("namespaceSelector")
    at_home = source.namespace == namespace if there is None else _matches(there, source.namespace_labels)
    return at_home and _matches(peer.get("podSelector") or {}, source.labels)


def _matches(selector: Manifest, labels: Mapping[str, str]) -> bool:
    assert not selector.keys() - {"matchLabels"}, "expressions are not read here"
    return (selector.get("matchLabels") or {}).items() <= labels.items()
